"""Attention, a query at a time over copied keys and values, and rotary positions; reference/attention.py defines them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.attention import GROUP
from ..reference.random import take
from ..spec.attention import FAR
from . import team
from .jit import jit
from .random import fill_words
from .vmath import exp, inline, log

Array = Any

_SHARE = 2e6
"""Multiplications that are worth a thread."""

_NONE = {np.dtype(name): np.empty(0, name) for name in ("float32", "float64", "bool", "int64", "uint64")}


def _given(a: Array, dtype: Any) -> Array:
    """Return a flat array, or an empty one of its dtype if it is absent: so there is one compiled function for all cases."""
    return a.ravel() if a.size else _NONE[np.dtype(dtype)]


def attention_forward(
    y: Array, lse: Array, aux: Array, state: Array, q: Array, k: Array, v: Array, bias: Array, mask: Array, lengths: Array,
    starts: Array, slopes: Array, rate: Array, places: Array, groups: int, keys: int, depth: int, width: int, first: int,
    window: int, causal: int, scale: float,
) -> None:  # fmt: skip
    if rate.size:
        take(np, aux, state, lse.size * -(-keys // GROUP) * GROUP)
    T, sizes = y.dtype.type, (groups, keys, depth, width, first, window, causal)
    rules = (_given(bias, T), _given(mask, bool), _given(lengths, np.int64), _given(starts, np.int64), _given(slopes, T))
    dropout = _given(rate, np.float64), _given(aux, np.uint64)
    work = lse.size * keys * (depth + width)
    arguments = (y.ravel(), lse, q.ravel(), k.ravel(), v.ravel(), rules, dropout, places, sizes, T(scale))
    team.share(_forward, arguments, lse.shape[0] * groups, work / _SHARE)


def attention_backward(
    dq: Array, dk: Array, dv: Array, dy: Array, q: Array, k: Array, v: Array, bias: Array, mask: Array, lengths: Array,
    starts: Array, slopes: Array, rate: Array, places: Array, y: Array, lse: Array, aux: Array, groups: int, keys: int,
    depth: int, width: int, first: int, window: int, causal: int, scale: float,
) -> None:  # fmt: skip
    T, sizes = y.dtype.type, (groups, keys, depth, width, first, window, causal)
    rules = (_given(bias, T), _given(mask, bool), _given(lengths, np.int64), _given(starts, np.int64), _given(slopes, T))
    dropout = _given(rate, np.float64), _given(aux, np.uint64)
    work = lse.size * keys * (3 * depth + 2 * width)
    gradients = (dq.ravel(), dk.ravel(), dv.ravel(), dy.ravel())
    arguments = (*gradients, y.ravel(), lse, q.ravel(), k.ravel(), v.ravel(), rules, dropout, places, sizes, T(scale))
    team.share(_backward, arguments, lse.shape[0] * groups, work / _SHARE)


@inline
def _seen(first: int, limit: int, window: int, causal: int, i: int) -> tuple[int, int]:
    """Return the first key that query i may attend to, and the one after the last."""
    position = first + i
    begin, end = 0, limit
    if causal:
        end = min(end, position + 1)
    if window:
        begin = max(begin, position - window + 1)
        end = min(end, position + window)
    end = max(end, 0)
    return min(begin, end), end


@inline
def _sight(rules: Any, sizes: Any, b: int) -> tuple[int, int]:
    """Return the position of a sample's first query, and the number of its keys."""
    lengths, starts = rules[2], rules[3]
    first = min(FAR, max(-FAR, starts[b])) if len(starts) else sizes[4]
    return first, min(sizes[1], max(0, lengths[b])) if len(lengths) else sizes[1]


@inline
def _turned(x: Array, place: Array, b: int, g: int, n: int, columns: int) -> Array:
    """Copy the columns of keys or values to rows."""
    to = np.empty((columns, n), x.dtype)
    begin = place[0] + b * place[1] + g * place[2]
    for j in range(n):
        for c in range(columns):
            to[c, j] = x[begin + j * place[3] + c]
    return to


