"""Metrics: running means over the batches of an epoch, computed by the backend's kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from . import data

Array = NDArray[Any]


class Metric:
    """A mean over samples that grows batch by batch: ``total[0] / total[1]``, values over weights.

    Subclasses define ``update``. ``total`` stays the same array for life, so that recorded steps can add to it.
    """

    targets: Literal["labels", "values", "any"] = "values"
    """What it compares with: class labels (int64, shape (n,)), values shaped like the prediction, or either."""
    direction: Literal["min", "max"] | None = None
    """Which way is better; None where that is not known."""
    recordable = True
    """Whether update is kernel calls alone."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = np.zeros(2)

    def update(self, k: Any, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        """Adds a batch. k is the backend whose kernels are used.

        y_pred has shape (n, ...), y_true the labels (n,) or values like y_pred in the same dtype, sample_weight shape (n,) in
        the same dtype or size 0.
        """
        raise NotImplementedError

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of array-likes, in Keras's order; for use without fit."""
        from ..backends import current
        from ..tensor import Tensor

        op = type(self).__name__
        y_true, y_pred = (y.numpy() if isinstance(y, Tensor) else y for y in (y_true, y_pred))
        dtype = np.float64 if getattr(y_pred, "dtype", None) == np.float64 else np.float32
        p = data.as_features(y_pred, dtype, op, "y_pred")
        t = data.as_targets(y_true, "labels" if self.targets == "labels" else "values", dtype, op, "y_true", column=False)
        data.check_same_length(op, y_pred=p, y_true=t)
        self.update(current(), p, t, data.as_sample_weight(sample_weight, len(p), dtype, op))

    def reset(self) -> None:
        """Starts anew."""
        self.total[:] = 0

    def result(self) -> float:
        """The mean of what was added since the last reset; 0.0 for nothing."""
        values, weights = self.total
        return float(values / weights) if weights != 0 else 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}={self.result():.4g}>"


