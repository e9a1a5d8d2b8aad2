"""Dropout from a counter-based stream of random numbers."""

from __future__ import annotations

from typing import Any

Array = Any

BLOCK = 64
"""Elements come in groups of this size, which take 16 Philox counters; element i of a group is word i // 16 of counter i % 16."""


def dropout_forward(xp: Any, y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None:
    """y = x / (1 - rate) where an element is kept, else 0; an element is kept if its random word >= rate 2^32.

    state holds the seed and the offset of the stream. aux gets both, so that backward finds the same words; then the offset
    moves on by the counters that x took.
    """
    aux[...] = state
    y[...] = _drop(xp, x, aux, rate)
    state[1] += xp.asarray(16 * -(-x.size // BLOCK), xp.uint64)


def dropout_backward(xp: Any, dx: Array, dy: Array, aux: Array, rate: Array) -> None:
    """dx = dy / (1 - rate) where the forward kept the element, else 0."""
    dx[...] = _drop(xp, dy, aux, rate)


def _drop(xp: Any, x: Array, aux: Array, rate: Array) -> Array:
    r = float(rate[0])
    words = _words(xp, x.size, int(aux[0]), int(aux[1])).reshape(x.shape)
    scale = x.dtype.type(1 / (1 - r) if r < 1 else 0)
    return xp.where(words >= xp.asarray(int(r * 2**32), xp.uint64), x * scale, 0)


def _words(xp: Any, n: int, seed: int, offset: int) -> Array:
    """n random 32-bit words by Philox 4x32-10 (Salmon et al., SC 2011, "Parallel random numbers: as easy as 1, 2, 3")."""
    u64, low = xp.uint64, xp.asarray(0xFFFFFFFF, xp.uint64)
    half = xp.asarray(32, u64)
    counter = xp.arange(16 * -(-n // BLOCK), dtype=u64) + xp.asarray(offset, u64)
    c0, c1 = counter & low, counter >> half
    c2 = c3 = xp.zeros_like(counter)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = c0 * xp.asarray(0xD2511F53, u64), c2 * xp.asarray(0xCD9E8D57, u64)
        c0, c1, c2, c3 = (p1 >> half) ^ c1 ^ xp.asarray(k0, u64), p1 & low, (p0 >> half) ^ c3 ^ xp.asarray(k1, u64), p0 & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return xp.stack([c.reshape(-1, 16) for c in (c0, c1, c2, c3)], 1).reshape(-1)[:n]
