"""Comparisons of whole Tensors, and results whose size depends on the values, with PyTorch's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, torch_names
from ..backends import current
from .cast import astype
from .checks import as_tensor, whole_number
from .elementwise import abs, add, mul, operands, sub
from .index import getitem
from .logic import eq, isnan, le, logical_and, logical_or, lt
from .reduce import Axis
from .reduce import sum as total


def isclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Return whether |x - y| <= atol + rtol |y|, element by element with broadcasting; equal infinities are close.

    >>> import fastnn
    >>> fastnn.isclose(fastnn.tensor([1.0, 2.0]), fastnn.tensor([1.0, 2.1])).tolist()
    [True, False]
    """
    x, y = operands("isclose", x, y)
    same = eq(x, y)
    if x.dtype.kind != "f":
        return same
    size = abs(y)
    near = logical_and(le(abs(sub(x, y)), add(mul(size, rtol), atol)), lt(size, float("inf")))
    close = logical_or(same, near)
    return logical_or(close, logical_and(isnan(x), isnan(y))) if equal_nan else close


def allclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Return whether all elements are close, as a Python bool; see `isclose`."""
    return bool(isclose(x, y, rtol, atol, equal_nan).all())


def equal(x: Tensor, y: Tensor) -> bool:
    """Return whether two Tensors have the same shape and elements, as a Python bool."""
    return x.shape == y.shape and bool(eq(x, y).all())


@torch_names
def count_nonzero(x: Any, axis: Axis = None) -> Tensor:
    """Return the number of elements that are not 0, along an axis, several or all."""
    return total(as_tensor(x, "count_nonzero") != 0, axis)


def read(x: Any, op: str) -> np.ndarray[Any, Any]:
    """Return the values on the host. Steps that do this are not recorded, since the size of their results may change."""
    t, k = as_tensor(x, op), current()
    k.host_reads(op)
    return k.to_numpy(t.data)


def made(values: np.ndarray[Any, Any]) -> Tensor:
    """Return values that were computed on the host as a Tensor."""
    return as_tensor(np.asarray(values, order="C"), "values")


def nonzero(x: Any, *, as_tuple: bool = False) -> Any:
    """Return the indices of the elements that are not 0: (n, dimensions), or with as_tuple a Tensor (n,) for each dimension.

    >>> import fastnn
    >>> fastnn.nonzero(fastnn.tensor([[0, 1], [2, 0]])).tolist()
    [[0, 1], [1, 0]]
    """
    places = np.nonzero(read(x, "nonzero"))
    return tuple(map(made, places)) if as_tuple else made(np.stack(places, 1))


def masked_select(x: Any, mask: Any) -> Tensor:
    """Return the elements where the mask is true, in one dimension."""
    x, mask = as_tensor(x, "masked_select"), as_tensor(mask, "masked_select")
    shape = np.broadcast_shapes(x.shape, mask.shape)
    return getitem(x.expand(shape), mask.expand(shape))


def unique(x: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """Return the different elements, in ascending order, or with dim the different parts along an axis.

    Args:
        sorted: has no effect, since the result is always sorted.
        return_inverse: whether to return the index of each element among the different ones, too.
        return_counts: whether to return how often each occurs, too.

    >>> import fastnn
    >>> values, counts = fastnn.unique(fastnn.tensor([3, 1, 3]), return_counts=True)
    >>> values.tolist(), counts.tolist()
    ([1, 3], [1, 2])
    """
    a = read(x, "unique")
    values, inverse, counts = np.unique(a, return_inverse=True, return_counts=True, axis=dim)
    found = [made(values)]
    if return_inverse:
        found.append(made(inverse.reshape(a.shape if dim is None else -1)))
    if return_counts:
        found.append(made(counts))
    return found[0] if len(found) == 1 else tuple(found)


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Tensor:
    """Return how often each whole number from 0 on occurs in a vector, or the sums of their weights.

    >>> import fastnn
    >>> fastnn.bincount(fastnn.tensor([0, 2, 2])).tolist()
    [1, 0, 2]
    """
    a = read(x, "bincount")
    if a.dtype.kind not in "iub" or a.ndim != 1 or (a.size and a.min() < 0):
        raise ValueError(f"bincount: {a.dtype} of shape {a.shape} came, wanted a vector of whole numbers from 0 on")
    given = None if weights is None else read(weights, "bincount")
    counts = np.bincount(a, given, whole_number(minlength, "bincount: minlength", 0))
    return made(counts if given is None else counts.astype(given.dtype if given.dtype.kind == "f" else np.float64))


def searchsorted(sorted_sequence: Any, values: Any, *, right: bool = False) -> Tensor:
    """Return the index in an ascending vector at which each value can be inserted; with right behind equal elements.

    >>> import fastnn
    >>> fastnn.searchsorted(fastnn.tensor([1.0, 3.0, 5.0]), fastnn.tensor([2.0, 3.0])).tolist()
    [1, 1]
    """
    edges, x = operands("searchsorted", sorted_sequence, values)
    if edges.ndim != 1:
        raise ValueError(f"searchsorted: the sequence has shape {edges.shape}, wanted one dimension")
    column = x.unsqueeze(-1)
    return total(astype(edges <= column if right else edges < column, np.int64), -1)


def bucketize(values: Any, boundaries: Any, *, right: bool = False) -> Tensor:
    """Return the number of the interval between ascending boundaries in which each value lies, see `searchsorted`."""
    return searchsorted(boundaries, values, right=right)
