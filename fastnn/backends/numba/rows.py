"""What kernels over rows share: optional arrays, weights of rows, and sums that vectorise.

A sum is a loop that stores nothing. Then the order in which its vector code adds depends on the length alone, and neither on
where arrays lie nor on whether two of them overlap: the bits are the same every time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import intrinsic

from .vmath import inline, rank

Array = Any

CHUNK = 2048
"""Elements that are computed in one loop, over as many rows as have them: single rows may be too short to fill vectors."""


def present(a: Array) -> Array:
    """Return the array, or None where it is absent: compiled code then leaves out what would read it."""
    return a if a.size else None


_NONE = {np.dtype(name): np.empty(0, name) for name in ("float32", "float64")}


def of_rows(sample_weight: Array, dtype: Any) -> Array:
    """Return the weights of rows, or an empty array of their type: what looks at them once a row is compiled for both."""
    return sample_weight if sample_weight.size else _NONE[dtype]


@intrinsic  # type: ignore[untyped-decorator]
def add(context: Any, total: Any, term: Any) -> Any:
    """total + term in a sum that may be taken in several parts at once; all else keeps its order."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        total, term = (context.cast(builder, v, t, signature.return_type) for v, t in zip(args, signature.args, strict=True))
        return builder.fadd(total, term, flags=("reassoc", "contract"))

    return total(total, term), generate


@inline
def _place(T: Any, x: Any) -> Any:
    """Return the rank of a number among all: zeros are equal, and so are NaNs, beyond all numbers."""
    r = rank(T, x + T(0))
    return r if x == x else rank(T, T(np.inf)) + 1


_BLOCK = 512
"""Elements whose maximum is taken at a time: its place is looked for in one block alone."""
_PART = 32
"""Elements that are compared with the maximum at a time."""


@inline
def argmax(x: Array) -> int:
    """Return the first position of the greatest float; NaN is greater than all numbers. LLVM vectorises whole numbers."""
    T, n = x.dtype.type, len(x)
    best, at = _place(T, x[0]), 0
    if n <= _PART:
        for i in range(1, n):
            place = _place(T, x[i])
            at, best = i if place > best else at, place if place > best else best
        return at
    for begin in range(0, n, _BLOCK):
        block = x[begin : begin + _BLOCK]
        top = best
        for i in range(len(block)):
            top = max(top, _place(T, block[i]))
        at, best = begin if top > best else at, top
    for begin in range(at, n, _PART):
        part = x[begin : begin + _PART]
        found = False
        for i in range(len(part)):
            found |= _place(T, part[i]) == best
        if found:
            at = begin
            break
    while _place(T, x[at]) != best:
        at += 1
    return at


@inline
def weighted(sample_weight: Array, row: int, value: Any) -> Any:
    """Return the value times the row's weight; a row of weight 0 counts for nothing, even where its value is infinite."""
    if len(sample_weight) == 0:
        return value
    w = sample_weight[row]
    return w if w == 0 else value * w


@inline
def wide_weight(sample_weight: Array, row: int) -> float:
    """Return the weight of a row in float64; 1 where there are none."""
    return 1.0 if len(sample_weight) == 0 else np.float64(sample_weight[row])
