"""The activations that are functions of Tensor arithmetic, and how the table of all of them is made.

Of each there is the value f(x) and the slope dy f'(z), where y = f(z). They take T, the type of their numbers, first (see
vmath.py), and the parameters p and q last. Where spec.ACTIVATIONS does not say ``saves_z``, a slope must not look at z. What they
compute is defined in the spec and backends/reference/activation.py; the formulas here keep to float32's range.

To add one: a line in spec.ACTIVATIONS, and here or in network.py its value and its slope.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import special, vmath
from .vmath import high, inline, low

Function = Callable[..., Any]

VALUES: dict[str, Function] = {}
SLOPES: dict[str, Function] = {}
NEAR: dict[str, tuple[Function, Function, Function]] = {}
"""Of some, which numbers x can be computed on vectors, f(T, x, p, q), and how: value and slope there."""


def value(function: Function) -> Function:
    """Register f(T, x, p, q), the value of the activation of its name; an underscore at the end is none of the name."""
    VALUES[function.__name__.rstrip("_")] = function
    return inline(function)  # type: ignore[no-any-return]


def slope(*names: str) -> Callable[[Function], Function]:
    """Register f(T, dy, z, y, p, q), the slope of these activations."""

    def decorate(function: Function) -> Function:
        SLOPES.update(dict.fromkeys(names, function))
        return inline(function)  # type: ignore[no-any-return]

    return decorate


@value
def exponential(T: Any, x: Any, p: Any, q: Any) -> Any:
    return vmath.exp(T, x)


@slope("exponential")
def _exponential(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * y


@value
def log(T: Any, x: Any, p: Any, q: Any) -> Any:
    return vmath.log(T, x)


@slope("log")
def _log(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy / z


@value
def sqrt(T: Any, x: Any, p: Any, q: Any) -> Any:
    return math.sqrt(x)


@slope("sqrt")
def _sqrt(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy / (y + y)


@value
def abs_(T: Any, x: Any, p: Any, q: Any) -> Any:
    return abs(x)


@slope("abs")
def _abs(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * sign(T, z, p, q)


@value
def clip(T: Any, x: Any, p: Any, q: Any) -> Any:
    return low(high(x, p), q)


@slope("clip")
def _clip(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return T(0) if (z < p) | (z > q) else dy


@value
def affine(T: Any, x: Any, p: Any, q: Any) -> Any:
    return p * x + q


@slope("affine")
def _affine(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * p


@value
def power(T: Any, x: Any, p: Any, q: Any) -> Any:
    # The exponents that people use, without the C library.
    if p == T(2):
        return x * x
    if p == T(1):
        return x
    if p == T(0.5):
        return T(math.sqrt(x))
    if p == T(-1):
        return T(1) / x
    return T(x**p)


@slope("power")
def _power(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    if p == T(0):
        return dy * (T(0) * z)
    return dy * (p * power(T, z, p - T(1), q))


@value
def erf(T: Any, x: Any, p: Any, q: Any) -> Any:
    return special.erf(T, x)


@slope("erf")
def _erf(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * (T(1.12837916709551257390) * vmath.exp(T, -z * z))


@value
def sin(T: Any, x: Any, p: Any, q: Any) -> Any:
    return special.sin(T, p * x)


@slope("sin")
def _sin(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * (p * special.cos(T, p * z))


@inline
def _sin_inside(T: Any, x: Any, p: Any, q: Any) -> Any:
    return special.is_near(T, p * x)


@inline
def _sin_near(T: Any, x: Any, p: Any, q: Any) -> Any:
    return special.sin_near(T, p * x)


@inline
def _sin_slope_near(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * (p * special.cos_near(T, p * z))


@value
def cos(T: Any, x: Any, p: Any, q: Any) -> Any:
    return special.cos(T, x)


@slope("cos")
def _cos(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return -dy * special.sin(T, z)


@inline
def _cos_inside(T: Any, x: Any, p: Any, q: Any) -> Any:
    return special.is_near(T, x)


@inline
def _cos_near(T: Any, x: Any, p: Any, q: Any) -> Any:
    return special.cos_near(T, x)


@inline
def _cos_slope_near(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return -dy * special.sin_near(T, z)


NEAR["sin"] = _sin_inside, _sin_near, _sin_slope_near
NEAR["cos"] = _cos_inside, _cos_near, _cos_slope_near


@value
def log1p(T: Any, x: Any, p: Any, q: Any) -> Any:
    return vmath.log1p(T, x)


@slope("log1p")
def _log1p(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy / (T(1) + z)


@value
def expm1(T: Any, x: Any, p: Any, q: Any) -> Any:
    return vmath.expm1(T, x)


@slope("expm1")
def _expm1(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * (y + T(1))


@value
def sign(T: Any, x: Any, p: Any, q: Any) -> Any:
    return T(1) if x > T(0) else (T(-1) if x < T(0) else x)  # 0 and NaN stay


@value
def floor(T: Any, x: Any, p: Any, q: Any) -> Any:
    return np.floor(x)


@value
def ceil(T: Any, x: Any, p: Any, q: Any) -> Any:
    return np.ceil(x)


@value
def round_(T: Any, x: Any, p: Any, q: Any) -> Any:
    return np.rint(x)


@slope("sign", "floor", "ceil", "round")
def _step(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return T(0)
