"""Copies of a Tensor that are changed at indices, with PyTorch's names; made of `scatter` and `scatter_add`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, torch_names
from .cast import astype
from .checks import as_tensor, axis_of
from .composed import scatter
from .data import as_index, from_0, scatter_add
from .elementwise import add, mul
from .search import nonzero
from .shape import broadcast_to, reshape


def _along(op: str, x: Any, axis: int, index: Any, source: Any) -> tuple[Tensor, int, Tensor, Tensor]:
    """Return x, the axis, and index and source of one shape, for entries along an axis."""
    x = as_tensor(x, op)
    axis = axis_of(axis, x.ndim, op)
    index, source = as_index(index, op, x.shape[axis]), as_tensor(source, op, x)
    wanted = (*x.shape[:axis], index.size, *x.shape[axis + 1 :])
    if index.ndim != 1 or source.shape != wanted:
        raise ValueError(
            f"{op}: an index of shape {index.shape} and a source of shape {source.shape} came for x of shape {x.shape};"
            f" wanted an index of one dimension, and a source with its size on axis {axis}: {wanted}"
        )
    return x, axis, broadcast_to(reshape(index, (-1, *(1,) * (x.ndim - 1 - axis))), wanted), source


def _added(x: Tensor, axis: int, index: Tensor, source: Tensor) -> Tensor:
    if x.dtype.kind == "f":
        return scatter_add(x, axis, index, source)
    return astype(scatter_add(astype(x, np.float64), axis, index, astype(source, np.float64)), x.dtype)


@torch_names
def index_add(x: Any, axis: int, index: Any, source: Any, *, alpha: float = 1) -> Tensor:
    """Return a copy of x to whose entries along an axis those of source are added, alpha times, like PyTorch's index_add.

    An index may come several times: its entries are added up.

    Shapes: index (n,), source the shape of x with n on the axis.

    >>> import fastnn
    >>> fastnn.index_add(fastnn.zeros(3), 0, [2, 2, 0], fastnn.tensor([1.0, 0.5, 4.0])).tolist()
    [4.0, 0.0, 1.5]
    """
    x, axis, index, source = _along("index_add", x, axis, index, source)
    return _added(x, axis, index, source if alpha == 1 else mul(source, alpha))


@torch_names
def index_copy(x: Any, axis: int, index: Any, source: Any) -> Tensor:
    """Return a copy of x whose entries along an axis are replaced by those of source, like PyTorch's index_copy.

    Shapes: index (n,), source the shape of x with n on the axis.

    Raises:
        ValueError: an index comes several times, or the shapes are others.

    >>> import fastnn
    >>> fastnn.index_copy(fastnn.zeros(3), 0, [2, 0], fastnn.tensor([1.0, 4.0])).tolist()
    [4.0, 0.0, 1.0]
    """
    return scatter(*_along("index_copy", x, axis, index, source))


@torch_names
def index_fill(x: Any, axis: int, index: Any, value: float) -> Tensor:
    """Return a copy of x whose entries with these indices along an axis are a number.

    >>> import fastnn
    >>> fastnn.index_fill(fastnn.zeros(3), 0, [2, 0], 7.0).tolist()
    [7.0, 0.0, 7.0]
    """
    x = as_tensor(x, "index_fill")
    axis = axis_of(axis, x.ndim, "index_fill")
    index = as_index(index, "index_fill", x.shape[axis])
    shape = (*x.shape[:axis], index.size, *x.shape[axis + 1 :])
    return scatter(x, axis, broadcast_to(reshape(index, (-1, *(1,) * (x.ndim - 1 - axis))), shape), value)


def index_put(x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Tensor:
    """Return a copy of x in which x[indices] is values, like PyTorch's index_put.

    Args:
        x: any shape with dimensions.
        indices: an index Tensor for each of the first axes, which broadcast; or one mask of bools, whose values are read.
        values: Tensor or number that broadcasts to x[indices].
        accumulate: whether values are added instead; then the same place may come several times.

    Raises:
        ValueError: without accumulate, a place comes several times.

    >>> import fastnn
    >>> fastnn.index_put(fastnn.zeros(2, 2), ([0, 1], [1, 0]), fastnn.tensor([5.0, 7.0])).tolist()
    [[0.0, 5.0], [7.0, 0.0]]
    """
    x = as_tensor(x, "index_put")
    given: list[Any] = [as_tensor(i, "index_put") for i in indices]
    if len(given) == 1 and given[0].dtype == np.bool_:
        if given[0].shape != x.shape[: given[0].ndim]:
            raise ValueError(f"index_put: a mask of shape {given[0].shape} came for x of shape {x.shape}")
        given = list(nonzero(given[0], as_tuple=True))
    if not 1 <= len(given) <= x.ndim:
        raise ValueError(f"index_put: {len(given)} indices came, wanted 1 to {x.ndim}, one for each of the first axes of x")
    sizes, rest = x.shape[: len(given)], x.shape[len(given) :]
    flat: Any = 0
    for index, n in zip(given, sizes, strict=True):
        flat = add(mul(flat, n), from_0(as_index(index, "index_put", n), n))
    values = broadcast_to(as_tensor(values, "index_put", x), (*flat.shape, *rest))
    rows = reshape(x, (math.prod(sizes), *rest))
    change = index_add if accumulate else index_copy
    return reshape(change(rows, 0, reshape(flat, (-1,)), reshape(values, (flat.size, *rest))), x.shape)
