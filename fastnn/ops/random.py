"""Dropout."""

from __future__ import annotations

from ..backends import current
from ..tensor import Array, Gradients, Node, Tensor, result
from .door import as_tensor, floating


def dropout(x: Tensor, state: Array, rate: Array) -> Tensor:
    """x / (1 - rate) where a random stream keeps an element, else 0.

    Args:
        x: any shape.
        state: uint64 (2,), the stream's seed and offset; moves on.
        rate: float64 (1,), the share of elements that are dropped.
    """
    x = floating("dropout", as_tensor(x, "dropout"))
    k = current()
    y, aux = k.empty(x.shape, x.dtype), k.empty(2, "uint64")
    k.dropout_forward(y, aux, state, x.data, rate)
    return result(y, _dropout_backward, (x,), aux, rate)


def _dropout_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    dx = grads.k.empty(dy.shape, dy.dtype)
    grads.k.dropout_backward(dx, dy, *node.saved)
    grads.add(node.inputs[0], dx)
