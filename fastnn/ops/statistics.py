"""Order statistics, running extremes, histograms and covariances, with PyTorch's names."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..autograd.tensor import Tensor, torch_names
from .cast import astype
from .checks import as_tensor, axis_of, floating, whole_number
from .create import zeros
from .data import gather
from .dense import matmul
from .elementwise import add, clip, div, mul, real, sqrt, sub
from .index import ALL, getitem
from .logic import eq, ge, isnan, le, logical_and, logical_not, logical_or, where
from .matrices import diagonals
from .reduce import Axis, Extreme, amax, amin, argmax, mean, picked
from .reduce import any as some
from .reduce import sum as total
from .search import made, nonzero, read
from .shape import reshape, stack, swap_axes, transpose, unsqueeze
from .sort import argsort, sort


class Ends(NamedTuple):
    """The smallest and the greatest element."""

    min: Tensor
    max: Tensor


@torch_names
def aminmax(x: Any, *, axis: int | None = None, keepdims: bool = False) -> Ends:
    """Return the smallest and the greatest element, along an axis or of all.

    >>> import fastnn
    >>> low, high = fastnn.aminmax(fastnn.tensor([3.0, 1.0, 2.0]))
    >>> low.item(), high.item()
    (1.0, 3.0)
    """
    return Ends(amin(x, axis, keepdims), amax(x, axis, keepdims))


@torch_names
def kthvalue(x: Any, k: int, axis: int = -1, keepdims: bool = False) -> Extreme:
    """Return the k-th smallest element along an axis, counted from 1, and its index: ``(values, indices)``.

    >>> import fastnn
    >>> fastnn.kthvalue(fastnn.tensor([3.0, 1.0, 2.0]), 2)
    Extreme(values=tensor(2.), indices=tensor(2, dtype=int64))
    """
    x = as_tensor(x, "kthvalue")
    axis = axis_of(axis, max(x.ndim, 1), "kthvalue")
    n = x.shape[axis] if x.ndim else 1
    if not 1 <= whole_number(k, "kthvalue: k") <= n:
        raise ValueError(f"kthvalue: k is {k}, wanted a whole number from 1 to the {n} elements along axis {axis}")
    order = argsort(x, axis)
    at = getitem(order, (*[ALL] * axis, slice(k - 1, k))) if x.ndim else order
    return picked("kthvalue", x, axis, at, keepdims)


@torch_names
def mode(x: Any, axis: int = -1, keepdims: bool = False) -> Extreme:
    """Return the most frequent element along an axis, the smallest of several, and its last index: ``(values, indices)``.

    >>> import fastnn
    >>> fastnn.mode(fastnn.tensor([2, 3, 3, 1])).values.item()
    3
    """
    x = as_tensor(x, "mode")
    axis = axis_of(axis, max(x.ndim, 1), "mode")
    if not x.ndim:
        return picked("mode", x, 0, argsort(x, 0), keepdims)
    order = argsort(x, axis)
    values = gather(x.detach(), axis, order)
    same = astype(eq(unsqueeze(values, axis), unsqueeze(values, axis + 1)), np.int64)
    counts = total(same, axis + 1)
    first = argmax(counts, axis, True)  # the first of the greatest counts belongs to the smallest element
    last = sub(add(first, amax(counts, axis, True)), 1)
    return picked("mode", x, axis, gather(order, axis, last), keepdims)


def msort(x: Any) -> Tensor:
    """Return the elements sorted along the first axis."""
    values: Tensor = sort(x, axis=0)
    return values


@torch_names
def cummax(x: Any, axis: int) -> Extreme:
    """Return the running maximum along an axis, and its indices: ``(values, indices)``; of equal ones the last, as in PyTorch.

    >>> import fastnn
    >>> values, indices = fastnn.cummax(fastnn.tensor([1.0, 3.0, 2.0]), 0)
    >>> values.tolist(), indices.tolist()
    ([1.0, 3.0, 3.0], [0, 1, 1])
    """
    return _running("cummax", x, axis, ge)


@torch_names
def cummin(x: Any, axis: int) -> Extreme:
    """Return the running minimum along an axis, and its indices: ``(values, indices)``; of equal ones the last."""
    return _running("cummin", x, axis, le)


def _running(op: str, x: Any, axis: int, before: Any) -> Extreme:
    x = as_tensor(x, op)
    axis = axis_of(axis, max(x.ndim, 1), op)
    if not x.size or not x.ndim:
        return picked(op, x, axis, astype(mul(x.detach(), 0), np.int64))
    parts = [getitem(x.detach(), (*[ALL] * axis, i)) for i in range(x.shape[axis])]
    held, at = parts[0], astype(mul(where(isnan(parts[0]), 0, parts[0]), 0), np.int64)
    places = [at]
    for i, part in enumerate(parts[1:], 1):
        newer = logical_or(before(part, held), isnan(part))  # NaN wins, and stays until the next one
        newer = logical_and(newer, logical_or(logical_not(isnan(held)), isnan(part)))
        held, at = where(newer, part, held), where(newer, i, at)
        places.append(at)
    return picked(op, x, axis, stack(places, axis))


@torch_names
def nansum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the sum of the elements that are not NaN, along an axis, several or all."""
    x = as_tensor(x, "nansum")
    return total(where(isnan(x), 0, x), axis, keepdims)


