"""More of what vmath.py has: erf and the normal distribution, sine and cosine.

Those of float32 are the polynomials of csrc/math/vmath.h, those of float64 are the C library's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .vmath import exp, f32, i32, inline, low, of_type


def normal_cdf32(T: Any, x: Any) -> Any:
    t = f32(1) / (abs(x) * f32(0.375 * 0.70710678) + f32(1))
    p = f32(-0.135097712)
    p = p * t + f32(0.387944072)
    p = p * t - f32(0.129605934)
    p = p * t + f32(0.283067644)
    p = p * t + f32(0.166662246)
    p = p * t + f32(0.215689629)
    p = p * t + f32(0.211339414)
    e = exp(T, x * x * f32(-0.5))
    tail = f32(0.5) * e * (p * t)
    return tail if x < f32(0) else f32(1) - tail, e


@of_type
def normal_cdf(T: Any, x: Any) -> Any:
    """Phi(x), the normal distribution function, and exp(-x^2 / 2), from which the density is that / sqrt(2 pi)."""
    e = exp(T, -0.5 * (x * x))
    return 0.5 * math.erfc(x * -0.70710678118654752440), e


def erf32(T: Any, x: Any) -> Any:
    s = x * x
    t = low(abs(x), f32(4))
    p = f32(7.9696634e-05)  # erf(x) / x - 1
    p = p * s - f32(0.00080438395)
    p = p * s + f32(0.005191948)
    p = p * s - f32(0.026855588)
    p = p * s + f32(0.11283624)
    p = p * s - f32(0.3761263)
    p = p * s + f32(0.12837917)
    q = f32(4.937676e-06)  # -log(1 - erf(t)) / t - 1
    q = q * t - f32(4.5574823e-05)
    q = q * t - f32(4.9617018e-05)
    q = q * t + f32(0.0029302326)
    q = q * t - f32(0.022674242)
    q = q * t + f32(0.10526278)
    q = q * t + f32(0.63562524)
    q = q * t + f32(0.12855175)
    tail = math.copysign(f32(1) - exp(T, -(q * t + t)), x)
    return tail if t > f32(0.93) else p * x + x


@of_type
def erf(T: Any, x: Any) -> Any:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return math.erf(x)


@inline
def _sine32(x: Any, shift: Any) -> Any:
    """sin(x + shift pi/2): x = n pi/2 + r, |r| <= pi/4, reduced in float64, whose digits outlast the cancellation."""
    d = np.float64(x)
    magic = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to a whole number
    whole = (d * 0.63661977236758134308 + magic) - magic
    # pi/2 in two parts, the first of 33 bits: its products are exact.
    r = f32((d - whole * 1.57079632673412561417) - whole * 6.07710050650619224932e-11)
    quarter = i32(i32(whole) + shift)
    s = r * r
    p = f32(-0.000195186)
    p = p * s + f32(0.008332191)
    p = p * s - f32(0.16666655)
    sine = p * (s * r) + r
    q = f32(2.4430661e-05)
    q = q * s - f32(0.0013887301)
    q = q * s + f32(0.041666646)
    cosine = q * (s * s) + (f32(1) - f32(0.5) * s)
    y = cosine if quarter & i32(1) else sine
    return -y if quarter & i32(2) else y


@inline
def is_near(T: Any, x: Any) -> Any:
    """Return whether sine and cosine of x are computed on vectors, as networks hardly need those of others."""
    return abs(x) < T(1e6)


def sin_near32(T: Any, x: Any) -> Any:
    return _sine32(x, i32(0))


@of_type
def sin_near(T: Any, x: Any) -> Any:
    """Return the sine of x if `is_near`."""
    return math.sin(x)


def cos_near32(T: Any, x: Any) -> Any:
    return _sine32(x, i32(1))


@of_type
def cos_near(T: Any, x: Any) -> Any:
    """Return the cosine of x if `is_near`."""
    return math.cos(x)


@inline
def sin(T: Any, x: Any) -> Any:
    """Return the sine."""
    return sin_near(T, x) if is_near(T, x) else T(math.sin(x))


@inline
def cos(T: Any, x: Any) -> Any:
    """Return the cosine."""
    return cos_near(T, x) if is_near(T, x) else T(math.cos(x))
