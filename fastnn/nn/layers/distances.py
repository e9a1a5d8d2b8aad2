"""Layers that compare two inputs, with PyTorch's names."""

from __future__ import annotations

from typing import Any, ClassVar

from ...autograd.tensor import Tensor
from ...ops import elementwise
from ...ops.checks import check_number, flag, whole_number
from ...ops.matrices import cosine_similarity
from ...ops.reduce import norm
from ..module import Module
from ..spec import FLOATS

_BOTH = (FLOATS, FLOATS)


class CosineSimilarity(Module):
    """Cosine of the angles between the vectors of two inputs along an axis.

    Args:
        dim: the axis.
        eps: norms below eps count as eps.

    >>> import fastnn
    >>> fastnn.nn.CosineSimilarity()(fastnn.tensor([[1.0, 0.0]]), fastnn.tensor([[2.0, 0.0]])).tolist()
    [1.0]
    """

    input_spec = _BOTH
    _checked_arguments: ClassVar = {"dim": whole_number, "eps": lambda value, name: check_number(value, name, 0)}

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return cosine_similarity(x1, x2, self.dim, self.eps)


def _order(value: Any, name: str) -> float:
    if value not in (1, 2, float("inf")):
        raise ValueError(f"{name} is {value!r}, wanted 1, 2 or inf")
    return float(value)


class PairwiseDistance(Module):
    """Norm of x1 - x2 + eps along the last axis.

    Args:
        p: 1, 2 or infinity.
        eps: added to the differences, so that equal rows have gradients.
        keepdim: whether the last axis remains, with size 1.

    >>> import fastnn
    >>> round(fastnn.nn.PairwiseDistance()(fastnn.tensor([[3.0, 4.0]]), fastnn.tensor([[0.0, 0.0]])).item(), 3)
    5.0
    """

    input_spec = _BOTH
    _checked_arguments: ClassVar = {"p": _order, "eps": lambda value, name: check_number(value, name, 0), "keepdim": flag}

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.p = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return norm(elementwise.add(elementwise.sub(x1, x2), self.eps), self.p, -1, self.keepdim)
