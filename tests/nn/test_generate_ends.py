"""generate: where texts end, text and its pieces, contexts that are full; and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_gpts import make

import fastnn
from fastnn.text import ByteTokenizer, CharTokenizer


def test_stop_tokens() -> None:
    model = make()
    free = model.generate([1], 20, seed=5)
    stop = int(free[6])
    first = free.tolist().index(stop, 1)
    assert model.generate([1], 20, seed=5, stop=stop).tolist() == free[:first].tolist()
    assert model.generate([1], 20, seed=5, stop=[99, stop]).tolist() == free[:first].tolist()
    assert list(model.generate([1], 20, seed=5, stop=stop, stream=True)) == free[1:first].tolist()
    together = model.generate([[1], [2, 3]], 20, seed=5, stop=stop, padding=77)
    assert together[0].tolist()[: first + 1] == [*free[:first].tolist(), 77][: together.shape[1]]
    assert model.generate([1], 0).tolist() == [1] and model.generate([[1], [2]], 0).tolist() == [[1], [2]]
    assert list(model.generate([1], 0, stream=True)) == []


def test_text() -> None:
    model = make(vocabulary=5)
    model.tokenizer = CharTokenizer("abcde")
    ids = model.generate([0, 1], 20, seed=3)
    text = model.generate("ab", 20, seed=3)
    assert text == model.tokenizer.decode(ids) and len(text) == 22
    assert "".join(model.generate("ab", 20, seed=3, stream=True)) == text[2:]
    both = model.generate(["ab", "cde"], 20, seed=3)
    assert both[0] == text and both[1].startswith("cde")
    pieces = list(model.generate(["ab", "cde"], 20, seed=3, stream=True))
    assert ["ab" + "".join(p[0] for p in pieces), "cde" + "".join(p[1] for p in pieces)] == both


@pytest.mark.parametrize("length", [1, 2, 3])
def test_stop_strings(length: int) -> None:
    model = make(vocabulary=5)
    model.tokenizer = CharTokenizer("abcde")
    text = model.generate("ab", 20, seed=3)
    for at in range(2, 20):
        stop = text[at : at + length]
        wanted = text[: text.index(stop, 2)]
        assert model.generate("ab", 20, seed=3, stop=stop) == wanted
        assert "ab" + "".join(model.generate("ab", 20, seed=3, stop=[stop, "xyz"], stream=True)) == wanted
    assert model.generate("ab", 20, seed=3, stop="aaaaaaaaaa") == text
    end = text[-1] + "z"  # what waits for the rest of a stop is not lost
    assert "ab" + "".join(model.generate("ab", 20, seed=3, stop=end, stream=True)) == text


def test_text_of_bytes() -> None:
    class Next(fastnn.Module):
        """The bytes of a text in their order."""

        def forward(self, ids: Any) -> Any:
            text = "aé€b".encode()
            table = np.zeros((256, 256), np.float32)
            table[list(text[:-1]), list(text[1:])] = 50
            return fastnn.tensor(table).take(ids)

    model = Next()
    model.tokenizer = ByteTokenizer()
    assert model.generate("a", 6, temperature=0, use_cache=False) == "aé€b"
    assert list(model.generate("a", 6, temperature=0, use_cache=False, stream=True)) == ["é", "€", "b"]
    assert list(model.generate("a", 4, temperature=0, use_cache=False, stream=True)) == ["é", "\ufffd"]


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_slide(kind: str) -> None:
    model = make(kind, context=8)
    ids, begin = [1, 2, 3], 0
    for _ in range(20):
        if len(ids) - begin > 8:
            begin = len(ids) - 4
        ids.append(int(model([ids[begin:]], training=False).numpy()[0, -1].argmax()))
    assert model.generate([1, 2, 3], 20, temperature=0, slide=True).tolist() == ids
    assert model.generate([1, 2, 3], 20, temperature=0, slide=True, use_cache=False).tolist() == ids
    batch = model.generate([[4], [1, 2, 3]], 20, temperature=0, slide=True)
    assert batch[1].tolist() == ids and batch[0, :21].tolist() == model.generate([4], 20, temperature=0, slide=True).tolist()
    assert model.generate(list(range(11)), 3, slide=True).shape == (14,)  # a prompt longer than the context


@pytest.mark.parametrize(
    ("prompt", "arguments", "error", "message"),
    [
        ([], {}, ValueError, "generate: the prompt is empty"),
        ([[1], []], {}, ValueError, r"generate: prompt\[1\] is empty"),
        ("abc", {}, ValueError, "generate: the prompt is text, but GPT has no tokenizer"),
        ([1, 11], {}, ValueError, r"generate: the prompt has the token 11 at \[1\], but the model has the tokens 0 to 10"),
        ([[1], [2, -1]], {}, ValueError, r"generate: prompt\[1\] has the token -1 at \[1\]"),
        ([1.5], {}, TypeError, "generate: a list came as a prompt, wanted a text, ids"),
        (["a", 1], {}, TypeError, "generate: a list came as a prompt"),
        (3, {}, TypeError, "generate: a int came as a prompt"),
        (np.zeros((1, 1, 1), int), {}, TypeError, "generate: a ndarray came as a prompt"),
        (
            [1],
            {"max_new_tokens": 24},
            ValueError,
            "a prompt of 1 tokens and 24 new ones came, but the context of the model is 24",
        ),
        ([1], {"max_new_tokens": 1.5}, TypeError, "generate: max_new_tokens is 1.5"),
        ([1], {"temperature": -1}, ValueError, "generate: temperature is -1"),
        ([1], {"top_k": -1}, ValueError, "generate: top_k is -1"),
        ([1], {"top_p": 2}, ValueError, "generate: top_p is 2"),
        ([1], {"stop": "x"}, ValueError, "generate: stop has the string 'x', but the prompt is token ids"),
        ([1], {"stop": [1.5]}, TypeError, "generate: stop has 1.5"),
        ([1], {"seed": [1, 2]}, ValueError, "generate: 2 seeds came for 1 prompts"),
        ([1], {"num_beams": 0}, ValueError, "generate: num_beams is 0"),
        ([1], {"num_beams": 2, "top_k": 3}, ValueError, "generate: num_beams=2 searches for the most likely text"),
        ([1], {"num_beams": 2, "stream": True}, ValueError, "generate: num_beams=2 searches"),
    ],
)
def test_what_is_refused_says_why(prompt: Any, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make().generate(prompt, **{"max_new_tokens": 3, **arguments})


def test_models_that_cannot() -> None:
    with pytest.raises(TypeError, match="generate: Dense cannot read token by token"):
        fastnn.Dense(3, input_shape=(2,)).generate([1])
    with pytest.raises(RuntimeError, match="generate: Dense has no parameters yet"):
        fastnn.Dense(3).generate([1])
    with pytest.raises(TypeError, match=r"generate: EncoderDecoder\.step needs memory, too"):
        fastnn.models.EncoderDecoder(5, 5, 8, 8, 1, 2).generate([1])
    model = fastnn.Sequential([fastnn.Embedding(5, 4), fastnn.Flatten(), fastnn.Dense(5)])
    model(np.zeros((1, 3), np.int64))
    with pytest.raises(TypeError, match="it has no recurrent layers; use_cache=False reads the whole text"):
        model.generate([1])


@pytest.mark.parametrize("how", [{}, {"num_beams": 2}])
def test_nan(how: dict[str, Any]) -> None:
    model = make()
    model.tokens.table.embeddings.data[5] = np.nan  # the row of a token
    with pytest.raises(ValueError, match="NaN"):
        model.generate([1], 10, **how)
