"""The elementary functions in forms that LLVM turns into vector code: exp, log, tanh and their kin; special.py has others.

Each is called from compiled code and takes, first of all, T, the type of its numbers: ``np.float32`` or ``np.float64``. There a
constant is written ``T(0.5)``, because a bare one would make float64 of float32. Loops get it as ``T = y.dtype.type``. There are
no branches but those that become a choice between two values.

They are polynomials, those of float32 the same as in csrc/math/vmath.h.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload, register_jitable

f32 = np.float32
i32 = np.int32

inline: Callable[[Callable[..., Any]], Any] = register_jitable(forceinline=True)
"""Makes a function one that compiled code can call; LLVM puts it in place of every call, or a loop would not vectorise."""


def of_type(function: Callable[..., Any]) -> Any:
    """Register the float64 version of a function, whose name with 32 at its end is that of the float32 version above it."""
    single = function.__globals__[f"{function.__name__}32"]

    def choose(T: Any, *args: Any) -> Any:
        return single if T.instance_type == types.float32 else function

    overload(function, strict=False, jit_options={"forceinline": True})(choose)
    return function


_SAME_SIZE = {types.float32: types.int32, types.int32: types.float32, types.float64: types.int64, types.int64: types.float64}


@intrinsic  # type: ignore[untyped-decorator]
def bits(context: Any, x: Any) -> Any:
    """Return the bits of a number as one of the other kind: float32 and int32, float64 and int64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(signature.return_type))

    return _SAME_SIZE[x](x), generate


def rank32(T: Any, x: Any) -> Any:
    b = bits(x)
    return i32(b ^ ((b >> i32(31)) & i32(0x7FFFFFFF)))


@of_type
def rank(T: Any, x: Any) -> Any:
    """Return a whole number for each float, in the same order, NaN beyond the infinities: LLVM vectorises their maximum."""
    b = bits(x)
    return b ^ ((b >> 63) & 0x7FFFFFFFFFFFFFFF)


def unrank32(T: Any, r: Any) -> Any:
    return bits(i32(r ^ ((r >> i32(31)) & i32(0x7FFFFFFF))))


@of_type
def unrank(T: Any, r: Any) -> Any:
    """Return the number of that rank."""
    return bits(r ^ ((r >> 63) & 0x7FFFFFFFFFFFFFFF))


@inline
def low(x: Any, top: Any) -> Any:
    """min(x, top); a NaN stays."""
    return top if x > top else x


@inline
def high(x: Any, bottom: Any) -> Any:
    """max(x, bottom); a NaN stays."""
    return bottom if x < bottom else x


@inline
def unless_infinite(T: Any, z: Any, v: Any) -> Any:
    """v, but 0 where z is infinite: where that is the limit, and the formula for v gives infinity times 0."""
    return T(0) if abs(z) == T(np.inf) else v


@inline
def power_of_two(n: Any) -> Any:
    """2^n in float32, for n from -126 to 127."""
    return bits(i32((n + i32(127)) << i32(23)))


@inline
def power_of_two64(n: Any) -> Any:
    """2^n in float64, for n from -1022 to 1023."""
    return bits((n + 1023) << 52)


# Coefficients of float32: minimax polynomials fitted in float64 and rounded one after another to float32.


@inline
def _exp_reduce(x: Any) -> Any:
    """(e^r - 1 - r) / r^2, r and n, where x = n ln 2 + r and |r| <= ln 2 / 2."""
    magic = f32(12582912.0)  # 1.5 * 2^23: adding it rounds to a whole number
    t = x * f32(1.44269504) + magic
    n = i32(bits(t) - bits(magic))
    whole = t - magic
    r = x - whole * f32(0.693145752)
    r = r - whole * f32(1.42860677e-6)
    p = f32(0.00138206896)
    p = p * r + f32(0.0083686756)
    p = p * r + f32(0.0416682661)
    p = p * r + f32(0.166665211)
    return p * r + f32(0.49999994), r, n


