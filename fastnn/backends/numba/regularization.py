"""Penalties on weights and activations, and limits on the norms of weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.regularization import EPSILON
from .jit import jit
from .rows import add

Array = Any


def penalty_forward(value: Array, x: Array, weights: Array) -> None:
    _penalty_forward(value, x.reshape(-1), weights)


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
    _penalty_backward(dx.reshape(-1), dvalue, x.reshape(-1), weights, add)


@jit
def _penalty_backward(dx: Array, dvalue: Array, x: Array, weights: Array, add: int) -> None:
    zero = dx.dtype.type(0)
    one, two = dx.dtype.type(dvalue[0] * weights[0]), dx.dtype.type(2 * dvalue[0] * weights[1])
    has_one, has_two = weights[0] != 0, weights[1] != 0
    if not add:
        dx[:] = zero
    for i in range(len(x)):
        sloped = two * x[i] if has_two else zero
        signed = one if x[i] > zero else -one if x[i] < zero else x[i]  # 0 and NaN stay what they are
        dx[i] += sloped + (signed if has_one else zero)


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
