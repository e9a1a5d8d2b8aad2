"""Dropout and noise from a counter-based stream of random numbers; reference/random.py lays the stream out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..reference.random import BLOCK, CENTRE, SELU_FLOOR, TAIL
from .jit import jit
from .vmath import inline, log

Array = Any

CHUNK = 64 * BLOCK
"""Elements whose words are made at a time."""

u64 = np.uint64
LOW = u64(0xFFFFFFFF)
HALF = u64(32)
MULTIPLIERS = u64(0xD2511F53), u64(0xCD9E8D57)
KEY_STEPS = u64(0x9E3779B9), u64(0xBB67AE85)


@jit
def _fill(words: Array, seed: int, first: int) -> None:
    """Philox 4x32-10: the words of whole groups, the first of which begins with that counter.

    Each 32-bit word lies in a 64-bit lane; all four of a counter are computed side by side for the 16 counters of a group.
    """
    for block in range(len(words) // BLOCK):
        group = words[block * BLOCK : (block + 1) * BLOCK]
        for i in range(16):
            counter = first + u64(16 * block + i)
            c0, c1, c2, c3 = counter & LOW, counter >> HALF, u64(0), u64(0)
            k0, k1 = seed & LOW, seed >> HALF
            for _ in range(10):
                p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
                c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
                k0, k1 = (k0 + KEY_STEPS[0]) & LOW, (k1 + KEY_STEPS[1]) & LOW
            group[i], group[i + 16], group[i + 32], group[i + 48] = np.uint32(c0), np.uint32(c1), np.uint32(c2), np.uint32(c3)


@inline
def _counters(n: int) -> Any:
    """How many counters n elements take."""
    return u64(16 * ((n + BLOCK - 1) // BLOCK))


@inline
def _buffer(n: int) -> Array:
    """Room for the words of a chunk of n elements."""
    return np.empty(min(CHUNK, (n + BLOCK - 1) // BLOCK * BLOCK), np.uint32)


@inline
def _take(aux: Array, state: Array, n: int) -> None:
    """In a forward pass, which alone has a state: leaves it for backward, and moves it on."""
    if state is not None:
        aux[0], aux[1] = state[0], state[1]
        state[1] += _counters(n)


@jit
def _drop(y: Array, x: Array, aux: Array, rate: float, scale: float, shift: float, dropped: float) -> None:
    """y = x scale + shift where an element is kept, else dropped."""
    if rate >= 1:
        y[:] = dropped
        return
    threshold, words = np.uint32(rate * 4294967296.0), _buffer(len(x))
    for begin in range(0, len(x), CHUNK):
        _fill(words, aux[0], aux[1] + u64(begin // 4))
        part, to = x[begin : begin + CHUNK], y[begin : begin + CHUNK]  # whose indices are plainly not negative
        for i in range(len(part)):
            kept = part[i] * scale + shift
            to[i] = kept if words[i] >= threshold else dropped


@jit
def _dropout(y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None:
    _take(aux, state, len(x))
    T = y.dtype.type
    _drop(y, x, aux, rate[0], T(1 / (1 - rate[0])), T(-0.0), T(0))  # adding -0 leaves every number what it is


def dropout_forward(y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None:
    _dropout(y.ravel(), aux, state, x.ravel(), rate)


def dropout_backward(dx: Array, dy: Array, aux: Array, rate: Array) -> None:
    _dropout(dx.ravel(), aux, None, dy.ravel(), rate)


@jit
def _alpha_dropout(y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None:
    _take(aux, state, len(x))
    T, r = y.dtype.type, rate[0]
    scale = 0.0 if r >= 1 else 1 / math.sqrt((1 - r) * (1 + r * SELU_FLOOR**2))
    if state is None:
        _drop(y, x, aux, r, T(scale), T(-0.0), T(0))
    else:
        shift = -scale * SELU_FLOOR * r
        _drop(y, x, aux, r, T(scale), T(shift), T(scale * SELU_FLOOR + shift))


def alpha_dropout_forward(y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None:
    _alpha_dropout(y.ravel(), aux, state, x.ravel(), rate)


def alpha_dropout_backward(dx: Array, dy: Array, aux: Array, rate: Array) -> None:
    _alpha_dropout(dx.ravel(), aux, None, dy.ravel(), rate)


@inline
def _polynomial(T: Any, c: Any, x: Any) -> Any:
    """Without a loop over the coefficients: then the loop over the elements vectorises."""
    y = T(c[0]) * x + T(c[1])
    y = y * x + T(c[2])
    y = y * x + T(c[3])
    y = y * x + T(c[4])
    y = y * x + T(c[5])
    y = y * x + T(c[6])
    return y * x + T(c[7])


@inline
def _ratio(T: Any, powers: Any, x: Any) -> Any:
    return _polynomial(T, powers[0], x) / _polynomial(T, powers[1], x)


@inline
def _normal(T: Any, word: Any) -> Any:
    """The normal quantile of (word + 1/2) / 2^32, by AS 241 as the reference.

    What is far from the middle is computed from its distance to the nearer end, which float32 holds exactly enough.
    """
    signed = np.int32(word)
    from_end = signed ^ (signed >> np.int32(31))
    unit = T(1 / 4294967296)
    end = (T(from_end) + T(0.5)) * unit
    middle = (T(np.int32(0x7FFFFFFF) - from_end) + T(0.5)) * unit
    centre = middle * _ratio(T, CENTRE, T(0.180625) - middle * middle)
    tail = _ratio(T, TAIL, np.sqrt(-log(T, end)) - T(1.6))
    z = centre if middle <= T(0.425) else tail
    return z if signed < 0 else -z


@jit
def _gaussian_dropout(y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None:
    _take(aux, state, len(x))
    T = y.dtype.type
    stddev, words = T(math.sqrt(rate[0] / (1 - rate[0]))), _buffer(len(x))
    for begin in range(0, len(x), CHUNK):
        _fill(words, aux[0], aux[1] + u64(begin // 4))
        part, to = x[begin : begin + CHUNK], y[begin : begin + CHUNK]
        for i in range(len(part)):
            to[i] = part[i] * (T(1) + stddev * _normal(T, words[i]))


def gaussian_dropout_forward(y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None:
    _gaussian_dropout(y.ravel(), aux, state, x.ravel(), rate)


def gaussian_dropout_backward(dx: Array, dy: Array, aux: Array, rate: Array) -> None:
    _gaussian_dropout(dx.ravel(), aux, None, dy.ravel(), rate)


@jit
def _gaussian_noise(y: Array, x: Array, state: Array, stddev: Array) -> None:
    T = y.dtype.type
    factor, words = T(stddev[0]), _buffer(len(x))
    for begin in range(0, len(x), CHUNK):
        _fill(words, state[0], state[1] + u64(begin // 4))
        part, to = x[begin : begin + CHUNK], y[begin : begin + CHUNK]
        for i in range(len(part)):
            to[i] = part[i] + factor * _normal(T, words[i])
    state[1] += _counters(len(x))


def gaussian_noise_forward(y: Array, state: Array, x: Array, stddev: Array) -> None:
    _gaussian_noise(y.ravel(), x.ravel(), state, stddev)
