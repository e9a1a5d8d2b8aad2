"""Metrics that are means over samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd.tensor import Tensor
from ...backends.spec import activation
from ...core import arrays
from ...losses.base import as_given
from .base import Array, Metric
from .rows import argmax_rows, by_class, by_label, by_weight, check_shapes, check_values, probabilities, row_weights

if TYPE_CHECKING:
    from ...backends.base import Backend


class SparseCategoricalAccuracy(Metric):
    """Fraction of samples for which the greatest output is that of the label.

    >>> m = SparseCategoricalAccuracy()
    >>> m.update_state([2, 1], [[0.1, 0.2, 0.7], [0.8, 0.1, 0.1]])
    >>> m.result()
    0.5
    """

    targets = "labels"
    direction = "max"

    def __init__(self, name: str = "sparse_categorical_accuracy") -> None:
        super().__init__(name)

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        k.sparse_accuracy(self.total, *by_label(self, y_pred, y_true, sample_weight))


class CategoricalAccuracy(Metric):
    """Fraction of samples for which the greatest output is that of the greatest target (one-hot or probabilities)."""

    direction = "max"

    def __init__(self, name: str = "categorical_accuracy") -> None:
        super().__init__(name)

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        check_shapes(self, y_pred, y_true, y_pred.shape == y_true.shape)
        weights = row_weights(self, y_pred, sample_weight)
        k.categorical_accuracy(self.total, by_class(y_pred), by_class(y_true), weights)


class BinaryAccuracy(Metric):
    """Fraction of outputs on the correct side of the threshold; targets are 0 or 1.

    >>> m = BinaryAccuracy(threshold=0.6)
    >>> m.update_state([[1], [0], [1], [0]], [[0.98], [0.5], [0.55], [0.2]])
    >>> m.result()
    0.75
    """

    direction = "max"

    def __init__(self, name: str = "binary_accuracy", threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = float(threshold)

    def of_logits(self, k: Backend, y_pred: Array, logits: str) -> Array:
        return probabilities(k, y_pred, logits) if 0 < self.threshold < 1 else y_pred

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        k.binary_accuracy(self.total, *by_weight(self, y_pred, y_true, sample_weight), self.threshold)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "threshold": self.threshold}


class _TopKAccuracy(Metric):
    direction = "max"

    def __init__(self, k: int, name: str) -> None:
        super().__init__(name)
        if not isinstance(k, int) or k < 1:
            raise ValueError(f"{type(self).__name__}: k is {k!r}, wanted a whole number of at least 1")
        self.k = k

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "k": self.k}


class SparseTopKCategoricalAccuracy(_TopKAccuracy):
    """Fraction of samples for which the label is among the k greatest outputs. Ties with the label's output count in its favour.

    >>> m = SparseTopKCategoricalAccuracy(k=2)
    >>> m.update_state([2, 1], [[0.3, 0.2, 0.5], [0.5, 0.2, 0.3]])
    >>> m.result()
    0.5
    """

    targets = "labels"

    def __init__(self, k: int = 5, name: str = "sparse_top_k_categorical_accuracy") -> None:
        super().__init__(k, name)

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        k.top_k_accuracy(self.total, *by_label(self, y_pred, y_true, sample_weight), self.k)


class TopKCategoricalAccuracy(_TopKAccuracy):
    """Fraction of samples for which the greatest target is among the k greatest outputs; for one-hot targets."""

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy") -> None:
        super().__init__(k, name)

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        check_shapes(self, y_pred, y_true, y_pred.shape == y_true.shape)
        weights = row_weights(self, y_pred, sample_weight)
        k.top_k_accuracy(self.total, by_class(y_pred), argmax_rows(k, by_class(y_true)), weights, self.k)


class _MeanError(Metric):
    """Mean of |y_pred - y_true|^power."""

    direction = "min"
    power: int

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        k.error_metric(self.total, *by_weight(self, y_pred, y_true, sample_weight), self.power)


class MeanSquaredError(_MeanError):
    """Mean of (y_pred - y_true)^2.

    >>> m = MeanSquaredError()
    >>> m.update_state([1.0, 2.0], [1.0, 4.0])
    >>> m.result()
    2.0
    """

    power = 2

    def __init__(self, name: str = "mean_squared_error") -> None:
        super().__init__(name)


class MeanAbsoluteError(_MeanError):
    """Mean of |y_pred - y_true|."""

    power = 1

    def __init__(self, name: str = "mean_absolute_error") -> None:
        super().__init__(name)


class RootMeanSquaredError(MeanSquaredError):
    """Square root of the mean of (y_pred - y_true)^2."""

    def __init__(self, name: str = "root_mean_squared_error") -> None:
        super().__init__(name)

    def result(self) -> float:
        mean = super().result()
        return math.sqrt(mean) if mean >= 0 else math.nan  # the mean is negative for negative weights


class MeanAbsolutePercentageError(Metric):
    """Mean of 100 |y_pred - y_true| / max(|y_true|, 1e-7), as in Keras.

    >>> m = MeanAbsolutePercentageError()
    >>> m.update_state([1.0, 2.0], [1.5, 2.0])
    >>> m.result()
    25.0
    """

    direction = "min"

    def __init__(self, name: str = "mean_absolute_percentage_error") -> None:
        super().__init__(name)

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        p, t, weights = by_weight(self, y_pred, y_true, sample_weight)
        error = arrays.apply(k, _ABS, arrays.binary(k, "sub", p, t))
        share = arrays.binary(k, "div", error, _at_least(k, arrays.apply(k, _ABS, t), 1e-7))
        k.mean_rows(self.total, arrays.reduce(k, "mean", share, 1).reshape(-1), weights)

    def result(self) -> float:
        return 100 * float(super().result())


class CosineSimilarity(Metric):
    """Mean cosine of the angle between the outputs and targets of each row; 0 for a row where either is 0.

    >>> m = CosineSimilarity()
    >>> m.update_state([[1.0, 0.0]], [[3.0, 4.0]])
    >>> round(m.result(), 6)
    0.6
    """

    direction = "max"

    def __init__(self, name: str = "cosine_similarity") -> None:
        super().__init__(name)

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        check_values(self, y_pred, y_true)
        p, t = by_class(y_pred), by_class(y_true.reshape(y_pred.shape))
        along = arrays.reduce(k, "sum", arrays.binary(k, "mul", p, t), 1)
        for a in (p, t):
            size = arrays.apply(k, activation("sqrt"), arrays.reduce(k, "sum", arrays.binary(k, "mul", a, a), 1))
            along = arrays.binary(k, "div", along, _at_least(k, size, 1e-12))
        k.mean_rows(self.total, along.reshape(-1), row_weights(self, y_pred, sample_weight))


_ABS = activation("abs")


def _at_least(k: Backend, a: Array, least: float) -> Array:
    result: Array = arrays.binary(k, "maximum", a, arrays.filled(k, (1,) * a.ndim, a.dtype, least))
    return result


class R2Score(Metric):
    """Coefficient of determination: 1 - (sum of squared errors) / (sum of squares around the mean target), averaged over outputs.

    If all targets are equal, it is 1 without errors, else 0, as in scikit-learn.

    Args:
        class_aggregation: "uniform_average" is the mean over the outputs, "variance_weighted_average" the mean weighted by the
            squares around the mean target, None an array of all outputs.

    >>> m = R2Score()
    >>> m.update_state([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    >>> m.result()
    0.5
    """

    direction = "max"
    arrays = ("state",)

    def __init__(self, class_aggregation: str | None = "uniform_average", name: str = "r2_score") -> None:
        super().__init__(name)
        if class_aggregation not in ("uniform_average", "variance_weighted_average", None):
            wanted = "'uniform_average', 'variance_weighted_average' or None"
            raise ValueError(f"R2Score: class_aggregation is {class_aggregation!r}, wanted {wanted}")
        self.class_aggregation = class_aggregation
        self.state: Array | None = None  # for each output: sum of weights, mean, squares around it, squared errors

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        check_values(self, y_pred, y_true)
        p, t = by_class(y_pred), by_class(y_true.reshape(y_pred.shape))
        if self.state is None:
            self.state = k.shared_array(np.zeros((4, p.shape[1])))
        check_shapes(self, y_pred, y_true, self.state.shape[1] == p.shape[1])
        k.r2_metric(self.state, p, t, row_weights(self, y_pred, sample_weight))

    def merge_state(self, states: list[list[Array | None]]) -> None:
        """Set the state to that of all ranks' rows; the squares around their means become those around the mean of all."""
        parts = [state for (state,) in states if state is not None]
        if not parts:
            return
        each = np.stack(parts)
        weight = each[:, 0].sum(0)
        mean = np.divide((each[:, 0] * each[:, 1]).sum(0), weight, out=np.zeros_like(weight), where=weight != 0)
        apart = each[:, 0] * (each[:, 1] - mean) ** 2
        self._set_array("state", np.stack([weight, mean, (each[:, 2] + apart).sum(0), each[:, 3].sum(0)]))

    def scalar(self, outputs: int) -> bool:
        return self.class_aggregation is not None or outputs == 1

    def result(self) -> Any:
        """Return the mean score, or those of all outputs; 0.0 before the first batch."""
        if self.state is None or not self.state[0].any():
            return 0.0
        _, _, squares, errors = self.state
        with np.errstate(all="ignore"):
            scores = np.where(squares == 0, errors == 0, 1 - errors / squares)
        if self.class_aggregation is None and len(scores) > 1:
            return scores
        weigh = self.class_aggregation == "variance_weighted_average" and squares.any()
        return float(np.average(scores, weights=squares if weigh else None))

    def get_config(self) -> dict[str, Any]:
        return {"class_aggregation": self.class_aggregation, "name": self.name}


class MeanMetricWrapper(Metric):
    """Mean of a function's values over the samples.

    ``fn(y_true, y_pred)`` gets Tensors with the same number of dimensions. y_true has the dtype of y_pred, but class labels for
    several outputs are int64. The function returns one value per sample, shape (n, ...), or a single number. A single number
    counts for the whole batch and cannot be weighted by sample.
    """

    targets = "any"
    recordable = False

    def __init__(self, fn: Callable[[Any, Any], Any], name: str | None = None) -> None:
        if not callable(fn):
            raise TypeError(f"MeanMetricWrapper: a {type(fn).__name__} came, wanted a function f(y_true, y_pred)")
        super().__init__(name or str(getattr(fn, "__name__", type(fn).__name__)))
        self.fn = fn

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        n = len(y_pred)
        given = self.fn(*as_given(Tensor(y_true), Tensor(y_pred)))
        values = np.asarray(given)
        if values.dtype.kind not in "fiub":
            wanted = f"wanted one number, or one for each of the {n} samples"
            raise TypeError(f"metric {self.name}: the function returned a {type(given).__name__}, not numbers; {wanted}")
        values = values.astype(np.float64)
        if values.size == 1:
            self.total += np.array((values.item() * n, n))
            return
        if values.shape[0] != n:
            wanted = f"one number, or one for each of the {n} samples"
            raise ValueError(f"metric {self.name}: the function returned shape {values.shape}, wanted {wanted}")
        weights = k.to_numpy(sample_weight).astype(np.float64) if sample_weight.size else np.ones(n)
        if weights.shape != values.shape[: weights.ndim]:
            raise ValueError(
                f"metric {self.name}: the function returned shape {values.shape}, but sample_weight has {weights.shape}; "
                "wanted a value for each weight"
            )
        each = values.reshape(*weights.shape, -1).mean(-1) if values.size else np.zeros(weights.shape)
        self.total += np.array((np.where(weights != 0, each * weights, 0).sum(), weights.sum()))
