"""Reductions and running sums along the middle dimension of x (A, B, C), of the elementwise family.

Many values are folded side by side: neighbours do not wait for each other, and the order is always the same. Sums and products of
floats are taken in float64. The places of maxima in rows, and the maxima of long arrays, are NumPy's, which
compares in vector code.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..reference import table
from . import arithmetic
from .jit import jit
from .vmath import inline

Array = Any

BY_NUMPY = table(np)

_LANES = 256
_COLUMNS = 1024
"""Columns that are folded together: their partial results stay in the cache."""
_SHORT = 16
"""Elements of a row that is not worth lanes of its own."""
_LONG = 20000
"""Elements of an array whose maximum NumPy finds sooner, whatever its call costs."""


@inline
def _same(total: Any, count: int) -> Any:
    return total


@inline
def _average(total: Any, count: int) -> Any:
    return np.float64(total) / np.float64(count)


@inline
def _whole_average(total: Any, count: int) -> Any:
    return arithmetic.whole(np.float64(total) / np.float64(count))


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
    """Return what a fold begins with, as a number of the type that it is done in."""
    start = _OPS[op][1]
    if callable(start):
        return dtype.type(start(dtype))
    return (np.float64 if dtype.kind == "f" else np.int64)(start)


def reduce_forward(y: Array, x: Array, op: int) -> None:
    fold, start, finish = _OPS[op]
    if finish is _average and y.dtype.kind != "f":
        finish = _whole_average
    if y.size == 1 and x.size > _LONG and fold in (arithmetic.maximum, arithmetic.minimum):
        BY_NUMPY["reduce_forward"](y, x, op)
    elif x.shape[1] == 0 and y.dtype.kind != "f" and start != 1:
        y[...] = 0  # a whole number that is neither infinite nor NaN
    else:
        _reduce(fold, finish)(y, x.ravel(), x.shape[1], _start(op, x.dtype))


@functools.cache
def _reduce(fold: Callable[..., Any], finish: Callable[..., Any]) -> Any:
    @jit
    def loop(y: Array, x: Array, B: int, start: Any) -> None:
        T = y.dtype.type
        A, C = y.shape
        if C == 1 and B <= _SHORT:
            for a in range(A):
                row, total = x[a * B : (a + 1) * B], start
                for b in range(B):
                    total = fold(total, row[b])
                y[a, 0] = T(finish(total, B))
            return
        together = 1  # rows that are folded as one, which is twice as long as often as there is room
        while 2 * together <= min(B, _LANES // max(C, 1)):
            together *= 2
        rows = B // together
        part = np.empty(min(together * C, _COLUMNS), type(start))
        for a in range(A):
            for column in range(0, C, _COLUMNS):
                columns = min(C - column, _COLUMNS)
                part[:] = start
                step = together * C
                for r in range(0, rows // 4 * 4, 4):  # four at a time: partial results are read and written less often
                    row = x[(a * B + r * together) * C + column :]
                    second, third, fourth = row[step:], row[2 * step :], row[3 * step :]
                    for c in range(together * columns):
                        part[c] = fold(fold(fold(fold(part[c], row[c]), second[c]), third[c]), fourth[c])
                for r in range(rows // 4 * 4, rows):
                    row = x[(a * B + r * together) * C + column :]
                    for c in range(together * columns):
                        part[c] = fold(part[c], row[c])
                row = x[(a * B + rows * together) * C :]
                for c in range((B - rows * together) * C):
                    part[c] = fold(part[c], row[c])
                width = together * columns
                while width > columns:
                    width //= 2
                    other = part[width:]
                    for c in range(width):
                        part[c] = fold(part[c], other[c])
                for c in range(columns):
                    y[a, column + c] = T(finish(part[c], B))

    return loop


def argmax_forward(index: Array, x: Array) -> None:
    if x.shape[1] and x.shape[2] > 1:
        _argmax_columns(index, x)
    else:
        BY_NUMPY["argmax_forward"](index, x)


@inline
def _exceeds(value: Any, top: Any) -> Any:
    """Return whether a value takes the place of the greatest so far; NaN is greater than any number."""
    return (value > top) | ((value != value) & (top == top))


@jit
def _argmax_columns(index: Array, x: Array) -> None:
    A, B, C = x.shape
    top = np.empty(C, x.dtype)
    for a in range(A):
        place = index[a]
        for c in range(C):
            top[c], place[c] = x[a, 0, c], 0
        for b in range(1, B):
            values = x[a, b]
            for c in range(C):
                value = values[c]
                better = _exceeds(value, top[c])
                place[c] = b if better else place[c]
                top[c] = value if better else top[c]


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
