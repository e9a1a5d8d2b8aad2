"""Sequences of different lengths: padded in one Tensor, or packed without padding, with PyTorch's names.

>>> import fastnn
>>> from fastnn.nn.utils.rnn import pack_sequence, pad_packed_sequence
>>> packed = pack_sequence([fastnn.tensor([1.0, 2.0, 3.0]), fastnn.tensor([4.0])])
>>> packed.data.tolist(), packed.batch_sizes.tolist()
([1.0, 4.0, 2.0, 3.0], [2, 1, 1])
>>> padded, lengths = pad_packed_sequence(packed, batch_first=True)
>>> padded.tolist(), lengths.tolist()
([[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]], [3, 1])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...autograd.tensor import Tensor, tensor
from ...ops.checks import as_tensor, same_dtype, whole_number
from ...ops.create import full
from ...ops.data import rows
from ...ops.index import getitem
from ...ops.logic import where
from ...ops.shape import concatenate, reshape, stack, swap_axes

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


def __dir__() -> list[str]:
    return sorted(__all__)


class PackedSequence(NamedTuple):
    """Sequences of different lengths without padding, from the longest one to the shortest one.

    Recurrent layers with PyTorch's names take it in place of a padded Tensor. `pack_padded_sequence` and `pack_sequence` make it.

    Attributes:
        data: the first steps of all sequences, then the second steps of those that have one, and so on: (steps in all, ...).
        batch_sizes: the number of sequences that have a first step, a second step, ...
        sorted_indices: the sequences in the order in which they are packed; None if it is their own order.
        unsorted_indices: the place of each sequence in this order; None likewise.
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None


class Layout:
    """Places of the steps of a packed sequence in a padded Tensor (T, N, ...), in the order of the packed sequences."""

    def __init__(self, packed: PackedSequence) -> None:
        sizes = np.asarray(packed.batch_sizes.numpy(), np.int64)
        self.steps, self.n = len(sizes), int(sizes[0]) if len(sizes) else 0
        self.valid = np.arange(self.n) < sizes[:, None]
        """(T, N): whether a sequence has this step."""
        begin = np.cumsum(sizes) - sizes
        self.source = np.where(self.valid, begin[:, None] + np.arange(self.n), 0)
        """The rows of the packed data, at their places; row 0 where there is none."""
        self.lengths = self.valid.sum(0)

    def padded(self, data: Tensor) -> Tensor:
        """Return packed data as (T, N, ...), with any values beyond the sequences."""
        return rows(data, self.source)

    def packed(self, y: Tensor) -> Tensor:
        """Return the steps of (T, N, ...) that belong to sequences, packed."""
        return rows(reshape(y, (self.steps * self.n, *y.shape[2:])), np.flatnonzero(self.valid))