@inline
def _exp_reduce64(x: Any) -> Any:
    """Return the same in float64, and n as an int64."""
    magic = 6755399441055744.0  # 1.5 * 2^52
    t = x * 1.4426950408889634 + magic
    n = bits(t) - bits(magic)
    whole = t - magic
    r = x - whole * 0.6931471803691238  # of 33 bits: the products are exact
    r = r - whole * 1.9082149292705877e-10
    p = 2.510038549551032e-08
    p = p * r + 2.7620088445409746e-07
    p = p * r + 2.7557268459997064e-06
    p = p * r + 2.4801521295954376e-05
    p = p * r + 0.00019841269863053618
    p = p * r + 0.0013888888917213717
    p = p * r + 0.008333333333330062
    p = p * r + 0.04166666666662413
    p = p * r + 0.16666666666666669
    return p * r + 0.5000000000000001, r, n


def exp32(T: Any, x: Any) -> Any:
    zero = x < f32(-104)  # set apart: an underflow would cost many times what the rest does
    x = f32(0) if zero else low(x, f32(89))
    p, r, n = _exp_reduce(x)
    y = p * (r * r) + r + f32(1)
    half = n >> i32(1)  # scaled in two steps, so that overflow, denormals and infinities come out right
    y = y * power_of_two(half) * power_of_two(i32(n - half))
    y = f32(np.inf) if x > f32(88.72284) else y  # here, or a sum that follows as a fused operation still finds it finite
    return f32(0) if zero else y


@of_type
def exp(T: Any, x: Any) -> Any:
    """e^x."""
    zero = x < -746.0
    p, r, n = _exp_reduce64(0.0 if zero else low(x, 710.0))
    half = n >> 1
    y = (p * (r * r) + r + 1.0) * power_of_two64(half) * power_of_two64(n - half)
    y = np.inf if x > 709.782712893384 else y
    return 0.0 if zero else y


def exp_parts32(T: Any, x: Any) -> Any:
    zero = x < f32(-120)
    p, r, n = _exp_reduce(f32(0) if zero else low(x, f32(89)))
    y = p * (r * r) + r + f32(1)
    half = n >> i32(1)
    return f32(0) if zero else y, power_of_two(half), power_of_two(i32(n - half))


@of_type
def exp_parts(T: Any, x: Any) -> Any:
    """e^x as the product of three: e^x f is still right where e^x alone is denormal, if f comes after the first of them.

    The first is 0 where the product is far below the least number.
    """
    half = exp(T, 0.5 * x)
    return half, half, 1.0


def tanh32(T: Any, x: Any) -> Any:
    a = low(abs(x), f32(9.02))
    p, r, n = _exp_reduce(a + a)
    scale = power_of_two(n)
    y = (p * (r * r) + r) * scale + (scale - f32(1))  # e^2a - 1
    s = x * x
    q = f32(-0.0062174858)  # (tanh(x) / x - 1) / x^2, for small x
    q = q * s + f32(0.021035504)
    q = q * s - f32(0.053844694)
    q = q * s + f32(0.13332528)
    q = q * s - f32(0.33333316)
    small = q * (s * x) + x
    large = math.copysign(y / (y + f32(2)), x)
    return small if a < f32(0.55) else large


@of_type
def tanh(T: Any, x: Any) -> Any:
    """Return the hyperbolic tangent."""
    y = expm1(T, low(abs(x), 22.0) * 2.0)
    return math.copysign(y / (y + 2.0), x)


def expm132(T: Any, x: Any) -> Any:
    p, r, n = _exp_reduce(low(high(x, f32(-18)), f32(89)))
    half = power_of_two(i32(n - i32(1)))  # halved and doubled again, because 2^128 is none of float32's
    y = ((p * (r * r) + r) * half + (half - f32(0.5))) * f32(2)
    return x if x == f32(0) else y


@of_type
def expm1(T: Any, x: Any) -> Any:
    """e^x - 1, without cancellation."""
    p, r, n = _exp_reduce64(low(high(x, -40.0), 710.0))
    half = power_of_two64(n - 1)  # halved and doubled again, because 2^1024 is none of float64's
    y = ((p * (r * r) + r) * half + (half - 0.5)) * 2.0
    return x if x == 0.0 else y