@torch_names
def nanmean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the mean of the elements that are not NaN, along an axis, several or all.

    >>> import fastnn
    >>> fastnn.nanmean(fastnn.tensor([1.0, float("nan"), 3.0])).item()
    2.0
    """
    x = floating("nanmean", as_tensor(x, "nanmean"))
    count = total(astype(logical_not(isnan(x)), x.dtype), axis, keepdims)
    return div(nansum(x, axis, keepdims), count)


INTERPOLATIONS = ("linear", "lower", "higher", "nearest", "midpoint")


@torch_names
def quantile(x: Any, q: Any, axis: int | None = None, keepdims: bool = False, *, interpolation: str = "linear") -> Tensor:
    """Return the quantiles along an axis, or of all elements; NaN where any element is NaN.

    Args:
        x: float32 or float64.
        q: a number from 0 to 1, or a vector of them, which gives a new first axis.
        interpolation: how to choose between two elements: "linear", "lower", "higher", "nearest" or "midpoint".

    >>> import fastnn
    >>> fastnn.quantile(fastnn.tensor([1.0, 2.0, 3.0, 5.0]), [0.5, 1.0]).tolist()
    [2.5, 5.0]
    """
    x = floating("quantile", as_tensor(x, "quantile"))
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"quantile: interpolation is {interpolation!r}, wanted one of {', '.join(INTERPOLATIONS)}")
    ranks = (read(q, "quantile") if isinstance(q, Tensor) else np.asarray(q)).astype(np.float64)
    if ranks.ndim > 1 or not ((ranks >= 0) & (ranks <= 1)).all():
        raise ValueError("quantile: wanted q from 0 to 1, a number or a vector")
    if axis is None:
        flat, axis = reshape(x, -1), 0
    else:
        axis = axis_of(axis, max(x.ndim, 1), "quantile")
        flat = x if x.ndim else reshape(x, 1)
    n = flat.shape[axis]
    if not n:
        raise ValueError(f"quantile: shape {x.shape} has no elements along axis {axis}")
    ordered: Tensor = sort(flat, axis=axis)
    missing = some(isnan(flat), axis, True)
    at = ranks.reshape(-1) * (n - 1)
    low, high = np.floor(at).astype(np.int64), np.ceil(at).astype(np.int64)
    if interpolation in ("lower", "higher", "nearest"):
        low = high = {"lower": low, "higher": high, "nearest": np.round(at).astype(np.int64)}[interpolation]
    weight = np.full(len(at), 0.5) if interpolation == "midpoint" else at - low
    shape = (len(at), *[1] * (flat.ndim - 1 - axis))
    a, b = (getitem(ordered, (*[ALL] * axis, places)) for places in (low, high))
    y = where(missing, float("nan"), add(a, mul(sub(b, a), weight.reshape(shape).astype(x.dtype))))
    y = transpose(y, (axis, *(d for d in range(y.ndim) if d != axis)))
    rest = [m for d, m in enumerate(flat.shape) if d != axis]
    if keepdims:
        rest = [1] * x.ndim if flat.ndim != x.ndim else [*flat.shape[:axis], 1, *flat.shape[axis + 1 :]]
    return reshape(y, (*ranks.shape, *rest))


def histc(x: Any, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """Count the elements in bins of equal width from min to max; equal bounds are those of the elements.

    >>> import fastnn
    >>> fastnn.histc(fastnn.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3).tolist()
    [0.0, 2.0, 1.0, 0.0]
    """
    a = read(floating("histc", as_tensor(x, "histc")), "histc")
    bins = whole_number(bins, "histc: bins", 1)
    low, high = (float(min), float(max)) if min != max or not a.size else (float(a.min()), float(a.max()))
    if low > high or not np.isfinite([low, high]).all():
        raise ValueError(f"histc: bounds {low} and {high}, wanted finite ones in ascending order")
    low, high = (low - 1, high + 1) if low == high else (low, high)
    inside = a[(a >= low) & (a <= high)]
    at = np.minimum(((inside - low) * bins / (high - low)).astype(np.int64), bins - 1)
    return made(np.bincount(at, minlength=bins).astype(a.dtype))


def unique_consecutive(x: Any, return_inverse: bool = False, return_counts: bool = False) -> Any:
    """Return the elements that differ from the one before, of the flattened Tensor.

    Args:
        return_inverse: whether to return the index of each element among the result, too.
        return_counts: whether to return how often each occurs in a row, too.

    >>> import fastnn
    >>> fastnn.unique_consecutive(fastnn.tensor([1, 1, 2, 1])).tolist()
    [1, 2, 1]
    """
    a = read(x, "unique_consecutive")
    flat = a.reshape(-1)
    new = np.ones(flat.size, np.bool_)
    new[1:] = flat[1:] != flat[:-1]
    found = [made(flat[new])]
    if return_inverse:
        found.append(made((np.cumsum(new) - 1).reshape(a.shape)))
    if return_counts:
        found.append(made(np.diff(np.append(np.flatnonzero(new), flat.size))))
    return found[0] if len(found) == 1 else tuple(found)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Return whether each element is among others, or with invert whether it is not.

    assume_unique: has no effect.

    >>> import fastnn
    >>> fastnn.isin(fastnn.tensor([1, 2, 3]), fastnn.tensor([3, 1])).tolist()
    [True, False, True]
    """
    x, others = as_tensor(elements, "isin"), as_tensor(test_elements, "isin")
    found = some(eq(unsqueeze(x, -1), reshape(others, -1)), -1) if others.size else astype(zeros(x.shape), np.bool_)
    return logical_not(found) if invert else found


