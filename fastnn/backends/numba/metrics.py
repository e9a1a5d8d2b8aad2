"""Running metrics: sums of values in total[0] and of weights in total[1], counts, and scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .rows import add, argmax, of_rows, wide_weight
from .vmath import inline

Array = Any

BLOCK = 64
"""Rows that are summed by themselves, which bounds the rounding error of many."""


@jit
def mean_metric(total: Array, value: Array, count: float) -> None:
    total[0] += np.float64(value[0]) * count
    total[1] += count


def _over_rows(measure: Any) -> Any:
    """Return the compiled kernel that adds measure(p, other, row, parameter) for each row, times its weight."""

    @jit
    def kernel(total: Array, p: Array, other: Array, sample_weight: Array, parameter: Any) -> None:
        all_values = all_weights = 0.0
        for begin in range(0, len(p) if p.size else 0, BLOCK):
            values = weights = 0.0
            for row in range(begin, min(begin + BLOCK, len(p))):
                weight = wide_weight(sample_weight, row)
                if weight != 0:  # or a row that counts for nothing could be NaN
                    values += weight * measure(p, other, row, parameter)
                weights += weight
            all_values += values
            all_weights += weights
        total[0] += all_values
        total[1] += all_weights

    return kernel


@inline
def _hits_label(p: Array, labels: Array, row: int, parameter: None) -> Any:
    return argmax(p[row]) == labels[row]


@inline
def _hits_target(p: Array, targets: Array, row: int, parameter: None) -> Any:
    return argmax(p[row]) == argmax(targets[row])


@inline
def _share_right(p: Array, targets: Array, row: int, threshold: float) -> Any:
    right = 0
    for i in range(p.shape[1]):
        right += (p[row, i] > threshold) == targets[row, i]
    return right / p.shape[1]


@inline
def _mean_absolute(pred: Array, target: Array, row: int, parameter: None) -> Any:
    total = 0.0
    for i in range(pred.shape[1]):
        total = add(total, abs(np.float64(pred[row, i]) - np.float64(target[row, i])))
    return total / pred.shape[1]


@inline
def _mean_square(pred: Array, target: Array, row: int, parameter: None) -> Any:
    total = 0.0
    for i in range(pred.shape[1]):
        e = np.float64(pred[row, i]) - np.float64(target[row, i])
        total = add(total, e * e)
    return total / pred.shape[1]


@inline
def _within_top(p: Array, labels: Array, row: int, k: int) -> bool:
    if not 0 <= labels[row] < p.shape[1]:
        return False
    own, greater = p[row, labels[row]], 0
    for i in range(p.shape[1]):
        greater += p[row, i] > own
    return own == own and greater < k


_sparse_accuracy = _over_rows(_hits_label)
_categorical_accuracy = _over_rows(_hits_target)
_binary_accuracy = _over_rows(_share_right)
_error_metric = {1: _over_rows(_mean_absolute), 2: _over_rows(_mean_square)}
_top_k_accuracy = _over_rows(_within_top)


def sparse_accuracy(total: Array, p: Array, labels: Array, sample_weight: Array) -> None:
    _sparse_accuracy(total, p, labels, of_rows(sample_weight, p.dtype), None)


def categorical_accuracy(total: Array, p: Array, targets: Array, sample_weight: Array) -> None:
    _categorical_accuracy(total, p, targets, of_rows(sample_weight, p.dtype), None)


def binary_accuracy(total: Array, p: Array, targets: Array, sample_weight: Array, threshold: float) -> None:
    _binary_accuracy(total, p, targets, of_rows(sample_weight, p.dtype), p.dtype.type(threshold))


def error_metric(total: Array, pred: Array, target: Array, sample_weight: Array, power: int) -> None:
    _error_metric[power](total, pred, target, of_rows(sample_weight, pred.dtype), None)


def top_k_accuracy(total: Array, p: Array, labels: Array, sample_weight: Array, k: int) -> None:
    _top_k_accuracy(total, p, labels, of_rows(sample_weight, p.dtype), k)


def mean_rows(total: Array, values: Array, sample_weight: Array) -> None:
    _mean_rows(total, values, of_rows(sample_weight, values.dtype))


@jit
def _mean_rows(total: Array, values: Array, sample_weight: Array) -> None:
    sums = weights = 0.0
    for row in range(len(values)):
        weight = wide_weight(sample_weight, row)
        sums = add(sums, weight * np.float64(values[row]) if weight != 0 else 0.0)
        weights = add(weights, weight)
    total[0] += sums
    total[1] += weights


def confusion_matrix(matrix: Array, p: Array, labels: Array, sample_weight: Array) -> None:
    _confusion_matrix(matrix, p, labels, of_rows(sample_weight, p.dtype))


@jit
def _confusion_matrix(matrix: Array, p: Array, labels: Array, sample_weight: Array) -> None:
    for row in range(len(p)):
        if 0 <= labels[row] < p.shape[1]:
            matrix[labels[row], argmax(p[row])] += wide_weight(sample_weight, row)


def threshold_counts(counts: Array, p: Array, targets: Array, sample_weight: Array, thresholds: Array) -> None:
    _threshold_counts(counts, p, targets, of_rows(sample_weight, p.dtype), thresholds.astype(p.dtype))


@jit
def _threshold_counts(counts: Array, p: Array, targets: Array, sample_weight: Array, thresholds: Array) -> None:
    for h in range(len(thresholds)):
        for i in range(p.shape[1]):
            true_positive = false_positive = false_negative = true_negative = 0.0
            for row in range(len(p)):
                weight = wide_weight(sample_weight, row)
                positive, true = p[row, i] > thresholds[h], targets[row, i] != 0
                true_positive = add(true_positive, weight if positive & true else 0.0)
                false_positive = add(false_positive, weight if positive & (not true) else 0.0)
                false_negative = add(false_negative, weight if (not positive) & true else 0.0)
                true_negative = add(true_negative, 0.0 if positive | true else weight)
            counts[h, i, 0] += true_positive
            counts[h, i, 1] += false_positive
            counts[h, i, 2] += false_negative
            counts[h, i, 3] += true_negative


def r2_metric(state: Array, pred: Array, target: Array, sample_weight: Array) -> None:
    _r2_metric(state, pred, target, of_rows(sample_weight, pred.dtype))


@jit
def _r2_metric(state: Array, pred: Array, target: Array, sample_weight: Array) -> None:
    for i in range(pred.shape[1]):
        new = mean = squares = errors = some = 0.0
        for row in range(len(pred)):
            if wide_weight(sample_weight, row) != 0:
                some = np.float64(target[row, i])
                break
        for row in range(len(pred)):
            weight = wide_weight(sample_weight, row)
            new = add(new, weight)
            mean = add(mean, weight * (np.float64(target[row, i]) - some) if weight != 0 else 0.0)
        if new == 0:
            continue
        mean = some + mean / new
        for row in range(len(pred)):
            weight, y = wide_weight(sample_weight, row), np.float64(target[row, i])
            e = y - np.float64(pred[row, i])
            squares = add(squares, weight * ((y - mean) * (y - mean)) if weight != 0 else 0.0)
            errors = add(errors, weight * (e * e) if weight != 0 else 0.0)
        total, apart = state[0, i] + new, mean - state[1, i]
        state[2, i] += squares + apart * apart * (state[0, i] * new / total)
        state[1, i] += apart * (new / total)
        state[3, i] += errors
        state[0, i] = total


def collect_scores(store: Array, count: Array, p: Array, targets: Array, sample_weight: Array) -> None:
    _collect_scores(store, count, p, targets, of_rows(sample_weight, p.dtype))


@jit
def _collect_scores(store: Array, count: Array, p: Array, targets: Array, sample_weight: Array) -> None:
    m, n = p.shape
    begin = count[0]
    room = store.shape[1] - begin if 0 <= begin <= store.shape[1] else 0
    for row in range(m):
        weight, at = wide_weight(sample_weight, row), begin + row * n
        for i in range(min(n, room - row * n)):
            store[0, at + i] = p[row, i]
            store[1, at + i] = targets[row, i]
            store[2, at + i] = weight
    count[0] = begin + m * n
