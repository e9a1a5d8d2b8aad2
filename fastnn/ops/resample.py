"""Images, which have their channels last, from sums of their places along each axis: borders made of the image, other sizes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from ..core import arrays
from .checks import floating

Numbers = np.ndarray[Any, Any]

CUBIC = -0.75
"""The parameter of cubic interpolation, as PyTorch has it."""


class Places(NamedTuple):
    """What each number along an axis is made of: the rows of source and weight are those of the result; -1 ends a row."""

    source: Numbers
    weight: Numbers
    back_source: Numbers
    """The same for the gradient: its rows are those of the input."""
    back_weight: Numbers


def places_of(index: Numbers, weight: Numbers, n: int) -> Places:
    """Return the places of an axis with n numbers, and those of the gradient."""
    index, weight = index.astype(np.int64), weight.astype(np.float64)
    to, at = np.nonzero(index >= 0)
    source, share = index[to, at], weight[to, at]
    order = np.argsort(source, kind="stable")
    counts = np.bincount(source, minlength=n)
    begins = np.cumsum(counts) - counts
    back_index = np.full((n, max(1, counts.max(initial=0))), -1, np.int64)
    back_weight = np.zeros(back_index.shape)
    column = np.arange(len(order)) - begins[source[order]]
    back_index[source[order], column], back_weight[source[order], column] = to[order], share[order]
    return Places(index, weight, back_index, back_weight)


def resample(x: Tensor, places: Sequence[Places | None], op: str = "resample") -> Tensor:
    """Return images whose numbers are sums of those of x along each axis of the image; None leaves an axis as it is.

    >>> import fastnn
    >>> from fastnn.ops.resample import repeated, resample
    >>> resample(fastnn.tensor([[[1.0], [2.0]]]), [repeated(2, 2)]).tolist()
    [[[1.0], [1.0], [2.0], [2.0]]]
    """
    floating(op, x)
    k, y = current(), x.data
    steps = []
    for axis in _order(x.shape[1:-1], places):
        along = places[axis]
        assert along is not None
        steps.append((axis + 1, along))
        y = _along(k, y, axis + 1, along.source, along.weight)
    if not steps:
        return x
    return result("resample", y, _resample_backward, (x,), (steps,), {"shape": y.shape})


def _resample_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    for axis, along in reversed(node.saved[0]):
        dy = _along(grads.k, dy, axis, along.back_source, along.back_weight)
    grads.add(node.inputs[0], dy)


def _order(image: Sequence[int], places: Sequence[Places | None]) -> list[int]:
    """Return the axes in the order that has the fewest numbers in between; of those that grow, the last has the shortest rows."""
    ratios = [(len(p.source) / max(1, n), -i, i) for i, (n, p) in enumerate(zip(image, places, strict=True)) if p is not None]
    return [i for _, _, i in sorted(ratios)]


def _along(k: Any, x: Array, axis: int, index: Numbers, weight: Numbers) -> Array:
    """Return the sums along one axis."""
    y = k.empty((*x.shape[:axis], len(index), *x.shape[axis + 1 :]), x.dtype)
    rows, others = arrays.around(y.shape, axis), arrays.around(x.shape, axis)
    k.resample(y.reshape(rows), x.reshape(others), k.constant(index), k.constant(weight), 0.0)
    return y


# ---- borders that are made of the image ----


@lru_cache(maxsize=1024)
def border(mode: str, n: int, before: int, after: int) -> Places:
    """Return the places of an axis of n numbers with a border: "reflect", "replicate" or "circular"."""
    at = np.arange(-before, n + after)
    if mode == "reflect":
        at = np.abs(at)
        at = np.where(at >= n, 2 * (n - 1) - at, at)
    else:
        at = at.clip(0, n - 1) if mode == "replicate" else at % n
    return _copies(at, n)


def _copies(at: Numbers, n: int) -> Places:
    return places_of(at[:, None], np.ones((len(at), 1)), n)


# ---- other sizes: what a number of the result is made of, where its place is a fraction ----


@lru_cache(maxsize=1024)
def repeated(n: int, times: int) -> Places:
    """Return the places of an axis of n numbers, each of which comes so many times."""
    return _copies(np.arange(n * times) // times, n)


@lru_cache(maxsize=1024)
def nearest(n: int, size: int, scale: float = 0.0, middle: bool = False) -> Places:
    """Return the places of nearest neighbours for n numbers along an axis that become so many.

    Args:
        n: the number of numbers.
        size: how many they become.
        scale: the distance of two numbers of the result in the input; by default n / size.
        middle: whether the middle of a number counts, rather than its beginning.
    """
    step = np.float32(scale or n / size)  # as PyTorch computes it
    at = np.floor((np.arange(size, dtype=np.float32) + np.float32(0.5 * middle)) * step)
    return _copies(at.astype(np.int64).clip(0, n - 1), n)


@lru_cache(maxsize=1024)
def linear(n: int, size: int, scale: float = 0.0, corners: bool = False) -> Places:
    """Return the places of linear interpolation: the two next to a place, or the one at the border.

    Args:
        n, size, scale: as in `nearest`.
        corners: whether the first and the last number keep their values; otherwise, the middles of numbers count.
    """
    at = np.maximum(0, _fractions(n, size, scale, corners))
    low = np.minimum(at.astype(np.int64), n - 1)
    high = np.minimum(low + 1, n - 1)
    part = np.where(low == high, 0, at - low)
    index = np.stack([low, np.where(part > 0, high, -1)], 1)
    return places_of(index, np.stack([1 - part, part], 1), n)


@lru_cache(maxsize=1024)
def cubic(n: int, size: int, scale: float = 0.0, corners: bool = False) -> Places:
    """Return the places of cubic interpolation; arguments as in `linear`. Source: Keys, IEEE Trans. ASSP 29, 1981."""
    at = _fractions(n, size, scale, corners)
    low = np.floor(at).astype(np.int64)
    index = (low[:, None] + np.arange(-1, 3)).clip(0, n - 1)
    x = np.abs(at[:, None] - (low[:, None] + np.arange(-1, 3)))
    near = ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1
    far = CUBIC * (((x - 5) * x + 8) * x - 4)
    return places_of(index, np.where(x <= 1, near, far), n)


def _fractions(n: int, size: int, scale: float, corners: bool) -> Numbers:
    if corners:
        return np.arange(size) * ((n - 1) / (size - 1) if size > 1 else 0.0)
    return (np.arange(size) + 0.5) * (scale or n / size) - 0.5
