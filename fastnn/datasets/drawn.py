"""Pictures of one digit, drawn by hand, prepared as the images of the data sets were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .pictures import pillow

Array = np.ndarray[Any, Any]
Prepare = Callable[[Array, tuple[int, int]], tuple[Array, list[str]]]
"""Type of functions that turn a grey picture, uint8 (height, width), into an image of this size, and into doubts about it."""

_FAINT = 40
"""Smallest difference between the darkest and the lightest grey of a page that is not blank."""
_NOISE = 0.08
"""Differences from the paper below this share of the strongest one are paper, too."""
_STROKE = 0.3
"""Differences above this share belong to a stroke."""
_CROWDED = 0.6
"""Share of the page that the strokes of one digit never cover."""
_PART = 0.15
"""Share of all strokes that a part which stands alone has at least, if it is a digit of its own and no dot."""
_BOX = 20 / 28
"""MNIST's digits have 20x20 pixels in images of 28x28."""


def by_mass(grey: Array, size: tuple[int, int]) -> tuple[Array, list[str]]:
    """Return a drawn digit as those of MNIST are: scaled to a box of 20x20 in 28x28, with the centre of mass in the middle.

    >>> page = np.full((40, 40), 255, np.uint8)
    >>> page[5:15, 18:20] = 0
    >>> np.flatnonzero(by_mass(page, (28, 28))[0].max(1)).tolist() == list(range(5, 25))
    True
    """
    strokes, doubts = _strokes(grey)
    digit = _scaled(strokes, (round(size[0] * _BOX), round(size[1] * _BOX)))
    weights = digit.astype(np.float64)
    whole, places = np.zeros(size, np.uint8), []
    for axis, n in enumerate(digit.shape):
        mass = weights.sum(1 - axis) @ np.arange(n) / max(weights.sum(), 1.0)
        start = int(np.floor(size[axis] / 2 - mass + 0.5))  # the middle of 28 pixels is pixel 14, counted from 0
        start = min(max(start, 0), size[axis] - n)
        places.append(slice(start, start + n))
    whole[tuple(places)] = digit
    return whole, doubts


def in_box(grey: Array, size: tuple[int, int]) -> tuple[Array, list[str]]:
    """Return a drawn digit as those of `fastnn.datasets.digits` are: as in MNIST, then cut to 20x20 around the digit.

    What is cut off begins at the top and at the left, as much as is needed to keep the last row and column of the digit.

    >>> page = np.full((40, 40), 255, np.uint8)
    >>> page[5:15, 18:20] = 0
    >>> np.flatnonzero(in_box(page, (20, 20))[0].max(0)).tolist()
    [13, 14, 15, 16]
    """
    whole, doubts = by_mass(grey, (round(size[0] / _BOX), round(size[1] / _BOX)))
    for axis, n in enumerate(size):
        used = np.flatnonzero(whole.any(1 - axis))
        start = max(0, int(used[-1]) + 1 - n) if len(used) else 0
        whole = np.take(whole, range(start, start + n), axis)
    return whole, doubts


PREPARED: dict[str, Prepare] = {"digits": in_box, "mnist": by_mass}
"""By the data set, which `trained_on` of a model names."""


def _strokes(grey: Array) -> tuple[Array, list[str]]:
    """Return the strokes of a page, light on dark, uint8, cut to their box, and doubts about them.

    The paper has the grey of most of the border. Strokes are dark if the paper is light, and light if it is dark.
    """
    values = grey.astype(np.float64)
    paper = float(np.median(np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])))
    low, high = float(values.min()), float(values.max())
    difference = (paper - values if paper > (low + high) / 2 else values - paper).clip(0)
    if difference.max() < _FAINT:
        return np.zeros((1, 1), np.uint8), ["the page looks blank"]
    difference /= difference.max()
    difference[difference < _NOISE] = 0
    mask: Array = difference > _STROKE
    doubts = []
    if mask.mean() > _CROWDED:
        doubts.append("strokes cover most of the page; is it a digit on paper?")
    elif _parts(mask.sum(0)) > 1 or _parts(mask.sum(1)) > 1:
        doubts.append("there are several things on the page; wanted one digit")
    rows, columns = np.flatnonzero(difference.any(1)), np.flatnonzero(difference.any(0))
    box = difference[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.rint(box * 255).astype(np.uint8), doubts


def _parts(strokes: Array) -> int:
    """Return how many parts of a page have a good share of the strokes, of which these numbers are in each row or column."""
    used: Array = strokes > 0
    numbers = np.cumsum(np.diff(used, prepend=False) & used)
    shares = np.bincount(numbers[used], strokes[used]) / strokes.sum()
    return int((shares > _PART).sum())


def _scaled(strokes: Array, most: tuple[int, int]) -> Array:
    """Return a digit as large as fits into a box, with its proportions."""
    images = pillow()
    height, width = strokes.shape
    factor = min(most[0] / height, most[1] / width)
    if factor == 1 or not strokes.any():
        return strokes
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(images.fromarray(strokes).resize(size, images.Resampling.BICUBIC if factor > 1 else images.Resampling.BOX))
