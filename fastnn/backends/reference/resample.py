"""Sums of places along an axis: padding by what an image has, and images of another size."""

from __future__ import annotations

from typing import Any

Array = Any


def resample(xp: Any, y: Array, x: Array, index: Array, weight: Array, value: float) -> None:
    """y[:, j] = the sum of weight[j, k] x[:, index[j, k]], or ``value`` where j has no places.

    The places of j end at the first number that is none of x. The gradient is the same with the places of each number of x.
    """
    y[...] = 0
    going = xp.ones(index.shape[0], bool)
    for k in range(index.shape[1]):
        going &= (index[:, k] >= 0) & (index[:, k] < x.shape[1])
        if k == 0:
            y[:, ~going] = value
        y[:, going] += weight[going, k, None].astype(y.dtype) * x[:, index[going, k]]
    if not index.shape[1]:
        y[...] = value
