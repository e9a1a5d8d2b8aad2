"""Conversion of outputs, targets and weights to rows, the form that the kernels of metrics need."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd.tensor import Tensor
from ...backends.spec import activation
from ...core import arrays
from ...core.elements import same_elements
from ...losses.weights import spread
from ...ops.activation import softmax

if TYPE_CHECKING:
    from ...backends.base import Backend
    from .base import Metric

Array = np.ndarray[Any, Any]


def probabilities(k: Backend, outputs: Array, logits: str) -> Array:
    """Return the sigmoid of each output, or the softmax of each row."""
    if logits == "sigmoid":
        p: Array = arrays.apply(k, activation("sigmoid"), outputs)
        return p
    shares: Array = softmax(Tensor(outputs)).data
    return shares


def by_class(a: Array) -> Array:
    """Return the array in shape (rows, classes)."""
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1]) if a.ndim > 1 else a.reshape(len(a), 1)


def check_shapes(metric: Metric, y_pred: Array, y_true: Array, fits: bool) -> None:
    """Raise ValueError with both shapes unless they fit."""
    if not fits:
        raise ValueError(f"metric {metric.name}: y_pred of shape {y_pred.shape} does not fit y_true of shape {y_true.shape}")


def check_values(metric: Metric, y_pred: Array, y_true: Array) -> None:
    """Raise ValueError unless there is a target for each output."""
    check_shapes(metric, y_pred, y_true, same_elements(y_pred.shape, y_true.shape))


def by_label(metric: Metric, y_pred: Array, y_true: Array, sample_weight: Array) -> tuple[Array, Array, Array]:
    """Return outputs as (rows, classes), labels and weights as (rows,); raise ValueError unless each row has a label."""
    p = by_class(y_pred)
    check_shapes(metric, y_pred, y_true, same_elements(y_pred.shape[:-1] if y_pred.ndim > 1 else y_pred.shape, y_true.shape))
    return p, y_true.reshape(-1), row_weights(metric, y_pred, sample_weight)


def row_weights(metric: Metric, y_pred: Array, sample_weight: Array) -> Array:
    """Convert weights of samples or rows to weights of the rows that `by_class` makes.

    Raises:
        ValueError: the shape of the weights does not fit, for example one weight for each output of a row.
    """
    rows = y_pred.shape[:-1] if y_pred.ndim > 1 else y_pred.shape
    if not sample_weight.size or sample_weight.shape == rows:
        return sample_weight.reshape(-1)
    if sample_weight.shape != rows[: sample_weight.ndim]:
        given, wanted = sample_weight.shape, f"one for each row, {rows}"
        raise ValueError(f"metric {metric.name}: sample_weight has shape {given} for y_pred of {y_pred.shape}; wanted {wanted}")
    weights: Array = spread(sample_weight, rows)
    return weights


def by_weight(metric: Metric, y_pred: Array, y_true: Array, sample_weight: Array) -> tuple[Array, Array, Array]:
    """Return outputs and targets as (rows, outputs in a row), with one row for each weight, and the weights as (rows,).

    Raises:
        ValueError: an output has no target, or the shape of the weights does not fit.
    """
    check_values(metric, y_pred, y_true)
    axes = sample_weight.ndim if sample_weight.size else 1
    lead = y_pred.shape[:axes]
    if sample_weight.size and sample_weight.shape != lead:
        given = f"{sample_weight.shape} for y_pred of {y_pred.shape}"
        raise ValueError(f"metric {metric.name}: sample_weight has shape {given}; wanted its first axes")
    sizes = math.prod(lead), math.prod(y_pred.shape[axes:])
    return y_pred.reshape(sizes), y_true.reshape(sizes), sample_weight.reshape(-1)


def argmax_rows(k: Backend, a: Array) -> Array:
    """Return the index of the greatest element of each row."""
    index: Array = k.empty((len(a), 1), np.int64)
    k.argmax_forward(index, a.reshape(len(a), a.shape[1], 1))
    return index.reshape(-1)
