"""Losses of each element, the means of which over rows are losses; reference/pointwise_loss.py says what each of them is.

Each has a value f(T, x, t, q, p, r) and a slope, its derivative by x, of the same arguments: T is the type of the numbers (see
vmath.py), x a prediction, t a target, q the number of the column or 1, and p and r are the parameters.

To add one: a line in spec.POINTWISE_LOSSES, and here its value and its slope.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..spec import PointwiseLoss
from .jit import jit
from .rows import CHUNK, add, of_rows, present, weighted
from .vmath import exp, high, inline, log, log1p, log1p_exp_neg, low, sigmoid, softplus, tanh

Array = Any
Function = Callable[..., Any]

VALUES: dict[str, Function] = {}
SLOPES: dict[str, Function] = {}


def _entry(table: dict[str, Function]) -> Callable[[str], Callable[[Function], Function]]:
    """Return a decorator with a name, that of the loss in this table."""

    def named(name: str) -> Callable[[Function], Function]:
        def decorate(function: Function) -> Function:
            table[name] = function
            return inline(function)  # type: ignore[no-any-return]

        return decorate

    return named


value, slope = _entry(VALUES), _entry(SLOPES)


@inline
def _sign(T: Any, x: Any) -> Any:
    return T(1) if x > T(0) else T(-1) if x < T(0) else x  # 0 and NaN stay


@value("squared_error")
def _squared(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return (x - t) * (x - t)


@slope("squared_error")
def _squared_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return T(2) * (x - t)


@value("absolute_error")
def _absolute(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return abs(x - t)


@slope("absolute_error")
def _absolute_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return _sign(T, x - t)


@value("huber")
def _huber(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    a = abs(x - t)
    inside, outside = T(0.5) * a * a, p * (a - T(0.5) * p)
    return r * (inside if a <= p else outside)


@slope("huber")
def _huber_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return r * low(high(x - t, -p), p)


@value("log_cosh")
def _log_cosh(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    a = abs(x - t)
    th = tanh(T, a)
    near, far = T(-0.5) * log1p(T, -(th * th)), a + log1p_exp_neg(T, a + a) - T(math.log(2))
    return near if a < T(1) else far  # the second form cancels near 0


@slope("log_cosh")
def _log_cosh_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return tanh(T, x - t)


@value("quantile")
def _quantile(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    e = t - x
    return (p * q if e >= T(0) else p * q - T(1)) * e


@slope("quantile")
def _quantile_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    e = t - x
    return -(p * q) if e > T(0) else T(1) - p * q if e < T(0) else e


@value("absolute_percentage_error")
def _percentage(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return T(100) * abs(x - t) / high(abs(t), p)


@slope("absolute_percentage_error")
def _percentage_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return T(100) * _sign(T, x - t) / high(abs(t), p)


@inline
def _log_difference(T: Any, x: Any, t: Any, p: Any) -> Any:
    return log1p(T, high(x, p)) - log1p(T, high(t, p))


@value("squared_logarithmic_error")
def _squared_log(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    d = _log_difference(T, x, t, p)
    return d * d


@slope("squared_logarithmic_error")
def _squared_log_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    d = T(2) * _log_difference(T, x, t, p) / (T(1) + x)
    return T(0) if x <= p else d


@inline
def _stirling(T: Any, t: Any, full: Any) -> Any:
    if full == T(0):
        return T(0)
    y = t * log(T, t) - t + T(0.5) * log(T, T(2 * math.pi) * t)
    return T(0) if t <= T(1) else y


@value("poisson")
def _poisson(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return x - t * log(T, x + p) + _stirling(T, t, r)


@slope("poisson")
def _poisson_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return T(1) - t / (x + p)


@value("poisson_log")
def _poisson_log(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return exp(T, x) - t * x + _stirling(T, t, r)


@slope("poisson_log")
def _poisson_log_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return exp(T, x) - t


@value("tweedie")
def _tweedie(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    mu = x if r == T(0) else exp(T, x)
    if p == T(0):
        return (mu - t) * (mu - t)
    log_mu = log(T, x) if r == T(0) else x
    if p == T(1):
        log_ratio = t * (log(T, t) - log_mu)
        return T(2) * ((T(0) if t == T(0) else log_ratio) - t + mu)
    if p == T(2):
        return T(2) * (log_mu - log(T, t) + t * exp(T, -log_mu) - T(1))
    a, b = T(1) - p, T(2) - p
    count = high(t, T(0)) + T(0)  # without the sign of -0, of which a power may be -infinity
    return T(2) * (T(count**b) / (a * b) - t * exp(T, a * log_mu) / a + exp(T, b * log_mu) / b)


@slope("tweedie")
def _tweedie_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    if r != T(0):
        return T(2) * (exp(T, (T(2) - p) * x) - t * exp(T, (T(1) - p) * x))
    if p == T(0):
        return T(2) * (x - t)
    return T(2) * (x - t) * exp(T, -p * log(T, x))


@value("sigmoid_cross_entropy")
def _sigmoid_cross_entropy(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    u = (T(1) - p) * t + T(0.5) * p
    one, other = (T(1) - u) * high(x, T(0)), q * u * high(-x, T(0))
    return one + other + (T(1) + (q - T(1)) * u) * log1p_exp_neg(T, x)


@slope("sigmoid_cross_entropy")
def _sigmoid_cross_entropy_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    u = (T(1) - p) * t + T(0.5) * p
    return (T(1) + (q - T(1)) * u) * sigmoid(T, x) - q * u


@value("binary_cross_entropy")
def _binary_cross_entropy(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return -t * high(log(T, x), T(-100)) - (T(1) - t) * high(log1p(T, -x), T(-100))


@slope("binary_cross_entropy")
def _binary_cross_entropy_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return (x - t) / high((T(1) - x) * x, T(1e-12))


@inline
def _focal_weight(T: Any, wrong: Any, t: Any, p: Any, r: Any) -> Any:
    """Return what the cross-entropy is multiplied with."""
    weight = T(1) if r < T(0) else t * r + (T(1) - t) * (T(1) - r)
    if p == T(2):
        return weight * (wrong * wrong)
    return weight * T(wrong**p)


@value("binary_focal")
def _focal(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    wrong = t * sigmoid(T, -x) + (T(1) - t) * sigmoid(T, x)
    return _focal_weight(T, wrong, t, p, r) * _sigmoid_cross_entropy(T, x, t, T(1), T(0), T(0))


@slope("binary_focal")
def _focal_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    s, other = sigmoid(T, x), sigmoid(T, -x)
    wrong = t * other + (T(1) - t) * s
    ratio = T(1) if wrong == T(0) else s * other / wrong  # where wrong is 0, the other factor is 1
    steep = p * (T(1) - T(2) * t) * ratio * _sigmoid_cross_entropy(T, x, t, T(1), T(0), T(0))
    return _focal_weight(T, wrong, t, p, r) * (steep + s - t)


@value("kl_divergence")
def _kl(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    u = low(high(t, p), T(1))
    return r * u * log(T, u / low(high(x, p), T(1)))


@slope("kl_divergence")
def _kl_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    d = -r * low(high(t, p), T(1)) / x
    return T(0) if (x < p) | (x > T(1)) else d


@value("kl_log")
def _kl_log(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    if p != T(0):
        return exp(T, t) * (t - x)
    y = t * (log(T, t) - x)
    return T(0) if t == T(0) else y


@slope("kl_log")
def _kl_log_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return -t if p == T(0) else -exp(T, t)


@inline
def _label(T: Any, t: Any, r: Any) -> Any:
    return T(-1) if (t == T(0)) & (r != T(0)) else t


@value("hinge")
def _hinge(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return high(p - _label(T, t, r) * x, T(0))


@slope("hinge")
def _hinge_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    s = _label(T, t, r)
    return T(0) if p - s * x <= T(0) else -s


@value("squared_hinge")
def _squared_hinge(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    h = _hinge(T, x, t, q, p, r)
    return h * h


@slope("squared_hinge")
def _squared_hinge_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return T(-2) * _label(T, t, r) * _hinge(T, x, t, q, p, r)


@value("hinge_embedding")
def _hinge_embedding(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    beyond = high(p - x, T(0))
    return (T(0) if t == T(-1) else x) + (T(0) if t == T(1) else beyond)


@slope("hinge_embedding")
def _hinge_embedding_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return (T(0) if t == T(-1) else T(1)) - (T(0) if (t == T(1)) | (x >= p) else T(1))


@value("soft_margin")
def _soft_margin(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return softplus(T, -t * x)


@slope("soft_margin")
def _soft_margin_slope(T: Any, x: Any, t: Any, q: Any, p: Any, r: Any) -> Any:
    return -t * sigmoid(T, -t * x)


# ---- the loops ----

CHOOSING = frozenset({"poisson", "poisson_log", "tweedie", "binary_focal", "kl_log"})
"""Losses whose parameters choose among formulas: compiled for these parameters alone, their loops have no branches."""


@inline
def _repeated(column: Array, rows: int) -> Array:
    """Return the numbers of the columns as often as there are rows; None if there are none."""
    if column is None:
        return None
    n = len(column)
    result = np.empty(rows * n, column.dtype)
    for row in range(rows):
        result[row * n : (row + 1) * n] = column
    return result


@functools.cache
def _mean_of(name: str, fixed_p: float = 0.0, fixed_r: float = 0.0) -> Any:
    """Return the compiled loop over rows whose losses are the means of this loss."""
    f, fixed = VALUES[name], name in CHOOSING

    def loop(losses: Array, x: Array, t: Array, sample_weight: Array, column: Array, n: int, p0: float, p1: float) -> None:
        T = losses.dtype.type
        p, r = (T(fixed_p), T(fixed_r)) if fixed else (T(p0), T(p1))
        rows = min(len(losses), max(1, CHUNK // max(n, 1)))
        numbers, room = _repeated(column, rows), np.empty(rows * n, losses.dtype)
        for begin in range(0, len(losses), max(rows, 1)):
            to = losses[begin : begin + rows]
            x_part, t_part = x[begin * n : (begin + len(to)) * n], t[begin * n : (begin + len(to)) * n]
            for i in range(len(x_part)):
                room[i] = f(T, x_part[i], t_part[i], T(1) if column is None else numbers[i], p, r)
            if n == 1:
                for row in range(len(to)):
                    to[row] = weighted(sample_weight, begin + row, room[row])
            else:
                for row in range(len(to)):
                    total, each = T(0), room[row * n : (row + 1) * n]
                    for i in range(n):
                        total = add(total, each[i])
                    to[row] = weighted(sample_weight, begin + row, total / T(n))

    loop.__qualname__ = f"mean_{name}"  # that of its file on disk
    return jit(loop)


@functools.cache
def _gradient_of(name: str, fixed_p: float = 0.0, fixed_r: float = 0.0) -> Any:
    """Return the compiled loop over the gradients of these means."""
    f, fixed = SLOPES[name], name in CHOOSING

    def loop(
        dx: Array, dlosses: Array, x: Array, t: Array, sample_weight: Array, column: Array, n: int, p0: float, p1: float
    ) -> None:
        T = dx.dtype.type
        p, r = (T(fixed_p), T(fixed_r)) if fixed else (T(p0), T(p1))
        rows = min(len(dlosses), max(1, CHUNK // max(n, 1)))
        numbers = _repeated(column, rows)
        for begin in range(0, len(dlosses), max(rows, 1)):
            d = dlosses[begin : begin + rows]
            end = begin + len(d)
            to, x_part, t_part = dx[begin * n : end * n], x[begin * n : end * n], t[begin * n : end * n]
            for i in range(len(to)):
                to[i] = f(T, x_part[i], t_part[i], T(1) if column is None else numbers[i], p, r)
            if n == 1:
                for row in range(len(d)):
                    to[row] = weighted(sample_weight, begin + row, d[row] * to[row])
            else:
                for row in range(len(d)):
                    each = to[row * n : (row + 1) * n]
                    factor = weighted(sample_weight, begin + row, d[row]) / T(n)
                    if len(sample_weight) and sample_weight[begin + row] == 0:
                        each[:] = 0
                    else:
                        for i in range(n):
                            each[i] *= factor

    loop.__qualname__ = f"gradient_{name}"
    return jit(loop)


@functools.cache
def _mean(fn: PointwiseLoss) -> Any:
    return _mean_of(fn.name, fn.p0, fn.p1) if fn.name in CHOOSING else _mean_of(fn.name)


@functools.cache
def _gradient(fn: PointwiseLoss) -> Any:
    return _gradient_of(fn.name, fn.p0, fn.p1) if fn.name in CHOOSING else _gradient_of(fn.name)


def pointwise_loss_forward(
    losses: Array, pred: Array, target: Array, sample_weight: Array, column: Array, fn: PointwiseLoss
) -> None:
    weights, numbers = of_rows(sample_weight, losses.dtype), present(column)
    _mean(fn)(losses, pred.ravel(), target.ravel(), weights, numbers, pred.shape[1], fn.p0, fn.p1)


def pointwise_loss_backward(
    dpred: Array, dlosses: Array, pred: Array, target: Array, sample_weight: Array, column: Array, fn: PointwiseLoss
) -> None:
    weights, numbers = of_rows(sample_weight, dpred.dtype), present(column)
    _gradient(fn)(dpred.ravel(), dlosses, pred.ravel(), target.ravel(), weights, numbers, pred.shape[1], fn.p0, fn.p1)
