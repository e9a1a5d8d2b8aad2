"""Reductions along one axis, several axes or all, and running sums."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, result, results, torch_names
from ..backends import current
from ..backends.spec import SCAN_OPS, activation
from ..core import arrays
from .checks import as_tensor, axis_of, floating
from .data import gather_backward, gathered
from .elementwise import abs, astype, clone, div, maximum, minimum, mul, neg, square, sub
from .logic import boolean, isfinite, logical_not, where
from .shape import expand, reshape

if TYPE_CHECKING:
    from ..backends.base import Backend

Axis = int | Sequence[int] | None
_EXP = activation("exponential")


@torch_names
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the sum along an axis, several or all.

    >>> import fastnn
    >>> fastnn.sum(fastnn.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0).tolist()
    [4.0, 6.0]
    """
    return _reduce("sum", x, axis, keepdims)


@torch_names
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the mean along an axis, several or all."""
    return _reduce("mean", floating("mean", as_tensor(x, "mean")), axis, keepdims)


class Extreme(NamedTuple):
    """Values and their indices along an axis, like the results of PyTorch's functions."""

    values: Tensor
    indices: Tensor


def max(x: Any, *args: Any, **kwargs: Any) -> Any:
    """Return the greatest element of all, or along an axis.

    - ``max(x)`` gives the greatest of all as a Tensor without dimensions.
    - ``max(x, axis=1, keepdims=False)``, with NumPy's keywords, gives the values along an axis, or several in a tuple.
    - ``max(x, 1)`` and ``max(x, dim=1, keepdim=False)``, as in PyTorch, give ``(values, indices)`` along an axis.
    - ``max(x, y)`` of two Tensors is `maximum`.

    Equal elements share the gradient; with indices, the one at the index has all of it.

    Raises:
        TypeError: NumPy's and PyTorch's keywords in one call.
        ValueError: no elements along the axis.

    >>> import fastnn
    >>> x = fastnn.tensor([[1.0, 5.0], [4.0, 3.0]])
    >>> fastnn.max(x, axis=1).tolist()
    [5.0, 4.0]
    >>> values, indices = fastnn.max(x, dim=1)
    >>> values.tolist(), indices.tolist()
    ([5.0, 4.0], [1, 0])
    """
    return _extreme("max", x, args, kwargs)


def min(x: Any, *args: Any, **kwargs: Any) -> Any:
    """Return the smallest element of all, or along an axis; called in the same ways as `max`.

    >>> import fastnn
    >>> fastnn.min(fastnn.tensor([[1.0, 5.0], [4.0, 3.0]]), axis=0).tolist()
    [1.0, 3.0]
    """
    return _extreme("min", x, args, kwargs)


@torch_names
def amax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the greatest values along one axis, several axes or all, without indices; equal elements share the gradient.

    >>> import fastnn
    >>> fastnn.amax(fastnn.tensor([[1.0, 5.0], [4.0, 3.0]]), 1).tolist()
    [5.0, 4.0]
    """
    return _reduce("max", x, axis, keepdims)


@torch_names
def amin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the smallest values along one axis, several axes or all, without indices; equal elements share the gradient."""
    return _reduce("min", x, axis, keepdims)


