"""Operations on Tensors: each is a forward that calls kernels and, beside it, the backward that the tape calls."""

from . import activation, data, dense, door, elementwise, loss, pointwise_loss, random, regularization, shape

__all__ = [
    "activation",
    "data",
    "dense",
    "door",
    "elementwise",
    "loss",
    "pointwise_loss",
    "random",
    "regularization",
    "shape",
]
