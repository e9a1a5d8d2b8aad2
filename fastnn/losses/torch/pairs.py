"""PyTorch's losses of several inputs: mean and variance, pairs, triplets. They are for custom training loops, not for fit."""

from __future__ import annotations

import math
from typing import Any

from ...autograd.tensor import Tensor
from ...backends.spec import pointwise_loss as function
from ...ops import activation, elementwise, logic, shape
from ...ops.checks import as_tensor, check_number, floating, same_dtype
from ...ops.pointwise_loss import gaussian_nll, pointwise_loss
from ..base import values
from .base import TorchLoss
from .pointwise import full


class PairLoss(TorchLoss):
    """Base of losses of three arrays."""

    _saved_as = ""
    not_in_fit = "takes three arrays, and fit has a prediction and a target"
    takes = ("input1", "input2", "target")

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        name = type(self).__name__
        given = dict(zip(self.takes, args, strict=False)) | kwargs
        if len(args) > 3 or set(given) != set(self.takes):
            raise TypeError(f"{name}: wanted {', '.join(self.takes)}")
        first = floating(name, as_tensor(given[self.takes[0]], name))
        rest = [as_tensor(given[n], name, first) for n in self.takes[1:]]
        return self.forward(first, *(t if t.dtype.kind == "f" else elementwise.astype(t, first.dtype) for t in rest))

    def _same(self, *tensors: Tensor) -> None:
        """Raise an error for Tensors of different dtypes or shapes."""
        same_dtype(type(self).__name__, *tensors)
        if any(t.shape != tensors[0].shape for t in tensors):
            shapes = ", ".join(str(t.shape) for t in tensors)
            raise ValueError(f"{type(self).__name__}: shapes {shapes} came, wanted one shape")


class GaussianNLLLoss(PairLoss):
    """(log v + (input - target)^2 / v) / 2, the negative logarithm of a normal density, v being var or eps if that is greater.

    Args:
        full: whether to add the constant log(2 pi) / 2.
        eps: least variance; smaller ones are replaced by it, but still get a gradient.
        reduction: "mean", "sum" or "none".

    Shapes: input and target (..., N), var the same, (..., 1), (...) or a number.

    >>> import fastnn
    >>> fastnn.nn.GaussianNLLLoss()(fastnn.tensor([[3.0]]), [[1.0]], [[1.0]]).item()
    2.0
    """

    takes = ("input", "target", "var")

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full = bool(full)
        self.eps = check_number(eps, "GaussianNLLLoss: eps", 0)

    def forward(self, input: Tensor, target: Tensor, var: Tensor) -> Tensor:  # type: ignore[override]
        same_dtype("GaussianNLLLoss", input, var)
        target = values(target, input, "GaussianNLLLoss")
        if var.shape != input.shape:
            if var.shape and var.shape == input.shape[:-1]:
                var = shape.unsqueeze(var, -1)
            if var.shape not in ((), (*input.shape[:-1], 1)):
                raise ValueError(f"GaussianNLLLoss: var has shape {var.shape}, input {input.shape}")
            var = var + Tensor(full(input.shape, input.dtype, 0.0))
        n = 1 if self.reduction == "none" else max(input.size if input.ndim < 2 else input.shape[-1], 1)
        pairs = shape.stack([shape.reshape(t, (-1, n)) for t in (input, var)], 1)
        losses = gaussian_nll(pairs, shape.reshape(target, (-1, n)), None, self.eps)
        if self.full:
            losses = losses + 0.5 * math.log(2 * math.pi)
        return self._reduce(losses * n if self.reduction == "sum" else losses, input.shape)


class MarginRankingLoss(PairLoss):
    """max(margin - target (input1 - input2), 0): input1 is to be greater where the target is 1, input2 where it is -1.

    Shapes: all three the same.

    >>> import fastnn
    >>> fastnn.nn.MarginRankingLoss(margin=0.5)(fastnn.tensor([1.0]), [1.25], [1]).item()
    0.75
    """

    def __init__(self, margin: float = 0.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction, size_average, reduce)
        self.margin = check_number(margin, "MarginRankingLoss: margin", -math.inf)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        self._same(input1, input2, target)
        difference, t = shape.reshape(input1 - input2, (-1, 1)), shape.reshape(target, (-1, 1))
        return self._reduce(pointwise_loss(difference, t, function("hinge", self.margin)), input1.shape)


class CosineEmbeddingLoss(PairLoss):
    """1 - cos where the target is 1, max(cos - margin, 0) where it is -1, cos being the cosine of the angle of the inputs.

    Shapes: inputs (M, N) and target (M,), or inputs (N,) and one target.

    >>> import fastnn
    >>> fastnn.nn.CosineEmbeddingLoss()(fastnn.tensor([[1.0, 0.0]]), [[0.0, 2.0]], [1]).item()
    1.0
    """

    EPSILON = 1e-12

    def __init__(self, margin: float = 0.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction, size_average, reduce)
        self.margin = check_number(margin, "CosineEmbeddingLoss: margin", -1, 1)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        self._same(input1, input2)
        if input1.ndim not in (1, 2) or target.shape != input1.shape[:-1]:
            raise ValueError(
                f"CosineEmbeddingLoss: inputs have shape {input1.shape}, target {target.shape}; wanted (M, N) and (M,)"
            )
        squares = ((t * t).sum(-1) + self.EPSILON for t in (input1, input2))
        cosine = (input1 * input2).sum(-1) / (next(squares) * next(squares)).sqrt()
        far = logic.where(target == -1.0, activation.relu(cosine - self.margin), 0.0)
        losses = logic.where(target == 1.0, 1 - cosine, far)
        return self._reduce(shape.reshape(losses, (-1,)), target.shape)


class TripletMarginLoss(PairLoss):
    """max(margin + |anchor - positive| - |anchor - negative|, 0), with distances of the norm p.

    Args:
        margin: required difference between the distances of the negative and the positive.
        p: exponent of the norm, (sum of abs(d)^p)^(1/p).
        eps: number that is added to each difference, since the norm is not differentiable at 0.
        swap: whether to use the distance of positive and negative if it is smaller than that of anchor and negative.
        reduction: "mean", "sum" or "none".

    Shapes: all three (M, N) or (N,).

    Source: Balntas et al., Learning local feature descriptors with triplets, 2016.

    >>> import fastnn
    >>> round(fastnn.nn.TripletMarginLoss()(fastnn.tensor([[0.0, 0.0]]), [[0.0, 1.0]], [[0.0, 1.5]]).item(), 4)
    0.5
    """

    takes = ("anchor", "positive", "negative")

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce)
        self.margin = check_number(margin, "TripletMarginLoss: margin", -math.inf)
        self.p = check_number(p, "TripletMarginLoss: p", 1)
        self.eps = check_number(eps, "TripletMarginLoss: eps", 0)
        self.swap = bool(swap)

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:  # type: ignore[override]
        self._same(anchor, positive, negative)
        if anchor.ndim not in (1, 2):
            raise ValueError(f"TripletMarginLoss: inputs have shape {anchor.shape}, wanted (M, N) or (N,)")
        far = self._distance(anchor, negative)
        if self.swap:
            far = elementwise.minimum(far, self._distance(positive, negative))
        losses = activation.relu(self.margin + self._distance(anchor, positive) - far)
        return self._reduce(shape.reshape(losses, (-1,)), anchor.shape[:-1])

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        d = a - b + self.eps
        return (d * d).sum(-1).sqrt() if self.p == 2 else (abs(d) ** self.p).sum(-1) ** (1 / self.p)
