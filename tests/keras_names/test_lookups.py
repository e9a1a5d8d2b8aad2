"""Words, categories and whole numbers as ids and rows, before a model."""

from typing import Any

import numpy as np
import pytest

from fastnn import keras
from fastnn.keras import layers

TEXTS = ["The cat sat, the END.", "a cat", "the dog"]


def test_words() -> None:
    words = layers.TextVectorization(max_tokens=5, output_sequence_length=3)
    words.adapt(TEXTS)
    assert words.get_vocabulary() == ["", "[UNK]", "the", "cat", "sat"] and words.vocabulary_size() == 5
    assert words([["the sat cat cat"], ["dog"]]).tolist() == [[2, 4, 3], [1, 0, 0]]
    assert layers.TextVectorization(vocabulary=words.get_vocabulary())("the cat").tolist() == [2, 3]
    letters = layers.TextVectorization(split="character", standardize=None, vocabulary=["a", "B"])
    assert letters(["aBc"]).tolist() == [[2, 3, 1]]


def test_rows_of_words() -> None:
    counts = layers.TextVectorization(output_mode="count", vocabulary=["the", "cat"])
    assert counts(["the the dog", ""]).tolist() == [[1, 2, 0], [0, 0, 0]]
    hot = layers.TextVectorization(output_mode="multi_hot", vocabulary=["the", "cat"])
    assert hot(["the the dog"]).tolist() == [[1, 1, 0]]
    weighted = layers.TextVectorization(output_mode="tf_idf")
    weighted.adapt(TEXTS)
    the, cat = (weighted.get_vocabulary().index(word) for word in ("the", "cat"))
    row = weighted(["the the cat"])[0]
    assert row[the] == pytest.approx(2 * np.log(1 + 3 / 3)) and row[cat] == pytest.approx(np.log(1 + 3 / 3))


def test_lookups() -> None:
    colours = layers.StringLookup()
    colours.adapt(["red", "blue", "red"])
    assert colours.get_vocabulary() == ["[UNK]", "red", "blue"] and colours.get_vocabulary(False) == ["red", "blue"]
    assert colours(np.array(["blue", "green"])).tolist() == [2, 0]
    assert layers.StringLookup(vocabulary=["a"], output_mode="one_hot")(["a", "b"]).tolist() == [[0, 1], [1, 0]]
    numbers = layers.IntegerLookup(vocabulary=[10, 20])
    assert numbers([[20, 30]]).tolist() == [[2, 0]]


def test_categories() -> None:
    assert layers.CategoryEncoding(3)([[0, 1, 1]]).tolist() == [[1, 1, 0]]
    assert layers.CategoryEncoding(3, "one_hot")([2, 0]).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_a_model_learns_from_words() -> None:
    words = layers.TextVectorization(output_sequence_length=5)
    words.adapt(TEXTS)
    x = words(TEXTS)
    model = keras.Sequential([layers.Embedding(words.vocabulary_size(), 4), layers.GlobalAveragePooling1D(), layers.Dense(1)])
    model.compile("adam", "mse")
    assert len(model.fit(x, np.zeros(3), epochs=2, verbose=0).history["loss"]) == 2


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda: layers.TextVectorization()(["a"]), "there is no vocabulary; call adapt"),
        (lambda: layers.TextVectorization(split="words"), "split is 'words'"),
        (lambda: layers.TextVectorization(standardize="upper"), "standardize is 'upper'"),
        (lambda: layers.TextVectorization(vocabulary=["a"])([1]), "a int came; wanted texts"),
        (lambda: layers.TextVectorization(vocabulary=["a"])(keras.Input((1,))), "a symbol came; call it on the data before"),
        (lambda: layers.StringLookup(output_mode="ints"), "output_mode is 'ints'"),
        (lambda: layers.StringLookup(vocabulary=["a", "a"]), "is there twice"),
        (lambda: layers.CategoryEncoding(2)([[2]]), "wanted 0 to 1"),
        (lambda: layers.CategoryEncoding(2)([[0.5]]), "wanted whole numbers"),
    ],
)
def test_refused(attempt: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError, RuntimeError), match=words):
        attempt()
