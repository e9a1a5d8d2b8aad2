"""Tokenizers: ids, texts that come back, streams, files, and the tokenizer of a model."""

import copy
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn.text import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer, from_config, load

TEXT = "The whale, the white whale — näïve 😀 and \r\n\t  blanks  \n\n end "
TRAINED: list[BPETokenizer] = []


def bpe() -> BPETokenizer:
    pytest.importorskip("tokenizers")
    if not TRAINED:
        TRAINED.append(BPETokenizer.train(TEXT * 20, size=300, special=["<end>"]))
    return TRAINED[0]


MAKERS: dict[str, Callable[[], Tokenizer]] = {
    "char": lambda: CharTokenizer(TEXT),
    "unknown": lambda: CharTokenizer(TEXT, unknown="<?>"),
    "byte": ByteTokenizer,
    "word": lambda: WordTokenizer(TEXT, size=6, lower=True),
    "bpe": bpe,
}


@pytest.mark.parametrize("name", MAKERS)
def test_interface(name: str, tmp_path: Path) -> None:
    t = MAKERS[name]()
    ids = t.encode(TEXT)
    assert ids.dtype == np.int64 and ids.ndim == 1 and ids.min() >= 0 and ids.max() < len(t)
    assert (t.decode(ids) == TEXT) == (name != "word")
    stream = t.stream()
    assert "".join(stream.feed(i) for i in ids.tolist()) + stream.end() == t.decode(ids) == t.decode(ids.tolist())
    assert t.decode(fastnn.tensor(ids[:5])) == t.decode(ids[:5])
    assert t.encode("").tolist() == [] and t.encode("").dtype == np.int64 and t.decode([]) == ""
    t.save(tmp_path / "t.json")
    for again in (load(tmp_path / "t.json"), copy.deepcopy(t), pickle.loads(pickle.dumps(t)), from_config(t.get_config())):
        assert again == t and type(again) is type(t) and (again.encode(TEXT) == ids).all() and hash(again) == hash(t)
    assert t != CharTokenizer("other") and repr(t) == f"{type(t).__name__}({len(t)} tokens)"
    for bad, message in (([0, len(t)], r"ids\[1\]"), ([-1], r"ids\[0\] is -1")):
        with pytest.raises(ValueError, match=rf"{type(t).__name__}.decode: {message}"):
            t.decode(bad)
    for wrong in ([0.5], [[1, 2]], "ab"):
        with pytest.raises(TypeError, match=r"decode: ids are .* wanted whole numbers of one axis"):
            t.decode(wrong)
    with pytest.raises(TypeError, match="encode: text is a bytes"):
        t.encode(b"abc")  # type: ignore[arg-type]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@settings(max_examples=60, deadline=None)
def test_every_text_comes_back(text: str) -> None:
    pytest.importorskip("tokenizers")
    tokenizers: list[Tokenizer] = [ByteTokenizer(), bpe()]
    if text:
        tokenizers.append(CharTokenizer(text))
    for t in tokenizers:
        stream, ids = t.stream(), t.encode(text)
        assert t.decode(ids) == text
        assert "".join(stream.feed(i) for i in ids) + stream.end() == text


@given(st.lists(st.integers(0, 255), max_size=30))
@settings(max_examples=60, deadline=None)
def test_bytes_that_are_no_text(ids: list[int]) -> None:
    t, stream = ByteTokenizer(), ByteTokenizer().stream()
    assert t.decode(ids) == bytes(ids).decode("utf-8", "replace")
    assert "".join(stream.feed(i) for i in ids) + stream.end() == t.decode(ids)


def test_a_character_in_parts_waits() -> None:
    for t in (ByteTokenizer(), bpe()):
        stream = t.stream()
        ids = t.encode("😀" if t is not TRAINED[0] else "語")
        shown = [stream.feed(i) for i in ids[:-1]]
        assert len(ids) > 1 and shown == [""] * len(shown) and stream.end() in ("�", "���")


def test_characters() -> None:
    assert CharTokenizer(["b", "a"]).encode("ab").tolist() == [1, 0]
    assert CharTokenizer(["b", "?", "a"], unknown="?").encode("abxé").tolist() == [2, 0, 1, 1]
    assert len(CharTokenizer("ab", unknown="?")) == 3 and CharTokenizer("ab", unknown="<?>").decode([2, 0]) == "<?>a"
    with pytest.raises(ValueError, match=r"text\[2\] is '😀' \(U\+1F600\), which is none of the 2 characters"):
        CharTokenizer("ab").encode("ab😀")
    assert CharTokenizer("a\ud800").decode(CharTokenizer("a\ud800").encode("\ud800a")) == "\ud800a"
    for bad, words in (
        ("", "empty"),
        ([], "empty"),
        (["ab"], "single"),
        (["a", "a"], "twice"),
        ([1], "strings"),
        (None, "strings"),
    ):
        with pytest.raises((TypeError, ValueError), match=f"CharTokenizer: characters .*{words}"):
            CharTokenizer(bad)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unknown is 5"):
        CharTokenizer("ab", unknown=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"text\[1\] is '\\ud800', half of a surrogate pair"):
        ByteTokenizer().encode("a\ud800")


