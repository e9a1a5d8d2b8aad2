"""Losses: a value for each row and its gradient, and their reduction to one number.

All losses are of shape (M,) and already multiplied by the sample weights; `reduce_loss_forward` makes one number of them.
"""

from __future__ import annotations

from typing import Any

from ..spec import REDUCE_LOSS_MODES
from .activation import sigmoid

Array = Any


def _log_softmax(xp: Any, x: Array) -> Array:
    shifted = x - x.max(1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(1, keepdims=True))


def _times(weight: Array, values: Array) -> Array:
    """values times weight, where there is a weight."""
    return values * weight if weight.size else values


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
    target, row_weight, bad, ignored = _sparse_target(xp, logits, labels, sample_weight, class_weight, smoothing, ignore_index)
    value = -xp.where(target == 0, 0, target * log_p).sum(1)
    losses[...] = xp.where(ignored, 0, xp.where(bad, xp.nan, value))
    weights[...] = xp.where(ignored, 0, xp.where(bad & (n > 0), xp.nan, row_weight))


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
    target, _, bad, ignored = _sparse_target(xp, p, labels, sample_weight, class_weight, smoothing, ignore_index)
    d = dlosses[:, None] * (p * target.sum(1, keepdims=True) - target)
    dlogits[...] = xp.where(ignored[:, None], 0, xp.where(bad[:, None], xp.nan, d))


def _sparse_target(
    xp: Any, like: Array, labels: Array, sample_weight: Array, class_weight: Array, smoothing: float, ignore_index: int
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
    if sample_weight.size:
        target, row_weight = target * sample_weight[:, None], row_weight * sample_weight
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
    losses[...] = _times(sample_weight, -xp.where(target == 0, 0, target * log_p).sum(1))


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
    d = _times(sample_weight, dlosses)
    dlogits[...] = d[:, None] * (p * target.sum(1, keepdims=True) - target)


def _dense_target(targets: Array, class_weight: Array, smoothing: float) -> Array:
    target = (1 - smoothing) * targets + smoothing / targets.shape[1]
    return target * class_weight if class_weight.size else target


def sigmoid_cross_entropy_forward(
    xp: Any, losses: Array, logits: Array, targets: Array, sample_weight: Array, pos_weight: Array, smoothing: float
) -> None:
    """Binary cross-entropy of each element, averaged over the row, times the row's sample_weight.

    With t = (1 - smoothing) target + smoothing / 2 and q = pos_weight or 1, an element's value is
    (1 - t) x + (1 + (q - 1) t) log(1 + exp(-x)).
    """
    t = (1 - smoothing) * targets + 0.5 * smoothing
    softplus = xp.log1p(xp.exp(-xp.abs(logits))) + xp.maximum(-logits, 0)
    weight = 1 + (pos_weight - 1) * t if pos_weight.size else 1
    losses[...] = _times(sample_weight, ((1 - t) * logits + weight * softplus).sum(1) / logits.shape[1])


def sigmoid_cross_entropy_backward(
    xp: Any,
    dlogits: Array,
    dlosses: Array,
    logits: Array,
    targets: Array,
    sample_weight: Array,
    pos_weight: Array,
    smoothing: float,
) -> None:
    """dlogits = dlosses ((1 + (q - 1) t) sigmoid(x) - q t) / N, with the forward's t and q."""
    t = (1 - smoothing) * targets + 0.5 * smoothing
    s = sigmoid(xp, logits)
    d = (1 + (pos_weight - 1) * t) * s - pos_weight * t if pos_weight.size else s - t
    if logits.size:
        dlogits[...] = _times(sample_weight, dlosses)[:, None] * d / logits.shape[1]


def mse_forward(xp: Any, losses: Array, pred: Array, target: Array, sample_weight: Array) -> None:
    """The mean of (pred - target)^2 over the row, times the row's sample_weight."""
    losses[...] = _times(sample_weight, ((pred - target) ** 2).sum(1) / pred.shape[1])


def mse_backward(xp: Any, dpred: Array, dlosses: Array, pred: Array, target: Array, sample_weight: Array) -> None:
    """dpred = dlosses 2 (pred - target) / N, times the row's sample_weight."""
    if pred.size:
        dpred[...] = _times(sample_weight, dlosses)[:, None] * (2 / pred.shape[1]) * (pred - target)


def reduce_loss_forward(xp: Any, loss: Array, normaliser: Array, losses: Array, weights: Array, mode: int) -> None:
    """loss = sum(losses) / normaliser, summed in float64.

    normaliser is M ("batch": Keras's mean, and PyTorch's without weights), the sum of weights ("weights": PyTorch's mean with
    class weights or ignored labels) or 1 ("sum").
    """
    name = REDUCE_LOSS_MODES[mode]
    if name == "weights":
        normaliser[...] = weights.sum(dtype=xp.float64)
    else:
        normaliser[...] = len(losses) if name == "batch" else 1
    loss[...] = losses.sum(dtype=xp.float64) / normaliser


def reduce_loss_backward(xp: Any, dlosses: Array, dloss: Array, normaliser: Array) -> None:
    """dlosses = dloss / normaliser."""
    dlosses[...] = dloss / normaliser
