"""Division with a whole quotient, and its remainder."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from . import elementwise, logic
from .cast import astype
from .elementwise import abs, div, floor, mul, operands, sign, sub


def floor_divide(x: Any, y: Any) -> Tensor:
    """Return the largest whole number <= x / y, with broadcasting; also ``x // y``. The gradient is 0.

    Whole numbers stay whole numbers.

    Raises:
        ZeroDivisionError: x and y are whole numbers, and an element of y is 0.

    >>> import fastnn
    >>> (fastnn.tensor([7, -7]) // 2).tolist(), (fastnn.tensor([5.5]) // 2).tolist()
    ([3, -4], [2.0])
    """
    return _quotient("floor_divide", x, y, floor)


def remainder(x: Any, y: Any) -> Tensor:
    """x - floor(x / y) y: the remainder with the sign of y, with broadcasting; also ``x % y``.

    Raises:
        ZeroDivisionError: x and y are whole numbers, and an element of y is 0.

    >>> import fastnn
    >>> (fastnn.tensor([7, -7]) % 3).tolist(), (fastnn.tensor([5.5]) % 2).tolist()
    ([1, 2], [1.5])
    """
    return _rest("remainder", x, y, floor)


def fmod(x: Any, y: Any) -> Tensor:
    """x - trunc(x / y) y: the remainder with the sign of x, with broadcasting.

    Raises:
        ZeroDivisionError: x and y are whole numbers, and an element of y is 0.

    >>> import fastnn
    >>> fastnn.fmod(fastnn.tensor([7, -7]), 3).tolist()
    [1, -1]
    """
    return _rest("fmod", x, y, trunc)


def trunc(x: Any) -> Tensor:
    """Round towards 0, in x's dtype; the gradient is 0."""
    return mul(sign(x), floor(abs(x)))


def _quotient(op: str, x: Any, y: Any, rounded: Any) -> Tensor:
    x, y = operands(op, x, y)
    if x.dtype.kind == "f":
        quotient: Tensor = rounded(div(x, y))
        return quotient
    if y.size and (y.data == 0).any():
        raise ZeroDivisionError(f"{op}: whole numbers are divided by 0")
    # Quotients of float64 are exact up to 2^53. The quotient of the rest corrects larger ones.
    wide = astype(y, np.float64)
    quotient = astype(rounded(div(astype(x, np.float64), wide)), np.int64)
    rest = sub(x, mul(quotient, y))
    return elementwise.add(quotient, astype(rounded(div(astype(rest, np.float64), wide)), np.int64))


def _rest(op: str, x: Any, y: Any, rounded: Any) -> Tensor:
    x, y = operands(op, x, y)
    if x.dtype.kind != "f":
        return sub(x, mul(_quotient(op, x, y, rounded), y))
    # In float64, so that the quotient of float32 numbers is exact, unless it is very large.
    a, b = astype(x, np.float64), astype(y, np.float64)
    rest = sub(a, mul(rounded(div(a, b)), b))
    if rounded is floor:
        rest = logic.where(logic.eq(rest, b), 0.0, rest)
    return astype(rest, x.dtype)
