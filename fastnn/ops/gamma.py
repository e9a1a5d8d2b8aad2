"""The logarithm of the gamma function, its derivative, and the inverse of erf, made of other operations."""

from __future__ import annotations

import math
from typing import Any

from ..autograd.tensor import Tensor, no_grad
from .activation import erf
from .cast import astype
from .checks import as_tensor
from .elementwise import abs, add, clip, cos, div, exp, floor, log, mul, neg, real, sin, sqrt, square, sub
from .logic import eq, gt, lt, where

_SHIFT = 8
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
"""Coefficients of 1/x, 1/x^3, ... in log gamma(x); from x = 8 on, what follows is below 1e-15."""


def lgamma(x: Any) -> Tensor:
    """Return the logarithm of the absolute value of the gamma function.

    The error is a few units in the last place of max(|lgamma(x)|, 10). The gradient is `digamma`, and has gradients too.

    >>> import fastnn
    >>> round(fastnn.lgamma(fastnn.tensor(5.0)).item(), 3)  # the logarithm of 24
    3.178
    """
    x = real(as_tensor(x, "lgamma"))
    low = lt(x, 0.5)
    y = _log_gamma(where(low, sub(1, x), x))
    part = sub(x, floor(x))  # sin(pi x) without loss for large x
    sine = where(low, sin(mul(where(gt(part, 0.5), sub(1, part), part), math.pi)), 1.0)
    return where(low, sub(sub(math.log(math.pi), log(sine)), y), y)


def _log_gamma(x: Tensor) -> Tensor:
    """Return log gamma(x), x from 0.5 on: Stirling's series; for small x at x + 8, less the logarithm of the factors between."""
    small = lt(x, _SHIFT)
    product = where(small, x, 1.0)
    for i in range(1, _SHIFT):
        product = mul(product, where(small, add(x, i), 1.0))
    z = where(small, add(x, _SHIFT), x)
    inverse = div(1, z)
    step = square(inverse)
    series: Any = 0.0
    for c in reversed(_STIRLING):
        series = add(mul(step, series), c)
    main = sub(mul(sub(z, 0.5), log(z)), z)
    total = add(add(main, 0.5 * math.log(2 * math.pi)), mul(series, inverse))
    return where(eq(x, math.inf), x, sub(total, log(product)))


def digamma(x: Any) -> Tensor:
    """Return the derivative of `lgamma`; NaN at 0, -1, -2, ...

    >>> import fastnn
    >>> round(fastnn.digamma(fastnn.tensor(1.0)).item(), 4)  # less Euler's constant
    -0.5772
    """
    x = real(as_tensor(x, "digamma"))
    low = lt(x, 0.5)
    y = _digamma(where(low, sub(1, x), x))
    part = mul(where(low, sub(x, floor(x)), 0.5), math.pi)
    return where(low, sub(y, div(mul(cos(part), math.pi), sin(part))), y)


def _digamma(x: Tensor) -> Tensor:
    small = lt(x, _SHIFT)
    terms: Any = 0.0
    for i in range(_SHIFT):
        terms = add(terms, where(small, div(1, add(x, i)), 0.0))
    z = where(small, add(x, _SHIFT), x)
    inverse = div(1, z)
    step = square(inverse)
    series: Any = 0.0
    for i, c in reversed(list(enumerate(_STIRLING))):
        series = add(mul(step, series), c * (2 * i + 1))
    return sub(sub(sub(log(z), mul(inverse, 0.5)), mul(series, step)), terms)


def erfinv(x: Any) -> Tensor:
    """Return the inverse of erf: infinite at -1 and 1, NaN beyond.

    >>> import fastnn
    >>> round(fastnn.erfinv(fastnn.tensor(0.5)).item(), 4)
    0.4769
    """
    narrow = real(as_tensor(x, "erfinv"))
    x = astype(narrow, "float64")  # near 1, erf in float32 says too little of x
    size = abs(x)
    inside = lt(size, 1.0)
    given = where(inside, x, 0.0)
    with no_grad():
        y = _first_guess(given)
        for _ in range(3):
            y = add(y, _distance(y, given))
        y = y.detach()
    u, y2 = _distance(y, given), square(y)  # three terms of the series around y: as many derivatives are right
    z = add(y, mul(u, add(1.0, mul(u, add(y, mul(u, div(add(1.0, mul(y2, 4.0)), 3.0)))))))
    return astype(where(inside, z, where(eq(size, 1.0), where(gt(x, 0.0), math.inf, -math.inf), math.nan)), narrow.dtype)


def _distance(y: Tensor, x: Tensor) -> Tensor:
    return mul(mul(sub(x, erf(y)), 0.5 * math.sqrt(math.pi)), exp(square(y)))


def _first_guess(x: Tensor) -> Tensor:
    """Return Winitzki's approximation of erfinv, whose error is below 0.002."""
    a = 0.147
    tail = log(clip(mul(sub(1, x), add(1, x)), 1e-300))
    b = add(mul(tail, 0.5), 2 / (math.pi * a))
    size = sqrt(clip(sub(sqrt(sub(square(b), div(tail, a))), b), 0.0))
    return where(lt(x, 0.0), neg(size), size)
