"""Attention of queries to keys."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from ..backends.spec.attention import FAR
from ..core.layout import strides_of
from ..core.seeding import stream
from .checks import as_tensor, check_number, floating, positive_int, same_dtype, whole_number, whole_numbers
from .shape import broadcast_to


class Rules(NamedTuple):
    """Checked arguments of `attention`: the keys that queries may attend to, and how their scores change."""

    causal: bool
    mask: Tensor | None
    lengths: Tensor | None
    starts: Tensor | None
    first: int
    """Position of the first query, if there are no `starts`."""
    window: int
    """0 if there is none."""
    slopes: Tensor | None
    scale: float


class Sizes(NamedTuple):
    """Sizes of a call: samples, heads, groups of heads, queries, keys, and the columns of keys and of values."""

    batch: int
    heads: int
    groups: int
    queries: int
    keys: int
    depth: int
    width: int


Place = tuple[int, ...]
"""Position of the matrices in an array: an offset, and the strides of samples, heads, rows and columns."""


def attention(
    q: Any,
    k: Any,
    v: Any,
    *,
    causal: bool = False,
    mask: Any = None,
    lengths: Any = None,
    starts: Any = None,
    window: int | None = None,
    slopes: Any = None,
    scale: float | None = None,
    rate: Array | None = None,
    state: Array | None = None,
    heads_first: bool = False,
    op: str = "attention",
) -> Tensor:
    """Return each query's average of the values, with the weights softmax(scale q k^T).

    Memory grows with the number of queries and of keys, not with their product. A query that may not attend to any key gets 0.

    Args:
        q: queries (B, Tq, H, D). So lie the columns of a projection to H D columns.
        k: keys (B, Tk, G, D). H is a multiple of G; H / G heads in turn share keys and values.
        v: values (B, Tk, G, E).
        causal: whether a query attends only to keys up to its own position.
        mask: bool, True where a query may attend; or floats that are added to the scores. It broadcasts to (B, H, Tq, Tk). If
            it requires a gradient, memory grows with Tq Tk.
        lengths: whole numbers (B,). Keys and values from there on are not used.
        starts: the position of the first query among the keys: one whole number, or (B,). By default, the last query has the
            position of the last key.
        window: queries attend only to keys less than so many positions away.
        slopes: (H,); the scores get -slope times the distance of the positions (ALiBi).
        scale: 1 / sqrt(D) by default.
        rate, state: the rate of dropout of the weights, float64 (1,), and the state of its random numbers, uint64 (2,).
        heads_first: whether the axes are (B, H, T, D), as in PyTorch.
        op: the name in error messages.

    Returns:
        Shape (B, Tq, H, E), or (B, H, Tq, E) if heads_first.

    Raises:
        ValueError: shapes that do not fit.
        TypeError: dtypes other than float32 or float64, or different ones.

    >>> import fastnn
    >>> x = fastnn.tensor([[[[1.0]], [[3.0]]]])
    >>> fastnn.attention(0 * x, x, x).tolist()
    [[[[2.0]], [[2.0]]]]
    """
    q = floating(op, as_tensor(q, op))
    k, v = as_tensor(k, op, q), as_tensor(v, op, q)
    sizes = sizes_of(op, q, k, v, heads_first)
    rules = rules_of(op, sizes, q, causal, mask, lengths, starts, window, slopes, scale)
    if rules.mask is not None and rules.mask.requires_grad:
        from .attention_weights import weighted

        return weighted(q, k, v, sizes, rules, rate, state, heads_first)
    shape = (sizes.batch, sizes.heads, sizes.queries) if heads_first else (sizes.batch, sizes.queries, sizes.heads)
    places = tuple(_place(t.shape, heads_first) for t in (q, k, v))
    y, saved = _forward(q.data, k.data, v.data, (*shape, sizes.width), sizes, rules, places, rate, state, heads_first)
    attrs = {"causal": rules.causal, "window": window, "scale": rules.scale, "heads_first": heads_first}
    return result("attention", y, _attention_backward, (q, k, v), saved, attrs)


def attention_packed(
    qkv: Any,
    heads: int,
    kv_heads: int | None = None,
    *,
    causal: bool = False,
    mask: Any = None,
    lengths: Any = None,
    starts: Any = None,
    window: int | None = None,
    slopes: Any = None,
    scale: float | None = None,
    rate: Array | None = None,
    state: Array | None = None,
    op: str = "attention_packed",
) -> Tensor:
    """Return `attention` of queries, keys and values that one projection computes, without copies of them.

    Args:
        qkv: (B, T, H + 2 G, D): the heads of queries, then those of keys, then those of values.
        heads: H.
        kv_heads: G; H by default.
        causal, mask, lengths, starts, window, slopes, scale, rate, state, op: as in `attention`.

    Returns:
        Shape (B, T, H, D).

    >>> import fastnn
    >>> fastnn.attention_packed(fastnn.ones((1, 2, 3, 4)), 1).shape
    (1, 2, 1, 4)
    """
    qkv = floating(op, as_tensor(qkv, op))
    h = positive_int(heads, f"{op}: heads")
    g = h if kv_heads is None else positive_int(kv_heads, f"{op}: kv_heads")
    if qkv.ndim != 4 or qkv.shape[2] != h + 2 * g:
        raise ValueError(f"{op}: qkv of shape {qkv.shape} came, wanted (batch, length, {h + 2 * g}, columns): {h} heads of "
                         f"queries, {g} of keys and {g} of values")  # fmt: skip
    b, t, _, d = qkv.shape
    sizes = Sizes(b, h, _groups(op, h, g), t, t, d, d)
    rules = rules_of(op, sizes, qkv, causal, mask, lengths, starts, window, slopes, scale)
    if rules.mask is not None and rules.mask.requires_grad:
        from .attention_weights import weighted

        return weighted(qkv[:, :, :h], qkv[:, :, h : h + g], qkv[:, :, h + g :], sizes, rules, rate, state, False)
    whole = _place(qkv.shape, False)
    places = tuple((first * d, *whole[1:]) for first in (0, h, h + g))
    y, saved = _forward(qkv.data, qkv.data, qkv.data, (b, t, h, d), sizes, rules, places, rate, state, False)
    attrs = {"heads": h, "kv_heads": g, "causal": rules.causal, "window": window, "scale": rules.scale}
    return result("attention_packed", y, _attention_backward, (qkv,), saved, attrs)


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Return `attention` with PyTorch's arguments and order of axes.

    Args:
        query: (..., H, Tq, D); the leading axes, and H, may be absent.
        key: (..., H, Tk, D), or with enable_gqa fewer heads, of which H is a multiple.
        value: (..., H, Tk, E).
        attn_mask: bool, True where a query may attend, or floats that are added to the scores. It broadcasts to (..., H, Tq, Tk).
        dropout_p: the rate of dropout of the weights.
        is_causal: whether query i attends only to the keys up to i: counted from the first key, also if Tq < Tk.
        scale: 1 / sqrt(D) by default.
        enable_gqa: whether groups of heads may share keys and values.

    Returns:
        Shape (..., H, Tq, E). A query that may not attend to any key gets 0.

    Raises:
        ValueError: shapes that do not fit, or both attn_mask and is_causal, as in PyTorch.

    >>> import fastnn
    >>> x = fastnn.ones((2, 5, 3))
    >>> fastnn.scaled_dot_product_attention(x, x, x, is_causal=True).shape
    (2, 5, 3)
    """
    op = "scaled_dot_product_attention"
    query = floating(op, as_tensor(query, op))
    key, value = as_tensor(key, op, query), as_tensor(value, op, query)
    if attn_mask is not None and is_causal:
        raise ValueError(f"{op}: attn_mask and is_causal came, wanted one of them; a mask may be causal itself")
    if query.ndim < 2 or not query.ndim == key.ndim == value.ndim:
        shapes = f"{query.shape}, {key.shape} and {value.shape}"
        raise ValueError(f"{op}: query, key and value of shapes {shapes} came, wanted equally many dimensions, at least 2")
    lead = query.shape[:-2]
    q, k, v = (_four(t) for t in (query, key, value))
    if not enable_gqa and q.shape[1] != k.shape[1]:
        raise ValueError(f"{op}: {q.shape[1]} heads of queries and {k.shape[1]} of keys came; enable_gqa lets heads share keys")
    mask = None if attn_mask is None else _four_mask(as_tensor(attn_mask, op), lead)
    rate, state = _dropout(op, dropout_p)
    rules: dict[str, Any] = {"causal": is_causal, "mask": mask, "starts": 0, "scale": scale}
    y = attention(q, k, v, **rules, rate=rate, state=state, heads_first=True, op=op)
    return y if len(lead) == 2 else y.reshape(*lead, *y.shape[-2:])


