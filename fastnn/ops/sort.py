"""Sorting, medians, and the k greatest elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Array, Tensor, torch_names
from ..backends import current
from ..core import arrays
from .checks import as_tensor, axis_of, floating, whole_number
from .data import gather
from .elementwise import add, astype, mul
from .index import ALL, getitem
from .logic import isnan, where
from .reduce import Extreme, argmax, bound, picked, shared, torch_call
from .shape import reshape, squeeze


def _order(x: Tensor, axis: int, descending: bool) -> Tensor:
    if x.dtype == np.bool_:
        x = astype(x, np.int64)
    k, around = current(), arrays.around(x.shape, axis)
    index: Array = k.empty(around, np.int64)
    k.argsort(index, x.data.reshape(around), int(descending))
    return Tensor(index.reshape(x.shape))


@torch_names
def argsort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Return the positions that sort the elements along an axis, ascending; equal ones stay in order, NaN is greatest.

    stable: has no effect, since the order is always stable.

    >>> import fastnn
    >>> fastnn.argsort(fastnn.tensor([3.0, 1.0, 2.0])).tolist()
    [1, 2, 0]
    """
    x = as_tensor(x, "argsort")
    return _order(x, axis_of(axis, max(x.ndim, 1), "argsort"), descending)


def sort(x: Any, *args: Any, **kwargs: Any) -> Any:
    """Return the elements along an axis in ascending order; equal ones stay in order, NaN is greatest.

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
    axis = axis_of(given.get("dim" if torchs else "axis", -1), max(x.ndim, 1), "sort")
    descending = given.get("descending", False)
    made = picked("sort", x, axis, _order(x, axis, descending), descending=descending)
    return made if torchs else made.values


def median(x: Any, *args: Any, **kwargs: Any) -> Any:
    """Find the median of all elements, or along an axis; NaN where any of them is NaN.

    - ``median(x)`` gives the lower median of all, as in PyTorch: of an even number of elements, the smaller one in the middle.
    - ``median(x, axis=1, keepdims=False)``, with NumPy's keywords, gives the mean of the two in the middle, along an axis or, for
      None, of all.
    - ``median(x, 1)`` and ``median(x, dim=1, keepdim=False)``, as in PyTorch, give the lower median and its place:
      ``(values, indices)``.

    The gradients are like those of `max`: equal elements share the gradient, but with indices, the element at the index gets it.

    Raises:
        TypeError: NumPy's and PyTorch's keywords in one call.
        ValueError: no elements along the axis.

    >>> import fastnn
    >>> x = fastnn.tensor([[1.0, 5.0], [4.0, 3.0]])
    >>> x.median().item(), x.median(axis=None).item()
    (3.0, 3.5)
    >>> x.median(dim=1)
    Extreme(values=tensor([1., 3.]), indices=tensor([0, 1], dtype=int64))
    """
    x = as_tensor(x, "median")
    torchs = torch_call("median", args, kwargs, ("axis", "keepdims"))
    names = ("dim", "keepdim") if torchs else ("axis", "keepdims")
    given = bound("median", names, args, kwargs)
    axis, keepdims = given.get(names[0]), given.get(names[1], False)
    if axis is None:
        if torchs and given:
            raise TypeError(f"median: {', '.join(given)} came without dim; over all elements, call it with keepdims=")
        flat = reshape(x, -1)
        y = gather(flat.detach(), 0, _middle(flat.detach(), 0)) if torchs else _mean_of_middle(flat, 0)
        y = reshape(y, (1,) * x.ndim if keepdims else ())
        return shared("median", x, y) if torchs else y
    axis = axis_of(axis, max(x.ndim, 1), "median")
    if not torchs:
        y = _mean_of_middle(x, axis)
        return y if keepdims else squeeze(y, axis)
    return picked("median", x, axis, _middle(x, axis), keepdims)


def _middle(x: Tensor, axis: int, upper: bool = False) -> Tensor:
    """Return the index of the middle element along an axis, which is kept with size 1; for an even number, the lower or upper."""
    n = x.shape[axis] if x.ndim else 1
    if not n:
        raise ValueError(f"median: shape {x.shape} has no elements along axis {axis}")
    order = _order(x, axis, False)
    at = n // 2 if upper else (n - 1) // 2
    place = getitem(order, (*[ALL] * axis, slice(at, at + 1))) if x.ndim else order
    if x.dtype.kind == "f":
        greatest = argmax(x, axis, True)  # NaN if there is any
        place = where(isnan(gather(x.detach(), axis, greatest)), greatest, place)
    return place


def _mean_of_middle(x: Tensor, axis: int) -> Tensor:
    lower = gather(floating("median", x), axis, _middle(x, axis))
    if x.ndim and x.shape[axis] % 2:
        return lower
    return add(mul(lower, 0.5), mul(gather(x, axis, _middle(x, axis, upper=True)), 0.5))


@torch_names
def topk(x: Any, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> Extreme:
    """Return the k greatest elements along an axis, greatest first: ``(values, indices)``, as in PyTorch and Keras.

    Args:
        largest: False gives the smallest ones, smallest first.
        sorted: has no effect, since the result is always sorted.

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
    return picked("topk", x, axis, indices, k=int(k), largest=largest)
