"""Penalties on weights and activations, and limits on the norms of weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.regularization import EPSILON
from .jit import jit
from .rows import add

Array = Any


def penalty_forward(value: Array, x: Array, weights: Array) -> None:
    _penalty_forward(value, x.ravel(), weights)


@jit
def _penalty_forward(value: Array, x: Array, weights: Array) -> None:
    absolute = squares = 0.0
    if weights[0] != 0:
        for i in range(len(x)):
            absolute = add(absolute, abs(np.float64(x[i])))
    if weights[1] != 0:
        for i in range(len(x)):
            squares = add(squares, np.float64(x[i]) * np.float64(x[i]))
    value[0] = weights[0] * absolute + weights[1] * squares


def penalty_backward(dx: Array, dvalue: Array, x: Array, weights: Array, add: int) -> None:
    _penalty_backward(dx.ravel(), dvalue, x.ravel(), weights, add != 0)


@jit
def _penalty_backward(dx: Array, dvalue: Array, x: Array, weights: Array, adds: bool) -> None:
    T = dx.dtype.type
    one, two = T(dvalue[0] * weights[0]), T(2 * dvalue[0] * weights[1])
    has_one, has_two = weights[0] != 0, weights[1] != 0
    for i in range(len(x)):
        signed = one if x[i] > T(0) else -one if x[i] < T(0) else x[i]  # 0 and NaN stay what they are
        d = (two * x[i] if has_two else T(0)) + (signed if has_one else T(0))
        dx[i] = dx[i] + d if adds else d


@jit
def limit_norms(w: Array, limits: Array) -> None:
    low, high, rate = limits[0], limits[1], limits[2]
    squares = np.empty(w.shape[2], np.float64)
    for a in range(w.shape[0]):
        squares[:] = 0
        for b in range(w.shape[1]):
            for c in range(w.shape[2]):
                squares[c] += np.float64(w[a, b, c]) * np.float64(w[a, b, c])
        for c in range(w.shape[2]):
            norm = np.sqrt(squares[c])
            wanted = low if norm < low else high if norm > high else norm
            if rate != 1:
                wanted = rate * wanted + (1 - rate) * norm
            squares[c] = wanted / (norm + EPSILON)
        for b in range(w.shape[1]):
            for c in range(w.shape[2]):
                w[a, b, c] *= w.dtype.type(squares[c])