def _four(t: Tensor) -> Tensor:
    """Return a Tensor (..., H, T, D) with exactly one axis of samples."""
    if t.ndim == 4:
        return t
    *lead, rows, columns = t.shape
    heads = lead[-1] if lead else 1
    return t.reshape(int(np.prod(lead[:-1], dtype=np.int64)), heads, rows, columns)


def _four_mask(mask: Tensor, lead: tuple[int, ...]) -> Tensor:
    """Return a mask that broadcasts to (samples, H, Tq, Tk)."""
    if len(lead) <= 2 or mask.ndim <= 3:
        return mask
    return _four(broadcast_to(mask, *lead[:-1], *mask.shape[-3:]))


def _dropout(op: str, p: float) -> tuple[Array | None, Array | None]:
    """Return the rate and the stream's state for a rate that is a number; None if it is 0."""
    if not check_number(p, f"{op}: dropout_p", 0, 1):
        return None, None
    k = current()
    return k.constant(np.array([float(p)])), stream(k)


def sizes_of(op: str, q: Tensor, k: Tensor, v: Tensor, heads_first: bool) -> Sizes:
    """Return the sizes of a call of `attention`; raise an error if the shapes do not fit."""
    same_dtype(op, q, k, v)
    shapes = f"{q.shape}, {k.shape} and {v.shape}"
    order = "(batch, heads, length, columns)" if heads_first else "(batch, length, heads, columns)"
    if not q.ndim == k.ndim == v.ndim == 4:
        raise ValueError(f"{op}: queries, keys and values of shapes {shapes} came, wanted {order}")
    row, head = (2, 1) if heads_first else (1, 2)
    if k.shape[:3] != v.shape[:3] or k.shape[0] != q.shape[0] or k.shape[3] != q.shape[3]:
        raise ValueError(
            f"{op}: queries, keys and values of shapes {shapes} do not fit: wanted {order}, as many values as keys, of as many "
            "heads, and keys with as many columns as queries"
        )
    groups = _groups(op, q.shape[head], k.shape[head])
    return Sizes(q.shape[0], q.shape[head], groups, q.shape[row], k.shape[row], q.shape[3], v.shape[3])


