"""Broadcasting arithmetic, and functions of one Tensor, element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from ..backends.spec import activation
from ..core import arrays
from ..core.arrays import copy_array
from .activation import activate
from .cast import astype as astype
from .cast import promoted, wider
from .checks import as_tensor

if TYPE_CHECKING:
    from ..backends.base import Backend


def operands(op: str, x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Return both as Tensors of one dtype.

    Two Tensors have PyTorch's common dtype, see `promoted`. Other values get the dtype of the Tensor, but a fraction turns
    integers into floats.
    """
    like = x if isinstance(x, Tensor) else y if isinstance(y, Tensor) else None
    both = isinstance(x, Tensor) and isinstance(y, Tensor)
    if like is not None and like.dtype.kind != "f":
        like = None
    x, y = as_tensor(x, op, like), as_tensor(y, op, like)
    if x.dtype != y.dtype:
        x, y = promoted(x, y) if both else (astype(t, wider(x, y)) for t in (x, y))
    if x.dtype == np.bool_ and y.dtype == np.bool_ and op != "where":
        x, y = astype(x, np.int64), astype(y, np.int64)
    return x, y


def _is_number(v: Any) -> bool:
    return isinstance(v, int | float | np.integer | np.floating) and not isinstance(v, bool)


def _affine(op: str, x: Any, scale: float, shift: float) -> Tensor | None:
    """Compute scale x + shift by one kernel, if x is a Tensor of floats; else return None."""
    return activate(x, activation("affine", scale, shift), op) if isinstance(x, Tensor) and x.dtype.kind == "f" else None


# ---- arithmetic ----


def add(x: Any, y: Any, *, alpha: float = 1) -> Tensor:
    """x + alpha y with broadcasting.

    >>> import fastnn
    >>> fastnn.add(fastnn.tensor([1.0, 2.0]), 1).tolist()
    [2.0, 3.0]
    """
    if alpha != 1:
        y = y * alpha if _is_number(y) else mul(y, alpha)
    number = _affine("add", x, 1.0, y) if _is_number(y) else _affine("add", y, 1.0, x) if _is_number(x) else None
    return number if number is not None else _binary("add", x, y)


def sub(x: Any, y: Any, *, alpha: float = 1) -> Tensor:
    """x - alpha y with broadcasting."""
    if alpha != 1:
        y = y * alpha if _is_number(y) else mul(y, alpha)
    number = _affine("sub", x, 1.0, -float(y)) if _is_number(y) else _affine("sub", y, -1.0, x) if _is_number(x) else None
    return number if number is not None else _binary("sub", x, y)


def mul(x: Any, y: Any) -> Tensor:
    """x y, element by element with broadcasting."""
    number = _affine("mul", x, y, 0.0) if _is_number(y) else _affine("mul", y, x, 0.0) if _is_number(x) else None
    return number if number is not None else _binary("mul", x, y)


def div(x: Any, y: Any) -> Tensor:
    """x / y with broadcasting; integers are divided as float32."""
    x, y = _reals(x, y)
    return _binary("div", x, y)


def pow(x: Any, y: Any) -> Tensor:
    """x to the power y, with broadcasting; integers stay integers, unless y is a negative number.

    For negative elements in an array of integer exponents, the powers are rounded towards zero, as in PyTorch: 1, -1 or 0.

    >>> import fastnn
    >>> fastnn.pow(fastnn.tensor([3, 10]), 17).tolist()
    [129140163, 100000000000000000]
    """
    if _is_whole(x) and _is_whole(y) and not (_is_number(y) and y < 0):
        return _binary("pow", x, y)
    x, y = _reals(x, y)
    if _is_number(y) and isinstance(x, Tensor):
        return activate(x, activation("power", y), "pow")
    return _binary("pow", x, y)


def _is_whole(v: Any) -> bool:
    """Return whether v is an integer, or an array or Tensor of integers."""
    return isinstance(v, int | np.integer) or (hasattr(v, "dtype") and np.dtype(v.dtype).kind in "iub")


def _reals(x: Any, y: Any) -> tuple[Any, Any]:
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        x, y = promoted(x, y)
    return real(x), real(y)


def real(v: Any) -> Any:
    """Convert integers and bools to float32; return other values unchanged."""
    return astype(v, np.float32) if isinstance(v, Tensor) and v.dtype.kind != "f" else v


