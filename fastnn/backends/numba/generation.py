"""Choice of the next token of a sequence, by the logits of a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .random import fill_words
from .vmath import exp, inline

Array = Any


@inline
def _uniform(seed: int, position: int) -> float:
    words = np.empty(64, np.uint32)
    fill_words(words, seed, np.uint64(position))
    return (float(words[0] >> np.uint32(5)) * 2.0**26 + float(words[16] >> np.uint32(6))) * 2.0**-53


@jit
def _first_of_order(z: Array, k: int) -> Array:
    """Return, from low to high, the numbers of the k greatest above -infinity; of equal ones the lowest come first."""
    limit, free = -np.inf, len(z)
    if k < len(z):
        limit, free = np.partition(z, len(z) - k)[len(z) - k], k
        for i in range(len(z)):
            free -= z[i] > limit
    ids, m = np.empty(len(z), np.int64), 0
    for i in range(len(z)):
        if z[i] > limit or (z[i] == limit and limit > -np.inf and free > 0):
            free -= z[i] == limit
            ids[m] = i
            m += 1
    return ids[:m]


@jit
def _heaviest(z: Array, ids: Array, weight: Array, top_p: float) -> Array:
    """Return the positions of the first tokens in the order that have top_p of the weight, from low to high."""
    total = weight.sum()
    share = top_p * total
    heavy = np.nonzero(weight >= (1 - top_p) * total / len(weight))[0]  # the others are the last, and have too little weight
    if len(heavy) == 0:
        heavy = np.arange(len(weight))
    order = heavy[np.argsort(-z[ids[heavy]], kind="mergesort")]
    before, n = weight[order[0]], 1
    while n < len(order) and before < share:
        before += weight[order[n]]
        n += 1
    return np.sort(order[:n])


@jit
def _sample_row(z: Array, w: Array, settings: Array, seed: int, position: int) -> int:
    """Fill w[...], which is 0, and return the token."""
    temperature, top_k, top_p, min_p = settings[0], settings[1], settings[2], min(settings[3], 1.0)
    best = -1
    for i in range(len(z)):
        if z[i] != z[i]:
            return -1
        if z[i] > -np.inf and (best < 0 or z[i] > z[best]):
            best = i
    if best < 0 or np.isnan(settings).any():
        return -1
    if temperature == 0:
        w[best] = 1
        return best
    ids = _first_of_order(z, int(top_k) if 1 <= top_k < len(z) else len(z))
    weight = np.empty(len(ids))
    for j in range(len(ids)):
        x = z[ids[j]]
        weight[j] = exp(np.float64, 0.0 if x == z[best] else (np.float64(x) - np.float64(z[best])) / temperature)
    if top_p < 1:
        kept = _heaviest(z, ids, weight, top_p)
        ids, weight = ids[kept], weight[kept]
    total = 0.0
    for j in range(len(ids)):
        if weight[j] >= min_p:
            w[ids[j]] = weight[j]
            total += weight[j]
    up_to, limit, token = 0.0, _uniform(seed, position) * total, best
    for j in range(len(ids)):
        x = w[ids[j]]
        if x > 0:
            up_to += x
            token = ids[j]
            if up_to > limit:
                break
    return token


@jit
def _sample(token: Array, w: Array, z: Array, settings: Array, seed: Array, position: Array) -> None:
    w[:] = 0
    for n in range(len(token)):
        token[n] = _sample_row(z[n], w[n], settings, seed[n], position[n])


@jit
def _penalize(z: Array, logits: Array, previous: Array, count: Array, penalty: float) -> None:
    factor = z.dtype.type(penalty)
    for n in range(len(z)):
        for j in range(min(count[n], previous.shape[1])):
            i = previous[n, j]
            if 0 <= i < z.shape[1]:
                x = logits[n, i]
                z[n, i] = x / factor if x > 0 else x * factor


def sample_tokens(
    token: Array,
    w: Array,
    logits: Array,
    settings: Array,
    seed: Array,
    position: Array,
    previous: Array,
    count: Array,
) -> None:
    z = logits
    if previous.size and count.size:
        z = logits.copy()
        _penalize(z, logits, previous, count, settings[4])
    _sample(token, w, z, settings, seed, position)
