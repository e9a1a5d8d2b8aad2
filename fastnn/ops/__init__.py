"""Operations on Tensors: each is a forward that calls kernels and, beside it, the backward that the tape calls."""

from . import (
    activation,
    checks,
    create,
    data,
    dense,
    elementwise,
    index,
    logic,
    loss,
    pointwise_loss,
    random,
    reduce,
    regularization,
    shape,
    sort,
)

__all__ = [
    "activation",
    "checks",
    "create",
    "data",
    "dense",
    "elementwise",
    "index",
    "logic",
    "loss",
    "pointwise_loss",
    "random",
    "reduce",
    "regularization",
    "shape",
    "sort",
]

from ..autograd import methods  # noqa: F401  (what they are as methods of Tensor)


def __dir__() -> list[str]:
    return sorted(__all__)
