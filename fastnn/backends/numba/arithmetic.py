"""Arithmetic on two numbers of one type, by NumPy's rules: NaN wins over any number, and whole numbers wrap around."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from .vmath import inline


@inline
def maximum(a: Any, b: Any) -> Any:
    return a if a > b or a != a else b


@inline
def minimum(a: Any, b: Any) -> Any:
    return a if a < b or a != a else b


_LEAST = np.iinfo(np.int64).min


@inline
def whole(x: Any) -> Any:
    """Convert a float to int64, towards zero; the least one for NaN and for what int64 does not hold."""
    return np.int64(x) if -(2.0**63) <= x < 2.0**63 else _LEAST


def divide(a: Any, b: Any) -> Any:
    """Return the true quotient, towards zero in whole numbers."""


@inline
def power(a: Any, b: Any) -> Any:
    """a^b of whole numbers; with b < 0, the power towards zero."""
    if b < 0:
        return (a if b & 1 else a * a) if a == 1 or a == -1 else 0
    result = 1
    while b:
        if b & 1:
            result *= a
        a *= a
        b >>= 1
    return result


def _divide(a: Any, b: Any) -> Any:
    return _whole_quotient if isinstance(a, types.Integer) else lambda a, b: a / b


def _whole_quotient(a: Any, b: Any) -> Any:
    return whole(np.float64(a) / np.float64(b))


# The right one for a type; Numba is not to compare annotations.
overload(divide, strict=False)(_divide)
