"""Attention (Vaswani et al., arXiv 1706.03762) and rotary positions (Su et al., arXiv 2104.09864).

Queries, keys and values may lie in one array or in several, in any order of their axes. ``places`` says where: its rows are
those of y, q, k, v, bias and mask, with an offset and the strides of samples, heads, rows and columns, in elements. The columns
of the first four lie together. Each gradient lies as its input does.
"""

from __future__ import annotations

from typing import Any

from ..spec.attention import FAR
from .random import take, words_of

Array = Any

GROUP = 64
"""Number of random words in a group. The words of each row of weights begin with a new group."""


def attention_forward(
    xp: Any, y: Array, lse: Array, aux: Array, state: Array, q: Array, k: Array, v: Array, bias: Array, mask: Array,
    lengths: Array, starts: Array, slopes: Array, rate: Array, places: Array, groups: int, keys: int, depth: int, width: int,
    first: int, window: int, causal: int, scale: float,
) -> None:  # fmt: skip
    """y = P v with P = softmax(scale q k^T + bias), over the keys that a query may attend to; lse is the logarithm of its sum.

    q is (B, H, M, depth), k (B, groups, keys, depth), v (B, groups, keys, width); H / groups heads in turn share keys and values.

    Query i of sample b has the position starts[b] + i, or first + i without ``starts``; key j has the position j. Elements of
    ``starts`` count as the nearest number from -2^48 to 2^48. A query may attend to key j if j < lengths[b], if ``mask`` is true
    there, if ``causal`` does not put j after its position, and if, with ``window`` > 0, the positions are less than ``window``
    apart. To the scores are added ``bias``, and -slopes[h] times the distance of the positions (Press et al., arXiv 2108.12409).
    bias and mask are (B, H, M, keys), with strides of 0 where they are broadcast. A query without keys has y = 0 and lse =
    -infinity. A value beyond ``lengths`` counts as 0; another one that is not finite may reach also the queries that may not
    attend to it.

    With ``rate``, dropout follows softmax: weights are kept if their random word >= rate 2^32, and are then divided by 1 - rate.
    The word of key j is word j of as many groups of words as the keys need; those of a query begin where these of the query
    before it end, in the order of y.
    """
    of_y, of_q, of_k, of_v, of_bias, of_mask = views_of(
        xp, (y, q, k, v, bias, mask), places, lse.shape, (groups, keys, depth, width)
    )
    if rate.size:
        take(xp, aux, state, lse.size * -(-keys // GROUP) * GROUP)
    scores = scores_of(xp, of_q, of_k, of_bias, of_mask, lengths, starts, slopes, first, window, causal, scale)
    largest = scores.max(-1, initial=-xp.inf)
    shift = xp.where(xp.isneginf(largest), 0, largest)[..., None]
    weights = xp.exp(scores - shift)
    total = weights.sum(-1)
    lse[...] = shift[..., 0] + xp.log(total)
    weights = weights / xp.where(total == 0, 1, total)[..., None]
    if rate.size:
        weights = weights * _kept(xp, weights, aux, rate)
    of_y[...] = (grouped(weights, groups) @ _zeroed(xp, of_v, lengths)[:, :, None]).reshape(of_y.shape)


def attention_backward(
    xp: Any, dq: Array, dk: Array, dv: Array, dy: Array, q: Array, k: Array, v: Array, bias: Array, mask: Array, lengths: Array,
    starts: Array, slopes: Array, rate: Array, places: Array, y: Array, lse: Array, aux: Array, groups: int, keys: int,
    depth: int, width: int, first: int, window: int, causal: int, scale: float,
) -> None:  # fmt: skip
    """dv = P^T dy, dq = scale dS k, dk = scale dS^T q with dS = P (dP - rowsum(dy y)), dP = dy v^T, and P from lse.

    With dropout, P in dv and dP have the factors of the forward. Keys and values get the sums over the heads that share them.
    Queries without keys, and keys without queries, get 0. dq, dk and dv may be one array, of which each writes its part.
    """
    sizes = (groups, keys, depth, width)
    of_y, of_q, of_k, of_v, of_bias, of_mask = views_of(xp, (y, q, k, v, bias, mask), places, lse.shape, sizes)
    of_dy, of_dq, of_dk, of_dv = views_of(xp, (dy, dq, dk, dv), places, lse.shape, sizes)
    scores = scores_of(xp, of_q, of_k, of_bias, of_mask, lengths, starts, slopes, first, window, causal, scale)
    weights = xp.exp(scores - xp.where(xp.isneginf(lse), 0, lse)[..., None])
    dy5, k5, v5 = grouped(of_dy, groups), _zeroed(xp, of_k, lengths), _zeroed(xp, of_v, lengths)
    q5 = grouped(of_q, groups)
    dweights = (dy5 @ v5[:, :, None].swapaxes(-1, -2)).reshape(weights.shape)
    used = weights
    if rate.size:
        kept = _kept(xp, weights, aux, rate)
        used, dweights = weights * kept, dweights * kept
    delta = (of_dy * of_y).sum(-1)[..., None]
    dscores = grouped(weights * (dweights - delta) * weights.dtype.type(scale), groups)
    of_dq[...] = (dscores @ k5[:, :, None]).reshape(of_dq.shape)
    of_dk[...] = (dscores.swapaxes(-1, -2) @ q5).sum(2)
    of_dv[...] = (grouped(used, groups).swapaxes(-1, -2) @ dy5).sum(2)


def rotary(xp: Any, y: Array, x: Array, table: Array, positions: Array, heads: int, halves: int, inverse: int) -> None:
    """y = x with the first ``heads`` heads turned: each pair of columns by an angle.

    A row of the table has the cosines of the angles of a position for all C = R / 2 pairs, then their sines.

    Pair c is the columns c and C + c if ``halves``, or else 2 c and 2 c + 1; (a, b) becomes (a cos - b sin, a sin + b cos), or
    with ``inverse`` (a cos + b sin, b cos - a sin), which is the gradient. Columns from 2 C on and the other heads are copied.
    S is 1 or B; a position outside the table gives NaN.
    """
    n, c = table.shape[0], table.shape[1] // 2
    known = (positions >= 0) & (positions < n)
    turns = table[xp.where(known, positions, 0)] if n else xp.full((*positions.shape, 2 * c), xp.nan, x.dtype)
    cos, sin = (xp.where(known[..., None], part, xp.nan)[:, :, None] for part in (turns[..., :c], turns[..., c : 2 * c]))
    sin = -sin if inverse else sin
    first, second = (slice(0, c), slice(c, 2 * c)) if halves else (slice(0, 2 * c, 2), slice(1, 2 * c, 2))
    y[...] = x
    a, b = x[:, :, :heads, first], x[:, :, :heads, second]
    y[:, :, :heads, first] = a * cos - b * sin
    y[:, :, :heads, second] = a * sin + b * cos


def views_of(xp: Any, arrays: tuple[Array, ...], places: Array, batch: tuple[int, ...], sizes: tuple[int, ...]) -> list[Array]:
    """Return views (B, heads, rows, columns) of arrays, by the rows of `places`; None for those that are absent."""
    (b, h, m), (g, n, d, e) = batch, sizes
    shapes = ((b, h, m, e), (b, h, m, d), (b, g, n, d), (b, g, n, e), (b, h, m, n), (b, h, m, n))
    found: list[Array] = []
    for a, shape, place in zip(arrays, shapes, places, strict=False):
        offset, *strides = (int(i) for i in place)
        flat = a.reshape(-1)[offset if a.size else 0 :]
        steps = [stride * a.itemsize for stride in strides]
        full = bool(a.size) or not all(shape)
        found.append(xp.lib.stride_tricks.as_strided(flat, shape, steps) if full else None)
    return found


def grouped(x: Array, groups: int) -> Array:
    """Return x (B, H, ...) as (B, groups, H / groups, ...)."""
    b, h, *rest = x.shape
    return x.reshape(b, groups, h // groups if groups else 0, *rest)


def _zeroed(xp: Any, x: Array, lengths: Array) -> Array:
    """Return keys or values with 0 beyond the length of their sample."""
    return xp.where((xp.arange(x.shape[2]) < lengths[:, None])[:, None, :, None], x, 0) if lengths.size else x


def scores_of(
    xp: Any, q: Array, k: Array, bias: Array, mask: Array, lengths: Array, starts: Array, slopes: Array, first: int,
    window: int, causal: int, scale: float,
) -> Array:  # fmt: skip
    """Return the scores (B, H, M, keys); -infinity where a query may not attend to a key."""
    (b, h, m, _), (_, g, n, _) = q.shape, k.shape
    scores = (grouped(q, g) @ k[:, :, None].swapaxes(-1, -2)).reshape(b, h, m, n) * q.dtype.type(scale)
    begin = xp.clip(starts, -FAR, FAR) if starts.size else xp.full(b, first, xp.int64)
    distance = (begin[:, None, None] + xp.arange(m)[:, None] - xp.arange(n))[:, None]
    if slopes.size:
        scores = scores - slopes[:, None, None] * abs(distance).astype(q.dtype)
    if bias is not None:
        scores = scores + bias
    allowed = xp.ones(distance.shape, bool) if mask is None else mask
    if lengths.size:
        allowed = allowed & (xp.arange(n) < lengths[:, None, None, None])
    if causal:
        allowed = allowed & (distance >= 0)
    if window:
        allowed = allowed & (abs(distance) < window)
    return xp.where(allowed, scores, -xp.inf)


def _kept(xp: Any, weights: Array, aux: Array, rate: Array) -> Array:
    """Return the factors of dropout: 1 / (1 - rate) for kept weights, 0 for the others."""
    *rows, n = weights.shape
    r, padded = float(rate[0]), -(-n // GROUP) * GROUP
    count = padded
    for size in rows:
        count *= size
    words = words_of(xp, count, int(aux[0]), int(aux[1])).reshape(*rows, padded)[..., :n]
    kept = words >= xp.asarray(int(r * 2**32), xp.uint64)
    return xp.where(kept, weights.dtype.type(1 / (1 - r) if r < 1 else 0), weights.dtype.type(0))
