"""Metrics that are means of a loss, or of another function of a row, over the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ... import losses
from ...autograd.tensor import Tensor, no_grad
from ...ops.cast import astype
from .base import Array, Metric
from .rows import by_class, check_values, row_weights

if TYPE_CHECKING:
    from ...backends.base import Backend


class _OfRows(Metric):
    """Base of means of a function of the outputs and targets of a row."""

    direction: Literal["min", "max"] | None = "min"
    default = ""
    """Name of the metric, if none is given."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name or self.default)

    def each(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the value of each row (m,), from targets and outputs (m, C)."""
        raise NotImplementedError

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        check_values(self, y_pred, y_true)
        p, t = by_class(y_pred), by_class(y_true.reshape(y_pred.shape))
        with no_grad():
            values = self.each(astype(Tensor(t), p.dtype), Tensor(p))
        k.mean_rows(self.total, values.data, row_weights(self, y_pred, sample_weight))


class _OfLoss(_OfRows):
    """Base of means of a loss of `fastnn.losses`."""

    loss: ClassVar[Any]

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name or self.loss.name)

    def each(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.loss(reduction="none")(y_true, y_pred)  # type: ignore[no-any-return]


class Hinge(_OfLoss):
    """Mean of max(1 - y_true y_pred, 0); targets are -1 or 1, and 0 means -1.

    >>> m = Hinge()
    >>> m.update_state([[1.0], [0.0]], [[0.5], [0.5]])
    >>> m.result()
    1.0
    """

    loss = losses.Hinge


class SquaredHinge(_OfLoss):
    """Mean of max(1 - y_true y_pred, 0)^2; targets are -1 or 1, and 0 means -1."""

    loss = losses.SquaredHinge


class CategoricalHinge(_OfLoss):
    """Mean of max(1 - x[label] + the greatest other output, 0), for one-hot targets."""

    loss = losses.CategoricalHinge


class KLDivergence(_OfLoss):
    """Mean over the rows of the sum of y_true log(y_true / y_pred)."""

    loss = losses.KLDivergence


class LogCoshError(_OfLoss):
    """Mean of log(cosh(y_pred - y_true))."""

    loss = losses.LogCosh

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name or "logcosh")


class MeanSquaredLogarithmicError(_OfLoss):
    """Mean of (log(1 + y_true) - log(1 + y_pred))^2, where both are at least 1e-7."""

    loss = losses.MeanSquaredLogarithmicError


class Poisson(_OfLoss):
    """Mean of y_pred - y_true log(y_pred + 1e-7)."""

    loss = losses.Poisson


class Accuracy(_OfRows):
    """Share of outputs that are equal to their targets, such as class numbers.

    >>> m = Accuracy()
    >>> m.update_state([1, 2, 3, 4], [0, 2, 3, 4])
    >>> m.result()
    0.75
    """

    direction = "max"
    default = "accuracy"

    def each(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return astype(y_true == y_pred, y_pred.dtype).mean(1)


class PearsonCorrelation(_OfRows):
    """Mean over the rows of the correlation of the outputs of a row with its targets; NaN if they are constant in a row.

    >>> m = PearsonCorrelation()
    >>> m.update_state([[0.0, 1.0, 0.5], [1.0, 1.0, 0.2]], [[0.1, 0.9, 0.5], [1.0, 0.9, 0.2]])
    >>> round(m.result(), 4)
    0.9967
    """

    direction = "max"
    default = "pearson_correlation"

    def each(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t, p = (y - y.mean(1, keepdims=True) for y in (y_true, y_pred))
        return (t * p).mean(1) / ((t * t).mean(1) * (p * p).mean(1)).sqrt()


class ConcordanceCorrelation(_OfRows):
    """Mean over the rows of 2 cov(t, p) / (var(t) + var(p) + (mean(t) - mean(p))^2 + 1e-7): 1 only if outputs equal targets.

    Source: Lin, A concordance correlation coefficient to evaluate reproducibility, 1989.

    >>> m = ConcordanceCorrelation()
    >>> m.update_state([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]])
    >>> round(m.result(), 4)
    0.9756
    """

    direction = "max"
    default = "concordance_correlation"

    def each(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        means = [y.mean(1, keepdims=True) for y in (y_true, y_pred)]
        t, p = y_true - means[0], y_pred - means[1]
        apart = ((means[0] - means[1]) ** 2).mean(1)
        return 2 * (t * p).mean(1) / ((t * t).mean(1) + (p * p).mean(1) + apart + 1e-7)
