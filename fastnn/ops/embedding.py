"""Rows of a table by index, as embeddings look them up."""

from __future__ import annotations

from typing import Any

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from ..core import arrays
from .checks import as_tensor, floating
from .data import add_gradient_rows, as_index


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
        IndexError: an index is out of range; the message gives it and its position.
        TypeError: the indices are not integers.
    """
    weight = floating(op, as_tensor(weight, op))
    index = as_index(index, op, weight.shape[0], 0)
    k, flat = current(), index.data.reshape(-1)
    y = k.empty((flat.size, weight.shape[1]), weight.dtype)
    k.take_forward(y, weight.data, flat)
    attrs = {"padding_idx": padding_idx, "scale_grad_by_freq": scale_grad_by_freq}
    return result("embedding", y.reshape(*index.shape, weight.shape[1]), _embedding_backward, (weight, index), (flat,), attrs)


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
