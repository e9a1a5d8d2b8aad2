"""Broadcasting arithmetic, comparison, selection and reductions."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..backends import current
from ..backends.spec import BINARY_OPS, COMPARE_OPS, DTYPES, REDUCE_OPS, activation
from ..tensor import Array, Gradients, Node, Tensor, result, torch_names
from .activation import activate
from .door import as_tensor, axis_of, dtype_of, floating, same_dtype
from .layout import broadcast_strides, layout
from .shape import expand, reshape

_BINARY = {name: i for i, name in enumerate(BINARY_OPS)}
_COMPARE = {name: i for i, name in enumerate(COMPARE_OPS)}
_REDUCE = {name: i for i, name in enumerate(REDUCE_OPS)}


# ---- broadcasting: kernels walk both operands in the shape of the result, with as few dimensions as can be ----


@lru_cache(maxsize=4096)
def _broadcast(op: str, *shapes: tuple[int, ...]) -> tuple[tuple[int, ...], np.ndarray[Any, Any]]:
    """The common shape and the layout of a walk over it."""
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"{op}: shapes {' and '.join(map(str, shapes))} do not broadcast") from None
    walk = _collapse([shape] + [broadcast_strides(s, shape) for s in shapes])
    return shape, layout(walk[0], *walk[1:])


def _collapse(rows: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The same walk with neighbouring dimensions joined where every operand allows it."""
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


def _binary_arrays(k: Any, op: str, x: Array, y: Array, z: Array = None) -> Array:
    shape, walk = _broadcast(op, x.shape, y.shape)
    if z is None:
        z = k.empty(shape, x.dtype)
    k.binary_forward(z, x, y, k.asarray(walk), _BINARY[op])
    return z


def add_arrays(k: Any, z: Array, x: Array, y: Array) -> None:
    """z = x + y, of one shape and dtype; z may be x."""
    _binary_arrays(k, "add", x, y, z)


def _sum_to(k: Any, d: Array, shape: tuple[int, ...]) -> Array:
    """The sum over what broadcasting repeated: the gradient of an operand of this shape."""
    if d.shape == shape:
        return d
    pad = d.ndim - len(shape)
    axes = [i for i in range(d.ndim) if i < pad or (shape[i - pad] == 1 and d.shape[i] != 1)]
    for axis in reversed(axes):
        d = _reduce_array(k, "sum", d, axis)
    return d.reshape(shape)


