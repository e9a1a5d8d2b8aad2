"""Running metrics: each adds a sum of values to total[0] and of weights to total[1]; the metric is their quotient."""

from __future__ import annotations

from typing import Any

Array = Any


def mean_metric(xp: Any, total: Array, value: Array, count: float) -> None:
    """Adds value, counted ``count`` times."""
    total[0] += value[0].astype(xp.float64) * count
    total[1] += count


def _add(xp: Any, total: Array, values: Array, sample_weight: Array) -> None:
    if sample_weight.size:
        total[0] += (values * sample_weight.astype(xp.float64)).sum()
        total[1] += sample_weight.sum(dtype=xp.float64)
    else:
        total[0] += values.sum(dtype=xp.float64)
        total[1] += len(values)


def sparse_accuracy(xp: Any, total: Array, p: Array, labels: Array, sample_weight: Array) -> None:
    """Adds 1 for each row whose greatest p is at its label."""
    if p.size:
        _add(xp, total, p.argmax(1) == labels, sample_weight)


def categorical_accuracy(xp: Any, total: Array, p: Array, targets: Array, sample_weight: Array) -> None:
    """Adds 1 for each row whose greatest p is where its greatest target is."""
    if p.size:
        _add(xp, total, p.argmax(1) == targets.argmax(1), sample_weight)


def binary_accuracy(xp: Any, total: Array, p: Array, targets: Array, sample_weight: Array, threshold: float) -> None:
    """Adds, for each row, the share of its elements in which (p > threshold) equals the target."""
    if p.size:
        _add(xp, total, ((p > threshold) == targets).mean(1, dtype=xp.float64), sample_weight)


def error_metric(xp: Any, total: Array, pred: Array, target: Array, sample_weight: Array, power: int) -> None:
    """Adds, for each row, the mean of |pred - target|^power over its elements; power is 1 or 2."""
    if pred.size:
        e = xp.abs((pred - target).astype(xp.float64))
        _add(xp, total, (e * e if power == 2 else e).mean(1), sample_weight)
