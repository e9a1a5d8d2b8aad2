"""Losses of single outputs, averaged over the outputs of a row; their formulas are in `fastnn.backends.spec`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd.tensor import Array, Tensor
from ...backends.spec import PointwiseLoss as Function
from ...backends.spec import pointwise_loss as function
from ...core.convert import as_array
from ...ops import pointwise_loss as ops
from ...ops import shape
from ...ops.checks import check_number
from ..base import RowLoss, two, values, values_of

EPSILON = 1e-7
"""Keras's epsilon, which keeps logarithms and quotients away from 0."""


class PointwiseLoss(RowLoss):
    """Base of these losses: one of the functions of the specification."""

    _fn: Function

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        return ops.pointwise_loss(two(y_pred), two(values(y_true, y_pred, self.name)), self._fn, sample_weight)


class MeanSquaredError(PointwiseLoss):
    """The mean of (y_true - y_pred)^2.

    >>> import fastnn
    >>> fastnn.losses.MeanSquaredError()([[1.0, 2.0]], fastnn.tensor([[1.0, 4.0]])).item()
    2.0
    """

    name = "mean_squared_error"
    _fn = function("squared_error")


class MeanAbsoluteError(PointwiseLoss):
    """The mean of abs(y_true - y_pred).

    >>> import fastnn
    >>> fastnn.losses.MeanAbsoluteError()([[1.0, 2.0]], fastnn.tensor([[1.0, 4.0]])).item()
    1.0
    """

    name = "mean_absolute_error"
    _fn = function("absolute_error")


class MeanAbsolutePercentageError(PointwiseLoss):
    """The mean of 100 abs(y_true - y_pred) / max(abs(y_true), 1e-7).

    >>> import fastnn
    >>> fastnn.losses.MeanAbsolutePercentageError()([[1.0, 2.0]], fastnn.tensor([[1.0, 4.0]])).item()
    50.0
    """

    name = "mean_absolute_percentage_error"
    _fn = function("absolute_percentage_error", EPSILON)


class MeanSquaredLogarithmicError(PointwiseLoss):
    """The mean of (log(1 + y_true) - log(1 + y_pred))^2, where both are at least 1e-7.

    >>> import fastnn
    >>> round(fastnn.losses.MeanSquaredLogarithmicError()([[0.0]], fastnn.tensor([[1.718281828]])).item(), 4)
    1.0
    """

    name = "mean_squared_logarithmic_error"
    _fn = function("squared_logarithmic_error", EPSILON)


