"""Element-wise functions with their derivatives, softmax and log-softmax."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..spec import Activation

Array = Any
Forward = Callable[[Any, Array, float, float], Array]
Backward = Callable[[Any, Array, Array, Array, float, float], Array]


def activation_forward(xp: Any, y: Array, x: Array, act: Activation) -> None:
    """y = act(x), element by element."""
    y[...] = forward(xp, x, act)


def activation_backward(xp: Any, dx: Array, dy: Array, x: Array, y: Array, act: Activation) -> None:
    """dx = dy act'(x), where y = act(x)."""
    dx[...] = backward(xp, dy, x, y, act)


def glu_forward(xp: Any, y: Array, x: Array, act: Activation) -> None:
    """y = a act(b), where a is the first half of x and b the second: x (A, 2, C).

    Source: Dauphin et al., arXiv 1612.08083; with other functions than the sigmoid, Shazeer, arXiv 2002.05202.
    """
    y[...] = x[:, 0] * forward(xp, x[:, 1], act)


def glu_backward(xp: Any, dx: Array, dy: Array, x: Array, act: Activation) -> None:
    """da = dy act(b), db = dy a act'(b)."""
    a, b = x[:, 0], x[:, 1]
    gate = forward(xp, b, act)
    dx[:, 0] = dy * gate
    dx[:, 1] = backward(xp, dy * a, b, gate, act)


def prelu_forward(xp: Any, y: Array, x: Array, slope: Array) -> None:
    """y = x where x > 0, else slope x. There is a slope for each column, or one for all.

    Source: He et al., arXiv 1502.01852.
    """
    y[...] = xp.where(x > 0, x, slope * x)


def prelu_backward(xp: Any, dx: Array, dslope: Array, dy: Array, x: Array, slope: Array, add: int) -> None:
    """dx = dy where x > 0, else slope dy; dslope = the sums of x dy where x <= 0, added to what is there by bit 1 of ``add``."""
    if dx.size:
        dx[...] = xp.where(x > 0, dy, slope * dy)
    if dslope.size:
        sums = xp.where(x > 0, 0, x * dy).sum(0, keepdims=True)
        sums = sums.sum(1) if slope.size == 1 else sums[0]
        dslope[...] = dslope + sums if add & 2 else sums


def softmax_forward(xp: Any, y: Array, x: Array) -> None:
    """y = exp(x - max) / sum(exp(x - max)) in each row. y may be x."""
    if x.size:
        e = xp.exp(x - x.max(1, keepdims=True))
        y[...] = e / e.sum(1, keepdims=True)


def softmax_backward(xp: Any, dx: Array, dy: Array, y: Array) -> None:
    """dx = y (dy - sum(dy y)) in each row."""
    dx[...] = y * (dy - (dy * y).sum(1, keepdims=True))


def log_softmax_forward(xp: Any, y: Array, x: Array) -> None:
    """y = x - max - log(sum(exp(x - max))) in each row."""
    if x.size:
        shifted = x - x.max(1, keepdims=True)
        y[...] = shifted - xp.log(xp.exp(shifted).sum(1, keepdims=True))


def log_softmax_backward(xp: Any, dx: Array, dy: Array, y: Array) -> None:
    """dx = dy - exp(y) sum(dy) in each row."""
    dx[...] = dy - xp.exp(y) * dy.sum(1, keepdims=True)


def sparsemax_forward(xp: Any, y: Array, x: Array) -> None:
    """y = max(x - t, 0), with the t for which a row sums to 1: the point of the simplex that is nearest to x.

    Source: Martins and Astudillo, From Softmax to Sparsemax, 2016, algorithm 1.
    """
    if x.size:
        z = x - x.max(1, keepdims=True)
        z = xp.where(xp.isfinite(z), xp.maximum(z, -2), z)  # t is at least -1; sums of what lies far below could overflow
        falling = -xp.sort(-z, 1)
        sums = xp.cumsum(falling, 1)
        support = (1 + xp.arange(1, x.shape[1] + 1) * falling > sums).sum(1, keepdims=True)
        t = (xp.take_along_axis(sums, support - 1, 1) - 1) / support.astype(x.dtype)
        y[...] = xp.maximum(z - t, 0)


def sparsemax_backward(xp: Any, dx: Array, dy: Array, y: Array) -> None:
    """dx = dy - (mean of dy over the support) on the support, which is where y > 0; 0 elsewhere."""
    support = y > 0
    mean = xp.where(support, dy, 0).sum(1, keepdims=True) / support.sum(1, keepdims=True).astype(dy.dtype)
    dx[...] = xp.where(support, dy - mean, 0)


