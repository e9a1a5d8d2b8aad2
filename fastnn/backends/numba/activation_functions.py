"""Defines the activations of networks; unary.py says what each of them needs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import vmath
from .special import normal_cdf
from .unary import slope, value
from .vmath import exp, expm1, high, inline, low, unless_infinite


@value
def linear(T: Any, x: Any, p: Any, q: Any) -> Any:
    return x


@slope("linear")
def _linear(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy


@value
def relu(T: Any, x: Any, p: Any, q: Any) -> Any:
    return high(x, T(0))


@slope("relu")
def _relu(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return T(0) if y <= T(0) else dy


@value
def leaky_relu(T: Any, x: Any, p: Any, q: Any) -> Any:
    return x if x > T(0) else p * x


@slope("leaky_relu")
def _leaky_relu(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy if z > T(0) else p * dy


@value
def sigmoid(T: Any, x: Any, p: Any, q: Any) -> Any:
    return vmath.sigmoid(T, x)


@slope("sigmoid")
def _sigmoid(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * y * (T(1) - y)


@value
def tanh(T: Any, x: Any, p: Any, q: Any) -> Any:
    return vmath.tanh(T, x)


@slope("tanh")
def _tanh(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * (T(1) - y * y)


@value
def gelu(T: Any, x: Any, p: Any, q: Any) -> Any:
    cdf, _ = normal_cdf(T, x)
    return T(0) if x == T(-np.inf) else x * cdf


@slope("gelu")
def _gelu(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    cdf, e = normal_cdf(T, z)
    return dy * (cdf + unless_infinite(T, z, z * e * T(0.39894228040143267794)))


# x s(2u), where u = sqrt(2 / pi) (x + 0.044715 x^3) and s is the sigmoid: the same as x/2 (1 + tanh u).
_TWO_ROOT = 1.59576912160573071176  # 2 sqrt(2 / pi)


@inline
def _exp_two_u(T: Any, x: Any) -> Any:
    """e^-2u."""
    return exp(T, -(T(_TWO_ROOT) * (x + T(0.044715) * (x * x * x))))


@value
def gelu_tanh(T: Any, x: Any, p: Any, q: Any) -> Any:
    y = x / (T(1) + _exp_two_u(T, x))
    return T(0) if x == T(-np.inf) else y


@slope("gelu_tanh")
def _gelu_tanh(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    z = low(high(z, T(-100)), T(100))  # where the second term has long been 0, and z^2 does not overflow
    e = _exp_two_u(T, z)
    g = T(1) / (T(1) + e)
    other = T(1) - g if e > T(1) else g * e  # 1 - s without cancellation, which its large factor would show
    return dy * (g + z * g * other * (T(_TWO_ROOT) * (T(1) + T(0.134145) * (z * z))))


@value
def hard_tanh(T: Any, x: Any, p: Any, q: Any) -> Any:
    return low(high(x, p), q)


@slope("hard_tanh")
def _hard_tanh(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return T(0) if (y <= p) | (y >= q) else dy


@value
def relu_squared(T: Any, x: Any, p: Any, q: Any) -> Any:
    y = high(x, T(0))
    return y * y


@slope("relu_squared")
def _relu_squared(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * (T(2) * high(z, T(0)))


@value
def elu(T: Any, x: Any, p: Any, q: Any) -> Any:
    return x if x > T(0) else p * expm1(T, low(x, T(0)))


@slope("elu")
def _elu(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy if z > T(0) else dy * (p * exp(T, low(z, T(0))))


# Klambauer et al., Self-Normalizing Neural Networks, 2017: the scale, and it times alpha.
_SELU, _SELU_ALPHA = 1.05070098735548049342, 1.75809934084737657


@value
def selu(T: Any, x: Any, p: Any, q: Any) -> Any:
    return T(_SELU) * x if x > T(0) else T(_SELU_ALPHA) * expm1(T, low(x, T(0)))


@slope("selu")
def _selu(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * (T(_SELU) if y > T(0) else y + T(_SELU_ALPHA))


@value
def celu(T: Any, x: Any, p: Any, q: Any) -> Any:
    return x if x > T(0) else p * expm1(T, low(x, T(0)) / p)


@slope("celu")
def _celu(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy if y > T(0) else dy * (y / p + T(1))


@value
def silu(T: Any, x: Any, p: Any, q: Any) -> Any:
    u = p * x
    m, a, b = vmath.exp_parts(T, -abs(u))
    y = x / (T(1) + m * a * b)
    below = T(0) if m == T(0) else m * y * a * b
    return below if u < T(0) else y


@slope("silu")
def _silu(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    u = p * z
    e = exp(T, -abs(u))
    d = T(1) / (T(1) + e)
    s = e * d if u < T(0) else d
    return dy * (s + unless_infinite(T, u, u * (e * d * d)))


@value
def hard_silu(T: Any, x: Any, p: Any, q: Any) -> Any:
    return T(0) if x <= T(-3) else (x if x >= T(3) else x * (x + T(3)) * T(1 / 6))


@slope("hard_silu")
def _hard_silu(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return T(0) if z <= T(-3) else (dy if z >= T(3) else dy * (z * T(1 / 3) + T(0.5)))


@value
def hard_sigmoid(T: Any, x: Any, p: Any, q: Any) -> Any:
    return low(high(x + T(3), T(0)), T(6)) * T(1 / 6)


@slope("hard_sigmoid")
def _hard_sigmoid(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return T(0) if (y <= T(0)) | (y >= T(1)) else dy * T(1 / 6)


@value
def log_sigmoid(T: Any, x: Any, p: Any, q: Any) -> Any:
    return vmath.log_sigmoid(T, x)


@slope("log_sigmoid")
def _log_sigmoid(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return -dy * expm1(T, y)


# tanh(softplus(x)) = n / (n + 2) with n = e^x (e^x + 2); from here on that is 1.
_MISH_END = 22


@value
def mish(T: Any, x: Any, p: Any, q: Any) -> Any:
    # e^x x (e^x + 2) / (n + 2); the quotient is 1 - e^x (e^x + 1) / (n + 2), which rounds less where e^x is small.
    m, a, b = vmath.exp_parts(T, low(x, T(_MISH_END)))
    e = m * a * b
    d = T(1) / (e * (e + T(2)) + T(2))
    quotient = (e + T(2)) * d if x > T(-1) else T(1) - e * (e + T(1)) * d
    return T(0) if m == T(0) else m * (x * quotient) * a * b


@slope("mish")
def _mish(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    z = low(z, T(_MISH_END))
    e = exp(T, z)
    n = e * (e + T(2))
    d = T(1) / (n + T(2))
    return dy * (n * d + unless_infinite(T, z, z * (T(4) * e * (e + T(1)) * d * d)))


@value
def tanh_shrink(T: Any, x: Any, p: Any, q: Any) -> Any:
    return x - vmath.tanh(T, x)


@slope("tanh_shrink")
def _tanh_shrink(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    t = vmath.tanh(T, z)
    return dy * (t * t)


@value
def soft_shrink(T: Any, x: Any, p: Any, q: Any) -> Any:
    return T(0) if abs(x) <= p else x - math.copysign(p, x)


@value
def hard_shrink(T: Any, x: Any, p: Any, q: Any) -> Any:
    return T(0) if abs(x) <= p else x


@slope("soft_shrink", "hard_shrink")
def _shrink(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return T(0) if y == T(0) else dy


@value
def softplus(T: Any, x: Any, p: Any, q: Any) -> Any:
    u = p * x
    return x if u > q else vmath.softplus(T, u) / p


@slope("softplus")
def _softplus(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    u = p * z
    return dy if u > q else dy * vmath.sigmoid(T, u)


@value
def softsign(T: Any, x: Any, p: Any, q: Any) -> Any:
    a = abs(x)
    return math.copysign(T(1), x) if a == T(np.inf) else x / (T(1) + a)


@slope("softsign")
def _softsign(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    d = T(1) + abs(z)
    return dy / (d * d)


@inline
def _root(T: Any, x: Any, p: Any) -> Any:
    """sqrt(x^2 + p), which is |x| where the square overflows."""
    s = math.sqrt(x * x + p)
    return abs(x) if s == T(np.inf) else s


@value
def squareplus(T: Any, x: Any, p: Any, q: Any) -> Any:
    # (x + s) / 2; for x < 0 as p / 2 / (s - x), which does not cancel; halved, lest it overflow.
    s = _root(T, x, p)
    return p * T(0.25) / (T(0.5) * s - T(0.5) * x) if x < T(0) else T(0.5) * x + T(0.5) * s


@slope("squareplus")
def _squareplus(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * (T(1) if z == T(np.inf) else y / _root(T, z, p))


@value
def sparse_plus(T: Any, x: Any, p: Any, q: Any) -> Any:
    h = (x + T(1)) * T(0.5)
    return T(0) if x <= T(-1) else (x if x >= T(1) else h * h)


@slope("sparse_plus")
def _sparse_plus(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * sparse_sigmoid(T, z, p, q)


@value
def sparse_sigmoid(T: Any, x: Any, p: Any, q: Any) -> Any:
    return low(high((x + T(1)) * T(0.5), T(0)), T(1))


@slope("sparse_sigmoid")
def _sparse_sigmoid(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return T(0) if (y <= T(0)) | (y >= T(1)) else dy * T(0.5)


@value
def threshold(T: Any, x: Any, p: Any, q: Any) -> Any:
    return q if x <= p else x


@slope("threshold")
def _threshold(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return T(0) if z <= p else dy


@value
def shifted_relu(T: Any, x: Any, p: Any, q: Any) -> Any:
    below = T(0) if p == T(0) else p * (x - q)
    return below if x < q else x


@slope("shifted_relu")
def _shifted_relu(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    below = T(0) if p == T(0) else p * dy
    return below if z < q else dy
