"""Sums of places along an axis: a row of y in turn, its places one after the other."""

from __future__ import annotations

from typing import Any

from .jit import jit

Array = Any


@jit
def resample(y: Array, x: Array, index: Array, weight: Array, value: float) -> None:
    A, J, C = y.shape
    T = y.dtype.type
    for a in range(A):
        for j in range(J):
            taps = 0
            while taps < index.shape[1] and 0 <= index[j, taps] < x.shape[1]:
                taps += 1
            for c in range(C):
                total = T(value)
                if taps:
                    total = T(weight[j, 0]) * x[a, index[j, 0], c]
                    for k in range(1, taps):
                        total += T(weight[j, k]) * x[a, index[j, k], c]
                y[a, j, c] = total