def forward(xp: Any, x: Array, act: Activation) -> Array:
    return FUNCTIONS[act.name][0](xp, x, act.p0, act.p1)


def backward(xp: Any, dy: Array, z: Array, y: Array, act: Activation) -> Array:
    return FUNCTIONS[act.name][1](xp, dy, z, y, act.p0, act.p1)


def sigmoid(xp: Any, x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1 / (1 + e), e / (1 + e))


def softplus(xp: Any, x: Array) -> Array:
    """log(1 + exp(x)) without overflow."""
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


def mish_slope(xp: Any, z: Array) -> Array:
    """Compute the slope of z tanh(softplus(z)): t + z (1 - t^2) s, with 1 - t^2 = 4 (1 + e)^2 / (n + 2)^2 and n = e (e + 2)."""
    z = xp.minimum(z, 40)  # where t is 1
    e = xp.exp(xp.minimum(z, 20)) if z.dtype == xp.float32 else xp.exp(z)
    n = e * (e + 2)
    return n / (n + 2) + _where_finite(xp, z, z * (4 * e * (1 + e) / (n + 2) ** 2))


def gelu_tanh_slope(xp: Any, z: Array) -> Array:
    """Return the derivative of z s(2u), where u = sqrt(2/pi) (z + 0.044715 z^3) and s is the sigmoid."""
    z = xp.clip(z, -100, 100)  # where the second term is 0, and z^2 does not overflow
    two_u = _two_u(z)
    s, other = sigmoid(xp, two_u), sigmoid(xp, -two_u)  # other is 1 - s, without its cancellation
    du = 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z * z)
    return s + z * s * other * du


def normal_cdf(xp: Any, x: Array) -> Array:
    """Phi(x), the distribution function of the normal law; exact to float64 in both tails."""
    return (0.5 * erfc(xp, -x.astype(xp.float64) / math.sqrt(2))).astype(x.dtype)


def erfc(xp: Any, x: Array) -> Array:
    """1 - erf(x) in float64 by rational functions (W. J. Cody, Mathematics of Computation 23, 1969)."""
    a = xp.abs(x)
    small = 1 - x * _ratio(xp.minimum(a, 0.5) ** 2, _A, _B)
    middle = xp.exp(-a * a) * _ratio(xp.clip(a, 0.46875, 4.0), _C, _D)
    r = 1 / xp.maximum(a, 4.0) ** 2
    large = xp.exp(-a * a) * (1 / math.sqrt(math.pi) - r * _ratio(r, _P, _Q)) / xp.maximum(a, 4.0)
    tail = xp.where(a <= 4, middle, large)
    return xp.where(a <= 0.46875, small, xp.where(x < 0, 2 - tail, tail))


