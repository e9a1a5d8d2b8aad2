"""Turn text into tokens that are parts of words, by the package tokenizers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..ops.checks import positive_int
from .base import Array, Stream, Tokenizer, check_utf8, contents, texts_of

PIECE = 1 << 20
"""Number of characters that are given to the package at a time."""


def package() -> Any:
    """Return the package tokenizers.

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            f"subword tokens need the package tokenizers: install it with pip install 'fastnn[text]' ({error})"
        ) from None
    return tokenizers


class BPETokenizer(Tokenizer):
    """Tokenizer of subwords by byte pair encoding (Sennrich et al., ACL 2016), by the package tokenizers.

    `train` learns it from texts: it begins with the 256 bytes and joins the most frequent pair again and again, as for GPT-2, so
    every text can be written and comes back exactly. `from_file` reads a tokenizer.json, also of other kinds of tokens. Special
    tokens that its file would put around a text are not added.

    Args:
        description: the contents of a tokenizer.json.

    Raises:
        ValueError: the description is none.
        ImportError: the package is missing; the extra `text` installs it.

    >>> t = BPETokenizer.train("the cat sat on the mat " * 9, size=268)
    >>> t.decode(t.encode("the hat")), len(t), len(t.encode("the cat"))
    ('the hat', 268, 2)
    """

    kind = "bpe"

    def __init__(self, description: str) -> None:
        tokenizers = package()
        if not isinstance(description, str):
            raise TypeError(f"BPETokenizer: description is a {type(description).__name__}; wanted the text of a tokenizer.json")
        self._own = _guarded(lambda: tokenizers.Tokenizer.from_str(description), "the description is no tokenizer.json")
        self._own.no_padding()
        self._own.no_truncation()
        self._size = self._own.get_vocab_size(with_added_tokens=True)
        ids = self._own.get_vocab(with_added_tokens=True).values()
        if not ids:
            raise ValueError("BPETokenizer: the description has no tokens")
        if max(ids) >= self._size:  # ids with gaps
            self._size = max(ids) + 1

    @classmethod
    def train(cls, text: str | Iterable[str], size: int = 1000, special: Sequence[str] = ()) -> BPETokenizer:
        """Learn the tokens from a text or an iterable of texts.

        Args:
            text: the text, or its parts.
            size: largest number of tokens, with the 256 bytes and the special ones. A short text gives fewer.
            special: tokens that stand for themselves and get the first ids, such as "<|endoftext|>".
        """
        tokenizers = package()
        size, special = positive_int(size, "BPETokenizer.train: size"), texts_of(special, "BPETokenizer.train: special tokens")
        if size < 256 + len(special):
            extra = f" and {len(special)} special ones" if special else ""
            raise ValueError(f"BPETokenizer.train: size is {size}; wanted at least {256 + len(special)}: 256 bytes{extra}")
        if not isinstance(text, str) and not isinstance(text, Iterable):
            raise TypeError(f"BPETokenizer.train: text is a {type(text).__name__}; wanted a string, or an iterable of strings")
        own = tokenizers.Tokenizer(tokenizers.models.BPE())
        own.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        own.decoder = tokenizers.decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=list(special),
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        texts = [text] if isinstance(text, str) else text
        own.train_from_iterator((part[i : i + PIECE] for part in texts for i in range(0, len(part), PIECE)), trainer)
        return cls(own.to_str())

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> BPETokenizer:
        """Read a tokenizer.json, as the package tokenizers writes it and models are published with.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged; the message has the reason.
        """
        data, name = contents(path, "BPETokenizer.from_file"), os.fsdecode(path)
        try:
            return cls(data.decode())
        except ValueError as error:
            raise ValueError(f"BPETokenizer.from_file: {name}: {error}") from None

    @classmethod
    def _of_config(cls, config: Mapping[str, Any]) -> Tokenizer:
        return cls(**{**config, "description": json.dumps(config["description"])} if "description" in config else config)

    def __len__(self) -> int:
        return int(self._size)

    def encode(self, text: str) -> Array:
        """Return the ids of a text, int64 (n,).

        Raises:
            ValueError: the text has half of a surrogate pair.
        """
        check_utf8(self._checked_text(text), "BPETokenizer.encode")
        return np.array(self._own.encode(text, add_special_tokens=False).ids, np.int64)

    def decode(self, ids: Any) -> str:
        """Return the text of ids, with the special tokens among them."""
        return str(self._own.decode(self._checked_ids(ids).tolist(), skip_special_tokens=False))

    def stream(self) -> Stream:
        return _Subwords(self)

    def token_id(self, token: str) -> int:
        """Return the id of a token, such as a special one.

        Raises:
            KeyError: there is no such token.
        """
        found = self._own.token_to_id(token)
        if found is None:
            raise KeyError(f"BPETokenizer: there is no token {token!r}")
        return int(found)

    def get_config(self) -> dict[str, Any]:
        return {"kind": self.kind, "description": json.loads(self._own.to_str())}


class _Subwords(Stream):
    def __init__(self, tokenizer: BPETokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = package().decoders.DecodeStream(skip_special_tokens=False)
        self._waiting: list[int] = []  # ids without text so far

    def feed(self, ids: Any) -> str:
        parts = []
        for i in self._tokenizer._checked_ids(ids).tolist():
            text = self._decoder.step(self._tokenizer._own, i)
            self._waiting = [*self._waiting, i] if text is None else []
            parts.append(text or "")
        return "".join(parts)

    def end(self) -> str:
        waiting, self._waiting = self._waiting, []
        return self._tokenizer.decode(waiting)


def _guarded(make: Any, what: str) -> Any:
    """Return make(). The package raises plain exceptions, and panics are no subclass of Exception."""
    try:
        return make()
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        raise ValueError(f"BPETokenizer: {what}: {str(error)[:200]}") from None
