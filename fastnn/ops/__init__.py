"""Operations on Tensors. Each has a forward function that calls kernels, and a backward function that the tape calls."""

from . import (
    activation,
    attention,
    attention_weights,
    augmentation,
    checks,
    convolution,
    create,
    data,
    dense,
    elementwise,
    embedding,
    generation,
    index,
    layout,
    logic,
    loss,
    normalization,
    padding,
    pointwise_loss,
    pooling,
    random,
    recurrent,
    reduce,
    regularization,
    resample,
    shape,
    sort,
    transposed_convolution,
)

__all__ = [
    "activation",
    "attention",
    "attention_weights",
    "augmentation",
    "checks",
    "convolution",
    "create",
    "data",
    "dense",
    "elementwise",
    "embedding",
    "generation",
    "index",
    "layout",
    "logic",
    "loss",
    "normalization",
    "padding",
    "pointwise_loss",
    "pooling",
    "random",
    "recurrent",
    "reduce",
    "regularization",
    "resample",
    "shape",
    "sort",
    "transposed_convolution",
]

from ..autograd import methods  # noqa: F401  (what they are as methods of Tensor)


def __dir__() -> list[str]:
    return sorted(__all__)