def _extreme(op: str, x: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if len(args) == 1 and not kwargs and isinstance(args[0], Tensor | np.ndarray):
        return (maximum if op == "max" else minimum)(x, args[0])
    if "other" in kwargs and not args and len(kwargs) == 1:
        return (maximum if op == "max" else minimum)(x, kwargs["other"])
    if not torch_call(op, args, kwargs, ("axis", "keepdims")):
        return _reduce(op, x, **kwargs)
    given = bound(op, ("dim", "keepdim"), args, kwargs)
    if given.get("dim") is None:
        if given:
            raise TypeError(f"{op}: {', '.join(given)} came without dim; over all elements, call it with keepdims=")
        return _reduce(op, x, None, False)
    axis, keepdims = given["dim"], given.get("keepdim", False)
    if isinstance(axis, Sequence):
        raise TypeError(f"{op}: several dimensions have no indices; axis={axis} and a{op} give the values alone")
    x = as_tensor(x, op)
    return picked(op, x, axis, (argmax if op == "max" else argmin)(x, axis, True), keepdims)


def picked(op: str, x: Tensor, axis: int, indices: Tensor, keepdims: bool | None = None, **attrs: Any) -> Extreme:
    """Return the values at indices along an axis, and the indices, for an operation; with keepdims, the axis has size 1."""
    axis = axis_of(axis, builtins.max(x.ndim, 1), op)
    y, index3, shape = gathered(x, axis, indices)
    out = indices.shape
    if keepdims is not None:
        out, attrs = _without(out, (axis,), keepdims), {**attrs, "keepdims": keepdims}
    made = y.reshape(out), indices.data.reshape(out)
    return Extreme(*results(op, made, gather_backward, (x,), (index3, shape), {"axis": axis, **attrs}))


def torch_call(op: str, args: tuple[Any, ...], kwargs: dict[str, Any], numpys: Sequence[str]) -> bool:
    """Return whether a call is in PyTorch's style, without keywords of NumPy. Raise TypeError if it has keywords of both."""
    own = [name for name in kwargs if name in numpys]
    if own and (args or len(own) < len(kwargs)):
        others = [name for name in kwargs if name not in numpys] or ["an argument by position"]
        raise TypeError(f"{op}: {', '.join(own)} (NumPy's) and {', '.join(others)} came in one call; use one way or the other")
    return not own


def bound(op: str, names: Sequence[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments by name. Raise TypeError for too many, unknown or repeated ones."""
    given = dict(zip(names, args, strict=False))
    wrong = [name for name in kwargs if name in given or name not in names]
    if wrong or len(args) > len(names):
        what = f"{wrong[0]!r} came twice or is not known" if wrong else f"{len(args)} arguments came"
        raise TypeError(f"{op}: {what}; after the Tensor it takes {', '.join(names)}")
    return given | kwargs


@torch_names
def prod(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the product along an axis, several or all; its gradient is exact where elements are 0."""
    return _reduce("prod", x, axis, keepdims)


def axes_of(axis: Axis, ndim: int, op: str) -> tuple[int, ...]:
    """Return the axes counted from the front, in order; all of them for None. Raise ValueError if one is repeated.

    For a Tensor without dimensions, 0 and -1 are allowed, as in PyTorch and NumPy; the result is then empty.
    """
    if axis is None:
        return tuple(range(ndim))
    axes = sorted(axis_of(a, builtins.max(ndim, 1), op) for a in (axis if isinstance(axis, Sequence) else (axis,)))
    if len(set(axes)) < len(axes):
        raise ValueError(f"{op}: axis {axis} of a Tensor with {ndim} dimensions names one axis twice")
    return tuple(axes) if ndim else ()


def _without(shape: tuple[int, ...], axes: Sequence[int], keepdims: bool) -> tuple[int, ...]:
    return tuple(1 if d in axes else n for d, n in enumerate(shape) if keepdims or d not in axes)


def _reduce(op: str, x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    x = as_tensor(x, op)
    if x.dtype == np.bool_:
        x = astype(x, np.int64)
    axes = axes_of(axis, x.ndim, op)
    if op in ("max", "min") and builtins.any(x.shape[a] == 0 for a in axes):
        raise ValueError(f"{op}: shape {x.shape} has no elements along axis {axis}")
    y = arrays.reduce_axes(current(), op, x.data, axes) if axes else clone(x).data
    data = y.reshape(_without(x.shape, axes, keepdims))
    return result(op, data, _reduce_backward, (x,), (x.data, y), {"axis": axes, "keepdims": keepdims})


def shared(op: str, x: Tensor, y: Tensor) -> Tensor:
    """Return y, an element of x, as the output of an operation. All elements of x that equal y share the gradient."""
    return result(op, y.data, _reduce_backward, (x,), (x.data, y.data.reshape((1,) * x.ndim)))


def _reduce_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    x, y = node.saved
    k, own, op = grads.k, node.inputs[0], node.op
    dy = dy.reshape(y.shape)
    if op == "mean":
        dy = arrays.apply(k, activation("affine", 1 / builtins.max(x.size // y.size if y.size else 1, 1), 0.0), dy)
    if op in ("sum", "mean"):
        grads.add(own, expand(dy, x.shape))
    elif op == "prod":
        grads.add(own, arrays.binary(k, "mul", _others(k, x, y.shape), dy))
    else:
        ones = arrays.cast(k, arrays.compare(k, "eq", x, y), x.dtype)
        share = arrays.binary(k, "div", dy, arrays.sum_to(k, ones, y.shape))
        grads.add(own, arrays.binary(k, "mul", ones, share))


def _others(k: Backend, x: Array, kept: tuple[int, ...]) -> Array:
    """Return for each element the product of the other elements; axes with size 1 in `kept` are reduced."""
    axes = [d for d, n in enumerate(kept) if n == 1]
    order = [d for d in range(x.ndim) if d not in axes] + axes
    rows = arrays.permute(k, x, tuple(order)).reshape(math.prod(kept), math.prod(x.shape[d] for d in axes), 1)
    before, behind = (_cumulate(k, "prod", rows, reverse, exclusive=1) for reverse in (0, 1))
    product = arrays.binary(k, "mul", before, behind).reshape([x.shape[d] for d in order])
    return arrays.permute(k, product, tuple(order.index(d) for d in range(x.ndim)))


def _cumulate(k: Backend, op: str, x: Array, reverse: int, exclusive: int) -> Array:
    y = k.empty(x.shape, x.dtype)
    k.cumulate(y, x, SCAN_OPS.index(op), reverse, exclusive)
    return y


@torch_names
def cumsum(x: Any, axis: int) -> Tensor:
    """Return the running sum along an axis.

    >>> import fastnn
    >>> fastnn.cumsum(fastnn.tensor([1.0, 2.0, 3.0]), 0).tolist()
    [1.0, 3.0, 6.0]
    """
    x = as_tensor(x, "cumsum")
    if x.dtype == np.bool_:
        x = astype(x, np.int64)
    axis = axis_of(axis, builtins.max(x.ndim, 1), "cumsum")
    shape = arrays.around(x.shape, axis)
    y = _cumulate(current(), "sum", x.data.reshape(shape), 0, 0)
    return result("cumsum", y.reshape(x.shape), _cumsum_backward, (x,), (shape,), {"axis": axis})


def running_product(x: Tensor, axis: int) -> Tensor:
    """Return the running product along an axis, without a gradient."""
    shape = arrays.around(x.shape, axis)
    x = astype(x, np.int64) if x.dtype == np.bool_ else x
    return Tensor(_cumulate(current(), "prod", x.data.reshape(shape), 0, 0).reshape(x.shape))


def _cumsum_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    (shape,) = node.saved
    grads.add(node.inputs[0], _cumulate(grads.k, "sum", dy.reshape(shape), 1, 0).reshape(dy.shape))


# ---- made of the others ----


def var(x: Any, *args: Any, **kwargs: Any) -> Tensor:
    """Return the variance along an axis, several or all: the sum of squares around the mean over n - correction.

    - With NumPy's keywords, ``var(x, axis=None, ddof=0, keepdims=False)``, the correction is ddof.
    - Any other call is PyTorch's: ``var(x, dim=None, correction=1, keepdim=False)``. ``unbiased=False`` means correction 0; it
      may be passed by position, after dim or instead of it.

    Raises:
        TypeError: NumPy's and PyTorch's keywords in one call.

    >>> import fastnn
    >>> x = fastnn.tensor([1.0, 2.0, 4.0, 5.0])
    >>> round(fastnn.var(x).item(), 4), fastnn.var(x, axis=0).item()
    (3.3333, 2.5)
    """
    axis, keepdims, correction = _deviation("var", args, kwargs)
    around, n = _centered("var", x, axis, correction)
    return div(sum(square(around), axis, keepdims), n)


def std(x: Any, *args: Any, **kwargs: Any) -> Tensor:
    """Return the square root of `var`, with the same arguments; where it is 0, the gradient is 0.

    >>> import fastnn
    >>> round(fastnn.std(fastnn.tensor([1.0, 3.0]), ddof=0).item(), 4)
    1.0
    """
    axis, keepdims, correction = _deviation("std", args, kwargs)
    around, n = _centered("std", x, axis, correction)
    return mul(norm(around, 2, axis, keepdims), n**-0.5 if n > 0 else float("nan"))


def _deviation(op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Axis, bool, float]:
    """Return the axis, whether it is kept, and the correction of a call of `var` or `std`."""
    rest = {name: value for name, value in kwargs.items() if name != "correction"}  # a name of both
    correction = kwargs.get("correction")
    numpys = not torch_call(op, args, rest, ("axis", "ddof", "keepdims"))
    if not numpys and args and isinstance(args[0], bool):
        args = (None, *args)
    given = bound(op, ("axis", "ddof", "keepdims") if numpys else ("dim", "unbiased", "keepdim"), args, rest)
    other = given.get("ddof" if numpys else "unbiased")
    if correction is not None and other is not None:
        raise TypeError(f"{op}: correction and {'ddof' if numpys else 'unbiased'} came in one call; use one of them")
    if correction is None:
        correction = other if other is not None else 0 if numpys else 1
    axis = given.get("axis") if numpys else given.get("dim") if given.get("dim") != () else None  # PyTorch's () is all axes
    return axis, given.get("keepdims" if numpys else "keepdim", False), float(correction)


def _centered(op: str, x: Any, axis: Axis, correction: float) -> tuple[Tensor, float]:
    x = floating(op, as_tensor(x, op))
    n = math.prod(x.shape[a] for a in axes_of(axis, x.ndim, op))
    return sub(x, mean(x, axis, True)), builtins.max(n - correction, 0)


@torch_names
def norm(x: Any, ord: float | str | None = 2, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Compute the norm along an axis, several or all: ord 2 is the root of the sum of squares, 1 the sum, inf the greatest.

    None and "fro" mean 2. Without an axis, a matrix is treated as a vector, as in torch.norm.

    Where the norm is 0, its gradient is 0.

    >>> import fastnn
    >>> fastnn.norm(fastnn.tensor([3.0, -4.0])).item()
    5.0
    """
    x = floating("norm", as_tensor(x, "norm"))
    ord = 2 if ord in (None, "fro") else ord
    if ord == 1:
        return sum(abs(x), axis, keepdims)
    if ord == float("inf"):
        return amax(abs(x), axis, keepdims)
    if ord != 2:
        raise ValueError(f"norm: ord is {ord!r}, wanted 1, 2 or inf")
    k, axes = current(), axes_of(axis, x.ndim, "norm")
    squares = arrays.binary(k, "mul", x.data, x.data)
    y = arrays.apply(k, activation("sqrt"), arrays.reduce_axes(k, "sum", squares, axes))
    data = y.reshape(_without(x.shape, axes, keepdims))
    return result("norm", data, _norm_backward, (x,), (x.data, y), {"ord": 2, "axis": axes, "keepdims": keepdims})


def _norm_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    x, y = node.saved
    k = grads.k
    zero = arrays.filled(k, (1,) * y.ndim, y.dtype, 0.0)
    scale = arrays.select(k, arrays.compare(k, "eq", y, zero), zero, arrays.binary(k, "div", dy.reshape(y.shape), y))
    grads.add(node.inputs[0], arrays.binary(k, "mul", x, scale))


@torch_names
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) along an axis, several or all, computed without overflow.

    >>> import fastnn
    >>> round(fastnn.logsumexp(fastnn.tensor([1000.0, 1000.0])).item(), 3)
    1000.693
    """
    x = floating("logsumexp", as_tensor(x, "logsumexp"))
    axes = axes_of(axis, x.ndim, "logsumexp")
    k = current()
    top = Tensor(arrays.reduce_axes(k, "max", x.data, axes))
    top = where(isfinite(top), top, 0.0).data
    powers = arrays.apply(k, _EXP, arrays.binary(k, "sub", x.data, top))
    y = arrays.binary(k, "add", arrays.apply(k, activation("log"), arrays.reduce_axes(k, "sum", powers, axes)), top)
    data = y.reshape(_without(x.shape, axes, keepdims))
    return result("logsumexp", data, _logsumexp_backward, (x,), (x.data, y), {"axis": axes, "keepdims": keepdims})


def _logsumexp_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    x, y = node.saved
    k = grads.k
    # If all elements are minus infinity, y is too, and exp(x - y) would be NaN.
    floor = arrays.filled(k, (1,) * y.ndim, y.dtype, float("-inf"))
    y = arrays.select(k, arrays.compare(k, "eq", y, floor), arrays.filled(k, (1,) * y.ndim, y.dtype, 0.0), y)
    share = arrays.apply(k, _EXP, arrays.binary(k, "sub", x, y))
    grads.add(node.inputs[0], arrays.binary(k, "mul", share, dy.reshape(y.shape)))


@torch_names
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return whether any element along an axis, several or all, is true; of a bool Tensor."""
    return astype(sum(boolean(x, "any"), axis, keepdims), np.bool_)


@torch_names
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return whether all elements along an axis, several or all, are true; of a bool Tensor."""
    return logical_not(any(logical_not(boolean(x, "all")), axis, keepdims))


@torch_names
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the index of the first greatest element along an axis, or in the flattened Tensor."""
    return _argmax("argmax", as_tensor(x, "argmax"), axis, keepdims)


@torch_names
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the index of the first smallest element along an axis, or in the flattened Tensor."""
    x = as_tensor(x, "argmin").detach()
    # -1 - x reverses the order of integers without overflow.
    return _argmax("argmin", neg(x) if x.dtype.kind == "f" else sub(-1, astype(x, np.int64)), axis, keepdims)


def _argmax(op: str, x: Tensor, axis: int | None, keepdims: bool) -> Tensor:
    if axis is None:
        place = _argmax(op, Tensor(x.data.reshape(-1)), 0, False)
        return reshape(place, (1,) * x.ndim if keepdims else ())
    axis = axis_of(axis, builtins.max(x.ndim, 1), op)
    if x.ndim and x.shape[axis] == 0:
        raise ValueError(f"{op}: axis {axis} of shape {x.shape} has no elements")
    k = current()
    a, b, c = arrays.around(x.shape, axis)
    if x.dtype == np.bool_:
        x = astype(x, np.int64)
    index = k.empty((a, c), np.int64)
    k.argmax_forward(index, x.data.reshape(a, b, c))
    return Tensor(index.reshape(_without(x.shape, (axis,), keepdims)))
