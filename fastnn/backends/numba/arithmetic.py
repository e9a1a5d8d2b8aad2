"""Arithmetic on two numbers of one type, by NumPy's rules: NaN wins over any number, and whole numbers wrap around."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from .vmath import bits, exp, inline, log


@inline
def maximum(a: Any, b: Any) -> Any:
    return a if a > b or a != a else b


@inline
def minimum(a: Any, b: Any) -> Any:
    return a if a < b or a != a else b


def divide(a: Any, b: Any) -> Any:
    """The true quotient, towards zero in whole numbers."""


def power(a: Any, b: Any) -> Any:
    """a^b; in whole numbers with b < 0, the power towards zero."""


def _divide(a: Any, b: Any) -> Any:
    return _whole_quotient if isinstance(a, types.Integer) else lambda a, b: a / b


def _whole_quotient(a: Any, b: Any) -> Any:
    return np.int64(np.float64(a) / np.float64(b))


def _power(a: Any, b: Any) -> Any:
    if isinstance(a, types.Integer):
        return _whole_power
    return _power32 if a == types.float32 else lambda a, b: a**b


def _power32(a: Any, b: Any) -> Any:
    """By way of float64, whose logarithm has digits to spare: unlike the C library's it vectorises."""
    x, y = np.float64(a), np.float64(b)
    size = exp(np.float64, y * log(np.float64, abs(x)))
    infinite = (y == y) & (y - y != 0)
    size = 1.0 if (y == 0) | (x == 1) | (infinite & (x == -1)) else size
    whole = np.floor(y) == y
    size = -size if (bits(a) < 0) & whole & (np.floor(y * 0.5) * 2 != y) else size
    return np.float32(np.nan if (x < 0) & (x - x == 0) & ~whole else size)


def _whole_power(a: Any, b: Any) -> Any:
    if b < 0:
        return (a if b & 1 else a * a) if a == 1 or a == -1 else 0
    result = 1
    while b:
        if b & 1:
            result *= a
        a *= a
        b >>= 1
    return result


# The right one for a type; Numba is not to compare annotations.
overload(divide, strict=False)(_divide)
overload(power, strict=False, jit_options={"forceinline": True})(_power)
