"""Turn text into tokens that are characters or bytes."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import Array, Stream, Tokenizer, check_utf8, texts_of


class CharTokenizer(Tokenizer):
    """Tokenizer with a token for each character.

    Args:
        characters: a text, whose different characters in the order of their numbers in Unicode are the tokens; or a list of
            characters in the order of their ids.
        unknown: text of a token for all other characters, such as "?" or "\\ufffd". It is the last token unless it is among the
            characters. By default, other characters are an error.

    Raises:
        ValueError: there are no characters, one occurs twice in the list, or an item has several.

    >>> t = CharTokenizer("hello")
    >>> t.encode("hole").tolist(), len(t), t.characters
    ([1, 3, 2, 0], 4, ['e', 'h', 'l', 'o'])
    >>> t.encode("help")
    Traceback (most recent call last):
        ...
    ValueError: CharTokenizer.encode: text[3] is 'p' (U+0070), which is none of the 4 characters; pass unknown= for a token for it
    >>> t = CharTokenizer("hello", unknown="?")
    >>> t.decode(t.encode("help"))
    'hel?'
    """

    kind = "char"

    def __init__(self, characters: str | Sequence[str], unknown: str | None = None) -> None:
        what = "CharTokenizer: characters"
        self.characters = texts_of(sorted(set(characters)) if isinstance(characters, str) else characters, what)
        if many := next((c for c in self.characters if len(c) > 1), None):
            raise ValueError(f"{what} have {many[:40]!r}; wanted single characters")
        if not self.characters:
            raise ValueError(f"{what} are empty; wanted a text or a list of characters")
        if unknown is not None and (not isinstance(unknown, str) or not unknown):
            raise TypeError(f"CharTokenizer: unknown is {unknown!r}; wanted a string that is not empty, or None")
        self.unknown = unknown
        self._tokens = self.characters + [unknown] * (unknown is not None and unknown not in self.characters)  # type: ignore[list-item]
        codes = np.array([ord(c) for c in self.characters], np.int64)
        self._ids = np.full(int(codes.max()) + 2, -1 if unknown is None else self._tokens.index(unknown), np.int64)
        self._ids[codes] = np.arange(len(codes))  # the last entry is for all larger numbers

    def __len__(self) -> int:
        return len(self._tokens)

    def encode(self, text: str) -> Array:
        """Return the ids of a text, int64 (n,), one for each character.

        Raises:
            ValueError: a character is unknown, and there is no token for it.
        """
        codes = np.frombuffer(self._checked_text(text).encode("utf-32-le", "surrogatepass"), "<u4")
        ids: Array = self._ids[np.minimum(codes, len(self._ids) - 1)]
        if self.unknown is None and (ids < 0).any():
            i = int((ids < 0).argmax())
            name = f"CharTokenizer.encode: text[{i}] is {text[i]!r} (U+{ord(text[i]):04X})"
            n = len(self.characters)
            raise ValueError(f"{name}, which is none of the {n} characters; pass unknown= for a token for it")
        return ids

    def stream(self) -> Stream:
        return _Joined(self)

    def texts(self, ids: Array) -> str:
        """Return the text of ids that are checked."""
        return "".join([self._tokens[i] for i in ids.tolist()])

    def get_config(self) -> dict[str, Any]:
        return {"kind": self.kind, "characters": self.characters, "unknown": self.unknown}


class _Joined(Stream):
    def __init__(self, tokenizer: CharTokenizer) -> None:
        self._tokenizer = tokenizer

    def feed(self, ids: Any) -> str:
        return self._tokenizer.texts(self._tokenizer._checked_ids(ids))


class ByteTokenizer(Tokenizer):
    """Tokenizer with a token for each of the 256 bytes of UTF-8, which can write every text.

    Bytes that are no character are decoded as U+FFFD.

    >>> t = ByteTokenizer()
    >>> t.encode("né").tolist(), t.decode([110, 195, 169]), t.decode([195])
    ([110, 195, 169], 'né', '\\ufffd')
    """

    kind = "byte"

    def __len__(self) -> int:
        return 256

    def encode(self, text: str) -> Array:
        """Return the bytes of a text in UTF-8, int64 (n,).

        Raises:
            ValueError: the text has half of a surrogate pair, which UTF-8 cannot express.
        """
        return np.frombuffer(check_utf8(self._checked_text(text), "ByteTokenizer.encode"), np.uint8).astype(np.int64)

    def stream(self) -> Stream:
        return _Bytes(self)

    def get_config(self) -> dict[str, Any]:
        return {"kind": self.kind}


class _Bytes(Stream):
    def __init__(self, tokenizer: ByteTokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, ids: Any) -> str:
        return self._decoder.decode(self._tokenizer._checked_ids(ids).astype(np.uint8).tobytes())

    def end(self) -> str:
        return self._decoder.decode(b"", True)
