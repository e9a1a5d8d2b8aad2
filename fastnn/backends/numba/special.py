"""More of what vmath.py has: erf and the normal distribution, sine and cosine.

They are the polynomials of csrc/math/vmath.h and, for float64, of csrc/math/vmath64.h.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .vmath import bits, exp, f32, i32, inline, low, of_type


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
    a = low(abs(x), 39.0)
    high = bits(bits(a) & ~0x7FFFFFF)  # 26 bits: its square is exact
    rest = 0.5 * ((a - high) * (a + high))
    first = exp(T, high * high * -0.5)
    e = first - first * (rest - 0.5 * rest * rest)
    t = 4.5 / (a + 4.5)
    y = 1.0 - 2.0 * t
    q = 1.4138838658773897e-10
    q = q * y - 1.165164803502109e-10
    q = q * y - 2.246903113822732e-09
    q = q * y - 7.36937959210319e-10
    q = q * y + 1.543038017330195e-08
    q = q * y + 1.368452229815622e-08
    q = q * y - 8.419686742271505e-08
    q = q * y - 1.110604523746669e-07
    q = q * y + 4.762023006368768e-07
    q = q * y + 7.088595787912656e-07
    q = q * y - 3.163552916414431e-06
    q = q * y - 3.540656006439894e-06
    q = q * y + 2.48983832939325e-05
    q = q * y + 1.4180267713545875e-06
    q = q * y - 0.00020394366752994104
    q = q * y + 0.0003886290160059342
    q = q * y + 0.0009385807511196357
    q = q * y - 0.007526961372767002
    q = q * y + 0.024751688126719545
    q = q * y - 0.05625373332243538
    q = q * y + 0.09921167045681727
    q = q * y - 0.14227950227835937
    q = q * y + 0.1696067842156007
    tail = e * (t * q)
    return tail if x < 0.0 else 1.0 - tail, e


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
    a = low(abs(x), 6.0)
    s = x * x
    p = -7.617242364348587e-10  # erf(x) / x - 1
    p = p * s + 1.3622213494153098e-08
    p = p * s - 1.6185321172065697e-07
    p = p * s + 1.6444323893305355e-06
    p = p * s - 1.4924479009645066e-05
    p = p * s + 0.00012055281123742849
    p = p * s - 0.0008548325502657893
    p = p * s + 0.005223977597018641
    p = p * s - 0.026866170641981935
    p = p * s + 0.11283791670937018
    p = p * s - 0.37612638903183343
    p = p * s + 0.12837916709551256
    t = 2.5 / (a + 2.5)
    y = 1.0 - 2.0 * t
    q = -1.5179376227418585e-05  # e^(a^2) (1 - erf(a)) / t
    q = q * y - 4.900060683904246e-05
    q = q * y + 2.216075519422309e-05
    q = q * y + 0.0002809387902738635
    q = q * y - 0.00017566447841276583
    q = q * y - 0.0019275054994272673
    q = q * y + 0.00335721873829422
    q = q * y + 0.011344620055166281
    q = q * y - 0.06850045810693839
    q = q * y + 0.1815656466586996
    q = q * y - 0.3218607397756613
    q = q * y + 0.4216127281222875
    tail = math.copysign(1.0 - exp(T, -a * a) * (t * q), x)
    return tail if a > 1.0 else p * x + x


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
def _sine(x: Any, shift: Any) -> Any:
    """Return the same in float64."""
    turns = x * 0.6366197723675814 + 6755399441055744.0
    n = turns - 6755399441055744.0
    # pi/2 in three parts, the first two of 36 bits: their products are exact.
    high = x - n * 1.5707963267923333
    second = n * 2.5633441515839558e-12
    r = high - second
    rest = ((high - r) - second) - n * 1.0562999066987428e-23
    quarter = bits(turns) + shift
    s = r * r
    p = 1.5896912302139537e-10
    p = p * s - 2.5050760291831117e-08
    p = p * s + 2.7557313707355213e-06
    p = p * s - 0.00019841269829859042
    p = p * s + 0.008333333333322491
    p = p * s - 0.16666666666666632
    sine = r + (r * s * p + rest * (1.0 - 0.5 * s))
    sine = x if x == 0.0 else sine  # keeps -0
    q = -1.1358745021176127e-11
    q = q * s + 2.08757053339427e-09
    q = q * s - 2.7557314216743807e-07
    q = q * s + 2.4801587289001632e-05
    q = q * s - 0.0013888888888873342
    q = q * s + 0.041666666666666595
    half = 0.5 * s
    first = 1.0 - half
    cosine = first + (((1.0 - first) - half) + (s * s * q - r * rest))
    y = cosine if quarter & 1 else sine
    return -y if quarter & 2 else y


def is_near32(T: Any, x: Any) -> Any:
    return abs(x) < f32(1e6)


@of_type
def is_near(T: Any, x: Any) -> Any:
    """Return whether sine and cosine of x are computed on vectors, as networks hardly need those of others."""
    return abs(x) < 1e5


def sin_near32(T: Any, x: Any) -> Any:
    return _sine32(x, i32(0))


@of_type
def sin_near(T: Any, x: Any) -> Any:
    """Return the sine of x if `is_near`."""
    return _sine(x, 0)


def cos_near32(T: Any, x: Any) -> Any:
    return _sine32(x, i32(1))


@of_type
def cos_near(T: Any, x: Any) -> Any:
    """Return the cosine of x if `is_near`."""
    return _sine(x, 1)


@inline
def sin(T: Any, x: Any) -> Any:
    """Return the sine."""
    return sin_near(T, x) if is_near(T, x) else T(math.sin(x))


@inline
def cos(T: Any, x: Any) -> Any:
    """Return the cosine."""
    return cos_near(T, x) if is_near(T, x) else T(math.cos(x))
