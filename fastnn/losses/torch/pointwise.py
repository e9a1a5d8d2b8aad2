"""PyTorch's element-wise losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd.tensor import Array, Tensor
from ...backends import current
from ...backends.spec import PointwiseLoss
from ...backends.spec import pointwise_loss as function
from ...core.convert import as_array
from ...ops import loss as ops
from ...ops import shape
from ...ops.checks import check_number
from ...ops.pointwise_loss import pointwise_loss
from ..base import values
from ..weights import combined, row_weight, weighted
from .base import Losses, TorchLoss


class ElementLoss(TorchLoss):
    """Base of element-wise losses: a function of the specification, with an optional weight for each element."""

    _saved_as = ""
    _fn: PointwiseLoss
    weight: np.ndarray[Any, Any] | None = None

    def __init__(self, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction, size_average, reduce)

    def losses_of(self, input: Tensor, target: Any, sample_weight: Any) -> Losses:
        return self._elements(input, self._target(input, target), sample_weight), input.shape, None

    def _target(self, input: Tensor, target: Any) -> Tensor:
        return values(target, input, type(self).__name__)

    def _elements(self, input: Tensor, targets: Tensor, sample_weight: Any) -> Tensor:
        """Return the weighted loss of each element, flat; every element is a separate row."""
        rows, targets = shape.reshape(input, (-1, 1)), shape.reshape(targets, (-1, 1))
        return pointwise_loss(rows, targets, self._fn, self._weights(input, sample_weight))

    def _weights(self, input: Tensor, sample_weight: Any) -> Array | None:
        """Return the weight of each element, flat: the broadcast weight of the loss times the weights of the samples."""
        name, own, rows = type(self).__name__, None, None
        if self.weight is not None:
            try:
                full = np.broadcast_to(self.weight.astype(input.dtype), input.shape)
            except ValueError:
                raise ValueError(f"{name}: weight of shape {self.weight.shape} does not broadcast to {input.shape}") from None
            own = as_array(full.reshape(-1), input.dtype, (input.size,), f"{name}: weight")
        if sample_weight is not None:
            rows = row_weight(sample_weight, input.dtype, input.shape, f"{name}: sample_weight")
        return combined(own, rows)


class MSELoss(ElementLoss):
    """(input - target)^2, averaged over all elements.

    >>> import fastnn
    >>> fastnn.nn.MSELoss()(fastnn.tensor([1.0, 2.0]), [1.0, 4.0]).item()
    2.0
    """

    _fn = function("squared_error")


class L1Loss(ElementLoss):
    """abs(input - target), averaged over all elements.

    >>> import fastnn
    >>> fastnn.nn.L1Loss()(fastnn.tensor([1.0, 2.0]), [1.0, 4.0]).item()
    1.0
    """

    _fn = function("absolute_error")


class SmoothL1Loss(ElementLoss):
    """d^2 / (2 beta) where abs(d) < beta, else abs(d) - beta / 2, with d = input - target.

    Source: Girshick, Fast R-CNN, arXiv 1504.08083.

    >>> import fastnn
    >>> fastnn.nn.SmoothL1Loss(beta=2.0)(fastnn.tensor([1.0, 4.0]), [0.0, 0.0]).item()
    1.625
    """

    def __init__(self, size_average: Any = None, reduce: Any = None, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = check_number(beta, "SmoothL1Loss: beta", 0)
        self._fn = function("huber", self.beta, 1 / self.beta) if self.beta else function("absolute_error")


class HuberLoss(ElementLoss):
    """d^2 / 2 where abs(d) <= delta, else delta (abs(d) - delta / 2), with d = input - target.

    Source: Huber, Robust estimation of a location parameter, 1964.

    >>> import fastnn
    >>> fastnn.nn.HuberLoss(delta=2.0)(fastnn.tensor([1.0, 4.0]), [0.0, 0.0]).item()
    3.25
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = check_number(delta, "HuberLoss: delta", 0)
        if self.delta == 0:
            raise ValueError("HuberLoss: delta is 0, wanted a number above it")
        self._fn = function("huber", self.delta)


