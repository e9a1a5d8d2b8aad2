"""Broadcasting arithmetic, selection, copies between layouts, and conversions; reduce.py has the rest.

Powers of floats and orders are NumPy's, which computes them on vectors by means that Numba's code has not. Walks over arrays are
cut into runs: along the last dimension arrays advance by a fixed stride, which is mostly 1 or 0.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from . import arithmetic
from .jit import jit
from .reduce import BY_NUMPY, argmax_forward, cumulate, reduce_forward
from .vmath import inline

__all__ = [
    "argmax_forward",
    "argsort",
    "binary_forward",
    "cast",
    "compare_forward",
    "cumulate",
    "fill",
    "reduce_forward",
    "strided_copy",
    "where_forward",
]

Array = Any

_TILE = 16
"""Rows and columns that are copied together where they are not runs: lines are used up while they are in the cache."""

argsort = BY_NUMPY["argsort"]

# In the order of spec.BINARY_OPS and spec.COMPARE_OPS.
_BINARY = (
    *(operator.add, operator.sub, operator.mul, arithmetic.divide, arithmetic.power),
    *(arithmetic.maximum, arithmetic.minimum),
)
_COMPARE = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)


@jit
def _merged(layout: Array, strided: int) -> Array:
    """Return the walk of the first rows of a layout. Dimensions are joined where possible: runs along the last are long.

    The result has two dimensions more, so that there are always two; those in front that are not needed are of size 1.
    """
    dims = layout.shape[1]
    walk = np.zeros((1 + strided, dims + 2), np.int64)
    walk[0] = 1
    last = dims + 2
    for d in range(dims - 1, -1, -1):
        size = layout[0, d]
        if size == 1:
            continue
        merge = last < dims + 2
        for k in range(1, 1 + strided):
            merge = merge and layout[k, d] == walk[k, last] * walk[0, last]
        if not merge:
            last -= 1
            for k in range(1, 1 + strided):
                walk[k, last] = layout[k, d]
        walk[0, last] *= size
    return walk


@inline
def _offset(walk: Array, k: int, place: int) -> Any:
    """Return where array k is at a place of the dimensions before the last two."""
    offset = 0
    for d in range(walk.shape[1] - 3, -1, -1):
        offset += place % walk[0, d] * walk[k, d]
        place //= walk[0, d]
    return offset


@functools.cache
def _binary(op: Callable[[Any, Any], Any]) -> Any:
    """z = op(x, y) over a walk."""

    @jit
    def loop(z: Array, x: Array, y: Array, layout: Array) -> None:
        walk = _merged(layout, 2)
        rows, n = walk[0, -2], walk[0, -1]
        sx, sy = walk[1, -1], walk[2, -1]
        for place in range(z.size // max(rows * n, 1)):
            ox, oy = _offset(walk, 1, place), _offset(walk, 2, place)
            for r in range(rows):
                at = (place * rows + r) * n
                to, a, b = z[at : at + n], x[ox + r * walk[1, -2] :], y[oy + r * walk[2, -2] :]
                if sx == 1 and sy == 1:
                    for i in range(n):
                        to[i] = op(a[i], b[i])
                elif sx == 1 and sy == 0:
                    for i in range(n):
                        to[i] = op(a[i], b[0])
                elif sx == 0 and sy == 1:
                    for i in range(n):
                        to[i] = op(a[0], b[i])
                else:
                    for i in range(n):
                        to[i] = op(a[i * sx], b[i * sy])

    return loop


def binary_forward(z: Array, x: Array, y: Array, layout: Array, op: int) -> None:
    if _BINARY[op] is arithmetic.power and z.dtype.kind == "f":
        BY_NUMPY["binary_forward"](z, x, y, layout, op)
        return
    _binary(_BINARY[op])(z.ravel(), x.ravel(), y.ravel(), layout)


def compare_forward(z: Array, x: Array, y: Array, layout: Array, op: int) -> None:
    _binary(_COMPARE[op])(z.ravel(), x.ravel(), y.ravel(), layout)


def where_forward(z: Array, c: Array, x: Array, y: Array, layout: Array) -> None:
    _where(z.ravel(), c.ravel(), x.ravel(), y.ravel(), layout)


@jit
def _where(z: Array, c: Array, x: Array, y: Array, layout: Array) -> None:
    walk = _merged(layout, 3)
    rows, n = walk[0, -2], walk[0, -1]
    sc, sx, sy = walk[1, -1], walk[2, -1], walk[3, -1]
    for place in range(z.size // max(rows * n, 1)):
        oc, ox, oy = _offset(walk, 1, place), _offset(walk, 2, place), _offset(walk, 3, place)
        for r in range(rows):
            at = (place * rows + r) * n
            to, yes, no = z[at : at + n], x[ox + r * walk[2, -2] :], y[oy + r * walk[3, -2] :]
            chosen = c[oc + r * walk[1, -2] :]
            if sc == 1 and sx == 1 and sy == 1:
                for i in range(n):
                    a, b = yes[i], no[i]
                    to[i] = a if chosen[i] else b
            elif sc == 1 and sx == 1 and sy == 0:
                b = no[0]
                for i in range(n):
                    a = yes[i]
                    to[i] = a if chosen[i] else b
            elif sc == 1 and sx == 0 and sy == 1:
                a = yes[0]
                for i in range(n):
                    b = no[i]
                    to[i] = a if chosen[i] else b
            else:
                for i in range(n):
                    to[i] = yes[i * sx] if chosen[i * sc] else no[i * sy]


def strided_copy(y: Array, x: Array, layout: Array) -> None:
    _copy(y.ravel(), x.ravel(), layout)


@jit
def _copy(y: Array, x: Array, layout: Array) -> None:
    walk = _merged(layout, 2)
    rows, n = walk[0, -2], walk[0, -1]
    sy, sx, down, across = walk[1, -1], walk[2, -1], walk[1, -2], walk[2, -2]
    places = 1
    for d in range(walk.shape[1] - 2):
        places *= walk[0, d]
    for place in range(places if n else 0):
        oy, ox = layout[3, 0] + _offset(walk, 1, place), layout[3, 1] + _offset(walk, 2, place)
        if sy == 1 and sx == 1:
            for r in range(rows):
                to, origin = y[oy + r * down :], x[ox + r * across :]
                for i in range(n):
                    to[i] = origin[i]
        else:
            for top in range(0, rows, _TILE):
                for left in range(0, n, _TILE):
                    for r in range(top, min(top + _TILE, rows)):
                        for i in range(left, min(left + _TILE, n)):
                            # Offsets are not negative, which Numba does not know of signed ones.
                            y[np.uint64(oy + r * down + i * sy)] = x[np.uint64(ox + r * across + i * sx)]


def fill(y: Array, value: float) -> None:
    (_fill_whole if y.dtype == np.int64 else _fill)(y.ravel(), float(value))


@jit
def _fill(y: Array, value: float) -> None:
    content = y.dtype.type(value)
    for i in range(y.size):
        y[i] = content


@jit
def _fill_whole(y: Array, value: float) -> None:
    content = arithmetic.whole(value)
    for i in range(y.size):
        y[i] = content


def cast(y: Array, x: Array, to: int) -> None:
    if x.dtype == np.uint16:  # bfloat16
        short, x = x, np.empty(x.shape, np.float32)
        _widen(x.ravel(), short.ravel())
    if y.dtype == np.uint16:
        if x.dtype != np.float32:
            given, x = x, np.empty(x.shape, np.float32)
            _cast(x.ravel(), given.ravel())
        _narrow(y.ravel(), x.ravel().view(np.uint32))
        return
    of_floats = y.dtype.kind in "iu" and x.dtype.kind == "f"
    (_cast_whole if of_floats else _cast)(y.ravel(), x.ravel())


@jit
def _widen(y: Array, x: Array) -> None:
    bits = y.view(np.uint32)
    for i in range(x.size):
        bits[i] = np.uint32(x[i]) << np.uint32(16)


@jit
def _narrow(y: Array, bits: Array) -> None:
    for i in range(y.size):
        b = bits[i]
        if b & np.uint32(0x7FFFFFFF) > np.uint32(0x7F800000):
            y[i] = np.uint16(b >> np.uint32(16) | np.uint32(0x40))
        else:
            y[i] = np.uint16((b + np.uint32(0x7FFF) + (b >> np.uint32(16) & np.uint32(1))) >> np.uint32(16))


@jit
def _cast(y: Array, x: Array) -> None:
    T = y.dtype.type
    for i in range(y.size):
        y[i] = T(x[i])


@jit
def _cast_whole(y: Array, x: Array) -> None:
    T = y.dtype.type
    for i in range(y.size):
        y[i] = T(arithmetic.whole(x[i]))
