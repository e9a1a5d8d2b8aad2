"""Put sequences of different lengths into batches: similar ones together, or several short ones in a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..ops.checks import positive_int

Array = np.ndarray[Any, Any]


class Buckets:
    """Batches of sequences of similar lengths, padded at the end; `fastnn.datasets.buckets` makes it.

    It is the x of `fit`, `evaluate` and `predict`. ``buckets[i]`` is batch i.

    Attributes:
        batches: for each batch the numbers of its sequences, int64.
        lengths: length of each sequence, int64 (n,).
    """

    def __init__(self, sequences: list[Array], y: Any, batch_size: int, pad: float, with_lengths: bool, multiple: int) -> None:
        self._sequences, self._y, self._pad, self._multiple, self._with_lengths = sequences, y, pad, multiple, with_lengths
        self.lengths = np.array([len(s) for s in sequences], np.int64)
        order = self.lengths.argsort(kind="stable")
        self.batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.batches)

    def __getitem__(self, i: int) -> Any:
        numbers = self.batches[i]
        lengths = self.lengths[numbers]
        size = max(-(-int(lengths.max()) // self._multiple) * self._multiple, 1)
        x: Any = self._padded([self._sequences[j] for j in numbers], size, self._pad)
        if self._with_lengths:
            x = (x, lengths)
        if self._y is None:
            return (x,)
        if isinstance(self._y, np.ndarray):
            return x, self._y[numbers]
        y = self._padded([self._y[j] for j in numbers], size, 0)
        return x, y, (np.arange(size) < lengths[:, None]).astype(np.float32)

    def __repr__(self) -> str:
        return f"Buckets({len(self.lengths)} sequences of {self.lengths.min()} to {self.lengths.max()} in {len(self)} batches)"

    @staticmethod
    def _padded(parts: list[Array], size: int, pad: float) -> Array:
        a = np.full((len(parts), size, *parts[0].shape[1:]), pad, parts[0].dtype)
        for row, part in zip(a, parts, strict=True):
            row[: len(part)] = part
        return a


def _sequences(given: Any, op: str, name: str) -> list[Array]:
    """Return sequences as arrays of one dtype, with equal shapes except for the lengths."""
    if isinstance(given, np.ndarray | str) or not isinstance(given, Sequence):
        raise TypeError(f"{op}: {name} is a {type(given).__name__}; wanted a list of sequences")
    if not given:
        raise ValueError(f"{op}: {name} is an empty list; wanted sequences")
    arrays = [np.asarray(s) for s in given]
    kinds = np.result_type(*{a.dtype for a in arrays if a.size}) if any(a.size for a in arrays) else np.dtype(np.int64)
    if kinds.kind not in "fiub":
        raise TypeError(f"{op}: {name} has {kinds}; wanted numbers")
    first = next((a for a in arrays if a.size), arrays[0])
    for i, a in enumerate(arrays):
        if a.ndim == 0 or (a.size and a.shape[1:] != first.shape[1:]):
            wanted = ", ".join(["length", *map(str, first.shape[1:])])
            raise ValueError(f"{op}: {name}[{i}] has shape {a.shape}; wanted ({wanted})")
    return [a.astype(kinds).reshape(len(a) if a.size else 0, *first.shape[1:]) for a in arrays]


def buckets(sequences: Any, y: Any, batch_size: int, pad: float, with_lengths: bool, multiple: int) -> Buckets:
    """Return batches of sequences of similar lengths; see `fastnn.datasets.buckets`."""
    op = "buckets"
    batch_size, multiple = positive_int(batch_size, f"{op}: batch_size"), positive_int(multiple, f"{op}: multiple")
    if not isinstance(with_lengths, bool):
        raise TypeError(f"{op}: lengths is {with_lengths!r}; wanted a bool")
    parts = _sequences(sequences, op, "sequences")
    targets = y
    if y is not None:
        if len(y) != len(parts):
            raise ValueError(f"{op}: there are {len(parts)} sequences, but y has {len(y)} entries")
        if isinstance(y, list | tuple) and all(np.ndim(item) for item in y):
            targets = _sequences(y, op, "y")
            for i, (x, t) in enumerate(zip(parts, targets, strict=True)):
                if len(x) != len(t):
                    raise ValueError(f"{op}: sequences[{i}] has the length {len(x)}, but y[{i}] has {len(t)}")
        else:
            targets = np.asarray(y)
    return Buckets(parts, targets, batch_size, pad, with_lengths, multiple)


class Packed(NamedTuple):
    """Rows of several sequences; see `fastnn.datasets.pack`. All arrays have the shape (rows, context)."""

    x: Array
    """Tokens, int64."""
    y: Array
    """For each token the next one, int64."""
    weights: Array
    """1 where there is a next token, 0 in padding; float32. These are sample weights of `fit`."""
    segments: Array
    """Number of the sequence in its row, from 1; 0 in padding. int64."""


def pack(sequences: Any, context: int, separator: int, pad: int | None) -> Packed:
    """Return rows of several sequences; see `fastnn.datasets.pack`."""
    context = positive_int(context, "pack: context")
    parts = _sequences(sequences, "pack", "sequences")
    if parts[0].dtype.kind not in "iu" or parts[0].ndim != 1:
        raise TypeError(f"pack: sequences have {parts[0].dtype} of shape (length, ...); wanted token ids of one axis")
    lengths = np.array([len(p) for p in parts])
    if lengths.max() >= context:
        i = int(lengths.argmax())
        raise ValueError(
            f"pack: sequences[{i}] has {lengths[i]} tokens; with a separator, at most {context - 1} fit into {context}"
        )
    rows: list[list[int]] = []
    by_space: list[list[int]] = [[] for _ in range(context + 1)]  # rows with so many free places
    for i in np.argsort(-lengths, kind="stable").tolist():
        needed = int(lengths[i]) + 1
        space = next((s for s in range(needed, context) if by_space[s]), context)
        if by_space[space]:
            row = by_space[space].pop()
            rows[row].append(i)
        else:
            row = len(rows)
            rows.append([i])
        by_space[space - needed].append(row)
    tokens = np.full((len(rows), context + 1), separator if pad is None else pad, np.int64)
    segments = np.zeros((len(rows), context), np.int64)
    tokens[:, 0] = separator
    for row, members in enumerate(rows):
        at = 0
        for number, i in enumerate(members, 1):
            end = at + int(lengths[i]) + 1
            tokens[row, at + 1 : end], tokens[row, end] = parts[i], separator
            segments[row, at:end] = number
            at = end
    return Packed(tokens[:, :-1], tokens[:, 1:], (segments > 0).astype(np.float32), segments)
