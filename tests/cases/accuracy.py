"""How exact the element-wise functions are meant to be, and how far from it a backend is; scripts/accuracy prints it all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn.backends.base import Backend
from fastnn.backends.reference.activation import forward
from fastnn.backends.spec import Activation, activation

from .case import Array


@dataclass(frozen=True)
class Limit:
    """An element-wise function, and the largest error allowed in its value.

    ``ulp32`` and ``ulp64`` count units in the last place of the right result. Where ``absolute`` is not 0, an absolute error
    of so many eps of the type is allowed as well, as in functions that are rounding errors of their input far out.
    ``exact`` is the formula in mpmath.
    """

    act: Activation
    exact: Callable[[Any, Any], Any]
    ulp32: float = 2.5
    ulp64: float = 4.0
    absolute: float = 0.0

    def ulp(self, dtype: Any) -> float:
        return self.ulp32 if dtype == np.float32 else self.ulp64


def _softplus(mp: Any, x: Any) -> Any:
    return mp.log1p(mp.exp(x))


def _phi(mp: Any, x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _sigmoid(mp: Any, x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


LIMITS = (
    Limit(activation("exponential"), lambda mp, x: mp.exp(x), ulp64=2.5),
    Limit(activation("log"), lambda mp, x: mp.log(x), ulp64=2.5),
    Limit(activation("sqrt"), lambda mp, x: mp.sqrt(x), 0.5, 0.5),
    Limit(activation("expm1"), lambda mp, x: mp.expm1(x), ulp64=2.5),
    Limit(activation("log1p"), lambda mp, x: mp.log1p(x), ulp64=2.5),
    Limit(activation("erf"), lambda mp, x: mp.erf(x)),
    Limit(activation("sin"), lambda mp, x: mp.sin(x), ulp64=2.5),
    Limit(activation("cos"), lambda mp, x: mp.cos(x), ulp64=2.5),
    Limit(activation("tanh"), lambda mp, x: mp.tanh(x), ulp64=2.5),
    Limit(activation("sigmoid"), _sigmoid, ulp64=2.5),
    Limit(activation("log_sigmoid"), lambda mp, x: -_softplus(mp, -x), ulp64=2.5),
    Limit(activation("softplus"), _softplus, ulp64=2.5),
    Limit(activation("silu"), lambda mp, x: x * _sigmoid(mp, x), 4),
    Limit(activation("mish"), lambda mp, x: x * mp.tanh(_softplus(mp, x)), 4),
    Limit(activation("gelu"), lambda mp, x: x * _phi(mp, x), 4, absolute=3.35),
    Limit(
        activation("gelu_tanh"),
        lambda mp, x: x * _sigmoid(mp, 2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)),
        4,
        absolute=3.35,
    ),
    Limit(activation("elu"), lambda mp, x: x if x > 0 else mp.expm1(x), ulp64=2.5),
    Limit(
        activation("selu"),
        lambda mp, x: mp.mpf("1.0507009873554804934193") * (x if x > 0 else mp.mpf("1.6732632423543772848170") * mp.expm1(x)),
        4,
    ),
    Limit(activation("softsign"), lambda mp, x: x / (1 + abs(x))),
    Limit(activation("squareplus"), lambda mp, x: 2 / (mp.sqrt(x * x + 4) - x) if x < 0 else (x + mp.sqrt(x * x + 4)) / 2, 4),
    Limit(activation("tanh_shrink"), lambda mp, x: x - mp.tanh(x), absolute=1),
    Limit(activation("celu", 0.5), lambda mp, x: x if x > 0 else mp.expm1(2 * x) / 2, ulp64=2.5),
    Limit(activation("hard_silu"), lambda mp, x: x * min(max(x + 3, 0), 6) / 6, absolute=2),
)

EXACT = {
    *("linear", "relu", "leaky_relu", "hard_tanh", "relu_squared", "hard_sigmoid", "soft_shrink", "hard_shrink"),
    *("sparse_plus", "sparse_sigmoid"),
}
"""Functions of a rounding or two, which have no limit of their own."""

# Where functions turn, overflow, underflow or lose their denormal digits, in float32 and in float64.
_TURNS = (0.34657359, 0.69314718, 0.93, 1.0, 9.01, 16.7, 20.0, 87.33655, 88.0296, 88.72284, 103.97208, 120.0, 1e4, 1e6)
_TURNS64 = (0.34657359, 1.0, 19.1, 36.8, 37.5, 38.6, 40.0, 708.396, 709.7827, 710.0, 744.4, 745.2, 1e4, 1e5, 1e150, 1e160, 1e300)


_BEYOND = 2**1100
"""Larger than any number."""


def samples(dtype: Any, count: int) -> Array:
    """Numbers of both signs and every exponent, more where functions bend, and the neighbours of the places where they turn."""
    dtype = np.dtype(dtype)
    bits = np.dtype(f"u{dtype.itemsize}")
    with np.errstate(all="ignore"):
        spread = np.linspace(0, float(2 ** (8 * dtype.itemsize)), count // 2, endpoint=False).astype(bits).view(dtype)
        turns = np.array(_TURNS if dtype == np.float32 else _TURNS64, dtype)
        near = turns * (1 + np.linspace(-40, 40, 41) * np.finfo(dtype).eps)[:, None].astype(dtype)
        tiny = np.array([np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max, np.inf, 0], dtype)
        far = 125 if dtype == np.float32 else 750
        parts = (np.linspace(-far, far, count // 4), np.linspace(-10, 10, count // 4), near, -near, tiny, -tiny, [np.nan])
        return np.concatenate([spread, *(np.ravel(p).astype(dtype) for p in parts)])


def reference(limit: Limit, x: Array) -> Array:
    """The right values from the NumPy reference: in float64 for float32, in longdouble for float64."""
    wide = np.float64 if x.dtype == np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        y: Array = forward(np, x.astype(wide), limit.act)
    return y


def with_mpmath(limit: Limit, x: Array) -> Array:
    """The right values from mpmath, to 40 digits, as longdouble."""
    import mpmath

    mp = mpmath.mp

    @np.errstate(all="ignore")
    def value(v: float) -> Any:
        if not np.isfinite(v):
            return reference(limit, np.array([v]))[0]
        with mpmath.workdps(40):
            try:
                y = limit.exact(mp, mp.mpf(float(v)))
            except (ZeroDivisionError, ValueError, OverflowError):
                return reference(limit, np.array([v]))[0]
            if isinstance(y, mpmath.mpc):
                return np.longdouble("nan")
            y = min(max(y, -_BEYOND), _BEYOND)
            return np.longdouble(mpmath.nstr(y if abs(y) > mp.mpf(1) / _BEYOND else 0, 25))

    return np.array([value(v) for v in x], np.longdouble)


def errors(limit: Limit, got: Array, want: Array) -> Array:
    """The error of each value in units in the last place; infinite where one is NaN and the other is not."""
    info = np.finfo(got.dtype)
    wide = want.dtype.type
    with np.errstate(all="ignore"):
        # Beyond the largest number stands the next power of two.
        over = wide(2.0) ** info.maxexp
        want, value = np.clip(want, -over, over), np.clip(got.astype(wide), -over, over)
        exponent = np.frexp(np.where(np.isfinite(want) & (want != 0), want, 1))[1]
        exponent = np.where(want == 0, info.minexp + 1, np.clip(exponent, info.minexp + 1, info.maxexp))
        unit = np.ldexp(wide(1), exponent - 1 - info.nmant)
        unit = np.maximum(unit, wide(limit.absolute * info.eps / limit.ulp(got.dtype)))
        error: Array = np.abs(value - want) / unit
    nan = np.isnan(got) | np.isnan(want)
    return np.where(nan, np.where(np.isnan(got) & np.isnan(want), 0, np.inf), error)


def measure(backend: Backend, limit: Limit, x: Array, want: Array) -> tuple[float, float]:
    """The largest error of the backend's function in units in the last place, and where it is."""
    y = np.empty_like(x)
    backend.activation_forward(y, x, limit.act)
    found = errors(limit, y, want)
    worst = int(np.argmax(found))
    return float(found[worst]), float(x[worst])
