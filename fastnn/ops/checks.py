"""Checks and conversions of the arguments of operations; errors name the argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from ..autograd.tensor import Tensor, is_grad_enabled
from ..backends import current
from ..core import arrays
from ..core.convert import own_array


def as_tensor(value: Any, op: str, like: Tensor | None = None) -> Tensor:
    """Return the value as a Tensor, with the dtype of `like` if it is not a Tensor. A parameter view becomes a copy."""
    if isinstance(value, Tensor):
        if hasattr(value, "order"):
            from .shape import arranged

            return arranged(cast(Any, value))
        return value
    if isinstance(value, list | tuple) and is_grad_enabled() and any(getattr(v, "requires_grad", False) for v in value):
        raise TypeError(f"{op}: a {type(value).__name__} of Tensors that require a gradient came; make one with fastnn.stack")
    k = current()
    array = own_array(k, value, None if like is None else like.dtype, op)
    k.host_wrote(array)
    return Tensor(array)


def same_dtype(op: str, *tensors: Tensor) -> None:
    """Raise TypeError unless all Tensors have the same dtype."""
    first = tensors[0].dtype
    for t in tensors[1:]:
        if t.dtype != first:
            raise TypeError(f"{op}: Tensors of dtype {first} and {t.dtype} came, wanted one dtype; use astype")


def floating(op: str, t: Tensor) -> Tensor:
    """Return the Tensor; raise TypeError unless it is float32 or float64."""
    if t.dtype.kind != "f":
        raise TypeError(f"{op}: a Tensor of dtype {t.dtype} came, wanted float32 or float64; use astype")
    return t


def check_number(value: Any, name: str, low: float, high: float = float("inf")) -> float:
    """Return the value if it is a finite number from low to high; else raise ValueError."""
    if (
        not isinstance(value, int | float | np.integer | np.floating)
        or not np.isfinite(np.float64(value))
        or not low <= value <= high
    ):
        wanted = f"of at least {low}" if high == float("inf") else f"from {low} to {high}"
        raise ValueError(f"{name} is {value!r}, wanted a finite number {wanted}")
    return float(value)


def whole_number(value: Any, name: str, low: float = float("-inf")) -> int:
    """Return the value if it is a whole number of at least low; else raise TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} is {value!r}, wanted a whole number")
    if value < low:
        raise ValueError(f"{name} is {value}, wanted a whole number of at least {low}")
    return int(value)


def whole_numbers(value: Any, name: str) -> Tensor:
    """Return an array of whole numbers as an int64 Tensor; an empty one may have any dtype.

    Raises:
        TypeError: the dtype is another one.
    """
    t = as_tensor(value, name)
    if t.dtype == np.int64:
        return t
    if t.size and t.dtype.kind not in "iu":
        raise TypeError(f"{name} of dtype {t.dtype} came, wanted whole numbers")
    return Tensor(arrays.cast(current(), t.data, np.dtype(np.int64)))


def positive_int(value: Any, name: str) -> int:
    """Return the value if it is a whole number of at least 1; else raise ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} is {value!r}, wanted a whole number of at least 1")
    return int(value)


def shape_of(shape: Any, name: str) -> tuple[int, ...] | None:
    """Return a shape without the batch axis, from a tuple, a list or a single size."""
    if shape is None:
        return None
    items = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    return tuple(positive_int(n, name) for n in items)


def axis_of(axis: Any, ndim: int, op: str) -> int:
    """Return the axis counted from the front; raise ValueError if it does not exist.

    Some operations treat a Tensor without dimensions like one of size 1, as in PyTorch. They pass an ndim of at least 1.
    """
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
        raise TypeError(f"{op}: axis {axis!r}, wanted a whole number")
    if not -ndim <= axis < ndim:
        raise ValueError(f"{op}: axis {axis} of a Tensor with {ndim} dimensions")
    return int(axis) % ndim


def flag(value: Any, name: str) -> bool:
    """Return the value as a bool."""
    return bool(value)


def optional(check: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """Return a check that also accepts None."""
    return lambda value, name: None if value is None else check(value, name)