@inline
def _row(x: Array, place: Array, b: int, h: int, i: int, columns: int) -> Array:
    begin = place[0] + b * place[1] + h * place[2] + i * place[3]
    return x[begin : begin + columns]


@inline
def _products(s: Array, x: Array, turned: Array, begin: int, end: int) -> None:
    """Set s to the products of a row with keys or values from begin to end."""
    out = s[begin:end]
    out[:] = 0
    for c in range(len(x)):
        keys, factor = turned[c, begin:end], x[c]
        for j in range(len(out)):
            out[j] += factor * keys[j]


@inline
def _decorate(s: Array, rules: Any, places: Array, scale: Any, b: int, h: int, i: int, at: int, begin: int, end: int) -> None:
    """Scale scores, add what belongs to them, and mask them."""
    bias, mask, slopes = rules[0], rules[1], rules[4]
    T = s.dtype.type
    for j in range(begin, end):
        s[j] *= scale
    if len(slopes):
        for j in range(begin, end):
            s[j] -= slopes[h] * T(abs(at - j))
    if len(bias):
        row = places[4, 0] + b * places[4, 1] + h * places[4, 2] + i * places[4, 3]
        for j in range(begin, end):
            s[j] += bias[row + j * places[4, 4]]
    if len(mask):
        row = places[5, 0] + b * places[5, 1] + h * places[5, 2] + i * places[5, 3]
        for j in range(begin, end):
            if not mask[row + j * places[5, 4]]:
                s[j] = T(-np.inf)


