"""Losses of the pairs of samples in a batch, by their labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd.tensor import Array, Tensor
from ...ops import activation, create, elementwise, logic, reduce
from ...ops.cast import astype
from ...ops.checks import as_tensor, check_number, floating
from ..base import Loss, values_of
from ..weights import combined, weighted, weights_of

_FAR = -1e30
"""Logarithm of a pair that does not count; with minus infinity, rows without pairs would have no gradient."""


class Circle(Loss):
    """log(1 + sum exp(gamma a (s_n - margin)) sum exp(-gamma b (s_p - 1 + margin))) with the similarities s of pairs.

    s_p are the products of embeddings of the same label, s_n those of others, a = s_n + margin and b = 1 + margin - s_p, both at
    least 0. Rows without a pair of each kind have loss 0. As in Keras, the mean is over the rows whose loss is above 0.

    Args:
        gamma: scale of the similarities.
        margin: relaxation of the similarities.
        remove_diagonal: whether pairs of a sample with itself do not count.

    Shapes: y_true are labels (n,), y_pred embeddings (n, d), whose rows have length 1.

    Source: Sun et al., Circle loss, arXiv 2002.10857.

    >>> import fastnn
    >>> x = fastnn.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
    >>> round(fastnn.losses.Circle(gamma=8.0)([0, 0, 1], x).item(), 3)
    3.101
    """

    name = "circle"

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.gamma, self.margin = check_number(gamma, "Circle: gamma", 0), check_number(margin, "Circle: margin", 0)
        self.remove_diagonal = bool(remove_diagonal)

    def measured(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> tuple[Tensor, Array | None]:
        pred = floating(self.name, as_tensor(y_pred, self.name))
        losses = self.call(values_of(y_true, np.dtype(np.int64), self.name), pred)
        weight, counted = weights_of(sample_weight, mask, losses.dtype, losses.shape, self.name)
        counted = combined(counted, astype(losses.detach() > 0, losses.dtype).data)
        return self.reduced(weighted(losses, combined(weight, counted)), losses.shape, weight, counted)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        n = len(y_pred)
        if y_pred.ndim != 2 or y_true.size != n:
            raise ValueError(f"{self.name}: y_true has shape {y_true.shape}, y_pred {y_pred.shape}; wanted (n,) and (n, d)")
        same = y_true.reshape((n, 1)) == y_true.reshape((1, n))
        distance = elementwise.clip(1 - y_pred @ y_pred.transpose(0, 1), 0.0)
        near = (self.margin + distance) * (distance - self.margin)
        far = elementwise.clip(1 + self.margin - distance, 0.0) * (1 - self.margin - distance)
        pairs = same
        if self.remove_diagonal:
            pairs = logic.logical_and(same, create.eye(n) == 0)
        least = create.full((1, 1), _FAR, y_pred.dtype)
        positive = reduce.logsumexp(logic.where(pairs, self.gamma * near, least), 1)
        negative = reduce.logsumexp(logic.where(same, least, self.gamma * far), 1)
        return activation.softplus(positive + negative)
