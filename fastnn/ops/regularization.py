"""Penalties on weights and activations."""

from __future__ import annotations

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from .checks import as_tensor, floating


def penalty(x: Tensor, weights: Array) -> Tensor:
    """Return l1 sum |x| + l2 sum x^2 as a Tensor without dimensions.

    Args:
        x: any shape.
        weights: float64 (2,), l1 and l2.

    >>> import fastnn, numpy
    >>> fastnn.ops.regularization.penalty(fastnn.tensor([3.0, -4.0]), numpy.array([0.0, 1.0])).item()
    25.0
    """
    x = floating("penalty", as_tensor(x, "penalty"))
    k = current()
    if type(weights) is np.ndarray:
        weights = k.constant(weights)
    value = k.empty(1, x.dtype)
    k.penalty_forward(value, x.data, weights)
    return result("penalty", value.reshape(()), _penalty_backward, (x,), (x.data, weights), {"weights": weights})


def _penalty_backward(grads: Gradients, node: Node, dvalue: Array) -> None:
    assert node.saved is not None
    x, weights = node.saved
    dx, add = grads.target(node.inputs[0])
    grads.k.penalty_backward(dx, dvalue.reshape(1), x, weights, int(add))
    grads.done(node.inputs[0], dx)
