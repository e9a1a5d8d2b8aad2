"""Turn text into tokens that are words and marks of punctuation."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ops.checks import positive_int
from .base import Array, Stream, Tokenizer, texts_of

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")
"""A word, perhaps with apostrophes in it, or a mark."""
_CLOSING = frozenset(".,;:!?)]}%\u2019\u201d")
"""Marks without a blank before them."""
_OPENING = frozenset("([{\u201c\u2018$#")
"""Marks without a blank behind them."""


class WordTokenizer(Tokenizer):
    """Tokenizer with a token for each word and each mark of punctuation; blanks and line ends are no tokens.

    Token 0 is for all other words. decode puts blanks between words and none before a mark such as a comma, so that a text comes
    back only roughly.

    Args:
        words: a text, whose most frequent words are the tokens, or a list of words in the order of their ids from 1.
        size: largest number of tokens of a text, with the token for other words; by default all words.
        lower: whether capital letters are read as small ones.
        unknown: text of token 0.

    Raises:
        ValueError: there are no words, or one is there twice.

    >>> t = WordTokenizer("the cat and the dog, the end", size=4)
    >>> t.words, t.encode("the end, the dog.").tolist()
    (['the', 'cat', 'and'], [1, 0, 0, 1, 0, 0])
    >>> t.decode([1, 2, 3, 0])
    'the cat and <unknown>'
    """

    kind = "word"

    def __init__(
        self, words: str | Sequence[str], size: int | None = None, lower: bool = False, unknown: str = "<unknown>"
    ) -> None:
        if not isinstance(lower, bool) or not isinstance(unknown, str) or not unknown:
            raise TypeError(f"WordTokenizer: lower is {lower!r} and unknown {unknown!r}; wanted a bool and a string")
        size = None if size is None else positive_int(size, "WordTokenizer: size")
        self.lower, self.unknown = lower, unknown
        if isinstance(words, str):
            counts = Counter(self._split(words))
            words = [word for word, _ in counts.most_common(None if size is None else size - 1)]
        elif size is not None:
            raise ValueError("WordTokenizer: size is for a text, not for a list of words")
        self.words = texts_of(words, "WordTokenizer: words")
        if not self.words:
            raise ValueError("WordTokenizer: words are empty; wanted a text or a list of words")
        self._ids = {word: i for i, word in enumerate(self.words, 1)}

    def __len__(self) -> int:
        return 1 + len(self.words)

    def _split(self, text: str) -> list[str]:
        return _WORD.findall(text.lower() if self.lower else text)

    def encode(self, text: str) -> Array:
        """Return the ids of the words and marks of a text, int64 (n,); 0 for those that are no tokens."""
        return np.array([self._ids.get(word, 0) for word in self._split(self._checked_text(text))], np.int64)

    def stream(self) -> Stream:
        return _Spaced(self)

    def get_config(self) -> dict[str, Any]:
        return {"kind": self.kind, "words": self.words, "lower": self.lower, "unknown": self.unknown}


class _Spaced(Stream):
    def __init__(self, tokenizer: WordTokenizer) -> None:
        self._tokenizer = tokenizer
        self._glued = True  # whether no blank is wanted before the next word

    def feed(self, ids: Any) -> str:
        parts = []
        for i in self._tokenizer._checked_ids(ids).tolist():
            word = self._tokenizer.words[i - 1] if i else self._tokenizer.unknown
            parts.append(word if self._glued or word in _CLOSING else f" {word}")
            self._glued = word in _OPENING
        return "".join(parts)
