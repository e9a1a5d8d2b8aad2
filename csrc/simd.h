// One vector type per ISA, from GCC/Clang vector extensions: loads, tails, selections and the elementary functions.
//
// A vector has VB bytes: 64 with AVX-512, 32 with AVX2, 16 otherwise. Everything is in an anonymous namespace: the same text is
// compiled for several ISAs, and no function of one may ever be linked in place of another's.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define FASTNN_VB 64
#elif defined(__AVX2__)
#define FASTNN_VB 32
#else
#define FASTNN_VB 16
#endif

#define FASTNN_INLINE static inline __attribute__((always_inline))

namespace {
using fastnn::Activation;
using fastnn::Worker;

template <class T>
struct Simd;
template <>
struct Simd<float> {
  typedef float V __attribute__((vector_size(FASTNN_VB)));
  typedef float Unaligned __attribute__((vector_size(FASTNN_VB), aligned(4), may_alias));
  typedef int32_t I __attribute__((vector_size(FASTNN_VB)));
  typedef int32_t Int;
};
template <>
struct Simd<double> {
  typedef double V __attribute__((vector_size(FASTNN_VB)));
  typedef double Unaligned __attribute__((vector_size(FASTNN_VB), aligned(8), may_alias));
  typedef int64_t I __attribute__((vector_size(FASTNN_VB)));
  typedef int64_t Int;
};

// For whole numbers there are loads, stores, arithmetic and selections.
template <>
struct Simd<int64_t> {
  typedef int64_t V __attribute__((vector_size(FASTNN_VB)));
  typedef int64_t Unaligned __attribute__((vector_size(FASTNN_VB), aligned(8), may_alias));
  typedef V I;
  typedef int64_t Int;
};

template <class T>
using Vec = typename Simd<T>::V;
template <class T>
using IVec = typename Simd<T>::I;
template <class T>
constexpr int kLanes = FASTNN_VB / (int)sizeof(T);

FASTNN_INLINE i64 min_i64(i64 a, i64 b) { return a < b ? a : b; }
FASTNN_INLINE i64 max_i64(i64 a, i64 b) { return a > b ? a : b; }
FASTNN_INLINE i64 ceil_div(i64 a, i64 b) { return (a + b - 1) / b; }
FASTNN_INLINE i64 round_up(i64 a, i64 b) { return ceil_div(a, b) * b; }

// The share [begin, end) of worker ith in n items, cut in pieces of `grain`: the pieces do not depend on the number of workers.
struct Range {
  i64 begin, end;
};
FASTNN_INLINE Range share(i64 n, i64 grain, const Worker& me) {
  i64 pieces = ceil_div(n, grain);
  return {min_i64(n, pieces * me.ith / me.nth * grain), min_i64(n, pieces * (me.ith + 1) / me.nth * grain)};
}

// Pieces for element-wise kernels, and for rows of n elements.
constexpr i64 kGrain = 2048;
FASTNN_INLINE i64 rows_grain(i64 n) { return max_i64(1, kGrain / max_i64(1, n)); }

// Nanoseconds for n elements, at so many for one of float32 and of the eight-byte types.
FASTNN_INLINE double elements_work(i64 n, int itemsize, double four, double eight) {
  return (double)n * (itemsize == 8 ? eight : four);
}

FASTNN_INLINE void sync(const Worker& me) {
  if (me.nth > 1) fastnn::fastnn_barrier_wait(me.barrier);
}

template <class T>
FASTNN_INLINE Vec<T> load(const T* p) {
  return *(const typename Simd<T>::Unaligned*)p;
}
template <class T>
FASTNN_INLINE void store(T* p, Vec<T> v) {
  *(typename Simd<T>::Unaligned*)p = v;
}
template <class T>
FASTNN_INLINE Vec<T> splat(T x) {
  return x - Vec<T>{};
}
template <class T>
FASTNN_INLINE IVec<T> isplat(typename Simd<T>::Int x) {
  return x - IVec<T>{};
}

// The first n lanes (0 <= n <= lanes); nothing beyond them is read or written, the rest of the vector is 0.
#if defined(__AVX512F__)
FASTNN_INLINE Vec<float> load_n(const float* p, i64 n) {
  return (Vec<float>)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
FASTNN_INLINE Vec<double> load_n(const double* p, i64 n) {
  return (Vec<double>)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
FASTNN_INLINE void store_n(float* p, Vec<float> v, i64 n) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v); }
FASTNN_INLINE void store_n(double* p, Vec<double> v, i64 n) { _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v); }
#elif defined(__AVX2__)
FASTNN_INLINE __m256i lanes_below(float, i64 n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
FASTNN_INLINE __m256i lanes_below(double, i64 n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
FASTNN_INLINE Vec<float> load_n(const float* p, i64 n) { return (Vec<float>)_mm256_maskload_ps(p, lanes_below(0.f, n)); }
FASTNN_INLINE Vec<double> load_n(const double* p, i64 n) { return (Vec<double>)_mm256_maskload_pd(p, lanes_below(0.0, n)); }
FASTNN_INLINE void store_n(float* p, Vec<float> v, i64 n) { _mm256_maskstore_ps(p, lanes_below(0.f, n), (__m256)v); }
FASTNN_INLINE void store_n(double* p, Vec<double> v, i64 n) { _mm256_maskstore_pd(p, lanes_below(0.0, n), (__m256d)v); }
#else
template <class T>
FASTNN_INLINE Vec<T> load_n(const T* p, i64 n) {
  Vec<T> v = {};
  for (i64 i = 0; i < kLanes<T>; i++)
    if (i < n) v[i] = p[i];
  return v;
}
template <class T>
FASTNN_INLINE void store_n(T* p, Vec<T> v, i64 n) {
  for (i64 i = 0; i < kLanes<T>; i++)
    if (i < n) p[i] = v[i];
}
#endif

FASTNN_INLINE Vec<i64> load_n(const i64* p, i64 n) { return (Vec<i64>)load_n((const double*)p, n); }
FASTNN_INLINE void store_n(i64* p, Vec<i64> v, i64 n) { store_n((double*)p, (Vec<double>)v, n); }

// v in the first n lanes, `rest` in the others.
template <class T>
FASTNN_INLINE Vec<T> select_n(Vec<T> v, i64 n, Vec<T> rest) {
  IVec<T> lane;
  for (int i = 0; i < kLanes<T>; i++) lane[i] = i;
  return lane < isplat<T>((typename Simd<T>::Int)n) ? v : rest;
}

// The lanes that a step of for_vectors covers: all of them, or the first n.
template <class T>
struct AllLanes {
  FASTNN_INLINE Vec<T> load(const T* p) { return ::load(p); }
  FASTNN_INLINE Vec<T> load(const T* p, Vec<T>) { return ::load(p); }
  FASTNN_INLINE void store(T* p, Vec<T> v) { ::store(p, v); }
  FASTNN_INLINE Vec<T> only(Vec<T> v) { return v; }
};
template <class T>
struct FirstLanes {
  i64 n;
  __attribute__((always_inline)) Vec<T> load(const T* p) const { return load_n(p, n); }
  __attribute__((always_inline)) Vec<T> load(const T* p, Vec<T> rest) const { return select_n<T>(load_n(p, n), n, rest); }
  __attribute__((always_inline)) void store(T* p, Vec<T> v) const { store_n(p, v, n); }
  __attribute__((always_inline)) Vec<T> only(Vec<T> v) const { return select_n<T>(v, n, Vec<T>{}); }  // 0 in the other lanes
};

// f(i, lanes) for each vector of a range; the last one may be short.
template <class T, class F>
FASTNN_INLINE void for_vectors(Range r, F f) {
  i64 i = r.begin;
  for (; i + kLanes<T> <= r.end; i += kLanes<T>) f(i, AllLanes<T>{});
  if (i < r.end) f(i, FirstLanes<T>{r.end - i});
}

// Selections written so that a NaN in x stays; the other operand order would lose it.
template <class T>
FASTNN_INLINE Vec<T> vmin(Vec<T> x, Vec<T> hi) {
  return x > hi ? hi : x;
}
template <class T>
FASTNN_INLINE Vec<T> vmax(Vec<T> x, Vec<T> lo) {
  return x < lo ? lo : x;
}
template <class T>
FASTNN_INLINE Vec<T> vabs(Vec<T> x) {
  typedef IVec<T> I;
  return (Vec<T>)((I)x & ~(I)splat<T>((T)-0.0));
}
// |x| with the sign of s.
template <class T>
FASTNN_INLINE Vec<T> with_sign(Vec<T> x, Vec<T> s) {
  typedef IVec<T> I;
  return (Vec<T>)(((I)x & ~(I)splat<T>((T)-0.0)) | ((I)s & (I)splat<T>((T)-0.0)));
}
template <class T>
FASTNN_INLINE Vec<T> vsqrt(Vec<T> x) {
  for (int i = 0; i < kLanes<T>; i++) x[i] = sizeof(T) == 4 ? (T)__builtin_sqrtf((float)x[i]) : (T)__builtin_sqrt((double)x[i]);
  return x;
}

// Lane i gets lane i ^ H.
template <class T, int H>
FASTNN_INLINE Vec<T> swap_lanes(Vec<T> v) {
  if constexpr (kLanes<T> == 16)
    return __builtin_shufflevector(v, v, 0 ^ H, 1 ^ H, 2 ^ H, 3 ^ H, 4 ^ H, 5 ^ H, 6 ^ H, 7 ^ H, 8 ^ H, 9 ^ H, 10 ^ H, 11 ^ H,
                                   12 ^ H, 13 ^ H, 14 ^ H, 15 ^ H);
  else if constexpr (kLanes<T> == 8)
    return __builtin_shufflevector(v, v, 0 ^ H, 1 ^ H, 2 ^ H, 3 ^ H, 4 ^ H, 5 ^ H, 6 ^ H, 7 ^ H);
  else if constexpr (kLanes<T> == 4)
    return __builtin_shufflevector(v, v, 0 ^ H, 1 ^ H, 2 ^ H, 3 ^ H);
  else
    return __builtin_shufflevector(v, v, 0 ^ H, 1 ^ H);
}
// f over all lanes, pairwise (the order is fixed by the vector length); every lane gets the result.
template <class T, class F>
FASTNN_INLINE Vec<T> fold_lanes(Vec<T> v, F f) {
  if constexpr (kLanes<T> >= 16) v = f(v, swap_lanes<T, 8>(v));
  if constexpr (kLanes<T> >= 8) v = f(v, swap_lanes<T, 4>(v));
  if constexpr (kLanes<T> >= 4) v = f(v, swap_lanes<T, 2>(v));
  return f(v, swap_lanes<T, 1>(v));
}
template <class T>
FASTNN_INLINE Vec<T> sum_lanes(Vec<T> v) {
  return fold_lanes<T>(v, [](Vec<T> a, Vec<T> b) { return a + b; });
}
template <class T>
FASTNN_INLINE T hsum(Vec<T> v) {
  return sum_lanes<T>(v)[0];
}

// ---- elementary functions, float32 ----
// Coefficients: minimax polynomials fitted in float64 and rounded one after another to float32.

// x = n ln 2 + r, |r| <= ln 2 / 2; returns (e^r - 1 - r) / r^2.
FASTNN_INLINE Vec<float> exp_reduce(Vec<float> x, Vec<float>& r, IVec<float>& n) {
  const Vec<float> magic = splat(12582912.f);  // 1.5 * 2^23: adding it rounds to a whole number
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

// Within 1 ULP; scaled in two steps, so that overflow, denormals and infinities come out right.
FASTNN_INLINE Vec<float> vexp(Vec<float> x) {
  const IVec<float> zero = x < -104.f;  // set apart: an underflow would cost many times what the rest does
  x = zero ? splat(0.f) : vmin<float>(x, splat(89.f));
  Vec<float> r;
  IVec<float> n;
  Vec<float> p = exp_reduce(x, r, n);
  Vec<float> y = p * (r * r) + r + 1.f;
  IVec<float> half = n >> 1;
  y = y * (Vec<float>)((half + 127) << 23) * (Vec<float>)((n - half + 127) << 23);
  return zero ? splat(0.f) : y;
}

FASTNN_INLINE Vec<float> vtanh(Vec<float> x) {
  Vec<float> a = vmin<float>(vabs<float>(x), splat(9.02f)), r;
  IVec<float> n;
  Vec<float> p = exp_reduce(a + a, r, n);
  Vec<float> scale = (Vec<float>)((n + 127) << 23);
  Vec<float> y = (p * (r * r) + r) * scale + (scale - 1.f);  // e^2a - 1
  return with_sign<float>(y / (y + 2.f), x);
}

// e^x - 1 without cancellation; the power of two is halved and doubled again, because 2^128 is none of float's.
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

// Phi(x), the normal distribution function, and e = exp(-x^2 / 2), from which the density is e / sqrt(2 pi).
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

// x = n pi/2 + r, |r| <= pi/4, for |x| below a million; reduced in float64, whose digits outlast the cancellation.
FASTNN_INLINE Vec<float> quarter_turns(Vec<float> x, IVec<float>& quarter) {
  typedef float Half __attribute__((vector_size(FASTNN_VB / 2)));
  Half r[2], n[2];
  memcpy(r, &x, sizeof x);
  for (int i = 0; i < 2; i++) {
    Vec<double> d = __builtin_convertvector(r[i], Vec<double>);
    Vec<double> whole = (d * 0.63661977236758134308 + 6755399441055744.0) - 6755399441055744.0;  // 1.5 * 2^52
    // pi/2 in two parts, the first of 33 bits: its products are exact.
    r[i] = __builtin_convertvector((d - whole * 1.57079632673412561417) - whole * 6.07710050650619224932e-11, Half);
    n[i] = __builtin_convertvector(whole, Half);
  }
  Vec<float> whole;
  memcpy(&whole, n, sizeof whole);
  quarter = __builtin_convertvector(whole, IVec<float>);
  memcpy(&x, r, sizeof x);
  return x;
}

// sin(x + shift pi/2). Arguments beyond the reduction, which networks hardly have, are left to the C library.
FASTNN_INLINE Vec<float> vsin(Vec<float> x, int shift = 0) {
  typedef IVec<float> I;
  // As whole numbers: there, a NaN is the largest.
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

// ---- elementary functions, float64: the C library's, lane by lane ----
#define FASTNN_LANES(name, f)                                \
  FASTNN_INLINE Vec<double> name(Vec<double> x) {            \
    for (int i = 0; i < kLanes<double>; i++) x[i] = f(x[i]); \
    return x;                                                \
  }
FASTNN_LANES(vexp, __builtin_exp)
FASTNN_LANES(vlog, __builtin_log)
FASTNN_LANES(vtanh, __builtin_tanh)
FASTNN_LANES(vexpm1, __builtin_expm1)
FASTNN_LANES(verf, __builtin_erf)
FASTNN_LANES(vsin, __builtin_sin)
FASTNN_LANES(vcos, __builtin_cos)
#undef FASTNN_LANES

FASTNN_INLINE Vec<double> normal_cdf(Vec<double> x, Vec<double>& e) {
  e = vexp(x * x * -0.5);
  for (int i = 0; i < kLanes<double>; i++) x[i] = 0.5 * __builtin_erfc(-x[i] * 0.70710678118654752440);
  return x;
}

// 1 / (1 + e^-x); the exponential overflows to infinity where the result is below the smallest number anyway.
template <class T>
FASTNN_INLINE Vec<T> vsigmoid(Vec<T> x) {
  return (T)1 / ((T)1 + vexp(-x));
}
// log(1 + e^-|x|): the part of softplus that is not linear.
template <class T>
FASTNN_INLINE Vec<T> log1p_exp_neg(Vec<T> x) {
  Vec<T> e = vexp(-vabs<T>(x)), u = (T)1 + e, d = u - (T)1;
  // log(u) e / (u - 1) mends the rounding of 1 + e; where u rounds to 1, the value is e.
  return d == splat<T>(0) ? e : vlog(u) * (e / d);
}

// log(1 + x), by the same mending.
template <class T>
FASTNN_INLINE Vec<T> vlog1p(Vec<T> x) {
  Vec<T> u = (T)1 + x, d = u - (T)1;
  Vec<T> y = d == splat<T>(0) ? x : vlog(u) * (x / d);
  return x == splat<T>((T)__builtin_inf()) ? x : y;
}

// The nearest whole number, ties to even: from 1 / eps on there are only whole numbers.
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
