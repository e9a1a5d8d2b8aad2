"""Dropout, noise and random numbers from a counter-based stream; reference/random.py lays the stream out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..reference.random import BLOCK, CENTRE, SELU_FLOOR, TAIL, take
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
def fill_words(words: Array, seed: int, first: int) -> None:
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
def _buffer(n: int) -> Array:
    """Room for the words of a chunk of n elements."""
    return np.empty(min(CHUNK, (n + BLOCK - 1) // BLOCK * BLOCK), np.uint32)


@jit
def _drop(y: Array, x: Array, aux: Array, rate: float, scale: float, shift: float, dropped: float) -> None:
    """y = x scale + shift where an element is kept, else dropped."""
    if rate >= 1:
        y[:] = dropped
        return
    threshold, words = np.uint32(rate * 4294967296.0), _buffer(len(x))
    for begin in range(0, len(x), CHUNK):
        fill_words(words, aux[0], aux[1] + u64(begin // 4))
        part, to = x[begin : begin + CHUNK], y[begin : begin + CHUNK]  # whose indices are plainly not negative
        for i in range(len(part)):
            kept = part[i] * scale + shift
            to[i] = kept if words[i] >= threshold else dropped


@jit
def _dropout(y: Array, aux: Array, x: Array, rate: Array) -> None:
    T = y.dtype.type
    _drop(y, x, aux, rate[0], T(1 / (1 - rate[0])), T(-0.0), T(0))  # adding -0 leaves every number what it is


def dropout_forward(y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None:
    take(np, aux, state, x.size)
    _dropout(y.ravel(), aux, x.ravel(), rate)


def dropout_backward(dx: Array, dy: Array, aux: Array, rate: Array) -> None:
    _dropout(dx.ravel(), aux, dy.ravel(), rate)


@jit
def _alpha_dropout(y: Array, aux: Array, x: Array, rate: Array, backward: bool) -> None:
    T, r = y.dtype.type, rate[0]
    scale = 0.0 if r >= 1 else 1 / math.sqrt((1 - r) * (1 + r * SELU_FLOOR**2))
    if backward:
        _drop(y, x, aux, r, T(scale), T(-0.0), T(0))
    else:
        shift = -scale * SELU_FLOOR * r
        _drop(y, x, aux, r, T(scale), T(shift), T(scale * SELU_FLOOR + shift))


def alpha_dropout_forward(y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None:
    take(np, aux, state, x.size)
    _alpha_dropout(y.ravel(), aux, x.ravel(), rate, False)


def alpha_dropout_backward(dx: Array, dy: Array, aux: Array, rate: Array) -> None:
    _alpha_dropout(dx.ravel(), aux, dy.ravel(), rate, True)


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
    """Return the normal quantile of (word + 1/2) / 2^32, by AS 241 as the reference.

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
def _gaussian_dropout(y: Array, aux: Array, x: Array, rate: Array) -> None:
    T = y.dtype.type
    stddev, words = T(math.sqrt(rate[0] / (1 - rate[0]))), _buffer(len(x))
    for begin in range(0, len(x), CHUNK):
        fill_words(words, aux[0], aux[1] + u64(begin // 4))
        part, to = x[begin : begin + CHUNK], y[begin : begin + CHUNK]
        for i in range(len(part)):
            to[i] = part[i] * (T(1) + stddev * _normal(T, words[i]))


def gaussian_dropout_forward(y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None:
    take(np, aux, state, x.size)
    _gaussian_dropout(y.ravel(), aux, x.ravel(), rate)


def gaussian_dropout_backward(dx: Array, dy: Array, aux: Array, rate: Array) -> None:
    _gaussian_dropout(dx.ravel(), aux, dy.ravel(), rate)


@jit
def _gaussian_noise(y: Array, aux: Array, x: Array, stddev: Array) -> None:
    T = y.dtype.type
    factor, words = T(stddev[0]), _buffer(len(x))
    for begin in range(0, len(x), CHUNK):
        fill_words(words, aux[0], aux[1] + u64(begin // 4))
        part, to = x[begin : begin + CHUNK], y[begin : begin + CHUNK]
        for i in range(len(part)):
            to[i] = part[i] + factor * _normal(T, words[i])


def gaussian_noise_forward(y: Array, aux: Array, state: Array, x: Array, stddev: Array) -> None:
    take(np, aux, state, x.size)
    _gaussian_noise(y.ravel(), aux, x.ravel(), stddev)


@jit
def _uniform32(y: Array, aux: Array) -> None:
    words = _buffer(len(y))
    for begin in range(0, len(y), CHUNK):
        fill_words(words, aux[0], aux[1] + u64(begin // 4))
        to = y[begin : begin + CHUNK]
        for i in range(len(to)):
            to[i] = np.float32(np.int32(words[i] >> np.uint32(8))) * np.float32(2.0**-24)


@jit
def _uniform64(y: Array, aux: Array) -> None:
    words = _buffer(2 * len(y))
    for begin in range(0, len(y), CHUNK // 2):
        fill_words(words, aux[0], aux[1] + u64(begin // 2))
        to = y[begin : begin + CHUNK // 2]
        for i in range(len(to)):
            to[i] = (float(words[2 * i] >> np.uint32(5)) * 2.0**26 + float(words[2 * i + 1] >> np.uint32(6))) * 2.0**-53


def random_uniform(y: Array, aux: Array, state: Array) -> None:
    each, fill = (1, _uniform32) if y.itemsize == 4 else (2, _uniform64)
    take(np, aux, state, each * y.size)
    fill(y.ravel(), aux)


@jit
def _normals(y: Array, aux: Array) -> None:
    words = _buffer(len(y))
    for begin in range(0, len(y), CHUNK):
        fill_words(words, aux[0], aux[1] + u64(begin // 4))
        to = y[begin : begin + CHUNK]
        for i in range(len(to)):
            to[i] = _normal(np.float64, words[i])


def random_normal(y: Array, aux: Array, state: Array) -> None:
    take(np, aux, state, y.size)
    _normals(y.ravel(), aux)


@inline
def _upper_product(high: Any, low: Any, factor: Any) -> Any:
    """Return the upper 64 bits of the product of high 2^32 + low with a number of 64 bits."""
    across = high * (factor & LOW) + (low * (factor & LOW) >> HALF)
    other = low * (factor >> HALF) + (across & LOW)
    return high * (factor >> HALF) + (across >> HALF) + (other >> HALF)


@jit
def _integers(y: Array, aux: Array, low: int, span: int) -> None:
    words = _buffer(2 * len(y))
    for begin in range(0, len(y), CHUNK // 2):
        fill_words(words, aux[0], aux[1] + u64(begin // 2))
        to = y[begin : begin + CHUNK // 2]
        for i in range(len(to)):
            high, rest = u64(words[2 * i]), u64(words[2 * i + 1])
            offset = _upper_product(high, rest, span) if span else (high << HALF) | rest
            to[i] = np.int64(offset + low)


def random_integers(y: Array, aux: Array, state: Array, low: int, last: int) -> None:
    take(np, aux, state, 2 * y.size)
    _integers(y.ravel(), aux, u64(low % 2**64), u64((last - low + 1) % 2**64))
