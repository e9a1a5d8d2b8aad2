// One vector type per ISA, from GCC/Clang vector extensions: loads, tails and selections.
//
// A vector has VB bytes: 64 with AVX-512, 32 with AVX2, 16 otherwise. Everything is in an anonymous namespace: the same text is
// compiled for several ISAs, and a function of one ISA must never be linked in place of that of another.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>

#include "core/kernels.h"
#if defined(__AVX2__)
#include <immintrin.h>
#if defined(_MSC_VER) && defined(__AVX512F__)
#include <avx512bf16intrin.h>  // with Visual C++'s headers, clang includes only what the flags allow everywhere
#endif
#elif defined(__aarch64__)
#include <arm_neon.h>
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
using fastnn::PointwiseLoss;
using fastnn::Worker;

// The upper half of a float32, as stored in memory.
struct Bfloat16 {
  u16 bits;
};

template <class To, class From>
FASTNN_INLINE To bit_cast(From x) {
  static_assert(sizeof(To) == sizeof(From));
  To y;
  memcpy(&y, &x, sizeof y);
  return y;
}

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

// Integers have loads, stores, arithmetic and selections.
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

// UpTo<N>::type is Indices<0, ..., N - 1>.
template <int... I>
struct Indices {};
template <int N, int... I>
struct UpTo : UpTo<N - 1, N - 1, I...> {};
template <int... I>
struct UpTo<0, I...> {
  typedef Indices<I...> type;
};

FASTNN_INLINE i64 min_i64(i64 a, i64 b) { return a < b ? a : b; }
FASTNN_INLINE i64 max_i64(i64 a, i64 b) { return a > b ? a : b; }
FASTNN_INLINE i64 ceil_div(i64 a, i64 b) { return (a + b - 1) / b; }
FASTNN_INLINE i64 round_up(i64 a, i64 b) { return ceil_div(a, b) * b; }

// The share [begin, end) of worker ith of n items, cut into pieces of `grain`. The pieces do not depend on the number of workers.
struct Range {
  i64 begin, end;
};
FASTNN_INLINE Range share(i64 n, i64 grain, const Worker& me) {
  i64 pieces = ceil_div(n, grain);
  return {min_i64(n, pieces * me.ith / me.nth * grain), min_i64(n, pieces * (me.ith + 1) / me.nth * grain)};
}

// n things cut into pieces with sizes that differ by at most one. Larger pieces are first.
struct Cut {
  i64 pieces, size, extra;
  FASTNN_INLINE Cut into(i64 n, i64 pieces) { return {pieces, n / pieces, n % pieces}; }
  FASTNN_INLINE Cut by(i64 n, i64 limit) { return n <= limit ? Cut{1, n, 0} : into(n, ceil_div(n, limit)); }
  i64 begin(i64 i) const { return i * size + min_i64(i, extra); }
};

// Sizes of pieces for element-wise kernels, and for rows of n elements.
constexpr i64 kGrain = 2048;
FASTNN_INLINE i64 rows_grain(i64 n) { return max_i64(1, kGrain / max_i64(1, n)); }

// Returns the nanoseconds for n elements, from those for one element of float32 (four) and of the eight-byte types (eight).
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