def _operands(op: str, x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Both as Tensors of one dtype: numbers and arrays take the Tensor's, but a fraction makes whole numbers real."""
    like = x if isinstance(x, Tensor) else y if isinstance(y, Tensor) else None
    free = not (isinstance(x, Tensor) and isinstance(y, Tensor))
    if like is not None and like.dtype.kind != "f":
        like = None
    x, y = as_tensor(x, op, like), as_tensor(y, op, like)
    if free and x.dtype != y.dtype:
        wider = builtins.max(x.dtype, y.dtype, key=lambda d: ("bool", "int64", "float32", "float64").index(d.name))
        x, y = astype(x, wider), astype(y, wider)
    if x.dtype == np.bool_ and y.dtype == np.bool_ and op != "where":
        x, y = astype(x, np.int64), astype(y, np.int64)
    same_dtype(op, x, y)
    return x, y


def _is_number(v: Any) -> bool:
    return isinstance(v, int | float | np.integer | np.floating) and not isinstance(v, bool)


def _affine(x: Any, scale: float, shift: float) -> Tensor | None:
    """scale x + shift as one kernel, where x is a Tensor of real numbers."""
    return activate(x, activation("affine", scale, shift)) if isinstance(x, Tensor) and x.dtype.kind == "f" else None


# ---- arithmetic ----


def add(x: Any, y: Any) -> Tensor:
    """x + y with broadcasting.

    >>> import fastnn
    >>> fastnn.add(fastnn.tensor([1.0, 2.0]), 1).tolist()
    [2.0, 3.0]
    """
    number = _affine(x, 1.0, y) if _is_number(y) else _affine(y, 1.0, x) if _is_number(x) else None
    return number if number is not None else _binary("add", x, y)


def sub(x: Any, y: Any) -> Tensor:
    """x - y with broadcasting."""
    number = _affine(x, 1.0, -y) if _is_number(y) else _affine(y, -1.0, x) if _is_number(x) else None
    return number if number is not None else _binary("sub", x, y)


def mul(x: Any, y: Any) -> Tensor:
    """x y, element by element with broadcasting."""
    number = _affine(x, y, 0.0) if _is_number(y) else _affine(y, x, 0.0) if _is_number(x) else None
    return number if number is not None else _binary("mul", x, y)


def div(x: Any, y: Any) -> Tensor:
    """x / y with broadcasting; whole numbers are divided as float32."""
    x, y = (_real(v) for v in (x, y))
    return _binary("div", x, y)


def pow(x: Any, y: Any) -> Tensor:
    """x to the power y, with broadcasting."""
    x, y = (_real(v) for v in (x, y))
    if _is_number(y) and isinstance(x, Tensor):
        return activate(x, activation("power", y))
    return _binary("pow", x, y)


def _real(v: Any) -> Any:
    return astype(v, np.float32) if isinstance(v, Tensor) and v.dtype.kind != "f" else v


def maximum(x: Any, y: Any) -> Tensor:
    """The greater of x and y, element by element with broadcasting; NaN wins. Equal elements share the gradient."""
    return _binary("maximum", x, y)


def minimum(x: Any, y: Any) -> Tensor:
    """The smaller of x and y, element by element with broadcasting; NaN wins. Equal elements share the gradient."""
    return _binary("minimum", x, y)


def _binary(op: str, x: Any, y: Any) -> Tensor:
    x, y = _operands(op, x, y)
    k = current()
    z = _binary_arrays(k, op, x.data, y.data)
    return result(z, _binary_backward, (x, y), op, x.data, y.data, z)


def _binary_backward(grads: Gradients, node: Node, dz: Array) -> None:
    assert node.saved is not None
    op, x, y, z = node.saved
    k = grads.k
    slopes = _SLOPES[op]
    for t, array, slope in zip(node.inputs, (x, y), slopes, strict=True):
        if t.requires_grad:
            grads.add(t, _sum_to(k, slope(k, dz, x, y, z), array.shape))


def _times(k: Any, a: Array, b: Array) -> Array:
    return _binary_arrays(k, "mul", a, b)


def _negative(k: Any, a: Array) -> Array:
    out = k.empty(a.shape, a.dtype)
    k.activation_forward(out, a, activation("affine", -1.0, 0.0))
    return out


def _apply(k: Any, name: str, a: Array) -> Array:
    out = k.empty(a.shape, a.dtype)
    k.activation_forward(out, a, activation(name))
    return out


def _pow_base_slope(k: Any, dz: Array, x: Array, y: Array, z: Array) -> Array:
    one_less = k.empty(y.shape, y.dtype)
    k.activation_forward(one_less, y, activation("affine", 1.0, -1.0))
    return _times(k, dz, _times(k, y, _binary_arrays(k, "pow", x, one_less)))


def _pow_exponent_slope(k: Any, dz: Array, x: Array, y: Array, z: Array) -> Array:
    # z log(x) is 0 times minus infinity where z is 0: its limit is 0.
    zero = k.empty(z.shape, z.dtype)
    k.fill(zero, 0.0)
    return _select(k, _compare_arrays(k, "eq", z, zero), zero, _times(k, dz, _times(k, z, _apply(k, "log", x))))


def _extreme_slope(k: Any, dz: Array, own: Array, other: Array, loses: str) -> Array:
    """dz where own is the result, half of it where both are, 0 where own loses the comparison."""
    zero, half = k.empty(dz.shape, dz.dtype), k.empty(dz.shape, dz.dtype)
    k.fill(zero, 0.0)
    k.activation_forward(half, dz, activation("affine", 0.5, 0.0))
    kept = _select(k, _compare_arrays(k, "eq", own, other), half, dz)
    return _select(k, _compare_arrays(k, loses, own, other), zero, kept)


# op -> the gradients of x and y, of the result's shape, from dz, x, y and z
_SLOPES: dict[str, Any] = {
    "add": (lambda k, dz, x, y, z: dz, lambda k, dz, x, y, z: dz),
    "sub": (lambda k, dz, x, y, z: dz, lambda k, dz, x, y, z: _negative(k, dz)),
    "mul": (lambda k, dz, x, y, z: _times(k, dz, y), lambda k, dz, x, y, z: _times(k, dz, x)),
    "div": (
        lambda k, dz, x, y, z: _binary_arrays(k, "div", dz, y),
        lambda k, dz, x, y, z: _negative(k, _binary_arrays(k, "div", _times(k, dz, z), y)),
    ),
    "pow": (_pow_base_slope, _pow_exponent_slope),
    "maximum": (
        lambda k, dz, x, y, z: _extreme_slope(k, dz, x, y, "lt"),
        lambda k, dz, x, y, z: _extreme_slope(k, dz, y, x, "lt"),
    ),
    "minimum": (
        lambda k, dz, x, y, z: _extreme_slope(k, dz, x, y, "gt"),
        lambda k, dz, x, y, z: _extreme_slope(k, dz, y, x, "gt"),
    ),
}


# ---- functions of one Tensor ----


def exp(x: Any) -> Tensor:
    """e to the power x."""
    return activate(_real(x), activation("exponential"))


def log(x: Any) -> Tensor:
    """The natural logarithm."""
    return activate(_real(x), activation("log"))


def sqrt(x: Any) -> Tensor:
    """The square root."""
    return activate(_real(x), activation("sqrt"))


def abs(x: Any) -> Tensor:
    """The absolute value; its gradient at 0 is 0."""
    return activate(_real(x), activation("abs"))


def clip(x: Any, min: float | None = None, max: float | None = None) -> Tensor:
    """x held between min and max, either of which may be left out; the gradient is 0 outside.

    >>> import fastnn
    >>> fastnn.clip(fastnn.tensor([-2.0, 0.5, 2.0]), -1, 1).tolist()
    [-1.0, 0.5, 1.0]
    """
    if min is None and max is None:
        raise ValueError("clip: neither min nor max is given")
    low, high = float("-inf") if min is None else float(min), float("inf") if max is None else float(max)
    return activate(_real(x), activation("clip", low, high))


def astype(x: Any, dtype: Any) -> Tensor:
    """x in another dtype: float32, float64, int64 or bool. Gradients flow between the real ones."""
    t, d = as_tensor(x, "astype"), dtype_of(dtype, "astype")
    if t.dtype == d:
        return t
    y = _cast(current(), t.data, d)
    return result(y, _astype_backward, (t,)) if d.kind == "f" and t.dtype.kind == "f" else Tensor(y)


def _cast(k: Any, x: Array, dtype: np.dtype[Any]) -> Array:
    y = k.empty(x.shape, dtype)
    k.cast(y, x, DTYPES.index(dtype.name))
    return y


def _astype_backward(grads: Gradients, node: Node, dy: Array) -> None:
    grads.add(node.inputs[0], _cast(grads.k, dy, node.inputs[0].dtype))


# ---- comparison and selection ----


def compare(op: str, x: Any, y: Any) -> Tensor:
    """x op y as a bool Tensor; op is eq, ne, lt, le, gt or ge."""
    x, y = _operands(op, x, y)
    return Tensor(_compare_arrays(current(), op, x.data, y.data))


def _compare_arrays(k: Any, op: str, x: Array, y: Array) -> Array:
    shape, walk = _broadcast(op, x.shape, y.shape)
    z = k.empty(shape, np.bool_)
    k.compare_forward(z, x, y, k.asarray(walk), _COMPARE[op])
    return z


def where(condition: Any, x: Any, y: Any) -> Tensor:
    """x where condition, else y, with broadcasting.

    >>> import fastnn
    >>> t = fastnn.tensor([-1.0, 2.0])
    >>> fastnn.where(t > 0, t, 0.0).tolist()
    [0.0, 2.0]
    """
    c = as_tensor(condition, "where")
    if c.dtype != np.bool_:
        raise TypeError(f"where: a condition of dtype {c.dtype} came, wanted bool")
    x, y = _operands("where", x, y)
    return result(_select(current(), c.data, x.data, y.data), _where_backward, (x, y), c.data)


def _select(k: Any, c: Array, x: Array, y: Array) -> Array:
    shape, walk = _broadcast("where", c.shape, x.shape, y.shape)
    z = k.empty(shape, x.dtype)
    k.where_forward(z, c, x, y, k.asarray(walk))
    return z


def _where_backward(grads: Gradients, node: Node, dz: Array) -> None:
    assert node.saved is not None
    (c,) = node.saved
    k = grads.k
    x, y = node.inputs
    zero = k.empty(dz.shape, dz.dtype)
    k.fill(zero, 0.0)
    if x.requires_grad:
        grads.add(x, _sum_to(k, _select(k, c, dz, zero), x.shape))
    if y.requires_grad:
        grads.add(y, _sum_to(k, _select(k, c, zero, dz), y.shape))


# ---- reductions ----


@torch_names
def sum(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The sum along an axis, several or all.

    >>> import fastnn
    >>> fastnn.sum(fastnn.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0).tolist()
    [4.0, 6.0]
    """
    return _reduce("sum", x, axis, keepdims)


@torch_names
def mean(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The mean along an axis, several or all."""
    return _reduce("mean", floating("mean", as_tensor(x, "mean")), axis, keepdims)


@torch_names
def max(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The greatest element along an axis, several or all; equal ones share the gradient."""
    return _reduce("max", x, axis, keepdims)


@torch_names
def min(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The smallest element along an axis, several or all; equal ones share the gradient."""
    return _reduce("min", x, axis, keepdims)


@torch_names
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The place of the first greatest element along an axis, or in the flattened Tensor."""
    x = as_tensor(x, "argmax")
    if axis is None:
        return reshape(argmax(reshape(x, -1), 0), (1,) * x.ndim if keepdims else ())
    axis = axis_of(axis, x.ndim, "argmax")
    if x.shape[axis] == 0:
        raise ValueError(f"argmax: axis {axis} of shape {x.shape} has no elements")
    k = current()
    a, b, c = _three(x.shape, axis)
    if x.dtype == np.bool_:
        x = astype(x, np.int64)
    index = k.empty((a, c), np.int64)
    k.argmax_forward(index, x.data.reshape(a, b, c))
    return Tensor(index.reshape(_without(x.shape, (axis,), keepdims)))


def _three(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """The shape as (before, axis, after)."""
    return int(np.prod(shape[:axis], dtype=np.int64)), shape[axis], int(np.prod(shape[axis + 1 :], dtype=np.int64))


def _without(shape: tuple[int, ...], axes: Sequence[int], keepdims: bool) -> tuple[int, ...]:
    return tuple(1 if d in axes else n for d, n in enumerate(shape) if keepdims or d not in axes)


def _reduce_array(k: Any, op: str, x: Array, axis: int) -> Array:
    a, b, c = _three(x.shape, axis)
    y = k.empty((a, c), x.dtype)
    k.reduce_forward(y, x.reshape(a, b, c), _REDUCE[op])
    return y.reshape(x.shape[:axis] + (1,) + x.shape[axis + 1 :])


def _reduce(op: str, x: Any, axis: int | Sequence[int] | None, keepdims: bool) -> Tensor:
    x = as_tensor(x, op)
    if x.dtype == np.bool_:
        x = astype(x, np.int64)
    if axis is None:
        axes = tuple(range(x.ndim))
    else:
        axes = tuple(sorted({axis_of(a, x.ndim, op) for a in (axis if isinstance(axis, Sequence) else (axis,))}))
    if op in ("max", "min") and builtins.any(x.shape[a] == 0 for a in axes):
        raise ValueError(f"{op}: shape {x.shape} has no elements along axis {axis}")
    k = current()
    y, keep = x.data, _without(x.shape, axes, True)
    if len(axes) == x.ndim and axes:  # all of it is one run of memory
        y = _reduce_array(k, op, y.reshape(-1), 0).reshape(keep)
    else:
        for a in reversed(axes):
            y = _reduce_array(k, op, y, a)
    return result(y.reshape(_without(x.shape, axes, keepdims)), _reduce_backward, (x,), op, x.data, y)


def _reduce_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    op, x, y = node.saved
    k = grads.k
    dy = dy.reshape(y.shape)
    if op == "mean":
        scaled = k.empty(dy.shape, dy.dtype)
        n = x.size // y.size if y.size else 1
        k.activation_forward(scaled, dy, activation("affine", 1 / n if n else 0.0, 0.0))
        dy = scaled
    if op in ("sum", "mean"):
        grads.add(node.inputs[0], expand(dy, x.shape))
        return
    hit = _compare_arrays(k, "eq", x, y)
    ones = _cast(k, hit, x.dtype)
    share = _binary_arrays(k, "div", dy, _sum_to(k, ones, y.shape))
    grads.add(node.inputs[0], _times(k, ones, share))


__all__ = [
    "abs",
    "add",
    "argmax",
    "astype",
    "clip",
    "compare",
    "div",
    "exp",
    "log",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mul",
    "pow",
    "sqrt",
    "sub",
    "sum",
    "where",
]
