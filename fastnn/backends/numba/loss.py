"""Losses, a value for each row, and their reduction to one number; those of each element are in pointwise_loss.py.

Rows may be too short to fill vectors: exponentials and logarithms are taken of blocks of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..spec import REDUCE_LOSS_MODES
from .jit import jit
from .pointwise_loss import pointwise_loss_backward, pointwise_loss_forward
from .rows import CHUNK, add, of_rows, present, weighted
from .softmax import row_max, row_sum
from .vmath import exp, high, inline, log

__all__ = [
    "cross_entropy_backward",
    "cross_entropy_forward",
    "gaussian_nll_backward",
    "gaussian_nll_forward",
    "pointwise_loss_backward",
    "pointwise_loss_forward",
    "reduce_loss_backward",
    "reduce_loss_forward",
    "sparse_cross_entropy_backward",
    "sparse_cross_entropy_forward",
]

Array = Any


@inline
def _sum(x: Array) -> Any:
    total = x.dtype.type(0)
    for i in range(len(x)):
        total = add(total, x[i])
    return total


@inline
def _softmax(p: Array, x: Array, shifted: Array, log_sums: Array) -> None:
    """p = softmax(x) of a block of rows, of which it also leaves x - max and log(sum(exp(x - max))); p may be x."""
    T = p.dtype.type
    m, n = x.shape
    for row in range(m):
        top = row_max(x, row)
        for i in range(n):
            shifted[row, i] = x[row, i] - top
    flat_p, flat = p.reshape(m * n), shifted.reshape(shifted.size)
    for i in range(m * n):
        flat_p[i] = exp(T, flat[i])
    for row in range(m):
        log_sums[row] = row_sum(p, row)
        scale = T(1) / log_sums[row]  # the sum is at least 1
        for i in range(n):
            p[row, i] *= scale
    for row in range(m):
        log_sums[row] = log(T, log_sums[row])


@inline
def _target(T: Any, targets: Array, class_weight: Array, on: float, off: float, row: int, i: int) -> Any:
    """on targets + off, times the class's weight; with no targets, what labels leave to every class."""
    target = off if targets is None else on * targets[row, i] + off
    return target if class_weight is None else target * class_weight[i]


@inline
def _log_likelihood(
    shifted: Array, log_sum: float, block_row: int, targets: Array, class_weight: Array, on: float, off: float, row: int
) -> Any:
    """Return the sum of target log(p) over a row; a target of 0 adds 0."""
    T = shifted.dtype.type
    total = T(0)
    for i in range(shifted.shape[1]):
        target = _target(T, targets, class_weight, on, off, row, i)
        term = target * (shifted[block_row, i] - log_sum)
        total = add(total, T(0) if target == T(0) else term)
    return total


