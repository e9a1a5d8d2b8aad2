// Factors rounded to bfloat16, which is the upper half of a float. Their products are exact in float, and are summed in float.
//
// Panels contain pairs of steps of K for AVX512_BF16, which treats denormals as zero, or the rounded numbers as floats. amx.h has
// the panels for AMX. core/engine.cpp chooses.
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
  static constexpr int kGroup = 1;
  static constexpr int kVectors = kGemm.vectors;
  static constexpr bool kLongRuns = false;
  FASTNN_INLINE i64 rows(i64 vectors) { return kGemm.rows[vectors]; }
  static void pack(T* panel, const Operand<T>& from, i64 i0, i64 n, i64 k0, i64 kc) {
    ::pack(panel, from, i0, n, k0, kc);
    for (i64 i = 0; i < kc * round_up(n, kLanes<T>); i += kLanes<T>) store(panel + i, round_bf16(load(panel + i)));
  }
  static void pack_a(T* panel, const Operand<T>& from, i64 i0, i64 n, i64 k0, i64 kc) { pack(panel, from, i0, n, k0, kc); }
  FASTNN_INLINE Ukern<T> pick(i64 rows, i64 vectors, bool mask) { return pick_ukern<T>(rows, vectors, mask); }
};

#if defined(__AVX512F__)
#define FASTNN_BF16 __attribute__((target("avx512bf16")))

FASTNN_INLINE bool has_bf16() { return __builtin_cpu_supports("avx512bf16"); }

// Loads pairs of numbers from two rows, `ld` apart; where a mask is not set, the number is 0 and is not read.
FASTNN_BF16 FASTNN_INLINE Vec<float> pairs_of_rows(const float* p, i64 ld, __mmask16 first, __mmask16 second) {
  const __m512i both = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
                                        19, 3, 18, 2, 17, 1, 16, 0);
  const __m512 even = _mm512_maskz_loadu_ps(first, p), odd = _mm512_maskz_loadu_ps(second, p + ld);
  return (Vec<float>)_mm512_permutexvar_epi16(both, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
}

// Loads 16 rows of op(a) or columns of op(b), 32 steps of K each, as pairs of steps. If kAlongK, register t has the 16 pairs of
// row t, otherwise it has pair t of the 16 rows. What is beyond `rows` and `steps` is 0 and is not read.
template <bool kAlongK>
FASTNN_BF16 FASTNN_INLINE void load_pairs(Vec<float>* r, const float* p, i64 ld, i64 rows, i64 steps) {
  constexpr i64 L = 16;
  auto first = [](i64 n) { return n < L ? (__mmask16)((1u << max_i64(n, 0)) - 1) : (__mmask16)0xffff; };
  if constexpr (kAlongK) {
    const __mmask16 low = first(steps), high = first(steps - L);
#pragma GCC unroll 16
    for (int t = 0; t < L; t++) {
      const __mmask16 there = t < rows ? (__mmask16)0xffff : (__mmask16)0;
      const float* row = p + (t < rows ? t * ld : 0);
      const __m512 even = _mm512_maskz_loadu_ps(low & there, row), odd = _mm512_maskz_loadu_ps(high & there, row + L);
      r[t] = (Vec<float>)_mm512_cvtne2ps_pbh(odd, even);
    }
  } else {
    const __mmask16 lanes = first(rows);
#pragma GCC unroll 16
    for (int t = 0; t < L; t++) {
      const __mmask16 now = 2 * t < steps ? lanes : (__mmask16)0, next = 2 * t + 1 < steps ? lanes : (__mmask16)0;
      r[t] = pairs_of_rows(p + (2 * t < steps ? 2 * t * ld : 0), ld, now, next);
    }
  }
}

// Panels of pairs, 32 bits each: the numbers of steps 2s and 2s + 1 for each row or column.
struct Pairs {
  static constexpr bool kReads = false;
  static constexpr int kSteps = 2;
  static constexpr int kGroup = 1;
  static constexpr int kVectors = 2;
  static constexpr bool kLongRuns = true;
  FASTNN_INLINE i64 rows(i64) { return kGemm.rows[kVectors]; }

  FASTNN_BF16 static void pack(float* panel, const Operand<float>& from, i64 i0, i64 n, i64 k0, i64 kc) {
    constexpr i64 L = 16;
    const i64 width = round_up(n, L), ld = from.ld;
    for (i64 k = 0; k < kc; k += 2 * L, panel += L * width)
      for (i64 i = 0; i < n; i += L) {
        const i64 steps = min_i64(2 * L, kc - k), rows = min_i64(L, n - i);
        Vec<float> r[L];
        if (from.along_k) {
          load_pairs<true>(r, from.at(i0 + i, k0 + k), ld, rows, steps);
          transpose<float>(r);
        } else {
          load_pairs<false>(r, from.at(i0 + i, k0 + k), ld, rows, steps);
        }
#pragma GCC unroll 16
        for (int t = 0; t < L; t++)
          if (2 * t < steps) store(panel + t * width + i, r[t]);
      }
  }
  static void pack_a(float* panel, const Operand<float>& from, i64 i0, i64 n, i64 k0, i64 kc) {
    pack(panel, from, i0, n, k0, kc);
  }
  // As pack_rows of numbers that are not rounded, two rows at a time.
  FASTNN_BF16 static void pack_rows(float* to, i64 panels, i64 panel_size, i64 width, const Operand<float>& from, i64 j0, i64 k0,
                                    i64 kc) {
    constexpr i64 L = 16, kAhead = 16;
    for (i64 k = 0; k < kc; k += 2, to += width) {
      const float* p = from.at(j0, k0 + k);
      const __mmask16 next = k + 1 < kc ? (__mmask16)0xffff : (__mmask16)0;
      for (i64 i = 0; i < panels * width; i += L) {
        __builtin_prefetch(p + kAhead * from.ld + i);
        __builtin_prefetch(p + (kAhead + 1) * from.ld + i);
      }
      for (i64 i = 0; i < panels; i++)
        for (i64 j = 0; j < width; j += L, p += L) store(to + i * panel_size + j, pairs_of_rows(p, from.ld, 0xffff, next));
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
    typename UpTo<kGemm.rows[kVectors]>::type all;  // a narrower last panel has the rows of the others
    return vectors == 2 ? pick<2>(rows, all) : pick<1>(rows, all);
  }
};
#else
FASTNN_INLINE bool has_bf16() { return false; }
#endif

}  // namespace