def argwhere(x: Any) -> Tensor:
    """Return the indices of the elements that are not 0: (n, dimensions), see `nonzero`."""
    places: Tensor = nonzero(x)
    return places


def cov(x: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Tensor:
    """Return the covariances of the rows of a matrix, whose columns are samples; of a vector the variance.

    Args:
        x: (variables, samples).
        correction: what is subtracted from the number of samples.
        fweights: how often each sample counts, whole numbers.
        aweights: how much each sample counts.

    >>> import fastnn
    >>> fastnn.cov(fastnn.tensor([[0.0, 2.0], [2.0, 0.0]])).tolist()
    [[2.0, -2.0], [-2.0, 2.0]]
    """
    x = real(as_tensor(x, "cov"))
    if x.ndim > 2:
        raise ValueError(f"cov: shape {x.shape} came, wanted (variables, samples)")
    rows = reshape(x, (1, -1)) if x.ndim < 2 else x
    given = [astype(as_tensor(w, "cov"), rows.dtype) for w in (fweights, aweights) if w is not None]
    if not given:
        centered, norm = sub(rows, mean(rows, 1, True)), rows.shape[1] - correction
        weighted: Tensor = centered
        scale: Any = max(norm, 0)
    else:
        weight = given[0] if len(given) == 1 else mul(*given)
        sums = total(weight)
        centered = sub(rows, div(total(mul(rows, weight), 1, True), sums))
        weighted = mul(centered, weight)
        lost = sums if aweights is None else total(mul(weight, given[-1]))
        scale = sub(sums, mul(div(lost, sums), correction))
        scale = clip(scale, 0)
    covariances = div(matmul(weighted, swap_axes(centered, 0, 1)), scale)
    return reshape(covariances, ()) if x.ndim < 2 else covariances


def corrcoef(x: Any) -> Tensor:
    """Return the correlations of the rows of a matrix, whose columns are samples.

    >>> import fastnn
    >>> fastnn.corrcoef(fastnn.tensor([[0.0, 2.0], [2.0, 0.0]])).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    c = cov(x)
    if not c.ndim:
        return div(c, c)
    sizes = sqrt(diagonals(c))
    return clip(div(div(c, unsqueeze(sizes, 1)), unsqueeze(sizes, 0)), -1.0, 1.0)
