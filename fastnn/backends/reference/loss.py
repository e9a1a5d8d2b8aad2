"""Losses: a value for each row and its gradient, and their reduction to one number.

All losses are of shape (M,) and already multiplied by the sample weights; `reduce_loss_forward` makes one number of them.
A row of weight 0 has loss 0 and gradient 0, even where they would be infinite or NaN without it.
"""

from __future__ import annotations

from typing import Any

from ..spec import REDUCE_LOSS_MODES, PointwiseLoss
from .pointwise_loss import slope, value

Array = Any


def _log_softmax(xp: Any, x: Array) -> Array:
    shifted = x - x.max(1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(1, keepdims=True))


def _weighted(xp: Any, sample_weight: Array, values: Array) -> Array:
    """values (M,) or (M, ...) times the row's weight, where there are weights."""
    if not sample_weight.size:
        return values
    w = sample_weight.reshape(-1, *[1] * (values.ndim - 1))
    return xp.where(w == 0, 0, values * w)


def sparse_cross_entropy_forward(
    xp: Any,
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
    """Softmax cross-entropy of integer labels: losses = -sum_c target_c log p_c, p = softmax(logits).

    target is (1 - smoothing) at the label and smoothing / N everywhere, times class_weight, times the row's sample_weight.
    weights gets sample_weight * class_weight[label], by whose sum PyTorch's mean divides. A row whose label is ignore_index
    has loss and weight 0; one whose label is outside 0..N-1 has loss NaN. p may be the array of the logits.
    """
    n = logits.shape[1]
    if not logits.size:
        losses[...] = xp.nan
        weights[...] = xp.nan
        return
    log_p = _log_softmax(xp, logits)
    p[...] = xp.exp(log_p)
    target, row_weight, bad, ignored = _sparse_target(xp, logits, labels, class_weight, smoothing, ignore_index)
    row = -xp.where(target == 0, 0, target * log_p).sum(1)
    losses[...] = xp.where(ignored, 0, xp.where(bad, xp.nan, _weighted(xp, sample_weight, row)))
    weights[...] = xp.where(ignored, 0, xp.where(bad & (n > 0), xp.nan, _weighted(xp, sample_weight, row_weight)))


def sparse_cross_entropy_backward(
    xp: Any,
    dlogits: Array,
    dlosses: Array,
    p: Array,
    labels: Array,
    sample_weight: Array,
    class_weight: Array,
    smoothing: float,
    ignore_index: int,
) -> None:
    """dlogits = dlosses (p sum(target) - target), with the forward's target; 0 in ignored rows, NaN for bad labels.

    dlogits may be p.
    """
    if not p.size:
        return
    target, _, bad, ignored = _sparse_target(xp, p, labels, class_weight, smoothing, ignore_index)
    d = dlosses[:, None] * (p * target.sum(1, keepdims=True) - target)
    dlogits[...] = xp.where(ignored[:, None], 0, xp.where(bad[:, None], xp.nan, _weighted(xp, sample_weight, d)))


def _sparse_target(
    xp: Any, like: Array, labels: Array, class_weight: Array, smoothing: float, ignore_index: int
) -> tuple[Array, Array, Array, Array]:
    m, n = like.shape
    ignored = labels == ignore_index
    bad = (labels < 0) | (labels >= n)
    safe = xp.where(bad, 0, labels)
    one_hot = (safe[:, None] == xp.arange(n)).astype(like.dtype)
    target = (1 - smoothing) * one_hot + smoothing / n
    row_weight = class_weight[safe] if class_weight.size else xp.ones(m, like.dtype)
    if class_weight.size:
        target = target * class_weight
    return target, row_weight, bad, ignored


def cross_entropy_forward(
    xp: Any,
    losses: Array,
    p: Array,
    logits: Array,
    targets: Array,
    sample_weight: Array,
    class_weight: Array,
    smoothing: float,
) -> None:
    """Softmax cross-entropy of target probabilities: losses = -sum_c target_c log p_c, p = softmax(logits).

    target is (1 - smoothing) targets + smoothing / N, times class_weight, times the row's sample_weight. A target of 0 adds 0.
    """
    if not logits.size:
        losses[...] = 0
        return
    log_p = _log_softmax(xp, logits)
    p[...] = xp.exp(log_p)
    target = _dense_target(targets, class_weight, smoothing)
    losses[...] = _weighted(xp, sample_weight, -xp.where(target == 0, 0, target * log_p).sum(1))


def cross_entropy_backward(
    xp: Any,
    dlogits: Array,
    dlosses: Array,
    p: Array,
    targets: Array,
    sample_weight: Array,
    class_weight: Array,
    smoothing: float,
) -> None:
    """dlogits = dlosses (p sum(target) - target), with the forward's target."""
    target = _dense_target(targets, class_weight, smoothing) if p.size else targets
    d = dlosses[:, None] * (p * target.sum(1, keepdims=True) - target)
    dlogits[...] = _weighted(xp, sample_weight, d)


def _dense_target(targets: Array, class_weight: Array, smoothing: float) -> Array:
    target = (1 - smoothing) * targets + smoothing / targets.shape[1]
    return target * class_weight if class_weight.size else target


def pointwise_loss_forward(
    xp: Any, losses: Array, pred: Array, target: Array, sample_weight: Array, column: Array, fn: PointwiseLoss
) -> None:
    """Compute the mean over the row of fn, a loss of each element, times the row's sample_weight.

    column has the q of fn's formula for each column; where it is absent, q is 1.
    """
    each = value(xp, pred, target, column if column.size else 1, fn)
    losses[...] = _weighted(xp, sample_weight, each.sum(1) / pred.shape[1])


def pointwise_loss_backward(
    xp: Any, dpred: Array, dlosses: Array, pred: Array, target: Array, sample_weight: Array, column: Array, fn: PointwiseLoss
) -> None:
    """dpred = dlosses fn'(pred) / N, times the row's sample_weight."""
    if pred.size:
        d = dlosses[:, None] * slope(xp, pred, target, column if column.size else 1, fn) / pred.shape[1]
        dpred[...] = _weighted(xp, sample_weight, d)


def gaussian_nll_forward(
    xp: Any, losses: Array, pred: Array, target: Array, sample_weight: Array, floor: float, log_variance: int
) -> None:
    """Compute the mean over the row of (log v + (target - mean)^2 / v) / 2, times the row's sample_weight.

    pred holds the means and, after them, the variances v, which count as floor where they are smaller; or with log_variance
    their logarithms. Source: Nix and Weigend, Estimating the mean and variance of the target probability distribution, 1994.
    """
    e = target - pred[:, 0]
    if log_variance:
        each = pred[:, 1] + e * e * xp.exp(-pred[:, 1])
    else:
        v = xp.maximum(pred[:, 1], floor)
        each = xp.log(v) + e * e / v
    losses[...] = _weighted(xp, sample_weight, 0.5 * each.sum(1) / target.shape[1])


def gaussian_nll_backward(
    xp: Any, dpred: Array, dlosses: Array, pred: Array, target: Array, sample_weight: Array, floor: float, log_variance: int
) -> None:
    """Compute the gradients by means and variances; the latter as if not held at floor, so that small ones can grow."""
    if not pred.size:
        return
    e = target - pred[:, 0]
    v = xp.exp(pred[:, 1]) if log_variance else xp.maximum(pred[:, 1], floor)
    by_variance = 0.5 * (1 - e * e / v)
    d = xp.stack([-e / v, by_variance if log_variance else by_variance / v], 1)
    dpred[...] = _weighted(xp, sample_weight, dlosses[:, None, None] * d / target.shape[1])


def reduce_loss_forward(xp: Any, loss: Array, normaliser: Array, losses: Array, weights: Array, mode: int) -> None:
    """loss = sum(losses) / normaliser, summed in float64.

    normaliser is M ("batch": Keras's mean, and PyTorch's without weights), the sum of weights ("weights": PyTorch's mean with
    class weights or ignored labels), that sum or 1 where it is 0 ("weights_or_one": Keras's with ignored labels) or 1 ("sum").
    """
    name = REDUCE_LOSS_MODES[mode]
    if name in ("weights", "weights_or_one"):
        total = weights.sum(dtype=xp.float64)
        normaliser[...] = xp.where(total == 0, 1, total) if name == "weights_or_one" else total
    else:
        normaliser[...] = len(losses) if name == "batch" else 1
    loss[...] = losses.sum(dtype=xp.float64) / normaliser


def reduce_loss_backward(xp: Any, dlosses: Array, dloss: Array, normaliser: Array) -> None:
    """dlosses = dloss / normaliser."""
    dlosses[...] = dloss / normaliser
