"""Weights and masks of the elements of losses.

A mask is a weight of 0 or 1 whose sum is the divisor of a mean: masked elements count neither in the sum nor in the divisor.
Masks of ignored labels, of the ``mask`` argument and of layers are treated in the same way. They are multiplied with the weights
before the loss is computed, and with each other for the argument `counted` of `Loss.reduced`.
"""

from __future__ import annotations

import math
from typing import Any

from ..autograd.tensor import Array, Tensor, is_grad_enabled
from ..backends import current
from ..core.convert import own_array
from ..core.elements import Shape, leading, wanted_weights
from ..ops import logic, shape
from ..ops.elementwise import astype


def row_weight(value: Any, dtype: Any, like: Shape, op: str) -> Array:
    """Return the weights of losses of this shape, flat.

    Args:
        value: numbers with the leading axes of the losses, where sizes of 1 broadcast: (n,), (n, 1) and (n, T) for losses
            (n, T), or one number.
        op: name of the operation and the argument in messages.

    Raises:
        ValueError: the shapes do not fit, or the weights require a gradient.

    >>> import fastnn
    >>> row_weight([1.0, 2.0], "float32", (2, 3), "loss: sample_weight").tolist()
    [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]
    """
    if isinstance(value, Tensor):
        if value.requires_grad and is_grad_enabled():
            raise ValueError(f"{op} requires a gradient, but losses have none by weights; use detach(), or multiply the losses")
        value = astype(value, dtype).data
    k = current()
    array = own_array(k, value, dtype, op)
    k.host_wrote(array)
    if array.shape == like:
        return array.reshape(-1)
    lead = leading(array.shape, like)
    if lead is None:
        raise ValueError(f"{op} has shape {array.shape}; wanted {wanted_weights(like)}")
    return spread(array.reshape(lead), like)


def weights_of(sample_weight: Any, mask: Any, dtype: Any, like: Shape, op: str) -> tuple[Array | None, Array | None]:
    """Return the weights for losses of this shape, and their mask as 1 or 0, both flat; None for missing ones."""
    weight = None if sample_weight is None else row_weight(sample_weight, dtype, like, f"{op}: sample_weight")
    if mask is None:
        return weight, None
    return weight, astype(Tensor(row_weight(mask, dtype, like, f"{op}: mask")) != 0.0, dtype).data


def spread(weight: Array, like: Shape) -> Array:
    """Broadcast weights with a shape from `leading` to one weight for each element of an array of shape ``like``, flat."""
    if weight.size == math.prod(like):
        return weight.reshape(-1)
    return shape.expand(weight.reshape(*weight.shape, *[1] * (len(like) - weight.ndim)), like).reshape(-1)


def combined(a: Array | None, b: Array | None) -> Array | None:
    """Return the product of two weights of the same elements; None means ones."""
    return a if b is None else b if a is None else (Tensor(a) * Tensor(b)).data


def product(weight: Array, counted: Array) -> Array:
    """Return weights of samples or elements times the mask of the elements; size 0 means ones."""
    if not weight.size or not counted.size:
        return weight if weight.size else counted
    return (Tensor(spread(weight, counted.shape)) * Tensor(counted.reshape(-1))).data.reshape(counted.shape)


def weighted(losses: Tensor, weight: Array | None) -> Tensor:
    """Return losses (M,) times their weights; a weight of 0 gives 0 for any loss, even NaN."""
    if weight is None:
        return losses
    w = Tensor(weight)
    return logic.where(w != 0.0, losses * w, 0.0)


def counting(y: Tensor, weight: Array | None) -> Tensor:
    """Return rows (M, N) with ones in place of rows of weight 0, so that these rows have a gradient of 0."""
    return y if weight is None else logic.where(Tensor(weight.reshape(-1, 1)) != 0.0, y, 1.0)