def _groups(op: str, heads: int, groups: int) -> int:
    if groups < 1 or heads % groups:
        raise ValueError(f"{op}: {heads} heads of queries and {groups} of keys came, wanted a multiple of those of keys")
    return groups


def rules_of(
    op: str,
    sizes: Sizes,
    q: Tensor,
    causal: bool,
    mask: Any,
    lengths: Any,
    starts: Any,
    window: int | None,
    slopes: Any,
    scale: float | None,
) -> Rules:
    """Check the arguments of `attention`."""
    b, h, _, m, n, d, _ = sizes
    first = n - m
    if starts is None or isinstance(starts, int | np.integer):
        first, starts = first if starts is None else max(-FAR, min(FAR, int(starts))), None
    if slopes is not None:
        slopes = as_tensor(slopes, op, q)
        same_dtype(op, q, slopes)
        if slopes.shape != (h,):
            raise ValueError(f"{op}: slopes of shape {slopes.shape} came, wanted ({h},), one for each head")
    return Rules(
        bool(causal),
        None if mask is None else _mask(op, mask, q, (b, h, m, n)),
        None if lengths is None else _whole(op, "lengths", lengths, b),
        None if starts is None else _whole(op, "starts", starts, b),
        first,
        0 if window is None else min(whole_number(window, f"{op}: window", 1), 4 * FAR),
        slopes,
        (d**-0.5 if d else 1.0) if scale is None else check_number(scale, f"{op}: scale", -np.finfo(np.float64).max),
    )