class BCELoss(ElementLoss):
    """Binary cross-entropy of probabilities, element by element; logarithms are at least -100.

    Args:
        weight: a factor for each element's loss; broadcast over the batch.
        reduction: "mean", "sum" or "none".

    Raises:
        ValueError: an input or target is not from 0 to 1.

    >>> import fastnn
    >>> fastnn.nn.BCELoss()(fastnn.tensor([0.0, 1.0]), [1.0, 1.0]).item()
    50.0
    """

    _fn = function("binary_cross_entropy")
    _of_probabilities = True

    def __init__(self, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> None:
        super().__init__(size_average, reduce, reduction)
        self.weight = self._constant(weight, "weight")

    def losses_of(self, input: Tensor, target: Any, sample_weight: Any) -> Losses:
        if self._of_probabilities:
            target = self._target(input, target)
            _check_probabilities("input", input)
            _check_probabilities("target", target)
        return super().losses_of(input, target, sample_weight)


def _check_probabilities(name: str, t: Tensor) -> None:
    """Raise ValueError for a number outside [0, 1], as in PyTorch, but not in replays. NaN is allowed."""
    values = current().to_numpy(t.data)
    if values.size and (values.min() < 0 or values.max() > 1):
        bad = values[(values < 0) | (values > 1)]
        hint = "; BCEWithLogitsLoss takes logits" if name == "input" else ""
        if bad.size:
            raise ValueError(f"BCELoss: {name} has {bad[0]:g}, wanted probabilities from 0 to 1{hint}")


class BCEWithLogitsLoss(BCELoss):
    """Binary cross-entropy of logits, element by element.

    Args:
        weight: a factor for each element's loss; broadcast over the batch.
        reduction: "mean", "sum" or "none".
        pos_weight: a factor for the positive targets of each output (N,).

    >>> import fastnn
    >>> round(fastnn.nn.BCEWithLogitsLoss()(fastnn.tensor([0.0, 0.0]), [1.0, 0.0]).item(), 4)
    0.6931
    """

    logits = "sigmoid"
    _fn = function("sigmoid_cross_entropy")

    _of_probabilities = False

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        pos_weight: Any = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.pos_weight = self._constant(pos_weight, "pos_weight")

    def losses_of(self, input: Tensor, target: Any, sample_weight: Any) -> Losses:
        if self.pos_weight is None:
            return super().losses_of(input, target, sample_weight)
        name, dtype = "BCEWithLogitsLoss", input.dtype
        columns = input.shape[-1] if self.pos_weight.size > 1 else 1
        q = as_array(self.pos_weight.astype(dtype).reshape(-1), dtype, (columns,), f"{name}: pos_weight")
        targets = self._target(input, target)
        rows, t = shape.reshape(input, (-1, columns)), shape.reshape(targets, (-1, columns))
        weights = self._weights(input, sample_weight)
        if columns == 1 or (weights is None and self.reduction != "none"):
            losses = pointwise_loss(rows, t, self._fn, weights, q)
            return losses * columns if self.reduction == "sum" else losses, input.shape, None
        # The loss of an element is (1 - t) x + (1 + (q - 1) t) log(1 + exp(-x)). The logarithm is the loss for the target 1.
        ones = Tensor(full((input.size, 1), dtype, 1.0))
        softplus = shape.reshape(pointwise_loss(shape.reshape(input, (-1, 1)), ones, self._fn), rows.shape)
        losses = (1 - t) * rows + (1 + (Tensor(q) - 1) * t) * softplus
        return weighted(shape.reshape(losses, (-1,)), weights), input.shape, None


def full(shape: tuple[int, ...], dtype: Any, value: float) -> Array:
    """Return an array filled with one number."""
    k = current()
    array = k.empty(shape, dtype)
    k.fill(array, value)
    return array


class MultiLabelSoftMarginLoss(TorchLoss):
    """The mean over the classes of their binary cross-entropies, from logits.

    Args:
        weight: a factor for each class (N,).
        reduction: "mean", "sum" or "none".

    Shapes: input and target (..., N); without reduction the result is (...).

    >>> import fastnn
    >>> round(fastnn.nn.MultiLabelSoftMarginLoss()(fastnn.tensor([[0.0, 0.0]]), [[1.0, 0.0]]).item(), 4)
    0.6931
    """

    logits = "sigmoid"

    def __init__(self, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction, size_average, reduce)
        self.weight = self._constant(weight, "weight")

    def losses_of(self, input: Tensor, target: Any, sample_weight: Any) -> Losses:
        name, like = "MultiLabelSoftMarginLoss", self.shape_of_losses(input.shape)
        if input.ndim == 0:
            raise ValueError(f"{name}: input without dimensions, wanted (..., N)")
        each = BCEWithLogitsLoss(self.weight, reduction="none")(input, target)
        rows = None if sample_weight is None else row_weight(sample_weight, input.dtype, like, f"{name}: sample_weight")
        return weighted(shape.reshape(each.mean(-1), (-1,)), rows), like, None

    def shape_of_losses(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return input_shape[:-1]


class KLDivLoss(ElementLoss):
    """target (log(target) - input), of inputs that are logarithms of probabilities.

    Args:
        reduction: "mean" over all elements, "batchmean" (the sum divided by the number of rows: the divergence), "sum" or "none".
        log_target: whether the targets are logarithms, too.

    >>> import fastnn
    >>> log_p = fastnn.log(fastnn.tensor([[0.25, 0.75]]))
    >>> round(fastnn.nn.KLDivLoss(reduction="batchmean")(log_p, [[0.5, 0.5]]).item(), 4)
    0.1438
    """

    reductions = ("mean", "batchmean", "sum", "none")

    def __init__(self, size_average: Any = None, reduce: Any = None, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = bool(log_target)
        self._fn = function("kl_log", self.log_target)

    def _reduce(self, losses: Tensor, like: tuple[int, ...], weights: Array | None = None) -> Tensor:
        if self.reduction != "batchmean":
            return super()._reduce(losses, like, weights)
        return ops.reduce_loss(losses, "sum") / (like[0] if like else 1)


class PoissonNLLLoss(ElementLoss):
    """exp(input) - target input, or with log_input=False: input - target log(input + eps).

    Args:
        log_input: whether inputs are logarithms of the mean.
        full: whether log(target!) is added, by Stirling's formula.
        eps: number that keeps the argument of the logarithm away from 0.
        reduction: "mean", "sum" or "none".

    >>> import fastnn
    >>> fastnn.nn.PoissonNLLLoss()(fastnn.tensor([0.0]), [3.0]).item()
    1.0
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: Any = None,
        eps: float = 1e-8,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input, self.full = bool(log_input), bool(full)
        self.eps = check_number(eps, "PoissonNLLLoss: eps", 0)
        self._fn = function("poisson_log", 0.0, self.full) if log_input else function("poisson", self.eps, self.full)


class HingeEmbeddingLoss(ElementLoss):
    """input where the target is 1, max(margin - input, 0) where it is -1.

    >>> import fastnn
    >>> fastnn.nn.HingeEmbeddingLoss()(fastnn.tensor([0.5, 0.25]), [1, -1]).item()
    0.625
    """

    def __init__(self, margin: float = 1.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = check_number(margin, "HingeEmbeddingLoss: margin", -np.inf)
        self._fn = function("hinge_embedding", self.margin)


class SoftMarginLoss(ElementLoss):
    """log(1 + exp(-target input)), with targets -1 and 1.

    >>> import fastnn
    >>> round(fastnn.nn.SoftMarginLoss()(fastnn.tensor([0.0]), [1]).item(), 4)
    0.6931
    """

    _fn = function("soft_margin")
