"""Second derivatives of the element-wise functions, as operations, which have derivatives again."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from ...backends.spec import Activation
from ...ops.activation import sigmoid, softplus, tanh
from ...ops.elementwise import abs, astype, clip, exp, pow, sign, square
from ...ops.logic import gt, le, lt
from ..tensor import Tensor

Bend = Callable[[Any, Any, float, float], Any]


def curvature(act: Activation) -> Bend | None:
    """Return the second derivative of a function, called with its input z, its output y, p0 and p1; None if it is 0 everywhere.

    Functions whose first derivative is computed from y alone do not read z, which may have no values.
    """
    if act.name == "power" and act.p0 in (0.0, 1.0):
        return None
    return _curvatures().get(act.name)


def _where(condition: Tensor, like: Tensor) -> Tensor:
    """Return 1 where the condition is true, else 0, in the dtype of another Tensor."""
    return astype(condition, like.dtype)


def _gelu(z: Tensor, y: Tensor, p0: float, p1: float) -> Tensor:
    z = clip(z, -50, 50)  # beyond, the result is 0, and z^2 could overflow
    return exp(square(z) * -0.5) * (2 - square(z)) / math.sqrt(2 * math.pi)


def _gelu_tanh(z: Tensor, y: Tensor, p0: float, p1: float) -> Tensor:
    z, c = clip(z, -100, 100), math.sqrt(2 / math.pi)
    t = tanh(c * (z + 0.044715 * pow(z, 3)))
    du, ddu = c * (1 + 3 * 0.044715 * square(z)), 6 * 0.044715 * c * z
    return (1 - square(t)) * (du + 0.5 * z * ddu - z * t * square(du))


def _silu(z: Tensor, y: Tensor, p0: float, p1: float) -> Tensor:
    s = sigmoid(p0 * z)
    return p0 * s * (1 - s) * (2 + p0 * z * (1 - 2 * s))


def _mish(z: Tensor, y: Tensor, p0: float, p1: float) -> Tensor:
    s, t = sigmoid(z), tanh(softplus(z))
    return (1 - square(t)) * s * (2 + z * (1 - s - 2 * t * s))


def _log_sigmoid(z: Tensor, y: Tensor, p0: float, p1: float) -> Tensor:
    s = exp(y)
    return s * (s - 1)


def _softplus(z: Tensor, y: Tensor, p0: float, p1: float) -> Tensor:
    s = sigmoid(p0 * z)
    return p0 * s * (1 - s) * _where(le(p0 * z, p1), z)


_SELU = 1.0507009873554804934 * 1.6732632423543772848


@functools.cache
def _curvatures() -> dict[str, Bend]:
    return {
        "sigmoid": lambda z, y, p0, p1: y * (1 - y) * (1 - 2 * y),
        "tanh": lambda z, y, p0, p1: -2 * y * (1 - square(y)),
        "gelu": _gelu,
        "gelu_tanh": _gelu_tanh,
        "exponential": lambda z, y, p0, p1: y,
        "log": lambda z, y, p0, p1: -pow(z, -2),
        "sqrt": lambda z, y, p0, p1: -0.25 * pow(y, -3),
        "power": lambda z, y, p0, p1: p0 * (p0 - 1) * pow(z, p0 - 2) if p0 != 2 else 2.0,
        "erf": lambda z, y, p0, p1: (-4 / math.sqrt(math.pi)) * z * exp(-square(z)),
        "sin": lambda z, y, p0, p1: -p0 * p0 * y,
        "cos": lambda z, y, p0, p1: -y,
        "log1p": lambda z, y, p0, p1: -pow(1 + z, -2),
        "expm1": lambda z, y, p0, p1: y + 1,
        "relu_squared": lambda z, y, p0, p1: 2 * _where(gt(z, 0), z),
        "elu": lambda z, y, p0, p1: (y + p0) * _where(lt(z, 0), z),
        "selu": lambda z, y, p0, p1: (y + _SELU) * _where(lt(y, 0), y),
        "celu": lambda z, y, p0, p1: (y / p0 + 1) / p0 * _where(lt(y, 0), y),
        "silu": _silu,
        "hard_silu": lambda z, y, p0, p1: _where(lt(abs(z), 3), z) / 3,
        "log_sigmoid": _log_sigmoid,
        "mish": _mish,
        "tanh_shrink": lambda z, y, p0, p1: 2 * tanh(z) * (1 - square(tanh(z))),
        "softplus": _softplus,
        "softsign": lambda z, y, p0, p1: -2 * sign(z) * pow(1 + abs(z), -3),
        "squareplus": lambda z, y, p0, p1: 0.5 * p0 * pow(square(z) + p0, -1.5),
        "sparse_plus": lambda z, y, p0, p1: 0.5 * _where(lt(abs(z), 1), z),
    }
