"""More functions of single numbers, made of other operations, with PyTorch's names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, torch_names
from .cast import astype
from .checks import as_tensor, axis_of
from .composed import logaddexp
from .division import trunc
from .elementwise import abs, clip, div, log, log1p, maximum, minimum, mul, neg, operands, pow, real, sin, sub
from .index import ALL, getitem
from .logic import eq, gt, isinf, isnan, logical_and, logical_not, logical_or, lt, where
from .shape import stack

pi = math.pi
e = math.e
inf = math.inf
nan = math.nan
newaxis = None


def deg2rad(x: Any) -> Tensor:
    """Convert degrees to radians."""
    return mul(real(as_tensor(x, "deg2rad")), math.pi / 180)


def rad2deg(x: Any) -> Tensor:
    """Convert radians to degrees."""
    return mul(real(as_tensor(x, "rad2deg")), 180 / math.pi)


def frac(x: Any) -> Tensor:
    """Return x - trunc(x), the digits after the point with the sign of x."""
    x = as_tensor(x, "frac")
    return sub(x, trunc(x).detach())


def positive(x: Any) -> Tensor:
    """Return x itself, as ``+x`` does for numbers.

    Raises:
        TypeError: x holds bools.
    """
    t = as_tensor(x, "positive")
    if t.dtype == np.bool_:
        raise TypeError("positive: a Tensor of bools came, wanted numbers")
    return t


def rsub(x: Any, y: Any, *, alpha: float = 1) -> Tensor:
    """Return y - alpha x, with broadcasting."""
    return sub(y, x, alpha=alpha)


def signbit(x: Any) -> Tensor:
    """Return whether the sign of each element is negative, also that of -0."""
    x = as_tensor(x, "signbit")
    below = lt(x, 0)
    return logical_or(below, logical_and(eq(x, 0), lt(div(1, x), 0))) if x.dtype.kind == "f" else below


def copysign(x: Any, y: Any) -> Tensor:
    """Return the size of x with the sign of y, with broadcasting; y gets no gradient.

    >>> import fastnn
    >>> fastnn.copysign(fastnn.tensor([1.0, -2.0]), -3.0).tolist()
    [-1.0, -2.0]
    """
    x, y = operands("copysign", real(x), real(y))
    factor = where(signbit(x).logical_xor(signbit(y)), -1.0, 1.0)
    return mul(x, astype(factor, x.dtype))


def heaviside(x: Any, values: Any) -> Tensor:
    """Return 0 where x is negative or NaN, 1 where it is positive, and the element of values where it is 0, with broadcasting.

    It has no gradient.

    >>> import fastnn
    >>> fastnn.heaviside(fastnn.tensor([-1.0, 0.0, 2.0]), fastnn.tensor(0.5)).tolist()
    [0.0, 0.5, 1.0]
    """
    x, values = (t.detach() for t in operands("heaviside", x, values))
    return where(eq(x, 0), values, astype(gt(x, 0), x.dtype))


def fmax(x: Any, y: Any) -> Tensor:
    """Return the greater of two numbers, with broadcasting; NaN only where both are NaN."""
    x, y = operands("fmax", x, y)
    return where(isnan(x), y, where(isnan(y), x, maximum(x, y)))


def fmin(x: Any, y: Any) -> Tensor:
    """Return the smaller of two numbers, with broadcasting; NaN only where both are NaN."""
    x, y = operands("fmin", x, y)
    return where(isnan(x), y, where(isnan(y), x, minimum(x, y)))


def float_power(x: Any, y: Any) -> Tensor:
    """Return x to the power y, computed in float64, with broadcasting."""
    return pow(*(astype(as_tensor(v, "float_power"), np.float64) for v in (x, y)))


def ldexp(x: Any, y: Any) -> Tensor:
    """Return x times 2 to the power y, with broadcasting."""
    y = as_tensor(y, "ldexp")
    return mul(x, pow(2.0, real(y)))


def xlogy(x: Any, y: Any) -> Tensor:
    """Return x log(y), with broadcasting; 0 where x is 0, unless y is NaN.

    >>> import fastnn
    >>> fastnn.xlogy(fastnn.tensor([0.0, 2.0]), fastnn.tensor([0.0, 1.0])).tolist()
    [0.0, 0.0]
    """
    x, y = operands("xlogy", real(x), real(y))
    inside = logical_or(isnan(y), logical_and(y > 0, y < inf))
    at_0 = logical_and(eq(x, 0), logical_not(inside))
    return where(at_0, 0.0, mul(x, log(where(at_0, 1.0, y))))


def logit(x: Any, eps: float | None = None) -> Tensor:
    """Return log(x / (1 - x)), the inverse of the sigmoid; with eps, x is clipped to [eps, 1 - eps] before.

    >>> import fastnn
    >>> fastnn.logit(fastnn.tensor([0.5])).tolist()
    [0.0]
    """
    x = real(as_tensor(x, "logit"))
    x = x if eps is None else clip(x, eps, 1 - eps)
    return sub(log(x), log1p(neg(x)))


def sinc(x: Any) -> Tensor:
    """Return sin(pi x) / (pi x); 1 at 0."""
    x = mul(real(as_tensor(x, "sinc")), math.pi)
    at_0 = eq(x, 0)
    safe = where(at_0, 1.0, x)
    return where(at_0, sub(1.0, mul(x, x)), div(sin(safe), safe))


def isposinf(x: Any) -> Tensor:
    """Return whether each element is infinity."""
    x = as_tensor(x, "isposinf")
    return logical_and(isinf(x), x > 0)


def isneginf(x: Any) -> Tensor:
    """Return whether each element is minus infinity."""
    x = as_tensor(x, "isneginf")
    return logical_and(isinf(x), x < 0)


@torch_names
def logcumsumexp(x: Any, axis: int) -> Tensor:
    """Return the running log(sum(exp(x))) along an axis, computed without overflow.

    >>> import fastnn
    >>> [round(v, 3) for v in fastnn.logcumsumexp(fastnn.tensor([1000.0, 1000.0]), 0).tolist()]
    [1000.0, 1000.693]
    """
    t: Tensor = real(as_tensor(x, "logcumsumexp"))
    axis = axis_of(axis, max(t.ndim, 1), "logcumsumexp")
    if not t.size or not t.ndim:
        return t
    before = [ALL] * axis
    parts = [getitem(t, (*before, 0))]
    for i in range(1, t.shape[axis]):  # one after the other: a sum far below the greatest element keeps its digits
        parts.append(logaddexp(parts[-1], getitem(t, (*before, i))))
    return stack(parts, axis)


def dist(x: Any, y: Any, p: float = 2) -> Tensor:
    """Return the norm of x - y as one vector, with broadcasting; p is 1, 2 or infinity."""
    return abs(sub(real(as_tensor(x, "dist")), y)).norm(p)


def numel(x: Any) -> int:
    """Return the number of elements."""
    return as_tensor(x, "numel").numel()
