// The elementary functions on vectors: exp, log, tanh, erf, sin and similar ones. docs/accuracy.md lists their errors.
#pragma once
#include "math/simd.h"
#include "math/vmath64.h"

namespace {

// ---- elementary functions, float32 ----
// The coefficients are of minimax polynomials, fitted in float64 and rounded one after another to float32.

// Reduces x = n ln 2 + r, |r| <= ln 2 / 2. Returns (e^r - 1 - r) / r^2.
FASTNN_INLINE Vec<float> exp_reduce(Vec<float> x, Vec<float>& r, IVec<float>& n) {
  const Vec<float> magic = splat(12582912.f);  // 1.5 * 2^23: adding it rounds to an integer
  Vec<float> t = x * 1.44269504f + magic;
  n = (IVec<float>)t - (IVec<float>)magic;
  Vec<float> nf = t - magic;
  r = x - nf * 0.693145752f;
  r = r - nf * 1.42860677e-6f;
  Vec<float> p = splat(0.00138206896f);
  p = p * r + 0.0083686756f;
  p = p * r + 0.0416682661f;
  p = p * r + 0.166665211f;
  return p * r + 0.49999994f;
}

// e^x is y a b. Two powers of two make overflow, denormals and infinities correct. For x < -120, it is 0: set apart, because an
// underflow would cost many times what the rest does.
FASTNN_INLINE Vec<float> exp_parts(Vec<float> x, Vec<float>& a, Vec<float>& b, IVec<float>& zero) {
  zero = x < -120.f;
  Vec<float> r;
  IVec<float> n;
  Vec<float> p = exp_reduce(zero ? splat(0.f) : vmin<float>(x, splat(89.f)), r, n);
  const IVec<float> half = n >> 1;
  a = (Vec<float>)((half + 127) << 23), b = (Vec<float>)((n - half + 127) << 23);
  return p * (r * r) + r + 1.f;
}

// The error is at most 1 ULP.
FASTNN_INLINE Vec<float> vexp(Vec<float> x) {
  Vec<float> a, b;
  IVec<float> zero;
  const Vec<float> y = exp_parts(x, a, b, zero) * a * b;
  return zero ? splat(0.f) : y;
}

FASTNN_INLINE Vec<float> vtanh(Vec<float> x) {
  Vec<float> a = vmin<float>(vabs<float>(x), splat(9.02f)), r;
  IVec<float> n;
  Vec<float> p = exp_reduce(a + a, r, n);
  Vec<float> scale = (Vec<float>)((n + 127) << 23);
  Vec<float> y = (p * (r * r) + r) * scale + (scale - 1.f);  // e^2a - 1
  const Vec<float> s = x * x;
  Vec<float> q = splat(-0.0062174858f);  // (tanh(x) / x - 1) / x^2, for small x
  q = q * s + 0.021035504f;
  q = q * s - 0.053844694f;
  q = q * s + 0.13332528f;
  q = q * s - 0.33333316f;
  return a < 0.55f ? q * (s * x) + x : with_sign<float>(y / (y + 2.f), x);
}

// Returns e^x - 1 without cancellation. The power of two is halved and doubled again, because float cannot represent 2^128.
FASTNN_INLINE Vec<float> vexpm1(Vec<float> x) {
  Vec<float> a = vmin<float>(vmax<float>(x, splat(-18.f)), splat(89.f)), r;
  IVec<float> n;
  Vec<float> p = exp_reduce(a, r, n);
  Vec<float> half = (Vec<float>)((n + 126) << 23);
  Vec<float> y = ((p * (r * r) + r) * half + (half - 0.5f)) * 2.f;
  return x == splat(0.f) ? x : y;
}

FASTNN_INLINE Vec<float> vlog(Vec<float> x) {
  typedef IVec<float> I;
  Vec<float> input = x;
  I tiny = (I)(x < 1.17549435e-38f);
  x = tiny ? x * 8388608.f : x;  // denormals: times 2^23
  I bits = (I)x;
  I e = ((bits >> 23) & 255) - 126;
  Vec<float> m = (Vec<float>)((bits & 0x007fffff) | 0x3f000000);  // [0.5, 1)
  I low = (I)(m < 0.707106781f);
  e = e + low - (tiny & isplat<float>(23));
  m = (low ? m + m : m) - 1.f;
  Vec<float> ef = __builtin_convertvector(e, Vec<float>);
  Vec<float> p = splat(-0.0763643906f);
  p = p * m + 0.127622172f;
  p = p * m - 0.131596103f;
  p = p * m + 0.1420158f;
  p = p * m - 0.166234091f;
  p = p * m + 0.200012416f;
  p = p * m - 0.250008196f;
  p = p * m + 0.333333313f;
  Vec<float> m2 = m * m;
  Vec<float> y = p * (m2 * m);
  y = ef * 1.42860677e-6f + y;
  y = m2 * -0.5f + y;
  y = m + y;
  y = ef * 0.693145752f + y;
  y = input == splat(__builtin_inff()) ? input : y;
  y = input == splat(0.f) ? splat(-__builtin_inff()) : y;
  y = input < 0.f ? splat(__builtin_nanf("")) : y;
  return input != input ? input : y;
}

// Returns Phi(x), the normal distribution function, and sets e = exp(-x^2 / 2); the density is e / sqrt(2 pi).
FASTNN_INLINE Vec<float> normal_cdf(Vec<float> x, Vec<float>& e) {
  Vec<float> t = 1.f / (vabs<float>(x) * (0.375f * 0.70710678f) + 1.f);
  Vec<float> p = splat(-0.135097712f);
  p = p * t + 0.387944072f;
  p = p * t - 0.129605934f;
  p = p * t + 0.283067644f;
  p = p * t + 0.166662246f;
  p = p * t + 0.215689629f;
  p = p * t + 0.211339414f;
  e = vexp(x * x * -0.5f);
  Vec<float> tail = 0.5f * e * (p * t);
  return x < 0.f ? tail : 1.f - tail;
}

FASTNN_INLINE Vec<float> verf(Vec<float> x) {
  Vec<float> s = x * x, t = vmin<float>(vabs<float>(x), splat(4.f));
  Vec<float> p = splat(7.9696634e-05f);  // erf(x) / x - 1
  p = p * s - 0.00080438395f;
  p = p * s + 0.005191948f;
  p = p * s - 0.026855588f;
  p = p * s + 0.11283624f;
  p = p * s - 0.3761263f;
  p = p * s + 0.12837917f;
  Vec<float> q = splat(4.937676e-06f);  // -log(1 - erf(t)) / t - 1
  q = q * t - 4.5574823e-05f;
  q = q * t - 4.9617018e-05f;
  q = q * t + 0.0029302326f;
  q = q * t - 0.022674242f;
  q = q * t + 0.10526278f;
  q = q * t + 0.63562524f;
  q = q * t + 0.12855175f;
  Vec<float> tail = 1.f - vexp(-(q * t + t));
  return t > 0.93f ? with_sign<float>(tail, x) : p * x + x;
}

template <class H>
FASTNN_INLINE Vec<float> join(H a, H b) {
  if constexpr (kLanes<float> == 16)
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  else if constexpr (kLanes<float> == 8)
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
  else
    return __builtin_shufflevector(a, b, 0, 1, 2, 3);
}

// Reduces x = n pi/2 + r, |r| <= pi/4, for |x| below a million. float64 has enough digits in spite of the cancellation.
FASTNN_INLINE Vec<float> quarter_turns(Vec<float> x, IVec<float>& quarter) {
  HalfVec r[2], n[2];
  memcpy(r, &x, sizeof x);
  for (int i = 0; i < 2; i++) {
    Vec<double> d = widen(r[i]);
    Vec<double> whole = (d * 0.63661977236758134308 + 6755399441055744.0) - 6755399441055744.0;  // 1.5 * 2^52
    // pi/2 in two parts. The first has 33 bits, so its products are exact.
    r[i] = __builtin_convertvector((d - whole * 1.57079632673412561417) - whole * 6.07710050650619224932e-11, HalfVec);
    n[i] = __builtin_convertvector(whole, HalfVec);
  }
  quarter = __builtin_convertvector(join(n[0], n[1]), IVec<float>);
  return join(r[0], r[1]);
}

// Returns sin(x + shift pi/2). The C library computes it for arguments that are too large for the reduction, which are rare.
FASTNN_INLINE Vec<float> vsin(Vec<float> x, int shift = 0) {
  typedef IVec<float> I;
  // Compared as integers, because a NaN is the largest of them.
  const Vec<float> top =
      fold_lanes<float>(vabs<float>(x), [](Vec<float> a, Vec<float> b) { return (Vec<float>)((I)a > (I)b ? (I)a : (I)b); });
  if (!(top[0] < 1e6f)) {
    for (int i = 0; i < kLanes<float>; i++) x[i] = shift ? __builtin_cosf(x[i]) : __builtin_sinf(x[i]);
    return x;
  }
  I quarter;
  const Vec<float> r = quarter_turns(x, quarter), s = r * r;
  quarter = quarter + shift;
  Vec<float> p = splat(-0.000195186f);
  p = p * s + 0.008332191f;
  p = p * s - 0.16666655f;
  Vec<float> sine = p * (s * r) + r;
  Vec<float> q = splat(2.4430661e-05f);
  q = q * s - 0.0013887301f;
  q = q * s + 0.041666646f;
  Vec<float> cosine = q * (s * s) + (1.f - 0.5f * s);
  Vec<float> y = (quarter & 1) != 0 ? cosine : sine;
  return (quarter & 2) != 0 ? -y : y;
}
FASTNN_INLINE Vec<float> vcos(Vec<float> x) { return vsin(x, 1); }

// ---- elementary functions, both types; those of float64 alone are in vmath64.h ----

// Returns e^x f(e^x). It is scaled in two steps at the end, so that overflow and denormals are correct.
template <class T, class F>
FASTNN_INLINE Vec<T> vexp_times(Vec<T> x, F f) {
  Vec<T> a, b;
  IVec<T> zero;
  Vec<T> y = exp_parts(x, a, b, zero);
  y = y * f(zero ? splat<T>(0) : y * a * b) * a * b;
  return zero ? splat<T>(0) : y;
}

// Returns 1 / (1 + e^-x) without overflow.
template <class T>
FASTNN_INLINE Vec<T> vsigmoid(Vec<T> x) {
  const Vec<T> e = vexp(-vabs<T>(x));
  return (x < (T)0 ? e : splat<T>(1)) / ((T)1 + e);
}
// Returns log(1 + x). The rounding error of 1 + x is corrected to first order.
template <class T>
FASTNN_INLINE Vec<T> vlog1p(Vec<T> x) {
  Vec<T> u = (T)1 + x, rest = x - (u - (T)1);
  Vec<T> y = vlog(u) + (rest == splat<T>(0) ? rest : rest / u);
  return x == splat<T>((T)__builtin_inf()) ? x : y;
}
// Returns log(1 + e^-|x|), the nonlinear part of softplus.
template <class T>
FASTNN_INLINE Vec<T> log1p_exp_neg(Vec<T> x) {
  Vec<T> e = vexp(-vabs<T>(x));
  if constexpr (sizeof(T) == 8) return vlog1p<T>(e);
  // log(1 + e) is 2 artanh(s), s = e / (2 + e) <= 1/3.
  Vec<T> s = e / ((T)2 + e), t = s * s;
  Vec<T> p = splat<T>(0.14015244f);
  p = p * t + (T)0.13999024f;
  p = p * t + (T)0.20010878f;
  p = p * t + (T)0.33333206f;
  return e - s * (e - p * (t + t));  // 2 s = e - s e, which has a smaller rounding error
}

// Returns the nearest integer, ties to even. All numbers from 1 / eps on are integers.
template <class T>
FASTNN_INLINE Vec<T> vround(Vec<T> x) {
  const T whole = sizeof(T) == 4 ? (T)8388608 : (T)4503599627370496;
  Vec<T> a = vabs<T>(x);
  return a < whole ? with_sign<T>((a + whole) - whole, x) : x;
}

template <class T>
FASTNN_INLINE Vec<T> vpow(Vec<T> x, T p) {
  for (int i = 0; i < kLanes<T>; i++)
    x[i] = sizeof(T) == 4 ? (T)__builtin_powf((float)x[i], (float)p) : (T)__builtin_pow((double)x[i], (double)p);
  return x;
}

}  // namespace
