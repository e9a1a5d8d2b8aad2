"""Functions of the bits of whole numbers and bools, with PyTorch's names.

They are computed on the host, so that steps that use them are not recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from .search import made, read


def _whole(op: str, x: Any) -> np.ndarray[Any, Any]:
    values = read(x, op)
    if values.dtype.kind not in "ib":
        raise TypeError(f"{op}: a Tensor of dtype {values.dtype} came, wanted whole numbers or bools")
    return values


def _of_two(op: str, f: Callable[[Any, Any], Any], x: Any, y: Any) -> Tensor:
    return made(f(_whole(op, x), _whole(op, y)))


def bitwise_and(x: Any, y: Any) -> Tensor:
    """Return the bits that are in both x and y, with broadcasting.

    >>> import fastnn
    >>> fastnn.bitwise_and(fastnn.tensor([12, 7]), 10).tolist()
    [8, 2]
    """
    return _of_two("bitwise_and", np.bitwise_and, x, y)


def bitwise_or(x: Any, y: Any) -> Tensor:
    """Return the bits that are in x or y, with broadcasting."""
    return _of_two("bitwise_or", np.bitwise_or, x, y)


def bitwise_xor(x: Any, y: Any) -> Tensor:
    """Return the bits that are in one of x and y, with broadcasting."""
    return _of_two("bitwise_xor", np.bitwise_xor, x, y)


def bitwise_not(x: Any) -> Tensor:
    """Return the inverted bits: -x - 1, or for bools the other one."""
    return made(np.bitwise_not(_whole("bitwise_not", x)))


def bitwise_left_shift(x: Any, y: Any) -> Tensor:
    """Return the bits of x shifted to the left by y places, with broadcasting.

    >>> import fastnn
    >>> fastnn.bitwise_left_shift(fastnn.tensor([1, 3]), 2).tolist()
    [4, 12]
    """
    return _of_two("bitwise_left_shift", np.left_shift, x, y)


def bitwise_right_shift(x: Any, y: Any) -> Tensor:
    """Return the bits of x shifted to the right by y places, with broadcasting; the sign is kept."""
    return _of_two("bitwise_right_shift", np.right_shift, x, y)
