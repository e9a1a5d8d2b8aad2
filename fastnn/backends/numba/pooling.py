"""Pooling: each window in turn, its pixels channel by channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .vmath import inline

Array = Any


@inline
def _positions(window: Array, axis: int, place: int, pixels: int) -> Any:
    """Return the pixel of position 0, and the positions that are inside the image: from, to."""
    first = place * window[1, axis] - window[3, axis]
    dilation = window[2, axis]
    begin = -(first // dilation) if first < 0 else 0
    end = (pixels - 1 - first) // dilation + 1 if first < pixels else 0
    return first, begin, max(begin, min(window[0, axis], end))


@inline
def _count(window: Array, axis: int, place: int, pixels: int, border: int) -> Any:
    """Return how many positions are inside, or inside the image and its border."""
    if not border:
        _, begin, end = _positions(window, axis, place, pixels)
        return end - begin
    first, whole = place * window[1, axis], pixels + window[3, axis] + window[4, axis]
    return min(window[0, axis], (whole - 1 - first) // window[2, axis] + 1) if first < whole else 0


@jit
def max_pool_forward(y: Array, index: Array, x: Array, window: Array) -> None:
    N, E, P, Q, C = y.shape
    numbers = index.reshape(-1)
    for n in range(N):
        for e in range(E):
            d0, r0, r1 = _positions(window, 0, e, x.shape[1])
            for p in range(P):
                h0, u0, u1 = _positions(window, 1, p, x.shape[2])
                for q in range(Q):
                    w0, v0, v1 = _positions(window, 2, q, x.shape[3])
                    to = (((n * E + e) * P + p) * Q + q) * C
                    for c in range(C):
                        best, place, found = y.dtype.type(-np.inf), 0, False
                        for r in range(r0, r1):
                            for u in range(u0, u1):
                                for v in range(v0, v1):
                                    now = x[n, d0 + r * window[2, 0], h0 + u * window[2, 1], w0 + v * window[2, 2], c]
                                    if not found or now > best or now != now:
                                        best, place, found = now, (r * window[0, 1] + u) * window[0, 2] + v, True
                        y[n, e, p, q, c] = best
                        if numbers.size:
                            numbers[to + c] = place


@jit
def max_pool_backward(dx: Array, dy: Array, index: Array, window: Array) -> None:
    N, E, P, Q, C = dy.shape
    dx[...] = 0
    for n in range(N):
        for e in range(E):
            d0, r0, r1 = _positions(window, 0, e, dx.shape[1])
            for p in range(P):
                h0, u0, u1 = _positions(window, 1, p, dx.shape[2])
                for q in range(Q):
                    w0, v0, v1 = _positions(window, 2, q, dx.shape[3])
                    for c in range(C):
                        place = index[n, e, p, q, c]
                        v, rest = place % window[0, 2], place // window[0, 2]
                        u, r = rest % window[0, 1], rest // window[0, 1]
                        if r0 <= r < r1 and u0 <= u < u1 and v0 <= v < v1:
                            dx[n, d0 + r * window[2, 0], h0 + u * window[2, 1], w0 + v * window[2, 2], c] += dy[n, e, p, q, c]


@jit
def avg_pool_forward(y: Array, x: Array, window: Array, border: int) -> None:
    N, E, P, Q, C = y.shape
    for n in range(N):
        for e in range(E):
            d0, r0, r1 = _positions(window, 0, e, x.shape[1])
            of_e = _count(window, 0, e, x.shape[1], border)
            for p in range(P):
                h0, u0, u1 = _positions(window, 1, p, x.shape[2])
                of_p = of_e * _count(window, 1, p, x.shape[2], border)
                for q in range(Q):
                    w0, v0, v1 = _positions(window, 2, q, x.shape[3])
                    count = y.dtype.type(of_p * _count(window, 2, q, x.shape[3], border))
                    y[n, e, p, q] = 0
                    for r in range(r0, r1):
                        for u in range(u0, u1):
                            for v in range(v0, v1):
                                for c in range(C):
                                    y[n, e, p, q, c] += x[
                                        n, d0 + r * window[2, 0], h0 + u * window[2, 1], w0 + v * window[2, 2], c
                                    ]
                    for c in range(C):
                        y[n, e, p, q, c] /= count


@jit
def avg_pool_backward(dx: Array, dy: Array, window: Array, border: int) -> None:
    N, E, P, Q, C = dy.shape
    dx[...] = 0
    for n in range(N):
        for e in range(E):
            d0, r0, r1 = _positions(window, 0, e, dx.shape[1])
            of_e = _count(window, 0, e, dx.shape[1], border)
            for p in range(P):
                h0, u0, u1 = _positions(window, 1, p, dx.shape[2])
                of_p = of_e * _count(window, 1, p, dx.shape[2], border)
                for q in range(Q):
                    w0, v0, v1 = _positions(window, 2, q, dx.shape[3])
                    count = dx.dtype.type(of_p * _count(window, 2, q, dx.shape[3], border))
                    for r in range(r0, r1):
                        for u in range(u0, u1):
                            for v in range(v0, v1):
                                for c in range(C):
                                    dx[n, d0 + r * window[2, 0], h0 + u * window[2, 1], w0 + v * window[2, 2], c] += (
                                        dy[n, e, p, q, c] / count
                                    )
