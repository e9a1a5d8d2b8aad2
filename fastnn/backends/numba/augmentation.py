"""Images seen through an affine map: each place in turn, its pixels channel by channel."""

from __future__ import annotations

import math
from typing import Any

from ..reference.augmentation import LIMIT
from .jit import jit
from .vmath import inline

Array = Any


@inline
def _shown(i: int, n: int, fill_mode: int) -> int:
    """Return the pixel of an axis that position i shows, or -1."""
    if 0 <= i < n:
        return i
    if fill_mode == 0:
        return -1
    if fill_mode == 1:
        return 0 if i < 0 else n - 1
    if fill_mode == 3:
        return i % n
    i = i % (2 * n)
    return min(i, 2 * n - 1 - i)


@inline
def _taps(place: float, n: int, interpolation: int, fill_mode: int) -> Any:
    """Return two pixels of an axis, each with its weight."""
    if not abs(place) <= LIMIT:
        return 0, math.nan, 0, 0.0
    first = math.floor(place if interpolation else place + 0.5)
    upper = place - first if interpolation else 0.0
    return _shown(first, n, fill_mode), 1 - upper, _shown(first + 1, n, fill_mode), upper


@jit
def affine_transform_forward(y: Array, x: Array, matrix: Array, interpolation: int, fill_mode: int, fill_value: float) -> None:
    N, P, Q, C = y.shape
    T = y.dtype.type
    fill = T(fill_value)
    for n in range(N):
        a0, a1, a2, b0, b1, b2 = matrix[n]
        for p in range(P):
            for q in range(Q):
                h0, v0, h1, v1 = _taps(b0 * q + (b1 * p + b2), x.shape[1], interpolation, fill_mode)
                w0, u0, w1, u1 = _taps(a0 * q + (a1 * p + a2), x.shape[2], interpolation, fill_mode)
                y[n, p, q] = 0
                for h, w, weight in ((h0, w0, T(v0 * u0)), (h0, w1, T(v0 * u1)), (h1, w0, T(v1 * u0)), (h1, w1, T(v1 * u1))):
                    if weight != 0:
                        for c in range(C):
                            y[n, p, q, c] += weight * (x[n, h, w, c] if h >= 0 and w >= 0 else fill)


@jit
def affine_transform_backward(dx: Array, dy: Array, matrix: Array, interpolation: int, fill_mode: int) -> None:
    N, P, Q, C = dy.shape
    T = dx.dtype.type
    dx[...] = 0
    for n in range(N):
        a0, a1, a2, b0, b1, b2 = matrix[n]
        for p in range(P):
            for q in range(Q):
                h0, v0, h1, v1 = _taps(b0 * q + (b1 * p + b2), dx.shape[1], interpolation, fill_mode)
                w0, u0, w1, u1 = _taps(a0 * q + (a1 * p + a2), dx.shape[2], interpolation, fill_mode)
                for h, w, weight in ((h0, w0, T(v0 * u0)), (h0, w1, T(v0 * u1)), (h1, w0, T(v1 * u0)), (h1, w1, T(v1 * u1))):
                    if h >= 0 and w >= 0 and weight != 0 and weight == weight:
                        for c in range(C):
                            dx[n, h, w, c] += weight * dy[n, p, q, c]
