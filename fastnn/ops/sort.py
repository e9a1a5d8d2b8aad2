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
from .reduce import Extreme, bound, torch_call


def _order(x: Tensor, axis: int, descending: bool) -> Tensor:
    if x.dtype == np.bool_:
        x = astype(x, np.int64)
    k, around = current(), arrays.around(x.shape, axis)
    index: Array = k.empty(around, np.int64)
    k.argsort(index, x.data.reshape(around), int(descending))
    return Tensor(index.reshape(x.shape))


@torch_names
def argsort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The places of the elements along an axis, in ascending order of their values; equal ones stay in order, NaN is greatest.

    stable: changes nothing, for the order is stable in any case.

    >>> import fastnn
    >>> fastnn.argsort(fastnn.tensor([3.0, 1.0, 2.0])).tolist()
    [1, 2, 0]
    """
    x = as_tensor(x, "argsort")
    return _order(x, axis_of(axis, x.ndim, "argsort"), descending)


def sort(x: Any, *args: Any, **kwargs: Any) -> Any:
    """The elements along an axis in ascending order; equal ones stay in order, NaN is greatest.

    - ``sort(x, axis=-1, descending=False)``, with NumPy's keyword, gives the values.
    - Any other call is PyTorch's: ``sort(x, dim=-1, descending=False, stable=True)`` gives ``(values, indices)``.

    Raises:
        TypeError: axis together with PyTorch's dim.

    >>> import fastnn
    >>> values, indices = fastnn.sort(fastnn.tensor([3.0, 1.0, 2.0]))
    >>> values.tolist(), indices.tolist()
    ([1.0, 2.0, 3.0], [1, 2, 0])
    >>> fastnn.sort(fastnn.tensor([3.0, 1.0, 2.0]), axis=0).tolist()
    [1.0, 2.0, 3.0]
    """
    x = as_tensor(x, "sort")
    both = {name: kwargs.pop(name) for name in ("descending", "stable") if name in kwargs}
    torchs = torch_call("sort", args, kwargs, ("axis",))
    given = bound("sort", ("dim" if torchs else "axis", "descending", "stable"), args, kwargs | both)
    axis = axis_of(given.get("dim" if torchs else "axis", -1), x.ndim, "sort")
    indices = _order(x, axis, given.get("descending", False))
    values = gather(x, axis, indices)
    return Extreme(values, indices) if torchs else values


@torch_names
def topk(x: Any, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> Extreme:
    """The k greatest elements along an axis, greatest first, and their places: ``(values, indices)``, as in PyTorch and Keras.

    Args:
        largest: False gives the smallest ones, smallest first.
        sorted: changes nothing, for they are sorted in any case.

    >>> import fastnn
    >>> values, places = fastnn.topk(fastnn.tensor([3.0, 1.0, 4.0, 1.0, 5.0]), 2)
    >>> values.tolist(), places.tolist()
    ([5.0, 4.0], [4, 2])
    """
    x = as_tensor(x, "topk")
    axis = axis_of(axis, x.ndim, "topk")
    if not 0 <= whole_number(k, "topk: k") <= x.shape[axis]:
        raise ValueError(f"topk: k is {k}, wanted a whole number from 0 to the {x.shape[axis]} elements along axis {axis}")
    indices = getitem(_order(x, axis, largest), (*[ALL] * axis, slice(k)))
    return Extreme(gather(x, axis, indices), indices)
