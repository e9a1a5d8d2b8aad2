"""Keras's metrics as functions of y_true and y_pred, which return the value of each sample, and metrics by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..autograd.tensor import Tensor
from ..core.near import unknown
from ..core.registered import named
from ..ops.cast import astype
from ..ops.checks import as_tensor
from ..ops.reduce import argmax
from ..training.metrics import CLASSES, METRICS, Metric
from ..training.metrics.of_losses import ConcordanceCorrelation, PearsonCorrelation


def get(identifier: Any) -> Any:
    """Return a metric by its name, config or class, or the given metric or function itself; None for None.

    >>> import fastnn.keras as keras
    >>> keras.metrics.get("mse")
    <MeanSquaredError mse=0.>
    """
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str):
        plain = identifier.replace("_", "").lower()
        found = {name.replace("_", "").lower(): make for name, make in METRICS.items()}.get(plain)
        found = found or {c.__name__.lower(): c for c in CLASSES}.get(plain)
        if found is None:
            raise ValueError(f"keras.metrics.get: {unknown('metric', identifier, sorted(METRICS))}")
        return found(name=identifier)
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise TypeError(f"keras.metrics.get: a {type(identifier).__name__} came; wanted a name, a metric, a config or a function")


def serialize(metric: Metric) -> dict[str, Any]:
    """Return the class and the arguments of a metric, for JSON; `deserialize` makes it again.

    >>> import fastnn.keras as keras
    >>> keras.metrics.serialize(keras.metrics.MeanAbsoluteError())
    {'class_name': 'MeanAbsoluteError', 'config': {'name': 'mean_absolute_error'}}
    """
    from ..core.registered import registered_name

    return {"class_name": registered_name(type(metric)) or type(metric).__name__, "config": metric.get_config()}


def deserialize(config: Mapping[str, Any] | str) -> Any:
    """Make a metric from the result of `serialize`, or from a name."""
    if isinstance(config, str):
        return get(config)
    name = config["class_name"]
    cls: Any = named(name) if ">" in name else {c.__name__: c for c in CLASSES}.get(name)
    if cls is None:
        raise ValueError(f"keras.metrics.deserialize: {unknown('metric', name, [c.__name__ for c in CLASSES])}")
    return cls(**config.get("config", {}))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """Return 1 for each output on the right side of the threshold, else 0."""
    t, p = as_tensor(y_true, "binary_accuracy"), as_tensor(y_pred, "binary_accuracy")
    return astype(astype(t, p.dtype) == astype(p > threshold, p.dtype), p.dtype)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Return 1 for each row whose greatest output is at the 1 of its target, else 0."""
    t, p = as_tensor(y_true, "categorical_accuracy"), as_tensor(y_pred, "categorical_accuracy")
    return astype(argmax(t, -1) == argmax(p, -1), p.dtype)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Return 1 for each row whose greatest output is that of its label, else 0.

    >>> import fastnn.keras as keras
    >>> keras.metrics.sparse_categorical_accuracy([2, 1], [[0.1, 0.9, 0.8], [0.05, 0.95, 0.0]]).tolist()
    [0.0, 1.0]
    """
    p = as_tensor(y_pred, "sparse_categorical_accuracy")
    return astype(_labels(y_true, p) == argmax(p, -1), p.dtype)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """Return 1 for each row (n, C) in which fewer than k outputs are greater than that of its label, else 0."""
    p = as_tensor(y_pred, "sparse_top_k_categorical_accuracy")
    from ..ops.data import one_hot

    own = (p * one_hot(_labels(y_true, p), p.shape[-1], p.dtype)).sum(-1, keepdims=True)
    return astype(astype(p > own, p.dtype).sum(-1) < k, p.dtype)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """Return `sparse_top_k_categorical_accuracy` for one-hot targets."""
    return sparse_top_k_categorical_accuracy(argmax(as_tensor(y_true, "top_k_categorical_accuracy"), -1), y_pred, k)


def pearson_correlation(y_true: Any, y_pred: Any) -> Tensor:
    """Return the correlation of outputs and targets of each row (n, C)."""
    return PearsonCorrelation().each(as_tensor(y_true, "pearson_correlation"), as_tensor(y_pred, "pearson_correlation"))


def concordance_correlation(y_true: Any, y_pred: Any) -> Tensor:
    """Return the concordance correlation of outputs and targets of each row (n, C)."""
    op = "concordance_correlation"
    return ConcordanceCorrelation().each(as_tensor(y_true, op), as_tensor(y_pred, op))


def _labels(y_true: Any, like: Tensor) -> Tensor:
    labels = astype(as_tensor(y_true, "labels"), "int64")
    return labels.reshape(like.shape[:-1])
