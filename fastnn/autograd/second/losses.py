"""Rules of losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...backends import current
from ...backends.spec import PointwiseLoss
from ...core import arrays
from ...ops import loss, pointwise_loss
from ...ops.activation import log_sigmoid, sigmoid, softmax, tanh
from ...ops.dense import matmul, matmul_transposed
from ...ops.elementwise import abs, add, astype, div, exp, log1p, maximum, minimum, mul, neg, pow, square, sub
from ...ops.index import split
from ...ops.logic import eq, ge, gt, le, logical_and, lt, where
from ...ops.reduce import sum as sum_of
from ...ops.shape import broadcast_to, reshape, stack, unsqueeze
from ..tensor import Array, Node, Tensor
from .rules import Wanted, derived, rule
from .run import by_operations, composed


@rule(loss._reduce_backward)
def _reduce(node: Node, dloss: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    (normaliser,) = node.saved
    return (lambda: broadcast_to(div(reshape(dloss, 1), Tensor(normaliser)), node.inputs[0].shape),)


# ---- cross-entropy: the kernel's gradient is dlosses (p sum(target) - target), of which it gives target for p = 0 ----


@rule(loss._sparse_backward)
def _sparse(node: Node, dlosses: Tensor) -> Sequence[Wanted]:
    return (lambda: _cross_entropy_gradient("sparse_cross_entropy_backward", node, dlosses),)


@rule(loss._cross_entropy_backward)
def _dense(node: Node, dlosses: Tensor) -> Sequence[Wanted]:
    return (lambda: _cross_entropy_gradient("cross_entropy_backward", node, dlosses),)


def _cross_entropy_gradient(kernel: str, node: Node, dlosses: Tensor) -> Tensor:
    assert node.saved is not None
    p, *rest = node.saved
    k = current()
    negative = k.empty(p.shape, p.dtype)
    ones, zeros = (arrays.filled(k, shape, p.dtype, value) for shape, value in ((p.shape[:1], 1.0), (p.shape, 0.0)))
    getattr(k, kernel)(negative, ones, zeros, *rest)
    target = neg(Tensor(negative))
    return mul(unsqueeze(dlosses, 1), sub(mul(softmax(node.inputs[0]), sum_of(target, 1, True)), target))


@composed(loss._linear_backward)
def _linear(node: Node) -> Tensor:
    assert node.saved is not None
    head, _, _, _, labels, sample_weight, class_weight, smoothing, ignore_index = node.saved
    x, w, *b = node.inputs
    z = matmul_transposed(x, w) if head.transposed else matmul(x, w)
    z = reshape(add(z, b[0]) if b else z, (-1, head.classes))
    of_rows, of_classes = (w if w.size else None for w in (sample_weight, class_weight))
    return loss.sparse_cross_entropy(z, labels, of_rows, of_classes, smoothing, ignore_index)[0]


# ---- element-wise losses ----


@rule(pointwise_loss._pointwise_backward)
def _pointwise(node: Node, dlosses: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    _, _, w, q, fn = node.saved
    pred, target = node.inputs
    if fn.name == "binary_focal":
        return _focal(node, dlosses)

    def gradient() -> Tensor:
        return mul(unsqueeze(dlosses, 1), _slope(pred, target, w, q, fn))

    return gradient, lambda: neg(gradient())  # the target has a gradient only if fn is a function of the difference


@by_operations
def _focal(node: Node) -> Tensor:
    assert node.saved is not None
    _, _, w, _, fn = node.saved
    x, t = node.inputs
    wrong = t * sigmoid(-x) + (1 - t) * sigmoid(x)
    each = pow(wrong, fn.p0) * (t * log_sigmoid(x) + (1 - t) * log_sigmoid(-x)) * -1
    if fn.p1 >= 0:
        each = each * (t * fn.p1 + (1 - t) * (1 - fn.p1))
    losses = div(sum_of(each, 1), max(x.shape[1], 1))
    return where(eq(Tensor(w), 0), 0, mul(losses, Tensor(w))) if w.size else losses


def _slope(pred: Tensor, target: Tensor, w: Array, q: Array, fn: PointwiseLoss) -> Tensor:
    """Return the derivative of the loss of a row by its predictions."""
    bend = _bend(fn)
    k = current()
    d = k.empty(pred.shape, pred.dtype)
    k.pointwise_loss_backward(d, arrays.filled(k, pred.shape[:1], pred.dtype, 1.0), pred.data, target.data, w, q, fn)

    def gradients(pred: Tensor, target: Tensor, g: Tensor) -> Sequence[Wanted]:
        if bend is None:
            return None, None
        factor: Any = 1 / max(pred.shape[1], 1)
        if w.size:
            factor = mul(unsqueeze(Tensor(w), 1), factor)

        def gradient() -> Tensor:
            bent = mul(mul(g, bend(pred, target, Tensor(q) if q.size else 1.0, fn.p0, fn.p1)), factor)
            return where(eq(unsqueeze(Tensor(w), 1), 0), 0, bent) if w.size else bent  # rows of weight 0 may have NaN

        return gradient, lambda: neg(gradient())

    return derived(f"{fn.name}_slope", d, (pred, target), gradients)


Bend = Callable[[Any, Any, Any, float, float], Any]


def _bend(fn: PointwiseLoss) -> Bend | None:
    """Return the second derivative of a loss by its prediction x, called with x, the target t, q, p0 and p1; None if it is 0."""
    return _BENDS[fn.name]


def _where(condition: Tensor, like: Tensor) -> Tensor:
    return astype(condition, like.dtype)


def _squared_log(x: Tensor, t: Tensor, q: Any, p0: float, p1: float) -> Tensor:
    above = gt(x, p0)
    x = where(above, x, p0)
    return 2 * (1 - log1p(x) + log1p(maximum(t, p0))) * pow(1 + x, -2) * _where(above, x)


def _tweedie(x: Any, t: Any, q: Any, p0: float, p1: float) -> Any:
    if p1:
        return 2 * ((2 - p0) * exp((2 - p0) * x) - (1 - p0) * t * exp((1 - p0) * x))
    return 2 * (pow(x, -p0) - p0 * (x - t) * pow(x, -p0 - 1)) if p0 else 2.0


def _sigmoid_cross_entropy(x: Any, t: Any, q: Any, p0: float, p1: float) -> Any:
    u, s = (1 - p0) * t + 0.5 * p0, sigmoid(x)
    return (1 + (q - 1) * u) * s * (1 - s)


def _binary_cross_entropy(x: Tensor, t: Tensor, q: Any, p0: float, p1: float) -> Tensor:
    # The slope is (x - t) / max(x (1 - x), 1e-12).
    v = x * (1 - x)
    inside = gt(v, 1e-12)
    safe = where(inside, v, 1e-12)
    return 1 / safe - (x - t) * (1 - 2 * x) / square(safe) * _where(inside, x)


def _squared_hinge(x: Tensor, t: Tensor, q: Any, p0: float, p1: float) -> Tensor:
    sign = where(eq(t, 0), -1, t) if p1 else t
    return 2 * square(sign) * _where(gt(p0 - sign * x, 0), x)


def _soft_margin(x: Tensor, t: Tensor, q: Any, p0: float, p1: float) -> Tensor:
    s = sigmoid(t * x)
    return square(t) * s * (1 - s)


_BENDS: dict[str, Bend | None] = {
    "squared_error": lambda x, t, q, p0, p1: 2.0,
    "absolute_error": None,
    "huber": lambda x, t, q, p0, p1: mul(_where(lt(abs(x - t), p0), x), p1),
    "log_cosh": lambda x, t, q, p0, p1: sub(1, square(tanh(x - t))),
    "quantile": None,
    "absolute_percentage_error": None,
    "squared_logarithmic_error": _squared_log,
    "poisson": lambda x, t, q, p0, p1: t * pow(x + p0, -2),
    "poisson_log": lambda x, t, q, p0, p1: exp(x),
    "tweedie": _tweedie,
    "sigmoid_cross_entropy": _sigmoid_cross_entropy,
    "binary_cross_entropy": _binary_cross_entropy,
    "kl_divergence": lambda x, t, q, p0, p1: mul(
        mul(maximum(minimum(t, 1), p0), p1), mul(pow(maximum(x, p0), -2), _where(logical_and(ge(x, p0), le(x, 1)), x))
    ),
    "kl_log": None,
    "hinge": None,
    "squared_hinge": _squared_hinge,
    "hinge_embedding": None,
    "soft_margin": _soft_margin,
}


# ---- the loss of a normal distribution ----


@rule(pointwise_loss._gaussian_backward)
def _gaussian(node: Node, dlosses: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    _, _, w, floor, log_variance = node.saved
    pred, target = node.inputs

    def gradient() -> Tensor:
        average, spread = (reshape(part, target.shape) for part in split(pred, 1, 1))
        e = sub(target, average)
        v = exp(spread) if log_variance else maximum(spread, floor)
        by_variance = mul(sub(1, div(square(e), v)), 0.5)
        parts = stack([neg(div(e, v)), by_variance if log_variance else div(by_variance, v)], 1)
        d = mul(reshape(dlosses, (-1, 1, 1)), div(parts, max(target.shape[1], 1)))
        if not w.size:
            return d
        weight = reshape(Tensor(w), (-1, 1, 1))
        return where(eq(weight, 0), 0, mul(d, weight))

    return gradient, None
