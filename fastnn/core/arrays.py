"""Kernel calls on arrays without a tape, shared by the operations: broadcasting, selections, sums and copies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.spec import BINARY_OPS, COMPARE_OPS, REDUCE_OPS, TENSOR_DTYPES, Activation
from .layout import Order, broadcast_strides, layout, strides_of

if TYPE_CHECKING:
    from ..backends.base import Backend

Array = Any

_BINARY = {name: i for i, name in enumerate(BINARY_OPS)}
_COMPARE = {name: i for i, name in enumerate(COMPARE_OPS)}
_EXACT = 2**53
"""Largest whole number up to which all are exact as float64, the type of the kernel's argument."""
_REDUCE = {name: i for i, name in enumerate(REDUCE_OPS)}


# ---- broadcasting: kernels iterate over all operands in the shape of the result, with as few dimensions as possible ----


@lru_cache(maxsize=4096)
def broadcast(op: str, *shapes: tuple[int, ...]) -> tuple[tuple[int, ...], np.ndarray[Any, Any]]:
    """Return the common shape and the layout of an iteration over it; raise ValueError if the shapes do not broadcast."""
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"{op}: shapes {' and '.join(map(str, shapes))} do not broadcast") from None
    walk = _collapse([shape] + [broadcast_strides(s, shape) for s in shapes])
    return shape, layout(walk[0], *walk[1:])


def _collapse(rows: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the same iteration with adjacent dimensions merged where the strides of every operand allow it."""
    columns: list[list[int]] = []
    for column in zip(*rows, strict=True):
        n, *strides = column
        if n == 1:
            continue
        if columns and all(before == s * n for before, s in zip(columns[-1][1:], strides, strict=True)):
            columns[-1] = [columns[-1][0] * n, *strides]
        else:
            columns.append([n, *strides])
    return [tuple(c[i] for c in columns) for i in range(len(rows))]


def binary(k: Backend, op: str, x: Array, y: Array, z: Array = None) -> Array:
    """Compute x op y with broadcasting, into z if given."""
    shape, walk = broadcast(op, x.shape, y.shape)
    if z is None:
        z = k.empty(shape, x.dtype)
    k.binary_forward(z, x, y, k.constant(walk), _BINARY[op])
    return z


def compare(k: Backend, op: str, x: Array, y: Array) -> Array:
    """Compare x op y with broadcasting; return booleans."""
    shape, walk = broadcast(op, x.shape, y.shape)
    z = k.empty(shape, np.bool_)
    k.compare_forward(z, x, y, k.constant(walk), _COMPARE[op])
    return z


def select(k: Backend, c: Array, x: Array, y: Array) -> Array:
    """Return x where c is true, else y, with broadcasting."""
    shape, walk = broadcast("where", c.shape, x.shape, y.shape)
    z = k.empty(shape, x.dtype)
    k.where_forward(z, c, x, y, k.constant(walk))
    return z


# ---- one array ----


def filled(k: Backend, shape: tuple[int, ...], dtype: Any, value: float) -> Array:
    """Return a new array filled with one value."""
    y = k.empty(shape, dtype)
    fill(k, y, value)
    return y


def fill(k: Backend, y: Array, value: Any) -> None:
    """Fill y with a value; raise ValueError if y is int64 and the value is out of its range."""
    if y.dtype.kind == "i":
        value = value.item() if hasattr(value, "item") else value
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"fill: {value} came, which int64 cannot hold")
        if abs(value) > _EXACT and isinstance(value, int):
            one = k.constant(np.array([value]))
            k.host_wrote(one)
            copy_walk(k, y, one, y.shape, strides_of(y.shape), (0,) * y.ndim)
            return
    k.fill(y, float(value))


def apply(k: Backend, act: Activation, x: Array) -> Array:
    """Compute act(x), element by element."""
    y = k.empty(x.shape, x.dtype)
    k.activation_forward(y, x, act)
    return y


def cast(k: Backend, x: Array, dtype: np.dtype[Any]) -> Array:
    """Convert x to another dtype."""
    y = k.empty(x.shape, dtype)
    k.cast(y, x, TENSOR_DTYPES.index(dtype.name))
    return y


# ---- reductions ----


def around(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """Return the shape as three sizes: before the axis, the axis, after it. Without dimensions they are (1, 1, 1)."""
    shape = shape or (1,)
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def reduce(k: Backend, op: str, x: Array, axis: int) -> Array:
    """Reduce along an axis, which is kept with size 1."""
    a, b, c = around(x.shape, axis)
    y = k.empty((a, c), x.dtype)
    k.reduce_forward(y, x.reshape(a, b, c), _REDUCE[op])
    return y.reshape(x.shape[:axis] + (1,) + x.shape[axis + 1 :])


def reduce_axes(k: Backend, op: str, x: Array, axes: Sequence[int]) -> Array:
    """Reduce along several axes, which are kept with size 1."""
    if len(axes) == x.ndim and axes:  # all elements are one contiguous range
        return reduce(k, op, x.reshape(-1), 0).reshape((1,) * x.ndim)
    for axis in reversed(axes):
        x = reduce(k, op, x, axis)
    return x


def sum_to(k: Backend, d: Array, shape: tuple[int, ...]) -> Array:
    """Sum over the axes that broadcasting repeated; this is the gradient of an operand of this shape."""
    if d.shape == shape:
        return d
    pad = d.ndim - len(shape)
    return reduce_axes(k, "sum", d, [i for i in range(d.ndim) if i < pad or (shape[i - pad] == 1 and d.shape[i] != 1)]).reshape(
        shape
    )


# ---- copies ----


def copy_walk(
    k: Backend, y: Array, x: Array, shape: tuple[int, ...], ys: tuple[int, ...], xs: tuple[int, ...], yo: int = 0, xo: int = 0
) -> None:
    """Copy x into y over this shape, with strides ys and xs and offsets yo and xo, in elements."""
    k.strided_copy(y, x, k.constant(layout(shape, ys, xs, offsets=(yo, xo))))


def permute(k: Backend, x: Array, order: tuple[int, ...]) -> Array:
    """Permute the axes of x; return a new array."""
    shape, strides = tuple(x.shape[a] for a in order), strides_of(x.shape)
    y = k.empty(shape, x.dtype)
    copy_walk(k, y, x, shape, strides_of(shape), tuple(strides[a] for a in order))
    return y


def arranged(k: Backend, stored: Array, order: Order) -> Array:
    """Return the values of a stored array in the given order, in a new array."""
    y = k.empty(order.shape(stored.shape), stored.dtype)
    for part in order.parts(stored.shape):
        copy_walk(k, y, stored, part.shape, part.strides, part.stored_strides, part.offset, part.stored_offset)
    return y


def store_arranged(k: Backend, stored: Array, values: Array, order: Order) -> None:
    """Write values in the given order into the array that stores them."""
    for part in order.parts(stored.shape):
        copy_walk(k, stored, values, part.shape, part.stored_strides, part.strides, part.stored_offset, part.offset)


def copy_array(k: Backend, y: Array, x: Array) -> None:
    """Copy x into y; both have the same shape and dtype."""
    n = int(x.size)
    copy_walk(k, y, x, (n,), (1,), (1,))
