"""Losses of each element: the table of their values and slopes, which the loss kernels average over rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..spec import PointwiseLoss
from .activation import sigmoid

Array = Any
Function = Callable[[Any, Array, Array, Any, float, float], Array]


def value(xp: Any, x: Array, t: Array, q: Any, fn: PointwiseLoss) -> Array:
    """Return the loss of each element of predictions x and targets t; q has the number of each column, or is 1."""
    return FUNCTIONS[fn.name][0](xp, x, t, q, fn.p0, fn.p1)


def slope(xp: Any, x: Array, t: Array, q: Any, fn: PointwiseLoss) -> Array:
    """Return its derivative by x."""
    return FUNCTIONS[fn.name][1](xp, x, t, q, fn.p0, fn.p1)


def _softplus(xp: Any, x: Array) -> Array:
    return xp.log1p(xp.exp(-xp.abs(x))) + xp.maximum(x, 0)


def _huber(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    a = xp.abs(x - t)
    return p1 * xp.where(a <= p0, 0.5 * a * a, p0 * (a - 0.5 * p0))


def _huber_slope(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    return p1 * xp.minimum(xp.maximum(x - t, -p0), p0)


def _log_cosh(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    a = xp.abs(x - t)
    return xp.where(a < 1, -0.5 * xp.log1p(-(xp.tanh(a) ** 2)), a + xp.log1p(xp.exp(-2 * a)) - math.log(2))


def _quantile(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    e = t - x
    return xp.where(e >= 0, p0 * q * e, (p0 * q - 1) * e)


def _quantile_slope(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    e = t - x
    return xp.where(e > 0, -p0 * q, xp.where(e < 0, 1 - p0 * q, e))


def _percentage(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    return 100 * xp.abs(x - t) / xp.maximum(xp.abs(t), p0)


def _percentage_slope(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    return 100 * xp.sign(x - t) / xp.maximum(xp.abs(t), p0)


def _log_difference(xp: Any, x: Array, t: Array, p0: float) -> Array:
    return xp.log1p(xp.maximum(x, p0)) - xp.log1p(xp.maximum(t, p0))


def _squared_log_slope(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    return xp.where(x <= p0, 0, 2 * _log_difference(xp, x, t, p0) / (1 + x))


def _stirling(xp: Any, t: Array, full: float) -> Any:
    return xp.where(t <= 1, 0, t * xp.log(t) - t + 0.5 * xp.log(2 * math.pi * t)) if full else 0


def _tweedie(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    mu, log_mu = (xp.exp(x), x) if p1 else (x, xp.log(x))
    if p0 == 0:
        return (mu - t) ** 2
    if p0 == 1:
        return 2 * (xp.where(t == 0, 0, t * (xp.log(t) - log_mu)) - t + mu)
    if p0 == 2:
        return 2 * (log_mu - xp.log(t) + t * xp.exp(-log_mu) - 1)
    a, b = 1 - p0, 2 - p0
    constant = xp.power(xp.maximum(t, 0), b) / (a * b)
    return 2 * (constant - t * xp.exp(a * log_mu) / a + xp.exp(b * log_mu) / b)


def _tweedie_slope(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    if p1:
        return 2 * (xp.exp((2 - p0) * x) - t * xp.exp((1 - p0) * x))
    return 2 * (x - t) * xp.exp(-p0 * xp.log(x)) if p0 else 2 * (x - t)


def _sigmoid_cross_entropy(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    u = (1 - p0) * t + 0.5 * p0
    both = xp.log1p(xp.exp(-xp.abs(x)))  # log(s(x)) and log(1 - s(x)) have this part in common
    return (1 - u) * xp.maximum(x, 0) + q * u * xp.maximum(-x, 0) + (1 + (q - 1) * u) * both


def _sigmoid_cross_entropy_slope(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    u = (1 - p0) * t + 0.5 * p0
    return (1 + (q - 1) * u) * sigmoid(xp, x) - q * u


def _binary_cross_entropy(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    return -t * xp.maximum(xp.log(x), -100) - (1 - t) * xp.maximum(xp.log1p(-x), -100)


def _focal_parts(xp: Any, x: Array, t: Array, p1: float) -> tuple[Array, Array, Any]:
    """Return how wrong the probability is, the cross-entropy, and the weight of the class."""
    wrong = t * sigmoid(xp, -x) + (1 - t) * sigmoid(xp, x)
    weight = t * p1 + (1 - t) * (1 - p1) if p1 >= 0 else 1
    return wrong, _sigmoid_cross_entropy(xp, x, t, 1, 0.0, 0.0), weight


def _binary_focal(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    wrong, entropy, weight = _focal_parts(xp, x, t, p1)
    return weight * wrong**p0 * entropy


def _binary_focal_slope(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    wrong, entropy, weight = _focal_parts(xp, x, t, p1)
    s = sigmoid(xp, x)
    ratio = xp.where(wrong == 0, 1, s * sigmoid(xp, -x) / wrong)  # where wrong is 0, the other factor is 1
    return weight * wrong**p0 * (p0 * (1 - 2 * t) * ratio * entropy + s - t)


def _kl(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    u = xp.minimum(xp.maximum(t, p0), 1)
    return p1 * u * xp.log(u / xp.minimum(xp.maximum(x, p0), 1))


def _kl_slope(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    u = xp.minimum(xp.maximum(t, p0), 1)
    return xp.where((x < p0) | (x > 1), 0, -p1 * u / x)


def _kl_log(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    return xp.exp(t) * (t - x) if p0 else xp.where(t == 0, 0, t * (xp.log(t) - x))


def _signed(xp: Any, t: Array, p1: float) -> Array:
    return xp.where(t == 0, -1, t) if p1 else t


def _hinge(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    return xp.maximum(p0 - _signed(xp, t, p1) * x, 0)


def _hinge_slope(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    sign = _signed(xp, t, p1)
    return xp.where(p0 - sign * x <= 0, 0, -sign)


def _squared_hinge_slope(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    return -2 * _signed(xp, t, p1) * _hinge(xp, x, t, q, p0, p1)


def _hinge_embedding(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    return xp.where(t == -1, 0, x) + xp.where(t == 1, 0, xp.maximum(p0 - x, 0))


def _hinge_embedding_slope(xp: Any, x: Array, t: Array, q: Any, p0: float, p1: float) -> Array:
    return xp.where(t == -1, 0, 1) - xp.where((t == 1) | (x >= p0), 0, 1)


# name -> (value, slope), both of xp, x, t, q, p0, p1.
FUNCTIONS: dict[str, tuple[Function, Function]] = {
    "squared_error": (lambda xp, x, t, q, p0, p1: (x - t) ** 2, lambda xp, x, t, q, p0, p1: 2 * (x - t)),
    "absolute_error": (lambda xp, x, t, q, p0, p1: xp.abs(x - t), lambda xp, x, t, q, p0, p1: xp.sign(x - t)),
    "huber": (_huber, _huber_slope),
    "log_cosh": (_log_cosh, lambda xp, x, t, q, p0, p1: xp.tanh(x - t)),
    "quantile": (_quantile, _quantile_slope),
    "absolute_percentage_error": (_percentage, _percentage_slope),
    "squared_logarithmic_error": (lambda xp, x, t, q, p0, p1: _log_difference(xp, x, t, p0) ** 2, _squared_log_slope),
    "poisson": (
        lambda xp, x, t, q, p0, p1: x - t * xp.log(x + p0) + _stirling(xp, t, p1),
        lambda xp, x, t, q, p0, p1: 1 - t / (x + p0),
    ),
    "poisson_log": (
        lambda xp, x, t, q, p0, p1: xp.exp(x) - t * x + _stirling(xp, t, p1),
        lambda xp, x, t, q, p0, p1: xp.exp(x) - t,
    ),
    "tweedie": (_tweedie, _tweedie_slope),
    "sigmoid_cross_entropy": (_sigmoid_cross_entropy, _sigmoid_cross_entropy_slope),
    "binary_cross_entropy": (
        _binary_cross_entropy,
        lambda xp, x, t, q, p0, p1: (x - t) / xp.maximum((1 - x) * x, 1e-12),
    ),
    "binary_focal": (_binary_focal, _binary_focal_slope),
    "kl_divergence": (_kl, _kl_slope),
    "kl_log": (_kl_log, lambda xp, x, t, q, p0, p1: -xp.exp(t) if p0 else -t),
    "hinge": (_hinge, _hinge_slope),
    "squared_hinge": (lambda xp, x, t, q, p0, p1: _hinge(xp, x, t, q, p0, p1) ** 2, _squared_hinge_slope),
    "hinge_embedding": (_hinge_embedding, _hinge_embedding_slope),
    "soft_margin": (
        lambda xp, x, t, q, p0, p1: _softplus(xp, -t * x),
        lambda xp, x, t, q, p0, p1: -t * sigmoid(xp, -t * x),
    ),
}