def erf(xp: Any, x: Array) -> Array:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, in float64 by the same rational functions."""
    a = x.astype(xp.float64)
    small = a * _ratio(xp.minimum(xp.abs(a), 0.5) ** 2, _A, _B)
    large = xp.sign(a) * (1 - erfc(xp, xp.abs(a)))
    return xp.where(xp.abs(a) <= 0.46875, small, large).astype(x.dtype)


def _ratio(x: Array, top: tuple[float, ...], bottom: tuple[float, ...]) -> Array:
    n, d = top[0] * x**0, bottom[0] * x**0
    for c in top[1:]:
        n = n * x + c
    for c in bottom[1:]:
        d = d * x + c
    return n / d


# Numerators and denominators, highest power first.
_A = (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3)
_B = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)
_C = (
    *(2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1, 2.98635138197400131e2),
    *(8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
)
_D = (
    *(1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3),
    *(3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)
_P = (
    *(1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1),
    *(1.60837851487422766e-2, 6.58749161529837803e-4),
)
_Q = (
    *(1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1),
    *(6.05183413124413191e-2, 2.33520497626869185e-3),
)


# Klambauer et al., Self-Normalizing Neural Networks, 2017.
_SELU, _SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


def _two_u(x: Array) -> Array:
    return 2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)


def _where_finite(xp: Any, z: Array, v: Array) -> Array:
    """v, but 0 where z is infinite: there the limit is 0 and the formula gives infinity times 0."""
    return xp.where(xp.isinf(z), 0, v)


def _power_slope(xp: Any, z: Array, p: float) -> Array:
    return p * z ** (p - 1) if p != 0 else 0 * z


def _no_slope(xp: Any, dy: Array, z: Array, y: Array, p0: float, p1: float) -> Array:
    return xp.zeros_like(dy)


# name -> (y = f(x), dx = dy f'(z)); where the slope is 0, dx is 0 whatever dy is.
FUNCTIONS: dict[str, tuple[Forward, Backward]] = {
    "linear": (lambda xp, x, p0, p1: x, lambda xp, dy, z, y, p0, p1: dy),
    "relu": (lambda xp, x, p0, p1: xp.maximum(x, 0), lambda xp, dy, z, y, p0, p1: xp.where(y <= 0, 0, dy)),
    "leaky_relu": (
        lambda xp, x, p0, p1: xp.where(x > 0, x, p0 * x),
        lambda xp, dy, z, y, p0, p1: xp.where(z > 0, dy, p0 * dy),
    ),
    "sigmoid": (lambda xp, x, p0, p1: sigmoid(xp, x), lambda xp, dy, z, y, p0, p1: dy * y * (1 - y)),
    "tanh": (lambda xp, x, p0, p1: xp.tanh(x), lambda xp, dy, z, y, p0, p1: dy * (1 - y * y)),
    "gelu": (
        lambda xp, x, p0, p1: xp.where(x == -xp.inf, 0, x * normal_cdf(xp, x)),
        lambda xp, dy, z, y, p0, p1: (
            dy * (normal_cdf(xp, z) + _where_finite(xp, z, z * xp.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)))
        ),
    ),
    "gelu_tanh": (
        lambda xp, x, p0, p1: xp.where(x == -xp.inf, 0, x * sigmoid(xp, _two_u(x))),
        lambda xp, dy, z, y, p0, p1: dy * gelu_tanh_slope(xp, z),
    ),
    "exponential": (lambda xp, x, p0, p1: xp.exp(x), lambda xp, dy, z, y, p0, p1: dy * y),
    "log": (lambda xp, x, p0, p1: xp.log(x), lambda xp, dy, z, y, p0, p1: dy / z),
    "sqrt": (lambda xp, x, p0, p1: xp.sqrt(x), lambda xp, dy, z, y, p0, p1: dy / (2 * y)),
    "abs": (lambda xp, x, p0, p1: xp.abs(x), lambda xp, dy, z, y, p0, p1: dy * xp.sign(z)),
    "clip": (
        lambda xp, x, p0, p1: xp.minimum(xp.maximum(x, p0), p1),
        lambda xp, dy, z, y, p0, p1: xp.where((z < p0) | (z > p1), 0, dy),
    ),
    "affine": (lambda xp, x, p0, p1: p0 * x + p1, lambda xp, dy, z, y, p0, p1: dy * p0),
    "power": (lambda xp, x, p0, p1: x**p0, lambda xp, dy, z, y, p0, p1: dy * _power_slope(xp, z, p0)),
    "erf": (
        lambda xp, x, p0, p1: erf(xp, x),
        lambda xp, dy, z, y, p0, p1: dy * (2 / math.sqrt(math.pi)) * xp.exp(-z * z),
    ),
    "sin": (lambda xp, x, p0, p1: xp.sin(p0 * x), lambda xp, dy, z, y, p0, p1: dy * p0 * xp.cos(p0 * z)),
    "cos": (lambda xp, x, p0, p1: xp.cos(x), lambda xp, dy, z, y, p0, p1: -dy * xp.sin(z)),
    "log1p": (lambda xp, x, p0, p1: xp.log1p(x), lambda xp, dy, z, y, p0, p1: dy / (1 + z)),
    "expm1": (lambda xp, x, p0, p1: xp.expm1(x), lambda xp, dy, z, y, p0, p1: dy * (y + 1)),
    "sign": (lambda xp, x, p0, p1: xp.sign(x), _no_slope),
    "floor": (lambda xp, x, p0, p1: xp.floor(x), _no_slope),
    "ceil": (lambda xp, x, p0, p1: xp.ceil(x), _no_slope),
    "round": (lambda xp, x, p0, p1: xp.rint(x), _no_slope),
    "hard_tanh": (
        lambda xp, x, p0, p1: xp.minimum(xp.maximum(x, p0), p1),
        lambda xp, dy, z, y, p0, p1: xp.where((y <= p0) | (y >= p1), 0, dy),
    ),
    "relu_squared": (
        lambda xp, x, p0, p1: xp.maximum(x, 0) ** 2,
        lambda xp, dy, z, y, p0, p1: dy * (2 * xp.maximum(z, 0)),
    ),
    "elu": (
        lambda xp, x, p0, p1: xp.where(x > 0, x, p0 * xp.expm1(xp.minimum(x, 0))),
        lambda xp, dy, z, y, p0, p1: xp.where(z > 0, dy, dy * (p0 * xp.exp(xp.minimum(z, 0)))),
    ),
    "selu": (
        lambda xp, x, p0, p1: _SELU * xp.where(x > 0, x, _SELU_ALPHA * xp.expm1(xp.minimum(x, 0))),
        lambda xp, dy, z, y, p0, p1: dy * xp.where(y > 0, _SELU, y + _SELU * _SELU_ALPHA),
    ),
    "celu": (
        lambda xp, x, p0, p1: xp.where(x > 0, x, p0 * xp.expm1(xp.minimum(x, 0) / p0)),
        lambda xp, dy, z, y, p0, p1: xp.where(y > 0, dy, dy * (y / p0 + 1)),
    ),
    "silu": (
        lambda xp, x, p0, p1: _where_finite(xp, xp.minimum(p0 * x, 0), x * sigmoid(xp, p0 * x)),
        lambda xp, dy, z, y, p0, p1: (
            dy * (sigmoid(xp, p0 * z) + _where_finite(xp, z, p0 * z * sigmoid(xp, p0 * z) * sigmoid(xp, -p0 * z)))
        ),
    ),
    "hard_silu": (
        lambda xp, x, p0, p1: xp.where(x <= -3, 0, xp.where(x >= 3, x, x * (x + 3) / 6)),
        lambda xp, dy, z, y, p0, p1: xp.where(z <= -3, 0, xp.where(z >= 3, dy, dy * (z / 3 + 0.5))),
    ),
    "hard_sigmoid": (
        lambda xp, x, p0, p1: xp.minimum(xp.maximum(x + 3, 0), 6) / 6,
        lambda xp, dy, z, y, p0, p1: xp.where((y <= 0) | (y >= 1), 0, dy / 6),
    ),
    "log_sigmoid": (lambda xp, x, p0, p1: -softplus(xp, -x), lambda xp, dy, z, y, p0, p1: -dy * xp.expm1(y)),
    "mish": (
        lambda xp, x, p0, p1: _where_finite(xp, xp.minimum(x, 0), x * xp.tanh(softplus(xp, x))),
        lambda xp, dy, z, y, p0, p1: dy * mish_slope(xp, z),
    ),
    "tanh_shrink": (lambda xp, x, p0, p1: x - xp.tanh(x), lambda xp, dy, z, y, p0, p1: dy * xp.tanh(z) ** 2),
    "soft_shrink": (
        lambda xp, x, p0, p1: xp.where(xp.abs(x) <= p0, 0, x - p0 * xp.sign(x)),
        lambda xp, dy, z, y, p0, p1: xp.where(y == 0, 0, dy),
    ),
    "hard_shrink": (
        lambda xp, x, p0, p1: xp.where(xp.abs(x) <= p0, 0, x),
        lambda xp, dy, z, y, p0, p1: xp.where(y == 0, 0, dy),
    ),
    "softplus": (
        lambda xp, x, p0, p1: xp.where(p0 * x > p1, x, softplus(xp, p0 * x) / p0),
        lambda xp, dy, z, y, p0, p1: xp.where(p0 * z > p1, dy, dy * sigmoid(xp, p0 * z)),
    ),
    "softsign": (
        lambda xp, x, p0, p1: xp.where(xp.isinf(x), xp.sign(x), x / (1 + xp.abs(x))),
        lambda xp, dy, z, y, p0, p1: dy / (1 + xp.abs(z)) ** 2,
    ),
    "squareplus": (
        lambda xp, x, p0, p1: xp.where(x < 0, 0.5 * p0 / (xp.hypot(x, p0**0.5) - x), 0.5 * (x + xp.hypot(x, p0**0.5))),
        lambda xp, dy, z, y, p0, p1: dy * xp.where(z == xp.inf, 1, y / xp.hypot(z, p0**0.5)),
    ),
    "sparse_plus": (
        lambda xp, x, p0, p1: xp.where(x <= -1, 0, xp.where(x >= 1, x, (x + 1) ** 2 / 4)),
        lambda xp, dy, z, y, p0, p1: dy * xp.minimum(xp.maximum((z + 1) / 2, 0), 1),
    ),
    "sparse_sigmoid": (
        lambda xp, x, p0, p1: xp.minimum(xp.maximum((x + 1) / 2, 0), 1),
        lambda xp, dy, z, y, p0, p1: xp.where((y <= 0) | (y >= 1), 0, dy / 2),
    ),
    "threshold": (
        lambda xp, x, p0, p1: xp.where(x <= p0, p1, x),
        lambda xp, dy, z, y, p0, p1: xp.where(z <= p0, 0, dy),
    ),
    "shifted_relu": (
        lambda xp, x, p0, p1: xp.where(x < p1, p0 * (x - p1) if p0 else 0, x),
        lambda xp, dy, z, y, p0, p1: xp.where(z < p1, p0 * dy if p0 else 0, dy),
    ),
}
