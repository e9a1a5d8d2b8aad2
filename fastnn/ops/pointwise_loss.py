"""Element-wise losses, averaged over rows, and the Gaussian loss with variances."""

from __future__ import annotations

from typing import Any

from ..autograd.tensor import Array, Gradients, Node, Tensor, is_grad_enabled, result
from ..backends import current
from ..backends.spec import PointwiseLoss, activation


def pointwise_loss(
    pred: Tensor, target: Tensor, fn: PointwiseLoss, sample_weight: Array | None = None, column: Array | None = None
) -> Tensor:
    """Return the mean of fn(pred, target) over each row.

    Args:
        pred, target: (M, N). The target has a gradient only for functions of the difference.
        fn: a result of `fastnn.backends.spec.pointwise_loss`.
        sample_weight: (M,) or None; a row of weight 0 is ignored, even if it has NaN.
        column: the q of fn's formula (N,), or None for 1.

    Returns:
        The weighted losses (M,).

    Raises:
        ValueError: the target requires a gradient, but fn is not a function of the difference; or fn takes no column.

    >>> import fastnn
    >>> from fastnn.backends.spec import pointwise_loss as fn
    >>> x, t = fastnn.tensor([[1.0, 4.0]]), fastnn.tensor([[1.0, 2.0]])
    >>> fastnn.ops.pointwise_loss.pointwise_loss(x, t, fn("squared_error")).tolist()
    [2.0]
    """
    kind = fn.kind
    if not kind.difference:
        no_gradient(target, kind.name)
    if column is not None and not kind.column:
        raise ValueError(f"{kind.name}: a column came, but there is none in {kind.formula}")
    k = current()
    absent = k.absent
    w = absent if sample_weight is None else sample_weight
    q = absent if column is None else column
    losses = k.empty(pred.shape[:1], pred.dtype)
    k.pointwise_loss_forward(losses, pred.data, target.data, w, q, fn)
    return result("pointwise_loss", losses, _pointwise_backward, (pred, target), (pred.data, target.data, w, q, fn), {"fn": fn})


def no_gradient(target: Tensor, op: str) -> None:
    """Raise ValueError if a target requires a gradient, which the loss does not have."""
    if target.requires_grad and is_grad_enabled():
        raise ValueError(f"{op}: the target requires a gradient, but the loss has none by its target; use target.detach()")


def _pointwise_backward(grads: Gradients, node: Node, dlosses: Array) -> None:
    assert node.saved is not None
    pred, target, w, q, fn = node.saved
    k = grads.k
    d = k.empty(pred.shape, pred.dtype)
    k.pointwise_loss_backward(d, dlosses, pred, target, w, q, fn)
    if node.inputs[0].requires_grad:
        grads.add(node.inputs[0], d)
    if node.inputs[1].requires_grad:  # a function of the difference
        negative = k.empty(d.shape, d.dtype)
        k.activation_forward(negative, d, activation("affine", -1.0, 0.0))
        grads.add(node.inputs[1], negative)


def gaussian_nll(
    pred: Tensor, target: Tensor, sample_weight: Array | None = None, floor: float = 1e-6, log_variance: bool = False
) -> Tensor:
    """Return the negative logarithm of a normal density without its constant, averaged over each row.

    Args:
        pred: (M, 2, N), the means, then the variances, or with log_variance their logarithms.
        target: (M, N).
        sample_weight: (M,) or None.
        floor: least variance; smaller ones are replaced by it.

    Returns:
        The weighted losses (M,).
    """
    no_gradient(target, "gaussian_nll")
    k = current()
    w: Any = k.absent if sample_weight is None else sample_weight
    losses = k.empty(pred.shape[:1], pred.dtype)
    k.gaussian_nll_forward(losses, pred.data, target.data, w, floor, int(log_variance))
    saved = pred.data, target.data, w, floor, int(log_variance)
    return result(
        "gaussian_nll", losses, _gaussian_backward, (pred, target), saved, {"floor": floor, "log_variance": log_variance}
    )


def _gaussian_backward(grads: Gradients, node: Node, dlosses: Array) -> None:
    assert node.saved is not None
    d = grads.k.empty(node.inputs[0].shape, node.inputs[0].dtype)
    grads.k.gaussian_nll_backward(d, dlosses, *node.saved)
    grads.add(node.inputs[0], d)
