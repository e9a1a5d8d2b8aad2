"""Compute the weights of attention as a Tensor, by other operations. Memory grows with the product of queries and keys."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..backends import current
from ..core import arrays
from .activation import softmax
from .attention import Rules, Sizes, rules_of, sizes_of
from .checks import as_tensor, floating
from .dense import matmul
from .elementwise import add, mul
from .index import repeat_interleave
from .logic import where
from .random import dropout
from .shape import transpose


def attention_weights(
    q: Any,
    k: Any,
    *,
    causal: bool = False,
    mask: Any = None,
    lengths: Any = None,
    starts: Any = None,
    window: int | None = None,
    slopes: Any = None,
    scale: float | None = None,
    heads_first: bool = False,
    op: str = "attention_weights",
) -> Tensor:
    """Return the weights (B, H, Tq, Tk) by which `attention` averages the values, to look at them or to compute with them.

    Args:
        q, k, causal, mask, lengths, starts, window, slopes, scale, heads_first, op: as in `attention`.

    >>> import fastnn
    >>> fastnn.attention_weights(fastnn.zeros((1, 2, 1, 3)), fastnn.zeros((1, 2, 1, 3)), causal=True).tolist()
    [[[[1.0, 0.0], [0.5, 0.5]]]]
    """
    q = floating(op, as_tensor(q, op))
    k = as_tensor(k, op, q)
    sizes = sizes_of(op, q, k, k, heads_first)
    return _weights(q, k, sizes, rules_of(op, sizes, q, causal, mask, lengths, starts, window, slopes, scale), heads_first)


def weighted(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    sizes: Sizes,
    rules: Rules,
    rate: Array | None,
    state: Array | None,
    heads_first: bool,
) -> Tensor:
    """Return `attention` computed from its weights, which gives a gradient also to the mask."""
    weights = _weights(q, k, sizes, rules, heads_first)
    if rate is not None and state is not None:
        weights = dropout(weights, state, rate)
    y = matmul(weights, _heads(v, sizes, heads_first))
    return y if heads_first else transpose(y, 0, 2, 1, 3)


def _heads(x: Tensor, sizes: Sizes, heads_first: bool) -> Tensor:
    """Return (B, H, T, columns), with the heads that share keys and values side by side."""
    x = x if heads_first else transpose(x, 0, 2, 1, 3)
    return x if x.shape[1] == sizes.heads else repeat_interleave(x, sizes.heads // sizes.groups, 1)


def _weights(q: Tensor, k: Tensor, sizes: Sizes, rules: Rules, heads_first: bool) -> Tensor:
    distance = _distance(sizes, rules)
    keys = transpose(_heads(k, sizes, heads_first), 0, 1, 3, 2)
    scores = mul(matmul(q if heads_first else transpose(q, 0, 2, 1, 3), keys), rules.scale)
    if rules.slopes is not None:
        scores = scores - rules.slopes.reshape(-1, 1, 1) * abs(distance).astype(q.dtype)
    allowed = []
    if rules.mask is not None and rules.mask.dtype == np.bool_:
        allowed.append(rules.mask)
    elif rules.mask is not None:
        scores = add(scores, rules.mask)
        allowed.append(rules.mask.detach() > -np.inf)
    if rules.lengths is not None:
        allowed.append(_constant(np.arange(sizes.keys)) < rules.lengths.reshape(-1, 1, 1, 1))
    if rules.causal:
        allowed.append(distance >= 0)
    if rules.window:
        allowed.append(abs(distance) < rules.window)
    if not allowed:
        return softmax(scores)
    both = allowed[0]
    for more in allowed[1:]:
        both = both & more
    # A finite number in place of -infinity: without any allowed key, weights and gradients are 0 rather than NaN.
    low = Tensor(arrays.filled(current(), (1, 1, 1, 1), q.dtype, float(np.finfo(q.dtype).min)))
    return where(both, softmax(where(both, scores, low)), Tensor(arrays.filled(current(), (1, 1, 1, 1), q.dtype, 0.0)))


def _distance(sizes: Sizes, rules: Rules) -> Tensor:
    """Return how far the position of each key is before that of each query: (B or 1, 1, Tq, Tk)."""
    apart = _constant(np.arange(sizes.queries)[:, None] - np.arange(sizes.keys))
    if rules.starts is None:
        return apart + rules.first
    return apart + rules.starts.reshape(-1, 1, 1, 1)


def _constant(a: np.ndarray[Any, Any]) -> Tensor:
    return Tensor(current().constant(a))
