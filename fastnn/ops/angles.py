"""Inverse trigonometric and hyperbolic functions, made of other operations, so that recorded steps contain them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..autograd.function import Function
from ..autograd.tensor import Tensor
from .checks import as_tensor
from .elementwise import abs, add, div, log, log1p, maximum, minimum, mul, neg, operands, real, rsqrt, sign, sqrt, square, sub
from .logic import eq, gt, logical_and, logical_or, lt, where
from .reduce import sum as total

_P = (-8.750608600031904122785e-1, -1.615753718733365076637e1, -7.500855792314704667340e1, -1.228866684490136173410e2)
_P_LAST = -6.485021904942025371773e1
_Q = (1.0, 2.485846490142306297962e1, 1.650270098316988542046e2, 4.328810604912902668951e2, 4.853903996359136964868e2)
_Q_LAST = 1.945506571482613964425e2
"""Rational approximation of atan(t) for t from 0 to 0.66, from S. Moshier's Cephes library, `atan.c`."""


def _horner(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    """Return the polynomial, whose highest coefficient comes first."""
    y = add(mul(x, coefficients[0]), coefficients[1])
    for c in coefficients[2:]:
        y = add(mul(y, x), c)
    return y


def _angle(ratio: Tensor) -> Tensor:
    """Return the arc tangent of numbers from 0 to 1."""
    wide = gt(ratio, 0.66)
    t = where(wide, div(sub(ratio, 1), add(ratio, 1)), ratio)
    z = square(t)
    small = add(mul(t, div(mul(z, _horner(z, (*_P, _P_LAST))), _horner(z, (*_Q, _Q_LAST)))), t)
    return add(small, where(wide, math.pi / 4, mul(t, 0)))


def _negative(x: Tensor) -> Tensor:
    """Return whether the sign bit is set, also that of -0."""
    return logical_or(lt(x, 0), logical_and(eq(x, 0), lt(div(1, x), 0)))


def _reduced(t: Tensor, like: Tensor) -> Tensor:
    """Sum a gradient over the axes along which an operand was broadcast."""
    if t.shape == like.shape:
        return t
    extra = t.ndim - like.ndim
    kept = tuple(i + extra for i, n in enumerate(like.shape) if n == 1 and t.shape[i + extra] != 1)
    y = total(t, (*range(extra), *kept), True) if extra or kept else t
    return y.reshape(like.shape)


class _Atan2(Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(y, x)
        a, b = abs(y), abs(x)
        longer, both = maximum(a, b), eq(a, b)
        # Equal lengths have the ratio 1, also infinite ones. For two zeros it is 0, and the angle is that of the axis.
        ratio = where(both, sign(longer), div(minimum(a, b), longer))
        angle = _angle(ratio)
        angle = where(gt(a, b), sub(math.pi / 2, angle), angle)
        angle = where(_negative(x), sub(math.pi, angle), angle)
        return where(_negative(y), neg(angle), angle)

    @staticmethod
    def backward(ctx: Any, dz: Tensor) -> tuple[Tensor, Tensor]:
        y, x = ctx.saved_tensors
        slope = div(dz, add(square(x), square(y)))
        return _reduced(mul(slope, x), y), _reduced(neg(mul(slope, y)), x)


def atan2(y: Any, x: Any) -> Tensor:
    """Return the angle of the point (x, y), from -pi to pi, with broadcasting. At (0, 0) it is 0 or pi, and has no gradient.

    >>> import fastnn
    >>> round(fastnn.atan2(fastnn.tensor([1.0]), fastnn.tensor([-1.0])).item(), 4)
    2.3562
    """
    y, x = operands("atan2", y, x)
    made: Tensor = _Atan2.apply(real(y), real(x))
    return made


def atan(x: Any) -> Tensor:
    """Return the arc tangent.

    >>> import fastnn
    >>> round(fastnn.atan(fastnn.tensor(1.0)).item(), 4)
    0.7854
    """
    return atan2(real(as_tensor(x, "atan")), 1.0)


class _Asin(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return atan2(x, sqrt(mul(sub(1, x), add(x, 1))))

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return mul(dy, rsqrt(mul(sub(1, x), add(x, 1))))


def asin(x: Any) -> Tensor:
    """Return the arc sine; NaN beyond -1 and 1."""
    made: Tensor = _Asin.apply(real(as_tensor(x, "asin")))
    return made


class _Acos(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return atan2(sqrt(mul(sub(1, x), add(x, 1))), x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        return neg(_Asin.backward(ctx, dy))


def acos(x: Any) -> Tensor:
    """Return the arc cosine; NaN beyond -1 and 1."""
    made: Tensor = _Acos.apply(real(as_tensor(x, "acos")))
    return made


_LARGE = 1e8
"""From here on, x^2 + 1 and x^2 - 1 are x^2 in float32 and, in the sums below, in float64."""


class _Asinh(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        a = abs(x)
        squares = square(minimum(a, _LARGE))
        small = log1p(add(a, div(squares, add(sqrt(add(squares, 1)), 1))))
        return mul(where(gt(a, _LARGE), add(log(a), math.log(2)), small), sign(x))

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return mul(dy, rsqrt(add(square(x), 1)))


def asinh(x: Any) -> Tensor:
    """Return the inverse of the hyperbolic sine."""
    made: Tensor = _Asinh.apply(real(as_tensor(x, "asinh")))
    return made


class _Acosh(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        bounded = minimum(x, _LARGE)
        t = sub(bounded, 1)
        small = log1p(add(t, mul(sqrt(t), sqrt(add(bounded, 1)))))  # NaN below 1
        return where(gt(x, _LARGE), add(log(maximum(x, 1.0)), math.log(2)), small)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return mul(dy, rsqrt(mul(sub(x, 1), add(x, 1))))


def acosh(x: Any) -> Tensor:
    """Return the inverse of the hyperbolic cosine; NaN below 1."""
    made: Tensor = _Acosh.apply(real(as_tensor(x, "acosh")))
    return made


class _Atanh(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        a = abs(x)
        return mul(mul(log1p(div(mul(a, 2), sub(1, a))), 0.5), sign(x))

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return div(dy, mul(sub(1, x), add(x, 1)))


def atanh(x: Any) -> Tensor:
    """Return the inverse of the hyperbolic tangent; NaN beyond -1 and 1."""
    made: Tensor = _Atanh.apply(real(as_tensor(x, "atanh")))
    return made


def hypot(x: Any, y: Any) -> Tensor:
    """Return the root of x^2 + y^2, with broadcasting, computed without overflow; the gradient at (0, 0) is 0."""
    x, y = operands("hypot", real(x), real(y))
    a, b = abs(x), abs(y)
    longer = maximum(a, b).detach()
    scale = where(logical_and(gt(longer, 0), lt(longer, float("inf"))), longer, 1.0)
    squares = add(square(div(x, scale)), square(div(y, scale)))
    at_0 = eq(squares, 0)
    # The root of 1 in place of that of 0, whose slope is infinite.
    length = mul(sqrt(where(at_0, 1.0, squares)), scale)
    infinite = logical_or(eq(a, float("inf")), eq(b, float("inf")))  # also beside NaN
    return where(infinite, float("inf"), where(at_0, mul(squares, 0), length))


for _function in (_Atan2, _Asin, _Acos, _Asinh, _Acosh, _Atanh):
    _function.__name__ = _function.__name__[1:].lower()  # what printed graphs and messages name
