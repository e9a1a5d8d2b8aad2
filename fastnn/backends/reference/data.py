"""Rows by index: batches, look-ups and their gradients.

An index below 0 counts from the end. One outside the array gives NaN (0 or False in whole-number arrays) where it reads, and is
skipped where it adds.
"""

from __future__ import annotations

from typing import Any

Array = Any


def gather_batch(xp: Any, y: Array, x: Array, index: Array, cursor: Array) -> None:
    """y[j] = x[index[cursor + j]]: a batch of rows, at a place in the index that moves from step to step."""
    start, rows = int(cursor[0]), y.shape[0]
    picked = xp.full(rows, x.shape[0], xp.int64)  # outside
    if 0 <= start <= len(index):
        part = index[start : start + rows]
        picked[: len(part)] = part
    take_forward(xp, y, x, picked)


def take_forward(xp: Any, y: Array, x: Array, index: Array) -> None:
    """y[j] = x[index[j]]."""
    inside = _inside(index, x.shape[0])
    y[inside] = x[index[inside]]
    y[~inside] = _outside(xp, y)


def take_backward(xp: Any, dx: Array, touched: Array, dy: Array, index: Array, add: int) -> None:
    """dx[b] = sum of dy[j] over all j with index[j] = b, in their order, added to what is there where add has bit 0.

    touched[b] says whether b is among the indices; where add has bit 1, other marks stay.
    """
    inside = _inside(index, dx.shape[0])
    if not add & 1:
        dx[...] = 0
    if not add & 2:
        touched[...] = False
    xp.add.at(dx, index[inside], dy[inside])
    if touched.size:
        touched[index[inside]] = True


def take_backward_marked(xp: Any, dx: Array, touched: Array, dy: Array, index: Array) -> None:
    """`take_backward` that overwrites a gradient whose other rows are 0: it clears the marked rows and their marks, then adds."""
    dx[touched] = 0
    touched[...] = False
    take_backward(xp, dx, touched, dy, index, 3)


def gather_forward(xp: Any, y: Array, x: Array, index: Array) -> None:
    """y[i, j, l] = x[i, index[i, j, l], l]."""
    i, _, rest = xp.ogrid[: y.shape[0], : y.shape[1], : y.shape[2]]
    inside = _inside(index, x.shape[1])
    if x.size:
        y[...] = xp.where(inside, x[i, xp.where(inside, index, 0), rest], _outside(xp, y))
    else:
        y[...] = _outside(xp, y)


def gather_backward(xp: Any, dx: Array, dy: Array, index: Array) -> None:
    """dx[i, k, l] = sum of dy[i, j, l] over all j with index[i, j, l] = k."""
    i, j, rest = xp.nonzero(_inside(index, dx.shape[1]))
    dx[...] = 0
    xp.add.at(dx, (i, index[i, j, rest], rest), dy[i, j, rest])


def _inside(index: Array, n: int) -> Array:
    return (index >= -n) & (index < n)


def _outside(xp: Any, y: Array) -> Any:
    """Return NaN, whose bits in bfloat16 (which uint16 arrays hold) are 0x7fc0, or 0."""
    return y.dtype.type(xp.nan if y.dtype.kind == "f" else 0x7FC0 if y.dtype == xp.uint16 else 0)
