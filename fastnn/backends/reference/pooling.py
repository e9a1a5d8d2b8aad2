"""Pooling: the largest number or the mean of each window of an image.

Images have their channels last: x (N, D, H, W, C), y (N, E, P, Q, C). Images of one or two dimensions have axes of size 1 before
their own. ``window`` has a row of three whole numbers each, one for an axis: the sizes of a window, the strides, the dilations,
and how wide the border before and after the image is. Place e of an axis has the pixels e stride - before + r dilation, as far as
there are such pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

Array = Any


def max_pool_forward(xp: Any, y: Array, index: Array, x: Array, window: Array) -> None:
    """y = the largest number of each window; NaN is larger than any number.

    Where index is present, it gets the position in the window, counted along the last axis first: that of the first of equal
    numbers, or of the last NaN. A window has at most 256 positions, and at least one pixel.
    """
    y[...] = -xp.inf
    place = xp.zeros(y.shape, xp.int64)
    found = xp.zeros(y.shape, bool)
    for at, there, here in _positions(window, x, y):
        new = ~found[here] | (x[there] > y[here]) | xp.isnan(x[there])
        y[here] = xp.where(new, x[there], y[here])
        place[here] = xp.where(new, at, place[here])
        found[here] = True
    if index.size:
        index[...] = place.astype(xp.uint8)


def max_pool_backward(xp: Any, dx: Array, dy: Array, index: Array, window: Array) -> None:
    """dx = the sums of dy over the windows in which a pixel was the largest."""
    dx[...] = 0
    for at, there, here in _positions(window, dx, dy):
        dx[there] += xp.where(index[here] == at, dy[here], xp.zeros(1, dy.dtype))


def avg_pool_forward(xp: Any, y: Array, x: Array, window: Array, border: int) -> None:
    """y = the mean of each window. With ``border``, pixels of the border count, as zeros; else only those of the image do."""
    y[...] = 0
    for _, there, here in _positions(window, x, y):
        y[here] += x[there]
    y /= _counts(xp, window, x, y, border)


def avg_pool_backward(xp: Any, dx: Array, dy: Array, window: Array, border: int) -> None:
    """dx = the sums of dy over the windows of a pixel, each divided by the number of pixels that counted."""
    dx[...] = 0
    shares = dy / _counts(xp, window, dx, dy, border)
    for _, there, here in _positions(window, dx, dy):
        dx[there] += shares[here]


def _counts(xp: Any, window: Array, x: Array, y: Array, border: int) -> Array:
    """Return the number of pixels that count in each window, of the shape (E, P, Q, 1)."""
    axes = []
    for axis in range(3):
        size, stride, dilation, before, after = (int(n) for n in window[:, axis])
        pixels, first = x.shape[1 + axis], xp.arange(y.shape[1 + axis]) * stride - before
        at = first[:, None] + xp.arange(size) * dilation
        low, high = (-before, pixels + after) if border else (0, pixels)
        axes.append(((at >= low) & (at < high)).sum(1))
    counts = axes[0][:, None, None] * axes[1][:, None] * axes[2]
    return counts[..., None].astype(y.dtype)


def _positions(window: Array, x: Array, y: Array) -> Iterator[tuple[int, Any, Any]]:
    """Yield each position of a window, with the pixels that are there, and the places that have such a pixel."""
    sizes, strides, dilations, before, _ = ([int(n) for n in row] for row in window)
    for number, at in enumerate(product(*(range(n) for n in sizes))):
        there, here = [slice(None)], [slice(None)]
        for axis, r in enumerate(at):
            step, pixels, places = strides[axis], x.shape[1 + axis], y.shape[1 + axis]
            first = r * dilations[axis] - before[axis]
            begin, end = max(0, -(first // step)), min(places, (pixels - 1 - first) // step + 1)
            if begin >= end:
                break
            here.append(slice(begin, end))
            there.append(slice(first + begin * step, first + (end - 1) * step + 1, step))
        else:
            yield number, tuple(there), tuple(here)
