"""Rows by index: batches, look-ups and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .vmath import inline

Array = Any


@inline
def _outside(y: Array) -> Any:
    """Return what is read outside of the array: NaN, in the bits of bfloat16 too, or 0 where numbers are whole."""
    T = y.dtype.type
    if y.itemsize == 2:
        return T(0x7FC0)
    return T(np.nan) if T(0.5) == 0.5 else T(0)


@inline
def _from_0(index: int, n: int) -> int:
    """Return an index that may count from the end as one that counts from 0."""
    return index + n if index < 0 else index


@inline
def _take_rows(y: Array, x: Array, index: Array, start: int, inside: int) -> None:
    """y[j] = x[index[start + j]] for the first rows of y, which have an index."""
    outside = _outside(y)
    for j in range(y.shape[0]):
        row = _from_0(index[start + j], x.shape[0]) if j < inside else -1
        if 0 <= row < x.shape[0]:
            for c in range(y.shape[1]):
                y[j, c] = x[row, c]
        else:
            for c in range(y.shape[1]):
                y[j, c] = outside


@jit
def gather_batch(y: Array, x: Array, index: Array, cursor: Array) -> None:
    start = cursor[0]
    _take_rows(y, x, index, start, min(len(y), len(index) - start) if 0 <= start <= len(index) else 0)


@jit
def take_forward(y: Array, x: Array, index: Array) -> None:
    _take_rows(y, x, index, 0, len(y))


def take_backward(dx: Array, touched: Array, dy: Array, index: Array, add: int) -> None:
    if not add & 1:
        dx[:] = 0
    if not add & 2:
        touched[:] = False
    _add_rows(dx, dy, index)
    if touched.size:
        _mark_rows(touched, index)


@jit
def _add_rows(dx: Array, dy: Array, index: Array) -> None:
    for j in range(len(dy)):
        row = _from_0(index[j], len(dx))
        if 0 <= row < len(dx):
            for c in range(dx.shape[1]):
                dx[row, c] += dy[j, c]


@jit
def _mark_rows(touched: Array, index: Array) -> None:
    for j in range(len(index)):
        row = _from_0(index[j], len(touched))
        if 0 <= row < len(touched):
            touched[row] = True


def take_backward_marked(dx: Array, touched: Array, dy: Array, index: Array) -> None:
    _clear_marked(dx, touched)
    _add_rows(dx, dy, index)
    _mark_rows(touched, index)


@jit
def _clear_marked(dx: Array, touched: Array) -> None:
    for row in range(len(touched)):
        if touched[row]:
            dx[row] = 0
            touched[row] = False


@jit
def gather_forward(y: Array, x: Array, index: Array) -> None:
    outside = _outside(y)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            for c in range(y.shape[2]):
                k = _from_0(index[i, j, c], x.shape[1])
                y[i, j, c] = x[i, k, c] if 0 <= k < x.shape[1] else outside


@jit
def gather_backward(dx: Array, dy: Array, index: Array) -> None:
    dx[:] = 0
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            for c in range(dy.shape[2]):
                k = _from_0(index[i, j, c], dx.shape[1])
                if 0 <= k < dx.shape[1]:
                    dx[i, k, c] += dy[i, j, c]