def log32(T: Any, x: Any) -> Any:
    tiny = x < f32(1.17549435e-38)
    b = bits(x * f32(8388608) if tiny else x)  # denormals: times 2^23
    e = i32(((b >> i32(23)) & i32(255)) - i32(126))
    m = bits(i32((b & i32(0x007FFFFF)) | i32(0x3F000000)))  # [0.5, 1)
    small = m < f32(0.707106781)
    e = i32(e - i32(small) - (i32(23) if tiny else i32(0)))
    m = (m + m if small else m) - f32(1)
    whole = f32(e)
    p = f32(-0.0763643906)
    p = p * m + f32(0.127622172)
    p = p * m - f32(0.131596103)
    p = p * m + f32(0.1420158)
    p = p * m - f32(0.166234091)
    p = p * m + f32(0.200012416)
    p = p * m - f32(0.250008196)
    p = p * m + f32(0.333333313)
    m2 = m * m
    y = p * (m2 * m)
    y = whole * f32(1.42860677e-6) + y
    y = m2 * f32(-0.5) + y
    y = m + y
    y = whole * f32(0.693145752) + y
    y = x if x == f32(np.inf) else y
    y = f32(-np.inf) if x == f32(0) else y
    y = f32(np.nan) if x < f32(0) else y
    return y if x == x else x


@of_type
def log(T: Any, x: Any) -> Any:
    """Return the natural logarithm: -infinity of 0, NaN of what is less."""
    tiny = x < 2.2250738585072014e-308
    b = bits(x * 18014398509481984.0 if tiny else x)  # denormals: times 2^54
    m = bits((b & 0x000FFFFFFFFFFFFF) | 0x3FE0000000000000)  # [0.5, 1)
    small = m < 0.7071067811865476
    # The exponent as a float64, whose bits a whole number below 2^52 are, added to those of 2^52.
    e = bits(((b >> 52) & 2047) | 0x4330000000000000) - 4503599627370496.0
    e = e - 1022.0 - (1.0 if small else 0.0) - (54.0 if tiny else 0.0)
    m = (m + m if small else m) - 1.0
    s = m / (m + 2.0)  # log(1 + m) is 2 artanh(s)
    z = s * s
    p = 0.14616585424888623
    p = p * z + 0.15331710618210773
    p = p * z + 0.18182889455674947
    p = p * z + 0.22222211130259878
    p = p * z + 0.2857142862600327
    p = p * z + 0.39999999999899444
    p = p * z + 0.666666666666667
    half = 0.5 * m * m
    y = e * 0.6931471803691238 - ((half - (s * (half + p * z) + e * 1.9082149292705877e-10)) - m)
    y = x if x == np.inf else y
    y = -np.inf if x == 0.0 else y
    y = np.nan if x < 0.0 else y
    return y if x == x else x


def log1p_exp_neg32(T: Any, x: Any) -> Any:
    e = exp(T, -abs(x))
    s = e / (f32(2) + e)  # log(1 + e) is 2 artanh(s), and s <= 1/3
    t = s * s
    p = f32(0.14015244)
    p = p * t + f32(0.13999024)
    p = p * t + f32(0.20010878)
    p = p * t + f32(0.33333206)
    return e - s * (e - p * (t + t))  # 2 s is e - s e, and rounds less so


@of_type
def log1p_exp_neg(T: Any, x: Any) -> Any:
    """log(1 + e^-|x|): the part of softplus that is not linear."""
    return log1p(T, exp(T, -abs(x)))


# ---- both ----


@inline
def sigmoid(T: Any, x: Any) -> Any:
    """1 / (1 + e^-x), without overflow."""
    e = exp(T, -abs(x))
    return (e if x < T(0) else T(1)) / (T(1) + e)


@inline
def log1p(T: Any, x: Any) -> Any:
    """log(1 + x): what 1 + x loses in rounding is put back to first order."""
    u = T(1) + x
    rest = x - (u - T(1))
    more = rest / u
    y = log(T, u) + (rest if rest == T(0) else more)
    return x if x == T(np.inf) else y


@inline
def softplus(T: Any, x: Any) -> Any:
    """log(1 + e^x), without overflow."""
    return high(x, T(0)) + log1p_exp_neg(T, x)


@inline
def log_sigmoid(T: Any, x: Any) -> Any:
    """log(1 / (1 + e^-x)), without overflow."""
    return low(x, T(0)) - log1p_exp_neg(T, x)
