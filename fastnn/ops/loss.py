"""Losses of rows, and their reduction to one number."""

from __future__ import annotations

from typing import Any

from ..backends import current
from ..backends.spec import REDUCE_LOSS_MODES
from ..tensor import Array, Gradients, Node, Tensor, result

NO_LABEL = -(2**62)
"""An ignore_index that no label has."""


def sparse_cross_entropy(
    logits: Tensor,
    labels: Array,
    sample_weight: Array | None = None,
    class_weight: Array | None = None,
    smoothing: float = 0.0,
    ignore_index: int = NO_LABEL,
) -> tuple[Tensor, Array]:
    """Softmax cross-entropy of integer labels.

    Args:
        logits: (M, N).
        labels: int64 (M,).
        sample_weight: (M,) or None.
        class_weight: (N,) or None.
        smoothing: the share of each target that is spread over all classes.
        ignore_index: rows with this label count for nothing.

    Returns:
        The weighted losses (M,), and the weights (M,) that they were given.
    """
    k = current()
    absent = k.empty(0, logits.dtype)
    w = absent if sample_weight is None else sample_weight
    c = absent if class_weight is None else class_weight
    losses, weights = k.empty(logits.shape[:1], logits.dtype), k.empty(logits.shape[:1], logits.dtype)
    p = k.empty(logits.shape, logits.dtype)
    k.sparse_cross_entropy_forward(losses, weights, p, logits.data, labels, w, c, smoothing, ignore_index)
    return result(losses, _sparse_backward, (logits,), p, labels, w, c, smoothing, ignore_index), weights


def _sparse_backward(grads: Gradients, node: Node, dlosses: Array) -> None:
    assert node.saved is not None
    p, labels, w, c, smoothing, ignore_index = node.saved
    d = grads.k.empty(p.shape, p.dtype)
    grads.k.sparse_cross_entropy_backward(d, dlosses, p, labels, w, c, smoothing, ignore_index)
    grads.add(node.inputs[0], d)


def cross_entropy(
    logits: Tensor, targets: Array, sample_weight: Array | None = None, class_weight: Array | None = None, smoothing: float = 0.0
) -> Tensor:
    """Softmax cross-entropy of target probabilities (M, N): the weighted losses (M,)."""
    k = current()
    absent = k.empty(0, logits.dtype)
    w = absent if sample_weight is None else sample_weight
    c = absent if class_weight is None else class_weight
    losses, p = k.empty(logits.shape[:1], logits.dtype), k.empty(logits.shape, logits.dtype)
    k.cross_entropy_forward(losses, p, logits.data, targets, w, c, smoothing)
    return result(losses, _cross_entropy_backward, (logits,), p, targets, w, c, smoothing)


def _cross_entropy_backward(grads: Gradients, node: Node, dlosses: Array) -> None:
    assert node.saved is not None
    p, targets, w, c, smoothing = node.saved
    d = grads.k.empty(p.shape, p.dtype)
    grads.k.cross_entropy_backward(d, dlosses, p, targets, w, c, smoothing)
    grads.add(node.inputs[0], d)


def sigmoid_cross_entropy(
    logits: Tensor, targets: Array, sample_weight: Array | None = None, pos_weight: Array | None = None, smoothing: float = 0.0
) -> Tensor:
    """Binary cross-entropy of logits (M, N), averaged over each row: the weighted losses (M,)."""
    k = current()
    absent = k.empty(0, logits.dtype)
    w = absent if sample_weight is None else sample_weight
    q = absent if pos_weight is None else pos_weight
    losses = k.empty(logits.shape[:1], logits.dtype)
    k.sigmoid_cross_entropy_forward(losses, logits.data, targets, w, q, smoothing)
    return result(losses, _sigmoid_backward, (logits,), logits.data, targets, w, q, smoothing)


def _sigmoid_backward(grads: Gradients, node: Node, dlosses: Array) -> None:
    assert node.saved is not None
    d = grads.k.empty(node.inputs[0].shape, node.inputs[0].dtype)
    grads.k.sigmoid_cross_entropy_backward(d, dlosses, *node.saved)
    grads.add(node.inputs[0], d)


def mse(pred: Tensor, target: Tensor, sample_weight: Array | None = None) -> Tensor:
    """The mean of (pred - target)^2 over each row of (M, N): the weighted losses (M,)."""
    k = current()
    w = k.empty(0, pred.dtype) if sample_weight is None else sample_weight
    losses = k.empty(pred.shape[:1], pred.dtype)
    k.mse_forward(losses, pred.data, target.data, w)
    return result(losses, _mse_backward, (pred, target), pred.data, target.data, w)


def _mse_backward(grads: Gradients, node: Node, dlosses: Array) -> None:
    assert node.saved is not None
    pred, target, w = node.saved
    for t, a, b in ((node.inputs[0], pred, target), (node.inputs[1], target, pred)):
        if t.requires_grad:  # the loss is symmetric in its two arguments
            d = grads.k.empty(pred.shape, pred.dtype)
            grads.k.mse_backward(d, dlosses, a, b, w)
            grads.add(t, d)


def reduce_loss(losses: Tensor, mode: str = "batch", weights: Array | None = None) -> Tensor:
    """One number of losses (M,): their sum, divided by M ("batch"), by the sum of weights ("weights") or by 1 ("sum")."""
    k = current()
    loss, normaliser = k.empty(1, losses.dtype), k.empty(1, losses.dtype)
    w: Any = k.empty(0, losses.dtype) if weights is None else weights
    k.reduce_loss_forward(loss, normaliser, losses.data, w, REDUCE_LOSS_MODES.index(mode))
    return result(loss.reshape(()), _reduce_backward, (losses,), normaliser)


def _reduce_backward(grads: Gradients, node: Node, dloss: Array) -> None:
    assert node.saved is not None
    (normaliser,) = node.saved
    d = grads.k.empty(node.inputs[0].shape, node.inputs[0].dtype)
    grads.k.reduce_loss_backward(d, dloss.reshape(1), normaliser)
    grads.add(node.inputs[0], d)