def maximum(x: Any, y: Any) -> Tensor:
    """Return the greater of x and y, element by element with broadcasting; NaN wins. Equal elements share the gradient."""
    return _binary("maximum", x, y)


def minimum(x: Any, y: Any) -> Tensor:
    """Return the smaller of x and y, element by element with broadcasting; NaN wins. Equal elements share the gradient."""
    return _binary("minimum", x, y)


def _binary(op: str, x: Any, y: Any) -> Tensor:
    x, y = operands(op, x, y)
    k = current()
    z = arrays.binary(k, op, x.data, y.data)
    return result(op, z, _binary_backward, (x, y), (x.data, y.data, z))


def _binary_backward(grads: Gradients, node: Node, dz: Array) -> None:
    assert node.saved is not None
    x, y, z = node.saved
    k = grads.k
    slopes = _SLOPES[node.op]
    for t, array, slope in zip(node.inputs, (x, y), slopes, strict=True):
        if t.requires_grad:
            grads.add(t, arrays.sum_to(k, slope(k, dz, x, y, z), array.shape))


_NEGATIVE = activation("affine", -1.0, 0.0)


def _times(k: Backend, a: Array, b: Array) -> Array:
    return arrays.binary(k, "mul", a, b)


def _pow_base_slope(k: Backend, dz: Array, x: Array, y: Array, z: Array) -> Array:
    # y x^(y - 1) is 0 times infinity where y and x are 0. The gradient is 0 there, since x^0 is 1 everywhere.
    one_less = arrays.apply(k, activation("affine", 1.0, -1.0), y)
    slope = _times(k, dz, _times(k, y, arrays.binary(k, "pow", x, one_less)))
    zero = arrays.filled(k, (1,) * y.ndim, y.dtype, 0.0)
    return arrays.select(k, arrays.compare(k, "eq", y, zero), zero, slope)


def _pow_exponent_slope(k: Backend, dz: Array, x: Array, y: Array, z: Array) -> Array:
    # z log(x) is 0 times minus infinity where z is 0; its limit is 0. At x = 0, the power is 1 for y = 0, and 0 for y > 0.
    zero = arrays.filled(k, (1,) * z.ndim, z.dtype, 0.0)
    slope = _times(k, dz, _times(k, z, arrays.apply(k, activation("log"), x)))
    slope = arrays.select(k, arrays.compare(k, "eq", z, zero), zero, slope)
    corner = arrays.select(k, arrays.compare(k, "eq", y, zero), zero, slope)
    return arrays.select(k, arrays.compare(k, "eq", x, zero), corner, slope)


def _extreme_slope(k: Backend, dz: Array, own: Array, other: Array, loses: str) -> Array:
    """Return dz where own is the result, half of it where both are equal, and 0 elsewhere."""
    zero, half = arrays.filled(k, dz.shape, dz.dtype, 0.0), arrays.apply(k, activation("affine", 0.5, 0.0), dz)
    kept = arrays.select(k, arrays.compare(k, "eq", own, other), half, dz)
    return arrays.select(k, arrays.compare(k, loses, own, other), zero, kept)