def test_words() -> None:
    t = WordTokenizer("It's a dog. It's (the) dog, a cat!", size=5)
    assert t.words == ["It's", "a", "dog", "."] and len(t) == 5
    assert t.encode("a dog's cat.").tolist() == [2, 0, 0, 4]
    whole = WordTokenizer("It's (the) dog, a cat!")
    assert whole.decode(whole.encode("It's (the)  dog,\na cat!")) == "It's (the) dog, a cat!"
    assert WordTokenizer("The the THE", lower=True).words == ["the"]
    with pytest.raises(ValueError, match="words are empty"):
        WordTokenizer("  ")
    with pytest.raises(ValueError, match="size is for a text"):
        WordTokenizer(["a"], size=3)


def test_subwords(tmp_path: Path) -> None:
    t = bpe()
    assert t.token_id("<end>") == 0 and t.encode("a<end>").tolist()[-1] == 0 and t.decode(t.encode("a<end>b")) == "a<end>b"
    assert BPETokenizer.train([TEXT] * 20, size=300, special=["<end>"]) == t
    with pytest.raises(KeyError, match="no token 'none'"):
        t.token_id("none")
    (tmp_path / "tokenizer.json").write_text(json.dumps(t.get_config()["description"]), encoding="utf-8")
    assert BPETokenizer.from_file(tmp_path / "tokenizer.json") == t
    assert load(tmp_path / "tokenizer.json") == t
    with pytest.raises(ValueError, match="size is 256; wanted at least 257"):
        BPETokenizer.train(TEXT, size=256, special=["<end>"])
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        t.encode("a\ud800")
    for bad in ("", "{}", "[1", '{"model": 5}', "\x00"):
        (tmp_path / "tokenizer.json").write_text(bad, encoding="utf-8")
        with pytest.raises(ValueError, match=r"from_file: .*tokenizer\.json: .*no tokenizer\.json"):
            BPETokenizer.from_file(tmp_path / "tokenizer.json")


def test_special_tokens_of_a_published_file_are_not_added() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    own = tokenizers.Tokenizer.from_str(json.dumps(bpe().get_config()["description"]))
    own.post_processor = tokenizers.processors.TemplateProcessing(single="<end> $A", special_tokens=[("<end>", 0)])
    own.enable_padding(length=50)
    own.enable_truncation(3)
    t = BPETokenizer(own.to_str())
    assert (t.encode(TEXT) == bpe().encode(TEXT)).all()


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = small()
    model.tokenizer = bpe()
    model.save(tmp_path / "m")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    for use in (lambda: BPETokenizer.train("abc"), lambda: BPETokenizer("{}"), lambda: fastnn.load(tmp_path / "m")):
        with pytest.raises(ImportError, match=r"pip install 'fastnn\[text\]'"):
            use()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"[1]", "is a list; wanted a dict"),
        (b"{}", "the kind is 'None'; wanted bpe, byte, char, word"),
        (b'{"kind": ["char"]}', "the kind is"),
        (b'{"kind": "char"}', "a char tokenizer is damaged"),
        (b'{"kind": "char", "characters": 5}', "characters are '5'"),
        (b'{"kind": "char", "characters": ["ab"]}', "single characters"),
        (b'{"kind": "char", "characters": ["a"], "unknown": []}', "unknown is"),
        (b'{"kind": "char", "characters": ["a"], "extra": 1}', "extra"),
        (b'{"kind": "byte", "self": 1}', "damaged"),
        (b'{"kind": "word", "words": ["a", "a"]}', "twice"),
        (b'{"kind": "word", "words": {"a": 1}}', "wanted a list of strings"),
        (b'{"kind": "bpe", "description": {"model": null}}', "no tokenizer.json"),
        (b'{"kind": "char", "kind": "byte"}', "damaged"),
        (b"[" * 100_000, "damaged"),
    ],
)
def test_damaged_files(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_bytes(data)
    with pytest.raises(ValueError, match=rf"load: .*t\.json: .*{words}"):
        load(tmp_path / "t.json")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"load: there is no file .*none\.json"):
        load(tmp_path / "none.json")
    with pytest.raises(ValueError, match="no regular file"):
        load(tmp_path)


def small() -> fastnn.Sequential:
    return fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])


@pytest.mark.parametrize("name", MAKERS)
def test_a_model_keeps_its_tokenizer(name: str, tmp_path: Path) -> None:
    model, t = small(), MAKERS[name]()
    assert model.tokenizer is None
    model.tokenizer = t
    assert model.tokenizer is t
    model.save(tmp_path / "m")
    for again in (fastnn.load(tmp_path / "m"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again.tokenizer == t
    model.tokenizer = None
    model.save(tmp_path / "m")
    assert fastnn.load(tmp_path / "m").tokenizer is None


def test_what_is_no_tokenizer() -> None:
    model: Any = small()
    for bad in ("char", 5, ["a"]):
        with pytest.raises(TypeError, match=r"Sequential: tokenizer is .*wanted a tokenizer of fastnn.text"):
            model.tokenizer = bad
