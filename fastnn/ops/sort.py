"""Sorting, and the greatest of many."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import current
from ..tensor import Array, Tensor, torch_names
from . import arrays
from .data import gather
from .door import as_tensor, axis_of, whole_number
from .elementwise import astype
from .index import ALL, getitem


def _order(x: Tensor, axis: int, descending: bool) -> Tensor:
    if x.dtype == np.bool_:
        x = astype(x, np.int64)
    k, around = current(), arrays.around(x.shape, axis)
    index: Array = k.empty(around, np.int64)
    k.argsort(index, x.data.reshape(around), int(descending))
    return Tensor(index.reshape(x.shape))


@torch_names
def argsort(x: Any, axis: int = -1, descending: bool = False) -> Tensor:
    """The places of the elements along an axis, in ascending order of their values; equal ones stay in order, NaN is greatest.

    >>> import fastnn
    >>> fastnn.argsort(fastnn.tensor([3.0, 1.0, 2.0])).tolist()
    [1, 2, 0]
    """
    x = as_tensor(x, "argsort")
    return _order(x, axis_of(axis, x.ndim, "argsort"), descending)


@torch_names
def sort(x: Any, axis: int = -1, descending: bool = False) -> Tensor:
    """The elements along an axis in ascending order, as in NumPy and Keras without their places; NaN is greatest."""
    x = as_tensor(x, "sort")
    axis = axis_of(axis, x.ndim, "sort")
    return gather(x, axis, _order(x, axis, descending))


@torch_names
def topk(x: Any, k: int, axis: int = -1) -> tuple[Tensor, Tensor]:
    """The k greatest elements along an axis, greatest first, and their places.

    >>> import fastnn
    >>> values, places = fastnn.topk(fastnn.tensor([3.0, 1.0, 4.0, 1.0, 5.0]), 2)
    >>> values.tolist(), places.tolist()
    ([5.0, 4.0], [4, 2])
    """
    x = as_tensor(x, "topk")
    axis = axis_of(axis, x.ndim, "topk")
    if not 0 <= whole_number(k, "topk: k") <= x.shape[axis]:
        raise ValueError(f"topk: k is {k}, wanted a whole number from 0 to the {x.shape[axis]} elements along axis {axis}")
    places = getitem(_order(x, axis, True), (*[ALL] * axis, slice(k)))
    return gather(x, axis, places), places