def pack_padded_sequence(input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> PackedSequence:
    """Return padded sequences without their padding.

    Args:
        input: (T, N, ...), or (N, T, ...) with batch_first.
        lengths: the number of steps of each sequence, from 1 to T.
        batch_first: the order of the axes of input.
        enforce_sorted: whether the lengths must be descending; otherwise the sequences are sorted, and outputs of layers have
            their own order again.

    Raises:
        ValueError: lengths do not fit the input, or are not descending although enforce_sorted is set.
    """
    x = as_tensor(input, "pack_padded_sequence")
    if x.ndim < 2:
        raise ValueError(f"pack_padded_sequence: input has shape {x.shape}, wanted (T, N, ...)")
    x = swap_axes(x, 0, 1) if batch_first else x
    steps, n = x.shape[:2]
    own = _lengths(lengths, n, steps, "pack_padded_sequence")
    order = None
    if (np.diff(own) > 0).any():
        if enforce_sorted:
            came = f"lengths {own.tolist()} are not descending"
            raise ValueError(f"pack_padded_sequence: {came}; sort the sequences, or pass enforce_sorted=False")
        order = np.argsort(-own, kind="stable")
    elif not enforce_sorted:
        order = np.arange(n)
    if order is not None:
        own, x = own[order], rows(swap_axes(x, 0, 1), order)
        x = swap_axes(x, 0, 1)
    steps = int(own[0])
    valid = np.arange(steps)[:, None] < own
    data = rows(reshape(x, (x.shape[0] * n, *x.shape[2:])), np.flatnonzero(valid))
    indices = (None, None) if order is None else (tensor(order), tensor(np.argsort(order)))
    return PackedSequence(data, tensor(valid.sum(1)), *indices)


def _lengths(lengths: Any, n: int, steps: int, op: str) -> np.ndarray[Any, Any]:
    own = lengths.numpy() if isinstance(lengths, Tensor) else np.asarray(lengths)
    if own.shape != (n,) or own.dtype.kind not in "iu":
        raise ValueError(f"{op}: lengths of shape {own.shape} and dtype {own.dtype}, wanted whole numbers of shape ({n},)")
    if not n or own.min() < 1 or own.max() > steps:
        came = "there are no sequences" if not n else f"lengths go from {own.min()} to {own.max()}"
        raise ValueError(f"{op}: {came}, wanted at least one sequence and lengths from 1 to {steps}")
    return own.astype(np.int64)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return packed sequences as a padded Tensor, (T, N, ...) or (N, T, ...) with batch_first, and their lengths (N,).

    total_length: T; by default the number of steps of the longest sequence.

    Raises:
        TypeError: sequence is no PackedSequence.
        ValueError: total_length is too small.
    """
    layout = Layout(_packed(sequence, "pad_packed_sequence"))
    x, valid, lengths = layout.padded(sequence.data), layout.valid, layout.lengths
    if sequence.unsorted_indices is not None:
        back = sequence.unsorted_indices.numpy()
        x = swap_axes(rows(swap_axes(x, 0, 1), back), 0, 1)
        valid, lengths = valid[:, back], lengths[back]
    y = where(valid.reshape(*valid.shape, *[1] * (x.ndim - 2)), x, padding_value)
    if total_length is not None:
        more = whole_number(total_length, "pad_packed_sequence: total_length") - layout.steps
        if more < 0:
            raise ValueError(f"pad_packed_sequence: total_length is {total_length}, but a sequence has {layout.steps} steps")
        if more:
            y = concatenate([y, full((more, *y.shape[1:]), padding_value, y.dtype)])
    return swap_axes(y, 0, 1) if batch_first else y, tensor(lengths)


def _packed(sequence: Any, op: str) -> PackedSequence:
    if not isinstance(sequence, PackedSequence):
        raise TypeError(f"{op}: a {type(sequence).__name__} came, wanted a PackedSequence")
    return sequence


def pad_sequence(
    sequences: Sequence[Any], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Return sequences (T_i, ...) of different lengths as one Tensor (T, N, ...), or (N, T, ...) with batch_first.

    padding_side: "right" or "left", where padding_value is put.

    Raises:
        ValueError: the sequences differ in more than their lengths.
    """
    if padding_side not in ("right", "left"):
        raise ValueError(f"pad_sequence: padding_side is {padding_side!r}, wanted 'right' or 'left'")
    own = _sequences(sequences, "pad_sequence")
    steps = max(len(t) for t in own)
    padded = []
    for t in own:
        if len(t) < steps:
            rest = full((steps - len(t), *t.shape[1:]), padding_value, t.dtype)
            t = concatenate([t, rest] if padding_side == "right" else [rest, t])
        padded.append(t)
    return stack(padded, 0 if batch_first else 1)


def _sequences(sequences: Any, op: str) -> list[Tensor]:
    own = [as_tensor(t, op) for t in sequences]
    if not own or any(t.ndim < 1 or t.shape[1:] != own[0].shape[1:] for t in own):
        shapes = " and ".join(str(t.shape) for t in own) or "no shapes"
        raise ValueError(f"{op}: sequences of {shapes} came, wanted one or more of shapes (T, ...) that differ only in T")
    same_dtype(op, *own)
    return own


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Return sequences (T_i, ...) of different lengths packed; enforce_sorted as in `pack_padded_sequence`."""
    own = _sequences(sequences, "pack_sequence")
    return pack_padded_sequence(pad_sequence(own), [len(t) for t in own], enforce_sorted=enforce_sorted)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """Return the sequences of a padded Tensor, each with its own length."""
    x = as_tensor(padded_sequences, "unpad_sequence")
    x = x if batch_first else swap_axes(x, 0, 1)
    own = lengths.numpy() if isinstance(lengths, Tensor) else np.asarray(lengths)
    return [getitem(row, slice(0, int(n))) for row, n in zip(x, own, strict=True)]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Return the sequences that were packed, in their own order."""
    return unpad_sequence(*pad_packed_sequence(_packed(packed_sequences, "unpack_sequence"), batch_first=True), batch_first=True)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """Return the permutation that undoes another one; None for None."""
    return None if permutation is None else tensor(np.argsort(permutation.numpy()))