# op -> the gradients of x and y, of the result's shape, from dz, x, y and z
_SLOPES: dict[str, Any] = {
    "add": (lambda k, dz, x, y, z: dz, lambda k, dz, x, y, z: dz),
    "sub": (lambda k, dz, x, y, z: dz, lambda k, dz, x, y, z: arrays.apply(k, _NEGATIVE, dz)),
    "mul": (lambda k, dz, x, y, z: _times(k, dz, y), lambda k, dz, x, y, z: _times(k, dz, x)),
    "div": (
        lambda k, dz, x, y, z: arrays.binary(k, "div", dz, y),
        lambda k, dz, x, y, z: arrays.apply(k, _NEGATIVE, arrays.binary(k, "div", _times(k, dz, z), y)),
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


def neg(x: Any) -> Tensor:
    """-x."""
    return mul(as_tensor(x, "neg"), -1)


def square(x: Any) -> Tensor:
    """x^2."""
    x = as_tensor(x, "square")
    return pow(x, 2) if x.dtype.kind == "f" else mul(x, x)


def reciprocal(x: Any) -> Tensor:
    """1 / x."""
    return pow(as_tensor(x, "reciprocal"), -1)


def rsqrt(x: Any) -> Tensor:
    """1 / sqrt(x)."""
    return pow(as_tensor(x, "rsqrt"), -0.5)


def _map(name: str, x: Any, function: str = "") -> Tensor:
    """Apply an element-wise function of `spec.ACTIVATIONS`, which has the name of the operation by default."""
    return activate(real(as_tensor(x, name)), activation(function or name), name)


def exp(x: Any) -> Tensor:
    """e to the power x."""
    return _map("exp", x, "exponential")


def log(x: Any) -> Tensor:
    """Return the natural logarithm."""
    return _map("log", x)


def sqrt(x: Any) -> Tensor:
    """Return the square root."""
    return _map("sqrt", x)


def abs(x: Any) -> Tensor:
    """Return the absolute value; its gradient at 0 is 0."""
    x = as_tensor(x, "abs")
    return _map("abs", x) if x.dtype.kind == "f" else maximum(x, neg(x))


def sin(x: Any) -> Tensor:
    """Return the sine."""
    return _map("sin", x)


def cos(x: Any) -> Tensor:
    """Return the cosine."""
    return _map("cos", x)


def log1p(x: Any) -> Tensor:
    """log(1 + x), exact where x is small."""
    return _map("log1p", x)


def expm1(x: Any) -> Tensor:
    """e to the power x, minus 1, exact where x is small."""
    return _map("expm1", x)


def sign(x: Any) -> Tensor:
    """1, 0 or -1: the sign; its gradient is 0."""
    x = as_tensor(x, "sign")
    return _map("sign", x) if x.dtype.kind == "f" else clip(x, -1, 1)


def floor(x: Any) -> Tensor:
    """Return the largest whole number <= x, in x's dtype; its gradient is 0."""
    return _rounded("floor", x)


def ceil(x: Any) -> Tensor:
    """Return the smallest whole number >= x, in x's dtype; its gradient is 0."""
    return _rounded("ceil", x)


def round(x: Any, decimals: int = 0) -> Tensor:
    """Round to a number of decimals, ties to even, in x's dtype; the gradient is 0.

    >>> import fastnn
    >>> fastnn.round(fastnn.tensor([0.5, 1.5, 2.26]), 1).tolist() == fastnn.tensor([0.5, 1.5, 2.3]).tolist()
    True
    """
    if decimals < 0:
        raise ValueError(f"round: decimals is {decimals}, wanted at least 0")
    if decimals == 0 or as_tensor(x, "round").dtype.kind != "f":
        return _rounded("round", x)
    return div(_rounded("round", mul(x, 10.0**decimals)), 10.0**decimals)


def _rounded(name: str, x: Any) -> Tensor:
    x = as_tensor(x, name)
    return _map(name, x) if x.dtype.kind == "f" else x


def clip(x: Any, min: Any = None, max: Any = None) -> Tensor:
    """Clip x to min and max, one of which may be omitted; the gradient is 0 outside. Bounds may be Tensors.

    >>> import fastnn
    >>> fastnn.clip(fastnn.tensor([-2.0, 0.5, 2.0]), -1, 1).tolist()
    [-1.0, 0.5, 1.0]
    """
    if min is None and max is None:
        raise ValueError("clip: neither min nor max is given")
    x = as_tensor(x, "clip")
    if x.dtype.kind != "f" or not all(bound is None or _is_number(bound) for bound in (min, max)):
        x = x if min is None else maximum(x, min)
        return x if max is None else minimum(x, max)
    low, high = float("-inf") if min is None else float(min), float("inf") if max is None else float(max)
    return activate(x, activation("clip", low, high), "clip")


clamp = clip


def clone(x: Any) -> Tensor:
    """Return a copy, through which gradients flow.

    >>> import fastnn
    >>> x = fastnn.tensor([1.0])
    >>> fastnn.clone(x).data is x.data
    False
    """
    t = as_tensor(x, "clone")
    k = current()
    y = k.empty(t.shape, t.dtype)
    copy_array(k, y, t.data)
    return result("clone", y, _clone_backward, (t,))


def _clone_backward(grads: Gradients, node: Node, dy: Array) -> None:
    grads.add(node.inputs[0], dy)