class Huber(PointwiseLoss):
    """d^2 / 2 where abs(d) <= delta, else delta abs(d) - delta^2 / 2, with d = y_pred - y_true.

    Source: Huber, Robust estimation of a location parameter, 1964.

    >>> import fastnn
    >>> fastnn.losses.Huber(delta=2.0)([[0.0, 0.0]], fastnn.tensor([[1.0, 4.0]])).item()
    3.25
    """

    name = "huber"

    def __init__(self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        super().__init__(reduction, name)
        self.delta = check_number(delta, "Huber: delta", 0)
        self._fn = function("huber", self.delta)


class LogCosh(PointwiseLoss):
    """The mean of log(cosh(y_pred - y_true)).

    >>> import fastnn
    >>> round(fastnn.losses.LogCosh()([[0.0]], fastnn.tensor([[1.0]])).item(), 4)
    0.4338
    """

    name = "log_cosh"
    _fn = function("log_cosh")


class Quantile(PointwiseLoss):
    """The pinball loss: q d where d = y_true - y_pred >= 0, else (q - 1) d; its minimum is the quantile q of the targets.

    Args:
        quantile: a number between 0 and 1 for all outputs, or a list with one for each column of the output. With a list, the
            target of a row is one number, and the columns predict its quantiles.

    Source: Koenker and Bassett, Regression quantiles, 1978.

    >>> import fastnn
    >>> fastnn.losses.Quantile(0.75)([[2.0]], fastnn.tensor([[0.0]])).item()
    1.5
    >>> fastnn.losses.Quantile([0.25, 0.75])([2.0], fastnn.tensor([[0.0, 4.0]])).item()
    0.5
    """

    name = "quantile"

    def __init__(
        self,
        quantile: float | Sequence[float] = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        many = isinstance(quantile, Sequence | np.ndarray) and not isinstance(quantile, str)
        given: Any = quantile
        checked = [check_number(q, "Quantile: quantile", 0, 1) for q in (given if many else [given])]
        if not checked:
            raise ValueError("Quantile: quantile is an empty list")
        self.quantile = checked if many else checked[0]
        self._fn = function("quantile", 1.0 if many else checked[0])

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        if not isinstance(self.quantile, list):
            return super().rows(y_true, y_pred, sample_weight)
        n = len(self.quantile)
        if y_pred.ndim < 2 or y_pred.shape[-1] != n:
            raise ValueError(f"{self.name}: predictions have shape {y_pred.shape}, wanted a column for each of {n} quantiles")
        one, t = (*y_pred.shape[:-1], 1), values_of(y_true, y_pred.dtype, self.name)
        if t.shape not in (one, one[:-1]):
            raise ValueError(f"{self.name}: targets have shape {t.shape}, wanted {one[:-1]} or {one} for {n} quantiles of them")
        ops.no_gradient(t, self.name)
        spread = Tensor(shape.expand(t.data.reshape(one), y_pred.shape))
        column = as_array(self.quantile, y_pred.dtype, (n,), self.name)
        return ops.pointwise_loss(two(y_pred), two(spread), self._fn, sample_weight, column)

    def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*output_shape[:-1], 1) if isinstance(self.quantile, list) else output_shape


class Poisson(PointwiseLoss):
    """The mean of y_pred - y_true log(y_pred + 1e-7); targets are counts, predictions their means.

    >>> import fastnn
    >>> round(fastnn.losses.Poisson()([[0.0, 1.0]], fastnn.tensor([[1.0, 1.0]])).item(), 4)
    1.0
    """

    name = "poisson"
    _fn = function("poisson", EPSILON)


class Tweedie(PointwiseLoss):
    """The mean deviance of a Tweedie distribution, like scikit-learn's mean_tweedie_deviance; it is 0 where y_pred is y_true.

    Args:
        power: the variance is proportional to the mean to this power. 0 is normal, 1 Poisson, between 1 and 2 compound Poisson
            (claims that are often 0), 2 gamma, 3 inverse Gaussian. There is no distribution between 0 and 1.
        log_input: whether predictions are logarithms of the mean, from a layer without activation; otherwise they must be
            positive.

    Source: Jorgensen, The theory of dispersion models, 1997.

    >>> import fastnn
    >>> fastnn.losses.Tweedie(power=1.5)([[1.0]], fastnn.tensor([[4.0]])).item()
    2.0
    """

    name = "tweedie"

    def __init__(
        self,
        power: float = 1.5,
        log_input: bool = False,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.power = check_number(power, "Tweedie: power", -100, 100)
        if 0 < self.power < 1:
            raise ValueError(f"Tweedie: power is {power}; there is no such distribution between 0 and 1")
        self.log_input = bool(log_input)
        self._fn = function("tweedie", self.power, self.log_input)


class Gamma(PointwiseLoss):
    """The mean deviance of a gamma distribution, 2 (log(y_pred / y_true) + y_true / y_pred - 1), for positive targets.

    Args:
        log_input: whether predictions are logarithms of the mean.

    >>> import fastnn
    >>> round(fastnn.losses.Gamma()([[1.0]], fastnn.tensor([[2.0]])).item(), 4)
    0.3863
    """

    name = "gamma"

    def __init__(self, log_input: bool = False, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        super().__init__(reduction, name)
        self.log_input = bool(log_input)
        self._fn = function("tweedie", 2.0, self.log_input)


class GaussianNLL(RowLoss):
    """The negative logarithm of a normal density, without its constant: a model that predicts how uncertain it is.

    The first half of the output's columns are the means, the second half the variances; the targets have half as many columns.

    Args:
        log_variance: whether the second half are logarithms of the variances, from a layer without activation.
        epsilon: least variance, if log_variance is False; smaller ones are replaced by it.

    Source: Nix and Weigend, Estimating the mean and variance of the target probability distribution, 1994.

    >>> import fastnn
    >>> fastnn.losses.GaussianNLL()([[1.0]], fastnn.tensor([[3.0, 0.0]])).item()
    2.0
    """

    name = "gaussian_nll"

    def __init__(
        self,
        log_variance: bool = True,
        epsilon: float = 1e-6,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.log_variance = bool(log_variance)
        self.epsilon = check_number(epsilon, "GaussianNLL: epsilon", 0)

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        wanted = self.target_shape(y_pred.shape[1:] and y_pred.shape)
        t = values_of(y_true, y_pred.dtype, self.name)
        if t.shape not in (wanted, wanted[:-1] if wanted[-1] == 1 else wanted):
            raise ValueError(f"{self.name}: targets have shape {t.shape}, wanted {wanted} for predictions {y_pred.shape}")
        n = wanted[-1]
        pred, target = shape.reshape(y_pred, (-1, 2, n)), shape.reshape(t, (-1, n))
        return ops.gaussian_nll(pred, target, sample_weight, self.epsilon, self.log_variance)

    def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        if not output_shape or output_shape[-1] == 0 or output_shape[-1] % 2:
            raise ValueError(
                f"{self.name}: the output has shape {output_shape}, wanted an even number of columns, means and variances"
            )
        return (*output_shape[:-1], output_shape[-1] // 2)


class Hinge(PointwiseLoss):
    """The mean of max(1 - y_true y_pred, 0); targets are -1 or 1, and 0 means -1.

    >>> import fastnn
    >>> fastnn.losses.Hinge()([[1.0, 0.0]], fastnn.tensor([[0.5, 0.5]])).item()
    1.0
    """

    name = "hinge"
    _fn = function("hinge", 1.0, 1.0)


class SquaredHinge(PointwiseLoss):
    """The mean of max(1 - y_true y_pred, 0)^2; targets are -1 or 1, and 0 means -1.

    >>> import fastnn
    >>> fastnn.losses.SquaredHinge()([[1.0, 0.0]], fastnn.tensor([[0.5, 0.5]])).item()
    1.25
    """

    name = "squared_hinge"
    _fn = function("squared_hinge", 1.0, 1.0)
