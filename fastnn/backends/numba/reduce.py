"""Reductions and running sums along the middle dimension of x (A, B, C), of the elementwise family.

Values are folded side by side, at least `_LANES` of them: neighbours do not wait for each other, and the order is always the same.
Sums and products of floats are taken in float64.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from . import arithmetic
from .jit import jit
from .vmath import inline

Array = Any

_LANES = 64
_COLUMNS = 1024
"""Columns that are folded together: their partial results stay in the cache."""


@inline
def _same(total: Any, count: int) -> Any:
    return total


@inline
def _average(total: Any, count: int) -> Any:
    return np.float64(total) / np.float64(count)


def _least(dtype: Any) -> Any:
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _greatest(dtype: Any) -> Any:
    return np.inf if dtype.kind == "f" else np.iinfo(dtype).max


# In the order of spec.REDUCE_OPS: how two values become one, what changes nothing, and what becomes of the result and its count.
_OPS: tuple[tuple[Callable[..., Any], Any, Callable[..., Any]], ...] = (
    (operator.add, 0, _same),
    (operator.add, 0, _average),
    (arithmetic.maximum, _least, _same),
    (arithmetic.minimum, _greatest, _same),
    (operator.mul, 1, _same),
)


@functools.cache
def _start(op: int, dtype: Any) -> Any:
    """What a fold begins with, as a number of the type that it is done in."""
    start = _OPS[op][1]
    if callable(start):
        return dtype.type(start(dtype))
    return (np.float64 if dtype.kind == "f" else np.int64)(start)


def reduce_forward(y: Array, x: Array, op: int) -> None:
    fold, _, finish = _OPS[op]
    if x.shape[1] == 0 and y.dtype.kind != "f" and callable(_OPS[op][1]):
        y[...] = 0
    else:
        _reduce(fold, finish)(y, x.ravel(), x.shape[1], _start(op, x.dtype))


@functools.cache
def _reduce(fold: Callable[..., Any], finish: Callable[..., Any]) -> Any:
    @jit
    def loop(y: Array, x: Array, B: int, start: Any) -> None:
        T = y.dtype.type
        A, C = y.shape
        # Several short rows make a long one, whose parts are folded in the end.
        together = max(1, min(B, _LANES // max(C, 1)))
        rows = B // together
        part = np.empty(min(together * C, _COLUMNS), type(start))
        for a in range(A):
            for column in range(0, C, _COLUMNS):
                columns = min(C - column, _COLUMNS)
                width = together * columns
                for c in range(width):
                    part[c] = start
                for r in range(rows):
                    row = x[a * B * C + r * together * C + column :]
                    for c in range(width):
                        part[c] = fold(part[c], row[c])
                rest = x[a * B * C + rows * together * C :]
                for c in range((B - rows * together) * C):
                    part[c] = fold(part[c], rest[c])
                for c in range(columns):
                    total = part[c]
                    for k in range(c + columns, width, columns):
                        total = fold(total, part[k])
                    y[a, column + c] = T(finish(total, B))

    return loop


@jit
def argmax_forward(index: Array, x: Array) -> None:
    A, B, C = x.shape
    top = np.empty(C, x.dtype)
    for a in range(A):
        for c in range(C):
            index[a, c] = 0
            if B:
                top[c] = x[a, 0, c]
        for b in range(1, B):
            for c in range(C):
                value, best = x[a, b, c], top[c]
                better = (value > best) | ((value != value) & (best == best))
                index[a, c] = b if better else index[a, c]
                top[c] = value if better else best


_SCANS = ((operator.add, 0), (operator.mul, 1))
"""In the order of spec.SCAN_OPS."""


def cumulate(y: Array, x: Array, op: int, reverse: int, exclusive: int) -> None:
    fold, start = _SCANS[op]
    _scan(fold, bool(exclusive))(y, x, (np.float64 if x.dtype.kind == "f" else np.int64)(start), reverse)


@functools.cache
def _scan(fold: Callable[..., Any], exclusive: bool) -> Any:
    @jit
    def loop(y: Array, x: Array, start: Any, reverse: int) -> None:
        T = y.dtype.type
        A, B, C = x.shape
        first, step = (B - 1, -1) if reverse else (0, 1)
        total = np.empty(C, type(start))
        for a in range(A):
            for c in range(C):
                total[c] = start
            for i in range(B):
                b = first + step * i
                for c in range(C):
                    before = total[c]
                    total[c] = fold(before, x[a, b, c])
                    y[a, b, c] = T(before if exclusive else total[c])

    return loop