def _mask(op: str, mask: Any, q: Tensor, shape: tuple[int, ...]) -> Tensor:
    t = mask if isinstance(mask, Tensor) else as_tensor(mask, op)
    if t.dtype.kind == "f" and t.dtype != q.dtype and not isinstance(mask, Tensor):
        t = as_tensor(mask, op, q)
    if t.dtype != np.bool_:
        if t.dtype.kind != "f":
            raise TypeError(f"{op}: a mask of dtype {t.dtype} came, wanted bool, or floats that are added to the scores")
        same_dtype(op, q, t)
    if t.ndim > 4 or any(size not in (1, full) for size, full in zip(t.shape[::-1], shape[::-1], strict=False)):
        raise ValueError(
            f"{op}: a mask of shape {t.shape} came, which does not broadcast to {shape}: samples, heads, queries, keys"
        )
    return t


def _whole(op: str, name: str, value: Any, batch: int) -> Tensor:
    t = whole_numbers(value, f"{op}: {name}")
    if t.shape != (batch,):
        raise ValueError(f"{op}: {name} of shape {t.shape} came, wanted ({batch},), one for each sample")
    return t


def _place(shape: tuple[int, ...], heads_first: bool) -> Place:
    """Return where the matrices of an array of this shape lie."""
    batch, second, third, column = strides_of(shape)
    return (0, batch, second, third, column) if heads_first else (0, batch, third, second, column)


def _mask_place(mask: Tensor | None) -> Place:
    """Return where a mask lies, with strides of 0 along the axes that are broadcast."""
    if mask is None:
        return (0,) * 5
    strides = [0 if size == 1 else stride for size, stride in zip(mask.shape, strides_of(mask.shape), strict=True)]
    return (0, *[0] * (4 - mask.ndim), *strides)


@lru_cache(maxsize=4096)
def _places(*places: Place) -> np.ndarray[Any, Any]:
    table = np.array(places, np.int64)
    table.setflags(write=False)
    return table


def _forward(
    q: Array,
    k: Array,
    v: Array,
    shape: tuple[int, ...],
    sizes: Sizes,
    rules: Rules,
    places: tuple[Place, ...],
    rate: Array | None,
    state: Array | None,
    heads_first: bool,
) -> tuple[Array, tuple[Any, ...]]:
    """Return the output, and what backward needs."""
    kernels, absent = current(), current().absent
    if (rate is None) != (state is None):
        raise TypeError("attention: dropout needs both a rate and the state of its random numbers")
    b, h, g, m, n, d, e = sizes
    mask = rules.mask
    bias, marks = (absent if mask is None or (mask.dtype == np.bool_) != wanted else mask.data for wanted in (False, True))
    settings: tuple[Any, ...] = (g, n, d, e, rules.first, rules.window, int(rules.causal), rules.scale)
    of_mask = _mask_place(mask)
    table = kernels.constant(_places(_place(shape, heads_first), *places, of_mask, of_mask))
    rest = (absent if t is None else t.data for t in (rules.lengths, rules.starts, rules.slopes))
    arrays: tuple[Any, ...] = (q, k, v, bias, marks, *rest, absent if rate is None else rate, table)
    y, lse = kernels.empty(shape, q.dtype), kernels.empty((b, h, m), q.dtype)
    aux = absent if rate is None else kernels.empty(2, "uint64")
    kernels.attention_forward(y, lse, aux, absent if state is None else state, *arrays, *settings)
    return y, (*arrays, y, lse, aux, *settings, sizes, rules, rate)


def _attention_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    k, inputs = grads.k, node.inputs
    made = [k.empty(t.shape, t.dtype) for t in inputs]
    dq, dk, dv = made * 3 if len(made) == 1 else made
    k.attention_backward(dq, dk, dv, dy, *node.saved[:-3])  # without the sizes, rules and rate
    for t, gradient in zip(inputs, made, strict=True):
        if t.requires_grad:
            grads.add(t, gradient)