class SparseCategoricalAccuracy(Metric):
    """The share of samples whose greatest output is at their label.

    >>> m = SparseCategoricalAccuracy()
    >>> m.update_state([2, 1], [[0.1, 0.2, 0.7], [0.8, 0.1, 0.1]])
    >>> m.result()
    0.5
    """

    targets = "labels"
    direction = "max"

    def __init__(self, name: str = "sparse_categorical_accuracy") -> None:
        super().__init__(name)

    def update(self, k: Any, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        p = _by_class(y_pred)
        _check(self, y_pred, y_true, y_true.size == len(p) and sample_weight.size in (0, len(p)))
        k.sparse_accuracy(self.total, p, y_true.reshape(-1), sample_weight)


class CategoricalAccuracy(Metric):
    """The share of samples whose greatest output is where their greatest target is (one-hot or probabilities)."""

    direction = "max"

    def __init__(self, name: str = "categorical_accuracy") -> None:
        super().__init__(name)

    def update(self, k: Any, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        _check(self, y_pred, y_true, y_pred.shape == y_true.shape)
        k.categorical_accuracy(self.total, _by_class(y_pred), _by_class(y_true), sample_weight)


class BinaryAccuracy(Metric):
    """The share of outputs that lie on their target's side of the threshold; targets are 0 or 1.

    >>> m = BinaryAccuracy(threshold=0.6)
    >>> m.update_state([[1], [0], [1], [0]], [[0.98], [0.5], [0.55], [0.2]])
    >>> m.result()
    0.75
    """

    direction = "max"

    def __init__(self, name: str = "binary_accuracy", threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = float(threshold)

    def update(self, k: Any, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        _check(self, y_pred, y_true, y_pred.size == y_true.size and len(y_pred) == len(y_true))
        k.binary_accuracy(self.total, _by_sample(y_pred), _by_sample(y_true), sample_weight, self.threshold)


class _MeanError(Metric):
    """The mean of |y_pred - y_true|^power."""

    direction = "min"
    power: int

    def update(self, k: Any, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        _check(self, y_pred, y_true, y_pred.size == y_true.size and len(y_pred) == len(y_true))
        k.error_metric(self.total, _by_sample(y_pred), _by_sample(y_true), sample_weight, self.power)


class MeanSquaredError(_MeanError):
    """The mean of (y_pred - y_true)^2.

    >>> m = MeanSquaredError()
    >>> m.update_state([1.0, 2.0], [1.0, 4.0])
    >>> m.result()
    2.0
    """

    power = 2

    def __init__(self, name: str = "mean_squared_error") -> None:
        super().__init__(name)


class MeanAbsoluteError(_MeanError):
    """The mean of |y_pred - y_true|."""

    power = 1

    def __init__(self, name: str = "mean_absolute_error") -> None:
        super().__init__(name)


class MeanMetricWrapper(Metric):
    """The mean of a function's values over the samples.

    ``fn(y_true, y_pred)`` gets Tensors and gives one value per sample, shape (n, ...), or a single number, which counts for
    the whole batch and cannot be weighted by sample.
    """

    targets = "any"
    recordable = False

    def __init__(self, fn: Callable[[Any, Any], Any], name: str | None = None) -> None:
        super().__init__(name or str(getattr(fn, "__name__", type(fn).__name__)))
        self.fn = fn

    def update(self, k: Any, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        from ..tensor import Tensor

        n = len(y_pred)
        values = np.asarray(self.fn(Tensor(y_true), Tensor(y_pred)), np.float64)
        if values.size == 1:
            self.total += np.array((values.item() * n, n))
            return
        if values.shape[0] != n:
            wanted = f"one number, or one for each of the {n} samples"
            raise ValueError(f"metric {self.name}: the function gave shape {values.shape}; wanted {wanted}")
        by_sample = _by_sample(values).mean(1)
        weights = sample_weight.astype(np.float64) if sample_weight.size else np.ones(n)
        self.total += np.array(((by_sample * weights).sum(), weights.sum()))


METRICS: dict[str, Callable[..., Metric]] = {
    "binary_accuracy": BinaryAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
}
"""What `get` knows by name, beside "accuracy" and "acc"."""


def get(identifier: Any, loss_kind: Literal["labels", "values"], n_outputs: int) -> Metric:
    """The metric of that name, or the metric or function itself.

    "accuracy" and "acc" mean what fits the loss: class labels, a single output, or one-hot rows. A name in any case and style
    will do (mse, MeanSquaredError); it is the metric's name in the logs. Raises ValueError for an unknown name and for a
    metric that does not fit the targets of the loss.

    >>> get("accuracy", "labels", 10)
    <SparseCategoricalAccuracy accuracy=0>
    """
    metric = _resolve(identifier, loss_kind, n_outputs)
    if metric.targets not in ("any", loss_kind):
        takes = {"labels": "class labels", "values": "values, one for each output"}
        raise ValueError(
            f"compile: the metric {metric.name} compares with {takes[metric.targets]}, but the loss takes {takes[loss_kind]}"
        )
    return metric


def check(identifier: Any) -> None:
    """ValueError or TypeError unless `get` could know it, whatever the loss."""
    _resolve(identifier, "labels", 1)


def _resolve(identifier: Any, loss_kind: str, n_outputs: int) -> Metric:
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        identifier = cast("Callable[[], Metric]", identifier)()
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str):
        if identifier.lower() in ("accuracy", "acc"):
            by_value = BinaryAccuracy if n_outputs == 1 else CategoricalAccuracy
            return SparseCategoricalAccuracy(identifier) if loss_kind == "labels" else by_value(identifier)
        make = _find(identifier)
        if make is None:
            known = ", ".join(sorted(["accuracy", *METRICS]))
            raise ValueError(f"compile: unknown metric {identifier!r}; there are {known}, or a function f(y_true, y_pred)")
        return make(name=identifier)
    if callable(identifier):
        return MeanMetricWrapper(identifier)
    raise TypeError(f"compile: a metric is {identifier!r}; wanted a name, a metric or a function f(y_true, y_pred)")


def direction(name: str) -> str | None:
    """Whether the metric of that name is better when smaller ("min") or greater ("max"); None if there is none of that name."""
    if name.lower() in ("accuracy", "acc"):
        return "max"
    make = _find(name)
    return getattr(make, "direction", None)


def _find(name: str) -> Callable[..., Metric] | None:
    plain = name.replace("_", "").lower()
    return next((make for known, make in METRICS.items() if known.replace("_", "") == plain), None)


def _by_class(a: Array) -> Array:
    """Shape (rows, classes)."""
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1]) if a.ndim > 1 else a.reshape(len(a), 1)


def _by_sample(a: Array) -> Array:
    """Shape (samples, values in each)."""
    return a.reshape(len(a), math.prod(a.shape[1:]))


def _check(metric: Metric, y_pred: Array, y_true: Array, fits: bool) -> None:
    if not fits:
        raise ValueError(f"metric {metric.name}: y_pred of shape {y_pred.shape} does not go with y_true of shape {y_true.shape}")