@jit
def _sparse_cross_entropy(
    losses: Array,
    weights: Array,
    p: Array,
    logits: Array,
    labels: Array,
    sample_weight: Array,
    class_weight: Array,
    smoothing: float,
    ignore_index: int,
) -> None:
    T = p.dtype.type
    m, n = logits.shape
    on, off = T(1 - smoothing), T(smoothing / n)
    rows = min(m, max(1, CHUNK // max(n, 1)))
    shifted, log_sums = np.empty((rows, n), p.dtype), np.empty(rows, p.dtype)
    if n == 0:
        losses[:] = T(np.nan)
        weights[:] = T(np.nan)
        return
    for begin in range(0, m, max(rows, 1)):
        _softmax(p[begin : begin + rows], logits[begin : begin + rows], shifted, log_sums)
        for i in range(min(rows, m - begin)):
            row = begin + i
            label = labels[row]
            if label == ignore_index or not 0 <= label < n:
                losses[row] = weights[row] = T(0) if label == ignore_index else T(np.nan)
                continue
            weight = T(1) if class_weight is None else class_weight[label]
            target, picked = on * weight, shifted[i, label] - log_sums[i]
            value = T(0) if target == T(0) else target * picked
            if off != T(0):
                value += _log_likelihood(shifted, log_sums[i], i, None, class_weight, on, off, row)
            losses[row] = weighted(sample_weight, row, -value)
            weights[row] = weighted(sample_weight, row, weight)


def sparse_cross_entropy_forward(
    losses: Array,
    weights: Array,
    p: Array,
    logits: Array,
    labels: Array,
    sample_weight: Array,
    class_weight: Array,
    smoothing: float,
    ignore_index: int,
) -> None:
    sample, by_class = of_rows(sample_weight, p.dtype), present(class_weight)
    _sparse_cross_entropy(losses, weights, p, logits, labels, sample, by_class, smoothing, ignore_index)


@jit
def _sparse_cross_entropy_gradient(
    d: Array,
    dlosses: Array,
    p: Array,
    labels: Array,
    sample_weight: Array,
    class_weight: Array,
    smoothing: float,
    ignore_index: int,
) -> None:
    """With None for p, d holds p."""
    T = d.dtype.type
    m, n = d.shape
    on, off = T(1 - smoothing), T(smoothing / n)
    off_sum = off * (T(n) if class_weight is None else _sum(class_weight))
    for row in range(m if n else 0):
        label = labels[row]
        sample = T(1) if len(sample_weight) == 0 else sample_weight[row]
        bad = not 0 <= label < n
        if bad or label == ignore_index or sample == T(0):
            value = T(np.nan) if bad and label != ignore_index else T(0)
            for i in range(n):
                d[row, i] = value
            continue
        weight = T(1) if class_weight is None else class_weight[label]
        dloss, total = dlosses[row], sample * (off_sum + on * weight)
        own = d[row, label] if p is None else p[row, label]
        if off == T(0):
            for i in range(n):
                d[row, i] = dloss * ((d[row, i] if p is None else p[row, i]) * total)
        else:
            for i in range(n):
                target = sample * _target(T, None, class_weight, on, off, row, i)
                d[row, i] = dloss * ((d[row, i] if p is None else p[row, i]) * total - target)
        d[row, label] = dloss * (own * total - sample * weight * (on + off))


def sparse_cross_entropy_backward(
    dlogits: Array,
    dlosses: Array,
    p: Array,
    labels: Array,
    sample_weight: Array,
    class_weight: Array,
    smoothing: float,
    ignore_index: int,
) -> None:
    sample, by_class = of_rows(sample_weight, dlogits.dtype), present(class_weight)
    apart = None if dlogits is p else p  # one array is never taken for two that may overlap: its loops stay vector code
    _sparse_cross_entropy_gradient(dlogits, dlosses, apart, labels, sample, by_class, smoothing, ignore_index)


@jit
def _cross_entropy(
    losses: Array, p: Array, logits: Array, targets: Array, sample_weight: Array, class_weight: Array, smoothing: float
) -> None:
    T = p.dtype.type
    m, n = logits.shape
    on, off = T(1 - smoothing), T(smoothing / n)
    rows = min(m, max(1, CHUNK // max(n, 1)))
    shifted, log_sums = np.empty((rows, n), p.dtype), np.empty(rows, p.dtype)
    if n == 0:
        losses[:] = T(0)
        return
    for begin in range(0, m, max(rows, 1)):
        _softmax(p[begin : begin + rows], logits[begin : begin + rows], shifted, log_sums)
        for i in range(min(rows, m - begin)):
            row = begin + i
            value = _log_likelihood(shifted, log_sums[i], i, targets, class_weight, on, off, row)
            losses[row] = weighted(sample_weight, row, -value)


def cross_entropy_forward(
    losses: Array, p: Array, logits: Array, targets: Array, sample_weight: Array, class_weight: Array, smoothing: float
) -> None:
    _cross_entropy(losses, p, logits, targets, of_rows(sample_weight, p.dtype), present(class_weight), smoothing)


@jit
def _cross_entropy_gradient(
    dlogits: Array, dlosses: Array, p: Array, targets: Array, sample_weight: Array, class_weight: Array, smoothing: float
) -> None:
    T = p.dtype.type
    m, n = p.shape
    on, off = T(1 - smoothing), T(smoothing / n)
    for row in range(m if n else 0):
        dloss = dlosses[row] if len(sample_weight) == 0 else dlosses[row] * sample_weight[row]
        if len(sample_weight) and sample_weight[row] == T(0):
            dlogits[row, :] = T(0)
            continue
        total = T(0)
        for i in range(n):
            total = add(total, _target(T, targets, class_weight, on, off, row, i))
        for i in range(n):
            dlogits[row, i] = dloss * (p[row, i] * total - _target(T, targets, class_weight, on, off, row, i))


def cross_entropy_backward(
    dlogits: Array, dlosses: Array, p: Array, targets: Array, sample_weight: Array, class_weight: Array, smoothing: float
) -> None:
    _cross_entropy_gradient(dlogits, dlosses, p, targets, of_rows(sample_weight, dlogits.dtype), present(class_weight), smoothing)


@jit
def _gaussian_nll(losses: Array, pred: Array, target: Array, sample_weight: Array, floor: float, log_variance: bool) -> None:
    T = losses.dtype.type
    m, n = target.shape
    lowest = T(floor)
    for row in range(m):
        total = T(0)
        if log_variance:
            for i in range(n):
                e, s = target[row, i] - pred[row, 0, i], pred[row, 1, i]
                total = add(total, s + e * e * exp(T, -s))
        else:
            for i in range(n):
                e, v = target[row, i] - pred[row, 0, i], high(pred[row, 1, i], lowest)
                total = add(total, log(T, v) + e * e / v)
        losses[row] = weighted(sample_weight, row, T(0.5) * total / T(n))


def gaussian_nll_forward(
    losses: Array, pred: Array, target: Array, sample_weight: Array, floor: float, log_variance: int
) -> None:
    _gaussian_nll(losses, pred, target, of_rows(sample_weight, losses.dtype), floor, log_variance)


@jit
def _gaussian_nll_gradient(
    dpred: Array, dlosses: Array, pred: Array, target: Array, sample_weight: Array, floor: float, log_variance: bool
) -> None:
    T = dpred.dtype.type
    m, n = target.shape
    lowest = T(floor)
    for row in range(m):
        w = T(1) if len(sample_weight) == 0 else sample_weight[row]
        if w == T(0):
            dpred[row, :, :] = T(0)
            continue
        d, mean, variance, t = dlosses[row] * w / T(n), pred[row, 0], pred[row, 1], target[row]
        by_mean, by_variance = dpred[row, 0], dpred[row, 1]
        for i in range(n):  # one array is written at a time, or LLVM asks too much to make vector code
            by_variance[i] = exp(T, variance[i]) if log_variance else high(variance[i], lowest)
        for i in range(n):
            by_mean[i] = d * ((mean[i] - t[i]) / by_variance[i])
        for i in range(n):
            e, v = t[i] - mean[i], by_variance[i]
            slope = d * (T(0.5) * (T(1) - e * e / v))
            by_variance[i] = slope if log_variance else slope / v


def gaussian_nll_backward(
    dpred: Array, dlosses: Array, pred: Array, target: Array, sample_weight: Array, floor: float, log_variance: int
) -> None:
    _gaussian_nll_gradient(dpred, dlosses, pred, target, of_rows(sample_weight, dpred.dtype), floor, log_variance)


_BATCH, _WEIGHTS, _SUM, _WEIGHTS_OR_ONE = range(len(REDUCE_LOSS_MODES))


@inline
def _wide_sum(x: Array) -> float:
    total = 0.0
    for i in range(len(x)):
        total = add(total, np.float64(x[i]))
    return total


@jit
def reduce_loss_forward(loss: Array, normaliser: Array, losses: Array, weights: Array, mode: int) -> None:
    if mode in (_WEIGHTS, _WEIGHTS_OR_ONE):
        total = _wide_sum(weights)
        normaliser[0] = 1 if mode == _WEIGHTS_OR_ONE and total == 0 else total
    else:
        normaliser[0] = len(losses) if mode == _BATCH else 1
    loss[0] = _wide_sum(losses) / normaliser[0]


@jit
def reduce_loss_backward(dlosses: Array, dloss: Array, normaliser: Array) -> None:
    dlosses[:] = dloss[0] / normaliser[0]
