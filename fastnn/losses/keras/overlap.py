"""Losses of how much predicted areas overlap the true ones, for segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autograd.tensor import Tensor
from ...ops.checks import check_number
from ..base import Loss, values
from .pointwise import EPSILON

Axis = int | Sequence[int] | None


class Tversky(Loss):
    """1 - TP / (TP + alpha FP + beta FN + 1e-7), where TP is the sum of t x, FP that of t (1 - x), FN that of (1 - t) x.

    The names FP and FN are Keras's, which has them the other way round than the paper.

    Args:
        alpha, beta: weights of the two errors; 0.5 for both gives the Dice loss.
        axis: the axes of a sample, such as (1, 2, 3) for one loss for each image. None gives one number for the whole batch, to
            which sample weights do not apply.

    Shapes: y_true and y_pred are equal, (n, ...), with values from 0 to 1.

    Source: Salehi et al., Tversky loss function for image segmentation, arXiv 1706.05721.

    >>> import fastnn
    >>> loss = fastnn.losses.Tversky(alpha=0.3, beta=0.7)
    >>> round(loss([[1.0, 0.0]], fastnn.tensor([[0.5, 0.5]])).item(), 4)
    0.5
    """

    targets = "values"
    name = "tversky"

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        axis: Axis = None,
    ) -> None:
        super().__init__(reduction, name)
        self.alpha = check_number(alpha, "Tversky: alpha", 0)
        self.beta = check_number(beta, "Tversky: beta", 0)
        self.axis = axis

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t = values(y_true, y_pred, self.name)
        axis: Any = self.axis
        hits = (t * y_pred).sum(axis)
        low, high = (t * (1 - y_pred)).sum(axis), (y_pred * (1 - t)).sum(axis)
        return 1 - hits / (hits + self.alpha * low + self.beta * high + EPSILON)


class Dice(Loss):
    """1 - 2 sum(t x) / (sum(t) + sum(x) + 1e-7).

    Args:
        axis: as of `Tversky`.

    Shapes: y_true and y_pred are equal, (n, ...), with values from 0 to 1.

    Source: Milletari et al., V-Net, arXiv 1606.04797.

    >>> import fastnn
    >>> round(fastnn.losses.Dice()([[1.0, 0.0]], fastnn.tensor([[0.5, 0.5]])).item(), 4)
    0.5
    """

    targets = "values"
    name = "dice"

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None, axis: Axis = None) -> None:
        super().__init__(reduction, name)
        self.axis = axis

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t = values(y_true, y_pred, self.name)
        axis: Any = self.axis
        return 1 - 2 * (t * y_pred).sum(axis) / (t.sum(axis) + y_pred.sum(axis) + EPSILON)
