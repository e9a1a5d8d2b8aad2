"""Shapes and strides in elements: the layouts by which kernels iterate over arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the strides in elements of a C-contiguous array."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


@lru_cache(maxsize=4096)
def layout(shape: tuple[int, ...], *strides: tuple[int, ...], offsets: tuple[int, int] | None = None) -> np.ndarray[Any, Any]:
    """Return the layout table of an iteration, with at least two dimensions; see the reference's elementwise module."""
    pad = max(2 - len(shape), 0)
    rows = [(1,) * pad + shape] + [(0,) * pad + s for s in strides]
    if offsets is not None:
        rows.append(offsets + (0,) * (len(rows[0]) - 2))
    table = np.array(rows, np.int64)
    table.setflags(write=False)
    return table


def broadcast_strides(shape: tuple[int, ...], to: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides that broadcast an array of this shape to a larger shape: 0 along axes that repeat."""
    own = strides_of(shape)
    pad = len(to) - len(shape)
    return (0,) * pad + tuple(0 if shape[i] == 1 and to[pad + i] != 1 else own[i] for i in range(len(shape)))


class Part(NamedTuple):
    """Layout of a copy between all or a part of the ordered values and the stored array."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    stored_strides: tuple[int, ...]
    stored_offset: int


class Order(NamedTuple):
    """Order of values relative to their stored array: permuted axes, then permuted blocks along one axis.

    >>> order = Order((1, 0), (0, 2, 1))
    >>> order.shape((4, 6))
    (6, 4)
    >>> order.arranged(np.arange(6).reshape(1, 6)).ravel()
    array([0, 1, 4, 5, 2, 3])
    """

    axes: tuple[int, ...]
    """The stored axis of each axis."""
    blocks: tuple[int, ...] = ()
    """The stored block of each block along `axis`; empty if the blocks are not permuted."""
    axis: int = 0

    def shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the values, given the shape of the stored array."""
        return tuple(stored[a] for a in self.axes)

    def parts(self, stored: tuple[int, ...]) -> list[Part]:
        """Return the layouts of the copies from or to a stored array of this shape, one for each block."""
        shape, own = self.shape(stored), strides_of(stored)
        strides, stored_strides = strides_of(shape), tuple(own[a] for a in self.axes)
        if not self.blocks:
            return [Part(shape, strides, 0, stored_strides, 0)]
        size = shape[self.axis] // len(self.blocks)
        block = (*shape[: self.axis], size, *shape[self.axis + 1 :])
        step, stored_step = size * strides[self.axis], size * stored_strides[self.axis]
        return [Part(block, strides, i * step, stored_strides, b * stored_step) for i, b in enumerate(self.blocks)]

    def arranged(self, stored: Any) -> Any:
        """Return the values of a stored array: a view of it, or a copy if blocks are permuted."""
        values = stored.transpose(self.axes)
        if not self.blocks:
            return values
        shape = values.shape
        apart = values.reshape(*shape[: self.axis], len(self.blocks), -1, *shape[self.axis + 1 :])
        return apart.take(self.blocks, axis=self.axis).reshape(shape)


TRANSPOSED = Order((1, 0))
"""Order of a matrix that is stored as its transpose."""


@lru_cache(maxsize=4096)
def products(sizes: tuple[int, ...], *places: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return the layout table of `matmul_batched` (see the reference's batched module): sizes, offsets, strides of c, a and b."""
    table = np.array([sizes, *places], np.int64)
    table.setflags(write=False)
    return table


def within(sizes: Sequence[int], places: Sequence[Sequence[int]], counts: Sequence[int]) -> bool:
    """Return whether the matrices of such a layout are within arrays of these element counts.

    The rows must be contiguous; for a and b, contiguous columns are enough.
    """
    if len(sizes) < 3 or min(sizes) < 0:
        return False
    *batch, m, n, k = sizes
    for number, (place, count, matrix) in enumerate(zip(places, counts, ((m, n), (m, k), (k, n)), strict=True)):
        offset, *strides = place
        added = [number == 0 and strides[axis] == 0 and size != 1 for axis, size in enumerate(batch)]
        shape = [1 if skip else size for skip, size in zip(added, batch, strict=True)] + list(matrix)
        if not all(shape):
            continue
        spans = [(size - 1) * stride for size, stride in zip(shape, strides, strict=True)]
        low, high = offset + sum(s for s in spans if s < 0), offset + sum(s for s in spans if s > 0)
        columns = shape[-1] == 1 or strides[-1] == 1
        if low < 0 or high >= count or not (columns or (number > 0 and (shape[-2] == 1 or strides[-2] == 1))):
            return False
    return True