@inline
def _keep(kept: Array, words: Array, dropout: Any, row: int, begin: int, end: int) -> None:
    """Set the factors of dropout for the keys of a row of scores."""
    rate, aux = dropout[0], dropout[1]
    T, n = kept.dtype.type, len(words)
    if rate[0] >= 1:
        kept[begin:end] = T(0)
        return
    fill_words(words, aux[0], aux[1] + np.uint64(row * (n // 4)))
    threshold, factor = np.uint32(rate[0] * 4294967296.0), T(1 / (1 - rate[0]))
    for j in range(begin, end):
        kept[j] = factor if words[j] >= threshold else T(0)


@jit
def _forward(
    y: Array, lse: Array, q: Array, k: Array, v: Array, rules: Any, dropout: Any, places: Array, sizes: Any, scale: Any,
    begin_pair: int, end_pair: int,
) -> None:  # fmt: skip
    groups, keys, depth, width = sizes[0], sizes[1], sizes[2], sizes[3]
    _, H, M = lse.shape
    T, heads = y.dtype.type, H // groups
    s, kept = np.empty(keys, y.dtype), np.empty(keys, y.dtype)
    words = np.empty(-(-keys // GROUP) * GROUP if len(dropout[0]) else 0, np.uint32)
    total_of = np.empty(width, y.dtype)
    for pair in range(begin_pair, end_pair):
        b, g = pair // groups, pair % groups
        first, limit = _sight(rules, sizes, b)
        turned = _turned(k, places[2], b, g, limit, depth)
        for head in range(heads * M):
            h, i = g * heads + head // M, head % M
            begin, end = _seen(first, limit, sizes[5], sizes[6], i)
            _products(s, _row(q, places[1], b, h, i, depth), turned, begin, end)
            _decorate(s, rules, places, scale, b, h, i, first + i, begin, end)
            top, total = T(-np.inf), T(0)
            for j in range(begin, end):
                top = s[j] if s[j] > top else top
            shift = T(0) if top == T(-np.inf) else top
            for j in range(begin, end):
                s[j] = exp(T, s[j] - shift)
            for j in range(begin, end):
                total += s[j]
            if len(dropout[0]):
                _keep(kept, words, dropout, (b * H + h) * M + i, begin, end)
                for j in range(begin, end):
                    s[j] *= kept[j]
            total_of[:] = 0
            for j in range(begin, end):
                value, weight = _row(v, places[3], b, g, j, width), s[j]
                for c in range(width):
                    total_of[c] += weight * value[c]
            inverse = T(0) if total == 0 else T(1) / total
            out = _row(y, places[0], b, h, i, width)
            for c in range(width):
                out[c] = total_of[c] * inverse
            lse[b, h, i] = shift + log(T, total)


@jit
def _backward(
    dq: Array, dk: Array, dv: Array, dy: Array, y: Array, lse: Array, q: Array, k: Array, v: Array, rules: Any, dropout: Any,
    places: Array, sizes: Any, scale: Any, begin_pair: int, end_pair: int,
) -> None:  # fmt: skip
    groups, keys, depth, width = sizes[0], sizes[1], sizes[2], sizes[3]
    _, H, M = lse.shape
    T, heads = y.dtype.type, H // groups
    p, d, kept = np.empty(keys, y.dtype), np.empty(keys, y.dtype), np.empty(keys, y.dtype)
    words = np.empty(-(-keys // GROUP) * GROUP if len(dropout[0]) else 0, np.uint32)
    of_q, of_k, of_v = np.empty(depth, y.dtype), np.empty((keys, depth), y.dtype), np.empty((keys, width), y.dtype)
    for pair in range(begin_pair, end_pair):
        b, g = pair // groups, pair % groups
        first, limit = _sight(rules, sizes, b)
        turned, turned_values = _turned(k, places[2], b, g, limit, depth), _turned(v, places[3], b, g, limit, width)
        of_k[:] = 0
        of_v[:] = 0
        for head in range(heads * M):
            h, i = g * heads + head // M, head % M
            begin, end = _seen(first, limit, sizes[5], sizes[6], i)
            query, slope, out = (
                _row(q, places[1], b, h, i, depth),
                _row(dy, places[0], b, h, i, width),
                _row(y, places[0], b, h, i, width),
            )
            inner = T(0)
            for c in range(width):
                inner += slope[c] * out[c]
            _products(p, query, turned, begin, end)
            _products(d, slope, turned_values, begin, end)
            _decorate(p, rules, places, scale, b, h, i, first + i, begin, end)
            shift = T(0) if lse[b, h, i] == T(-np.inf) else lse[b, h, i]
            for j in range(begin, end):
                p[j] = exp(T, p[j] - shift)
            if len(dropout[0]):
                _keep(kept, words, dropout, (b * H + h) * M + i, begin, end)
                for j in range(begin, end):
                    d[j] = p[j] * (d[j] * kept[j] - inner) * scale
                    p[j] *= kept[j]
            else:
                for j in range(begin, end):
                    d[j] = p[j] * (d[j] - inner) * scale
            of_q[:] = 0
            for j in range(begin, end):
                key, to_key, to_value = _row(k, places[2], b, g, j, depth), of_k[j], of_v[j]
                for c in range(depth):
                    of_q[c] += d[j] * key[c]
                    to_key[c] += d[j] * query[c]
                for c in range(width):
                    to_value[c] += p[j] * slope[c]
            _row(dq, places[1], b, h, i, depth)[:] = of_q
        for j in range(keys):
            _row(dk, places[2], b, g, j, depth)[:] = of_k[j]
            _row(dv, places[3], b, g, j, width)[:] = of_v[j]


def rotary(y: Array, x: Array, table: Array, positions: Array, heads: int, halves: int, inverse: int) -> None:
    _rotary(y, x, table, positions, heads, halves, y.dtype.type(-1 if inverse else 1))


@jit
def _rotary(y: Array, x: Array, table: Array, positions: Array, heads: int, halves: int, sign: Any) -> None:
    B, M, H, D = x.shape
    P, C = table.shape[0], table.shape[1] // 2
    step = C if halves else 1
    for b in range(B):
        for i in range(M):
            at = positions[b if len(positions) > 1 else 0, i]
            for h in range(H):
                out, row = y[b, i, h], x[b, i, h]
                turned = 2 * C if h < heads else 0
                if turned and not 0 <= at < P:
                    out[:turned] = np.nan
                elif turned:
                    for c in range(C):
                        first = c if halves else 2 * c
                        cosine, sine = table[at, c], sign * table[at, C + c]
                        out[first] = row[first] * cosine - row[first + step] * sine
                        out[first + step] = row[first] * sine + row[first + step] * cosine
                for c in range(turned, D):
                    out[c] = row[c]
