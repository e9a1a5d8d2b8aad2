"""Augmentation: images seen through an affine map of their coordinates.

Images have their channels last: x (N, H, W, C), y (N, P, Q, C). The row a0 a1 a2 b0 b1 b2 of ``matrix`` says where a sample's
pixel in line p and column q comes from: column a0 q + a1 p + a2 of line b0 q + b1 p + b2, computed in float64.

``interpolation`` is the position of its name in INTERPOLATIONS: the nearest pixel, at a half the one further right and down; or
the four pixels around the place with bilinear weights. A pixel of weight 0 does not count, even if it is NaN. Pixels outside the
image are those of FILL_MODES, of which ``fill_mode`` is a position:

- constant: k k k | a b c d | k k k, where k is ``fill_value``;
- nearest: a a a | a b c d | d d d;
- reflect: c b a | a b c d | d c b;
- wrap: b c d | a b c d | a b c.

A place that is NaN or beyond 2^31 gives NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

Array = Any

LIMIT = 2.0**31


def affine_transform_forward(
    xp: Any, y: Array, x: Array, matrix: Array, interpolation: int, fill_mode: int, fill_value: float
) -> None:
    """y = the pixels of x at the places that ``matrix`` gives; the fill value counts as a pixel."""
    y[...] = 0
    samples = xp.arange(len(x))[:, None, None]
    for line, column, inside, weight in _taps(xp, y, x, matrix, interpolation, fill_mode):
        pixels = xp.where(inside[..., None], x[samples, line, column], x.dtype.type(fill_value))
        weight = weight.astype(x.dtype)[..., None]
        y[...] = xp.where(weight != 0, y + weight * pixels, y)


def affine_transform_backward(xp: Any, dx: Array, dy: Array, matrix: Array, interpolation: int, fill_mode: int) -> None:
    """dx = the sums of dy over the places that see a pixel, times its weight there. Places that give NaN add nothing."""
    dx[...] = 0
    samples = xp.arange(len(dx))[:, None, None]
    for line, column, inside, weight in _taps(xp, dy, dx, matrix, interpolation, fill_mode):
        seen = inside & (weight != 0) & ~xp.isnan(weight)
        at = tuple(xp.broadcast_to(i, seen.shape)[seen] for i in (samples, line, column))
        xp.add.at(dx, at, weight.astype(dx.dtype)[seen][:, None] * dy[seen])


def _taps(
    xp: Any, y: Array, x: Array, matrix: Array, interpolation: int, fill_mode: int
) -> Iterator[tuple[Array, Array, Array, Array]]:
    """Yield the pixels that a place sees: line, column, whether it is in the image, and weight, each (N, P, Q)."""
    p, q = xp.arange(y.shape[1])[:, None], xp.arange(y.shape[2])[None]
    a0, a1, a2, b0, b1, b2 = (matrix[:, i, None, None] for i in range(6))
    axes = []
    for place, pixels in ((b0 * q + b1 * p + b2, x.shape[1]), (a0 * q + a1 * p + a2, x.shape[2])):
        known = abs(place) <= LIMIT
        place = xp.where(known, place, 0)
        first = xp.floor(place if interpolation else place + 0.5).astype(xp.int64)
        upper = place - first if interpolation else xp.zeros(place.shape)
        taps = ((first, 1 - upper), (first + 1, upper)) if interpolation else ((first, 1 - upper),)
        axes.append([(*_inside(xp, i, pixels, fill_mode), xp.where(known, w, xp.nan)) for i, w in taps])
    for (line, above, v), (column, beside, u) in product(*axes):
        yield line, column, above & beside, v * u


def _inside(xp: Any, i: Array, n: int, fill_mode: int) -> tuple[Array, Array]:
    """Return the pixel of an axis that position i shows, and whether there is one."""
    if fill_mode == 0:
        inside = (i >= 0) & (i < n)
        return xp.where(inside, i, 0), inside
    if fill_mode == 2:
        i = i % (2 * n)
        i = xp.minimum(i, 2 * n - 1 - i)
    i = i % n if fill_mode == 3 else xp.clip(i, 0, n - 1)
    return i, xp.ones(i.shape, bool)
