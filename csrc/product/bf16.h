// Factors rounded to bfloat16, which is the upper half of a float. Their products are exact in float, and are summed in float.
//
// If the CPU multiplies pairs of bfloat16 (AVX512_BF16, which treats denormals as zero), panels contain pairs of steps of K.
// Otherwise they contain the rounded numbers as floats.
#pragma once
#include "product/pack.h"

namespace {

// Rounds to the nearest, ties to even. NaN stays NaN.
FASTNN_INLINE Vec<float> round_bf16(Vec<float> x) {
  const IVec<float> bits = (IVec<float>)x, rounded = (bits + 0x7fff + ((bits >> 16) & 1)) & (int32_t)0xffff0000;
  return x == x ? (Vec<float>)rounded : x;
}
FASTNN_INLINE Vec<double> round_bf16(Vec<double> x) {
  // Through float, which has more than twice the bits: rounding twice gives the same result except for ties of the first
  // rounding.
  double v[kLanes<double>];
  store(v, x);
  for (double& d : v) {
    float f = (float)d;
    uint32_t bits;
    memcpy(&bits, &f, 4);
    if (f == f) bits = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000;
    memcpy(&f, &bits, 4);
    d = f;
  }
  return load(v);
}

template <class T>
struct Rounded {
  static constexpr bool kReads = false;
  static constexpr int kSteps = 1;
  static constexpr int kVectors = kGemm.narrow;
  static void pack(T* panel, const Operand<T>& from, i64 i0, i64 n, i64 k0, i64 kc) {
    ::pack(panel, from, i0, n, k0, kc);
    for (i64 i = 0; i < kc * round_up(n, kLanes<T>); i += kLanes<T>) store(panel + i, round_bf16(load(panel + i)));
  }
  FASTNN_INLINE Ukern<T> pick(i64 rows, i64 vectors, bool mask) { return pick_ukern<T>(rows, vectors, mask); }
};

#if defined(__AVX512F__)
#define FASTNN_BF16 __attribute__((target("avx512bf16")))

FASTNN_INLINE bool has_bf16() { return __builtin_cpu_supports("avx512bf16"); }

// Panels of pairs, 32 bits each: the numbers of steps 2s and 2s + 1 for each row or column.
struct Pairs {
  static constexpr bool kReads = false;
  static constexpr int kSteps = 2;
  static constexpr int kVectors = 2;

  FASTNN_BF16 static void pack(float* panel, const Operand<float>& from, i64 i0, i64 n, i64 k0, i64 kc) {
    constexpr i64 L = 16;
    const i64 width = round_up(n, L), ld = from.ld;
    const float* p = from.at(i0, k0);
    if (!from.along_k) {
      const __m512i both = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20,
                                            4, 19, 3, 18, 2, 17, 1, 16, 0);
      for (i64 k = 0; k < kc; k += 2, p += 2 * ld, panel += width)
        for (i64 i = 0; i < n; i += L) {
          const __mmask16 lanes = n - i < L ? (__mmask16)((1u << (n - i)) - 1) : (__mmask16)0xffff;
          const __m512 even = _mm512_maskz_loadu_ps(lanes, p + i);
          const __m512 odd = _mm512_maskz_loadu_ps(k + 1 < kc ? lanes : (__mmask16)0, p + ld + i);
          const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(odd, even);
          _mm512_storeu_si512(panel + i, _mm512_permutexvar_epi16(both, halves));
        }
      return;
    }
    for (i64 i = 0; i < n; i += L)
      for (i64 k = 0; k < kc; k += 2 * L) {
        const i64 steps = min_i64(2 * L, kc - k), rows = min_i64(L, n - i);
        const __mmask16 low = steps < L ? (__mmask16)((1u << steps) - 1) : (__mmask16)0xffff;
        const __mmask16 high = steps >= 2 * L ? (__mmask16)0xffff
                               : steps > L    ? (__mmask16)((1u << (steps - L)) - 1)
                                              : (__mmask16)0;
        const float* q = p + i * ld + k;
        Vec<float> r[L];
#pragma GCC unroll 16
        for (int t = 0; t < L; t++) {
          const __mmask16 there = t < rows ? (__mmask16)0xffff : (__mmask16)0;
          const float* row = q + (t < rows ? t * ld : 0);
          r[t] = (Vec<float>)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high & there, row + L),
                                                 _mm512_maskz_loadu_ps(low & there, row));
        }
        transpose<float>(r);
#pragma GCC unroll 16
        for (int t = 0; t < L; t++)
          if (2 * t < steps) store(panel + (k / 2 + t) * width + i, r[t]);
      }
  }

  template <int MR, int NV>
  FASTNN_BF16 static void ukern(const Tile<float>& t) {
    Vec<float> acc[MR][NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) {
      const Vec<float> v = t.bias ? load_part(t.bias + j * 16, j == NV - 1, t.last) : Vec<float>{};
#pragma GCC unroll 16
      for (int i = 0; i < MR; i++) acc[i][j] = v;
    }
    if (t.beta != 0) {
#pragma GCC unroll 16
      for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) __builtin_prefetch(t.c + i * t.ldc + j * 16, 1);
    }
    const float *a = t.a, *b = t.b;
    for (i64 k = 0; k < t.k; k++, a += t.a_col, b += t.ldb) {
      __m512bh bv[NV];
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) bv[j] = (__m512bh)_mm512_loadu_si512(b + j * 16);
#pragma GCC unroll 16
      for (int i = 0; i < MR; i++) {
        const __m512bh s = (__m512bh)_mm512_set1_ps(a[i]);
#pragma GCC unroll 4
        for (int j = 0; j < NV; j++) acc[i][j] = (Vec<float>)_mm512_dpbf16_ps((__m512)acc[i][j], s, bv[j]);
      }
    }
    store_tile<float, MR, NV>(t, acc);
  }

  template <int NV, int... I>
  static Ukern<float> pick(i64 rows, Indices<I...>) {
    static constexpr Ukern<float> list[] = {ukern<I + 1, NV>...};
    return list[rows - 1];
  }
  static Ukern<float> pick(i64 rows, i64 vectors, bool) {
    if (vectors == 2) return pick<2>(rows, UpTo<kGemm.rows[2]>::type());
    return pick<1>(rows, UpTo<kGemm.rows[1]>::type());
  }
};
#else
FASTNN_INLINE bool has_bf16() { return false; }
#endif

}  // namespace
