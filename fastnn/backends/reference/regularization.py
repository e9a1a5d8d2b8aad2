"""Penalties on weights and activations, and limits on the norms of weights."""

from __future__ import annotations

from typing import Any

Array = Any

EPSILON = 1e-7


def penalty_forward(xp: Any, value: Array, x: Array, weights: Array) -> None:
    """value = l1 sum |x| + l2 sum x^2, with weights = l1, l2; a sum whose weight is 0 does not count at all."""
    l1, l2 = weights.tolist()
    value[...] = (l1 * xp.abs(x).sum() if l1 else 0) + (l2 * (x * x).sum() if l2 else 0)


def penalty_backward(xp: Any, dx: Array, dvalue: Array, x: Array, weights: Array, add: int) -> None:
    """dx = dvalue (l1 sign(x) + 2 l2 x), added to what is there where add is not 0; sign(0) = 0."""
    l1, l2 = weights.tolist()
    d = (l1 * dvalue * xp.sign(x) if l1 else 0) + (2 * l2 * dvalue * x if l2 else 0)
    dx[...] = dx + d if add else d


def limit_norms(xp: Any, w: Array, limits: Array) -> None:
    """Scale each w[a, :, c], whose Euclidean norm is n, by wanted / (n + 1e-7); limits = low, high, rate.

    wanted = rate clip(n, low, high) + (1 - rate) n: with rate 1 the norms lie between low and high, with less they move there.
    """
    low, high, rate = limits.tolist()
    norm = xp.sqrt((w * w).sum(1, keepdims=True))
    wanted = xp.clip(norm, low, high)
    if rate != 1:
        wanted = rate * wanted + (1 - rate) * norm
    w *= wanted / (norm + EPSILON)
