"""Rows of a table by index, as embeddings look them up."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, no_grad, result
from ..backends import current
from ..core import arrays
from .checks import as_tensor, floating
from .data import add_gradient_rows, add_rows, as_index, gather, take
from .elementwise import abs as absolute
from .elementwise import astype
from .logic import eq, where
from .reduce import amax, cumsum
from .reduce import sum as sum_of
from .shape import concatenate, reshape
from .sort import argsort


def embedding(
    weight: Tensor, index: Any, padding_idx: int | None = None, scale_grad_by_freq: bool = False, op: str = "embedding"
) -> Tensor:
    """Return the rows of a table by index.

    Args:
        weight: the table (V, C).
        index: integers from 0 to V - 1, any shape.
        padding_idx: a row that gets no gradient.
        scale_grad_by_freq: whether the gradient of a row is divided by the number of times that its index occurs.
        op: the name that errors have.

    Shapes: the result has the shape of index, then C.

    Raises:
        IndexError: an index is out of range; the message gives it and its position. Recorded steps do not check indices: there,
            those from -V to -1 count from the end, and others give NaN.
        TypeError: the indices are not integers.
    """
    weight = floating(op, as_tensor(weight, op))
    index = as_index(index, op, weight.shape[0], 0)
    k, flat = current(), index.data.reshape(-1)
    y = k.empty((flat.size, weight.shape[1]), weight.dtype)
    k.take_forward(y, weight.data, flat)
    attrs = {"padding_idx": padding_idx, "scale_grad_by_freq": scale_grad_by_freq}
    return result("embedding", y.reshape(*index.shape, weight.shape[1]), _embedding_backward, (weight, index), (flat,), attrs)


def limit_norms(weight: Tensor, index: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale the rows with these indices to the norm max_norm, in place, where theirs is greater. It has no gradient.

    Args:
        weight: the table (V, C).
        index: int64, any shape; each row is scaled once.
        max_norm: the greatest norm.
        norm_type: p of the p-norm, or infinity.
    """
    if not index.size:
        return
    with no_grad():
        flat = reshape(index, (-1,))
        ordered = gather(flat, 0, argsort(flat))
        again = eq(ordered[1:], ordered[:-1])
        first = concatenate([Tensor(ordered.data[:1]), where(again, weight.shape[0], ordered[1:])])  # the others are skipped
        rows = take(weight, ordered)
        size = absolute(rows)
        if norm_type == float("inf"):
            norms = amax(size, axis=1, keepdims=True)
        else:
            norms = sum_of(size**norm_type, axis=1, keepdims=True) ** (1 / norm_type)
        factor = where(norms > max_norm, max_norm / (norms + 1e-7), 1.0)
        add_rows(weight, first, rows * factor - rows)


def bags_of(offsets: Tensor, items: int) -> Tensor:
    """Return the number of its bag for each item (items,), from the position of the first item of each bag."""
    k = current()
    begins = k.empty((items, 1), np.float64)
    k.take_backward(begins, k.absent, arrays.filled(k, (offsets.size, 1), np.dtype(np.float64), 1.0), offsets.data, 0)
    return reshape(astype(cumsum(Tensor(begins), axis=0) - 1, np.int64), (-1,))


def bag_sum(x: Tensor, bags: Tensor, count: int) -> Tensor:
    """Return the sum of the rows of each bag (count, C), of rows x (J, C) with the numbers of their bags (J,)."""
    k = current()
    y = k.empty((count, x.shape[1]), x.dtype)
    k.take_backward(y, k.absent, x.data, bags.data, 0)
    return result("bag_sum", y, _bag_sum_backward, (x, bags), (bags.data,), {"count": count})


def _bag_sum_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    dx = grads.k.empty(node.inputs[0].shape, dy.dtype)
    grads.k.take_forward(dx, dy, node.saved[0])
    grads.add(node.inputs[0], dx)


def _embedding_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    k, weight, (index,) = grads.k, node.inputs[0], node.saved
    rows, columns = weight.shape
    dy = dy.reshape(len(index), columns)
    if node.attrs["scale_grad_by_freq"]:
        dy = arrays.binary(k, "div", dy, _counts(k, index, rows, dy.dtype))
    if (padding := node.attrs["padding_idx"]) is not None:
        outside = arrays.filled(k, (1,), index.dtype, rows)  # the kernel adds nothing there
        is_padding = arrays.compare(k, "eq", index, arrays.filled(k, (1,), index.dtype, padding))
        index = arrays.select(k, is_padding, outside, index)
    add_gradient_rows(grads, weight, dy, index)


def _counts(k: Any, index: Array, rows: int, dtype: Any) -> Array:
    """Return, for each index, how often it occurs among all, as a column."""
    counts, own = k.empty((rows, 1), dtype), k.empty((len(index), 1), dtype)
    k.take_backward(counts, k.absent, arrays.filled(k, (len(index), 1), dtype, 1.0), index, 0)
    k.take_forward(own, counts, index)
    return own