// Loads the first n lanes (0 <= n <= lanes). Memory beyond them is not accessed, and the other lanes are 0.
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
// Masked stores are slow on AMD CPUs before Zen 4: half a vector, then a pair of lanes, then a single one.
FASTNN_INLINE void store_n(float* p, Vec<float> v, i64 n) {
  if (n >= 8) return store(p, v);
  __m128 part = _mm256_castps256_ps128((__m256)v);
  if (n & 4) {
    _mm_storeu_ps(p, part);
    p += 4;
    part = _mm256_extractf128_ps((__m256)v, 1);
  }
  if (n & 2) {
    _mm_storel_pi((__m64*)p, part);
    p += 2;
    part = _mm_movehl_ps(part, part);
  }
  if (n & 1) _mm_store_ss(p, part);
}
FASTNN_INLINE void store_n(double* p, Vec<double> v, i64 n) {
  if (n >= 4) return store(p, v);
  __m128d part = _mm256_castpd256_pd128((__m256d)v);
  if (n & 2) {
    _mm_storeu_pd(p, part);
    p += 2;
    part = _mm256_extractf128_pd((__m256d)v, 1);
  }
  if (n & 1) _mm_store_sd(p, part);
}
#elif defined(__aarch64__)  // there are no masks: a pair of lanes, then a single one
FASTNN_INLINE Vec<float> load_n(const float* p, i64 n) {
  if (n >= 4) return load(p);
  const float32x2_t zero = vdup_n_f32(0), pair = n & 2 ? vld1_f32(p) : zero;
  if (!(n & 1)) return (Vec<float>)vcombine_f32(pair, zero);
  const float32x2_t single = vld1_lane_f32(p + (n & 2), zero, 0);
  return (Vec<float>)(n & 2 ? vcombine_f32(pair, single) : vcombine_f32(single, zero));
}
FASTNN_INLINE Vec<double> load_n(const double* p, i64 n) {
  return n >= 2 ? load(p) : n == 1 ? Vec<double>{*p, 0} : Vec<double>{};
}
FASTNN_INLINE void store_n(float* p, Vec<float> v, i64 n) {
  if (n >= 4) return store(p, v);
  float32x2_t pair = vget_low_f32((float32x4_t)v);
  if (n & 2) {
    vst1_f32(p, pair);
    p += 2;
    pair = vget_high_f32((float32x4_t)v);
  }
  if (n & 1) vst1_lane_f32(p, pair, 0);
}
FASTNN_INLINE void store_n(double* p, Vec<double> v, i64 n) {
  if (n >= 2) return store(p, v);
  if (n == 1) *p = v[0];
}
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

// Returns v in the first n lanes and `rest` in the others.
template <class T>
FASTNN_INLINE Vec<T> select_n(Vec<T> v, i64 n, Vec<T> rest) {
  IVec<T> lane;
  for (int i = 0; i < kLanes<T>; i++) lane[i] = i;
  return lane < isplat<T>((typename Simd<T>::Int)n) ? v : rest;
}

// Lanes of one step of for_vectors: all lanes, or the first n.
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

// All lanes or the first ones, decided at run time: for function bodies that are too large to be compiled twice.
template <class T>
struct SomeLanes {
  i64 left;
  __attribute__((always_inline)) Vec<T> load(const T* p) const { return left >= kLanes<T> ? ::load(p) : load_n(p, left); }
  __attribute__((always_inline)) void store(T* p, Vec<T> v) const {
    if (left >= kLanes<T>)
      ::store(p, v);
    else
      store_n(p, v, left);
  }
  __attribute__((always_inline)) Vec<T> only(Vec<T> v) const { return left >= kLanes<T> ? v : select_n<T>(v, left, Vec<T>{}); }
};

// As many floats as a vector of float64 has lanes.
typedef float HalfVec __attribute__((vector_size(FASTNN_VB / 2)));
FASTNN_INLINE Vec<double> widen(HalfVec v) {
#if defined(__aarch64__)
  return (Vec<double>)vcvt_f64_f32((float32x2_t)v);  // g++ 12 converts half vectors lane by lane
#else
  return __builtin_convertvector(v, Vec<double>);
#endif
}

// Calls f(i, lanes) for each vector of a range; the last one may be short.
template <class T, class F>
FASTNN_INLINE void for_vectors(Range r, F f) {
  i64 i = r.begin;
  for (; i + kLanes<T> <= r.end; i += kLanes<T>) f(i, AllLanes<T>{});
  if (i < r.end) f(i, FirstLanes<T>{r.end - i});
}

// The order of operands keeps a NaN in x; the other order would lose it.
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
// Returns |x| with the sign of s.
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

// Moves lane i ^ H to lane i.
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
// Reduces all lanes by f, pairwise; every lane gets the result. The order depends only on the vector length.
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

}  // namespace
