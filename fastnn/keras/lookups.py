"""Keras's layers that turn words, numbers and categories into ids or counts; here they are called before the model.

They take lists and arrays, and return arrays. They are no layers of a model, whose inputs are numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..nn.graph.symbolic import Symbol
from ..ops.checks import positive_int

Array = np.ndarray[Any, Any]
MODES = ("int", "multi_hot", "one_hot", "count", "tf_idf")
_MARKS = re.compile(r"""[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']""")


def _values(x: Any, op: str) -> Array:
    if isinstance(x, Symbol):
        raise TypeError(f"{op}: a symbol came; call it on the data before the model: fit({op.lower()}(x), y)")
    return np.asarray(x.numpy() if isinstance(x, Tensor) else x)


class CategoryEncoding:
    """Turns whole numbers below num_tokens into rows of 0 and 1, or of counts.

    Args:
        num_tokens: number of categories.
        output_mode: "multi_hot" and "count" return one row (num_tokens,) for each sample (n, T), "one_hot" one for each number.

    >>> import fastnn.keras as keras
    >>> keras.layers.CategoryEncoding(4, output_mode="count")([[0, 1, 1], [3, 3, 3]]).tolist()
    [[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 3.0]]
    """

    def __init__(self, num_tokens: int, output_mode: str = "multi_hot", name: str | None = None) -> None:
        self.num_tokens, self.output_mode, self.name = positive_int(num_tokens, "CategoryEncoding: num_tokens"), output_mode, name
        if output_mode not in ("multi_hot", "one_hot", "count"):
            raise ValueError(f"CategoryEncoding: output_mode is {output_mode!r}; wanted 'multi_hot', 'one_hot' or 'count'")

    def __call__(self, inputs: Any) -> Array:
        """Return float32 rows."""
        ids = _values(inputs, "CategoryEncoding")
        if ids.dtype.kind not in "iu" and not np.array_equal(ids, ids.astype(np.int64)):
            raise TypeError(f"CategoryEncoding: values of dtype {ids.dtype} came; wanted whole numbers")
        if ids.size and not (ids.min() >= 0 and ids.max() < self.num_tokens):
            raise ValueError(f"CategoryEncoding: {ids.min()} to {ids.max()} came; wanted 0 to {self.num_tokens - 1}")
        return _encoded(ids.astype(np.int64), self.num_tokens, self.output_mode)


def _encoded(ids: Array, size: int, mode: str) -> Array:
    """Return rows of ids >= 0; ids below 0 count nowhere."""
    each = np.where(ids[..., None] >= 0, np.eye(size, dtype=np.float32)[np.maximum(ids, 0)], 0)
    if mode == "one_hot":
        return each[..., 0, :] if ids.ndim > 1 and ids.shape[-1] == 1 else each
    if ids.ndim == 0 or ids.ndim == 1:
        return each  # one number for each sample
    counts: Array = each.sum(-2)
    return counts if mode == "count" else np.minimum(counts, 1)


class _Lookup:
    """Base of these: a vocabulary, in the order of the ids, with a place for unknown items."""

    kind: Callable[[Any], Any] = str
    unknown: Any = "[UNK]"
    filler: Any = ""

    def __init__(self, max_tokens: int | None, vocabulary: Any, output_mode: str, name: str | None) -> None:
        op = type(self).__name__
        if output_mode not in MODES:
            raise ValueError(f"{op}: output_mode is {output_mode!r}; wanted one of {', '.join(MODES)}")
        self.max_tokens = None if max_tokens is None else positive_int(max_tokens, f"{op}: max_tokens")
        self.output_mode, self.name = output_mode, name
        self._weights: Array | None = None
        self._ids: dict[Any, int] = {}
        if vocabulary is not None:
            self.set_vocabulary(vocabulary)

    def _first(self) -> list[Any]:
        return [self.filler, self.unknown] if self.output_mode == "int" else [self.unknown]

    def _items(self, inputs: Any) -> Any:
        """Return the items of each sample: an array, or a list of lists."""
        values = _values(inputs, type(self).__name__)
        return np.array([self.kind(v) for v in values.reshape(-1)], object).reshape(values.shape)

    def adapt(self, data: Any) -> None:
        """Take the most frequent items as the vocabulary; of two equally frequent ones, the later in the alphabet comes first."""
        samples = [list(np.ravel(row)) for row in self._items(data)]
        counts = Counter(item for row in samples for item in row if item not in (self.filler, self.unknown))
        ordered = sorted(sorted(counts, reverse=True), key=lambda item: -counts[item])
        most = None if self.max_tokens is None else self.max_tokens - len(self._first())
        kept = ordered[:most]
        idf = None
        if self.output_mode == "tf_idf":
            having = Counter(item for row in samples for item in set(row))
            idf = [float(np.log(1 + len(samples) / (1 + having[item]))) for item in kept]
        self.set_vocabulary(kept, idf)

    def set_vocabulary(self, vocabulary: Iterable[Any], idf_weights: Sequence[float] | None = None) -> None:
        """Set the items, without or with those for padding and for unknown ones, and their weights for "tf_idf"."""
        op, items = type(self).__name__, [self.kind(item) for item in _values(list(vocabulary), type(self).__name__)]
        first = self._first()
        items = items[len(first) :] if items[: len(first)] == first else items
        if len(set(items)) < len(items):
            raise ValueError(f"{op}: an item of the vocabulary is there twice")
        if (self.output_mode == "tf_idf") != (idf_weights is not None):
            raise ValueError(f"{op}: output_mode is {self.output_mode!r}; idf_weights are wanted for 'tf_idf' only")
        if idf_weights is not None:
            mean = float(np.mean(idf_weights)) if len(idf_weights) else 1.0
            self._weights = np.array([mean, *idf_weights], np.float32)
        self._vocabulary = [*first, *items]
        self._ids = {item: i for i, item in enumerate(self._vocabulary)}

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """Return the items in the order of their ids."""
        return list(self._known()[0 if include_special_tokens else len(self._first()) :])

    def vocabulary_size(self) -> int:
        """Return the number of items, with those for padding and for unknown ones."""
        return len(self._known())

    def _known(self) -> list[Any]:
        if not self._ids:
            raise RuntimeError(f"{type(self).__name__}: there is no vocabulary; call adapt(data) first, or give vocabulary")
        return self._vocabulary

    def _looked_up(self, items: Iterable[Any]) -> list[int]:
        self._known()
        return [self._ids.get(item, self._ids[self.unknown]) for item in items]

    def _finished(self, ids: Array) -> Array:
        if self.output_mode == "int":
            return ids
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        rows = _encoded(ids, len(self._known()), mode)
        return rows if self._weights is None else rows * self._weights

    def __call__(self, inputs: Any) -> Array:
        """Return int64 ids in the shape of the inputs, or float32 rows."""
        items = self._items(inputs)
        return self._finished(np.array(self._looked_up(items.reshape(-1)), np.int64).reshape(items.shape))


class StringLookup(_Lookup):
    """Turns texts into ids: 0 for unknown ones, then the vocabulary.

    Args:
        max_tokens: greatest number of ids.
        vocabulary: the texts; without it, `adapt` finds them.
        output_mode: "int" for ids, "one_hot", "multi_hot", "count" or "tf_idf" for rows.

    >>> import fastnn.keras as keras
    >>> keras.layers.StringLookup(vocabulary=["a", "b"])([["a", "x"], ["b", "a"]]).tolist()
    [[1, 0], [2, 1]]
    """

    def __init__(
        self, max_tokens: int | None = None, vocabulary: Any = None, output_mode: str = "int", name: str | None = None
    ) -> None:
        super().__init__(max_tokens, vocabulary, output_mode, name)

    def _first(self) -> list[Any]:
        return [self.unknown]


class IntegerLookup(StringLookup):
    """Turns whole numbers of any size into ids; arguments as of `StringLookup`.

    >>> import fastnn.keras as keras
    >>> keras.layers.IntegerLookup(vocabulary=[12, 1000])([[1000, 12, 7]]).tolist()
    [[2, 1, 0]]
    """

    kind, unknown, filler = int, -1, None


class TextVectorization(_Lookup):
    """Turns texts into ids of their words: 0 pads, 1 is for unknown words, then the vocabulary.

    Args:
        max_tokens: greatest number of ids.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation", None, or a function of a text.
        split: "whitespace", "character", None for texts that are one word, or a function of a text.
        output_mode: "int" for ids (n, T), "multi_hot", "count" or "tf_idf" for rows (n, ids).
        output_sequence_length: T; by default that of the longest text of a call.
        vocabulary: the words; without it, `adapt` finds them.

    >>> import fastnn.keras as keras
    >>> words = keras.layers.TextVectorization(output_sequence_length=4)
    >>> words.adapt(["The cat, the dog", "a cat"])
    >>> words.get_vocabulary(), words(["the cat sat", "dog"]).tolist()
    (['', '[UNK]', 'the', 'cat', 'dog', 'a'], [[2, 3, 1, 0], [4, 0, 0, 0]])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace",
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        vocabulary: Any = None,
        name: str | None = None,
    ) -> None:
        known = ("lower_and_strip_punctuation", "lower", "strip_punctuation", None)
        if not callable(standardize) and standardize not in known:
            raise ValueError(f"TextVectorization: standardize is {standardize!r}; wanted one of {known}, or a function")
        if not callable(split) and split not in ("whitespace", "character", None):
            raise ValueError(f"TextVectorization: split is {split!r}; wanted 'whitespace', 'character', None or a function")
        self.standardize, self.split, self.output_sequence_length = standardize, split, output_sequence_length
        super().__init__(max_tokens, vocabulary, output_mode, name)

    def _words(self, text: Any) -> list[str]:
        how = self.standardize
        if not isinstance(text, str):
            raise TypeError(f"TextVectorization: a {type(text).__name__} came; wanted texts")
        if callable(how):
            text = how(text)
        elif how is not None:
            text = text.lower() if how.startswith("lower") else text
            text = _MARKS.sub("", text) if how.endswith("punctuation") else text
        if callable(self.split):
            return list(self.split(text))
        return text.split() if self.split == "whitespace" else list(text) if self.split == "character" else [text]

    def _items(self, inputs: Any) -> Any:
        texts = _values(inputs, "TextVectorization")
        if texts.ndim > 2 or (texts.ndim == 2 and texts.shape[1] != 1):
            raise ValueError(f"TextVectorization: texts have shape {texts.shape}; wanted (n,) or (n, 1)")
        return [self._words(text) for text in texts.reshape(-1).tolist()]

    def __call__(self, inputs: Any) -> Array:
        """Return int64 ids (n, T), or float32 rows."""
        found = [self._looked_up(words) for words in self._items(inputs)]
        whole = self.output_mode == "int"
        length = self.output_sequence_length if whole else None
        length = max(map(len, found), default=0) if length is None else length
        ids = np.full((len(found), length), 0 if whole else -1, np.int64)
        for row, own in zip(ids, found, strict=True):
            row[: len(own)] = own[:length]
        rows = self._finished(ids)
        return rows[0] if np.ndim(inputs) == 0 else rows
