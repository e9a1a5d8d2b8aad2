"""Broadcasting arithmetic, selection, copies between layouts, and reductions.

``layout`` describes how flat arrays are walked: its first row is the shape of the walk, the next rows are the strides, counted
in elements (0 repeats an element), of each array that does not simply follow the walk.
"""

from __future__ import annotations

from typing import Any

from ..spec import BINARY_OPS, COMPARE_OPS, REDUCE_OPS, SCAN_OPS, STORED, TENSOR_DTYPES

Array = Any


def _view(xp: Any, x: Array, shape: Array, strides: Array, offset: int = 0) -> Array:
    flat = x.reshape(-1)[offset:]
    return xp.lib.stride_tricks.as_strided(flat, shape.tolist(), [s * x.itemsize for s in strides.tolist()])


def _whole(xp: Any, x: Array) -> Array:
    """Return numbers as int64: floats towards zero, and the least int64 for NaN and for what int64 does not hold."""
    if x.dtype.kind != "f":
        return x.astype(xp.int64)
    held = (x >= -(2.0**63)) & (x < 2.0**63)
    return xp.where(held, xp.where(held, x, 0).astype(xp.int64), -(2**63))


def _power(xp: Any, x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return xp.power(x, y)
    of_one = xp.where(x == 1, 1, xp.where(x == -1, 1 - 2 * (y & 1), 0))
    return xp.where(y < 0, of_one, xp.power(x, xp.maximum(y, 0)))


def binary_forward(xp: Any, z: Array, x: Array, y: Array, layout: Array, op: int) -> None:
    """z = x op y, op one of `spec.BINARY_OPS`, x and y walked by layout's second and third row.

    Whole numbers wrap around. Their quotients, and their powers by numbers below 0, are the true ones towards zero; the least
    int64 stands for a quotient by 0 and for one that int64 does not hold, and 0 for 0 to a power below 0.
    """
    if z.size:
        shape, xs, ys = layout
        name = BINARY_OPS[op]
        x, y = _view(xp, x, shape, xs), _view(xp, y, shape, ys)
        if name == "pow":
            made = _power(xp, x, y)
        else:
            made = getattr(xp, {"sub": "subtract", "mul": "multiply", "div": "divide"}.get(name, name))(x, y)
        z[...] = (_whole(xp, made) if z.dtype.kind == "i" else made).reshape(z.shape)


def compare_forward(xp: Any, z: Array, x: Array, y: Array, layout: Array, op: int) -> None:
    """z = x op y, op one of `spec.COMPARE_OPS`, x and y walked by layout's second and third row."""
    if z.size:
        shape, xs, ys = layout
        names = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
        f = getattr(xp, names[COMPARE_OPS[op]])
        z[...] = f(_view(xp, x, shape, xs), _view(xp, y, shape, ys)).reshape(z.shape)


def where_forward(xp: Any, z: Array, c: Array, x: Array, y: Array, layout: Array) -> None:
    """z = x where c, else y; c, x and y walked by layout's second to fourth row."""
    if z.size:
        shape, cs, xs, ys = layout
        z[...] = xp.where(_view(xp, c, shape, cs), _view(xp, x, shape, xs), _view(xp, y, shape, ys)).reshape(z.shape)


def strided_copy(xp: Any, y: Array, x: Array, layout: Array) -> None:
    """Copy x into y, which are walked by layout's second (y) and third row (x) from the offsets in its fourth row (y, x).

    One kernel for transpose, slices, stack, concatenate, broadcasting and their gradients; the walk writes no place twice.
    """
    shape, ys, xs, offsets = layout
    if (shape > 0).all():
        _view(xp, y, shape, ys, int(offsets[0]))[...] = _view(xp, x, shape, xs, int(offsets[1]))


def fill(xp: Any, y: Array, value: float) -> None:
    """y = value, converted to y's dtype as `cast` does it."""
    cast(xp, y, xp.asarray(value, xp.float64), TENSOR_DTYPES.index(y.dtype.name))


def cast(xp: Any, y: Array, x: Array, to: int) -> None:
    """y = x converted to y's dtype, which is number ``to`` of `spec.STORED`.

    Floats become whole numbers towards zero, and the least int64 where they are NaN or lie beyond int64; short whole numbers keep
    the last bits of those. bfloat16, in uint16 arrays, is rounded from float32 to the nearest, of two the even one.
    """
    name = STORED[to]
    if x.dtype == xp.uint16:
        x = (x.astype(xp.uint32) << 16).view(xp.float32)
    if name == "bfloat16":
        bits = x.astype(xp.float32).view(xp.uint32)
        rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
        y[...] = xp.where((bits & 0x7FFFFFFF) > 0x7F800000, bits >> 16 | 0x40, rounded)
    else:
        y[...] = (_whole(xp, x) if name in ("int64", "int32", "uint8") else x).astype(name)


def reduce_forward(xp: Any, y: Array, x: Array, op: int) -> None:
    """y[a, c] = sum, mean, max, min or product over b of x[a, b, c]; NaN wins over any number in max and min."""
    name = REDUCE_OPS[op]
    if x.shape[1] or name in ("sum", "prod"):
        made = getattr(x, name)(axis=1)
        y[...] = _whole(xp, made) if y.dtype.kind == "i" else made
    else:
        y[...] = {"mean": xp.nan, "max": -xp.inf, "min": xp.inf}[name] if y.dtype.kind == "f" else 0


def argmax_forward(xp: Any, index: Array, x: Array) -> None:
    """index[a, c] = the first b where x[a, b, c] is greatest; a NaN counts as greater than any number."""
    index[...] = x.argmax(1) if x.shape[1] else 0


def cumulate(xp: Any, y: Array, x: Array, op: int, reverse: int, exclusive: int) -> None:
    """y[a, b, c] = the sum or product (op of `spec.SCAN_OPS`) of x[a, :b + 1, c].

    With reverse, of x[a, b:, c]; with exclusive, of those but x[a, b, c] itself.
    """
    if reverse:
        x, y = x[:, ::-1], y[:, ::-1]
    totals = getattr(xp, f"cum{SCAN_OPS[op]}")(x, axis=1)
    if exclusive:
        y[:, :1] = 0 if SCAN_OPS[op] == "sum" else 1
        y[:, 1:] = totals[:, :-1]
    else:
        y[...] = totals


def argsort(xp: Any, index: Array, x: Array, descending: int) -> None:
    """x[a, index[a, b, c], c] ascends with b, or descends; equal elements stay in order, a NaN counts as the greatest."""
    if descending:
        index[...] = x.shape[1] - 1 - x[:, ::-1].argsort(1, kind="stable")[:, ::-1]
    else:
        index[...] = x.argsort(1, kind="stable")
