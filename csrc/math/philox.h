// Random words from counters: Philox 4x32-10, in groups of 64. fastnn/backends/reference/random.py defines the stream.
#pragma once
#include "math/simd.h"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace {

typedef u64 U64Vec __attribute__((vector_size(FASTNN_VB)));
typedef int32_t I32HalfVec __attribute__((vector_size(FASTNN_VB / 2)));
typedef u32 U32HalfVec __attribute__((vector_size(FASTNN_VB / 2)));
typedef u32 U32Unaligned __attribute__((vector_size(FASTNN_VB), aligned(4), may_alias));
typedef u32 U32HalfUnaligned __attribute__((vector_size(FASTNN_VB / 2), aligned(4), may_alias));

// Returns the products of the lower halves of the lanes.
FASTNN_INLINE U64Vec multiply_low(U64Vec a, U64Vec b) {
#if defined(__AVX512F__)
  return (U64Vec)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);  // without the mask, g++ 12 warns in its own header
#elif defined(__AVX2__)
  return (U64Vec)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (U64Vec)_mm_mul_epu32((__m128i)a, (__m128i)b);
#elif defined(__aarch64__)
  return (U64Vec)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
#else
  return (a & 0xffffffff) * (b & 0xffffffff);
#endif
}

constexpr i64 kDropoutGroup = 64;     // elements
constexpr i64 kDropoutCounters = 16;  // counters of a group

// Philox 4x32-10 (Salmon et al., SC 2011): the round keys of a seed, and the words of a group from its first counter on.
struct Philox {
  u64 keys[20];

  explicit Philox(u64 seed) {
    u32 k0 = (u32)seed, k1 = (u32)(seed >> 32);
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
      keys[2 * round] = k0;
      keys[2 * round + 1] = k1;
    }
  }

  // Each 32-bit word is in the lower half of a 64-bit lane. Bits in the upper half never affect the lower half.
  void group(u64 counter, u32* words) const {
    constexpr int L = kLanes<double>;
    const U64Vec m0 = U64Vec{} + 0xD2511F53u, m1 = U64Vec{} + 0xCD9E8D57u;
    for (int i = 0; i < kDropoutCounters; i += L) {
      U64Vec c0 = {}, c1, c2 = {}, c3 = {};
      for (int lane = 0; lane < L; lane++) c0[lane] = counter + (u64)(i + lane);
      c1 = c0 >> 32;
      for (int round = 0; round < 10; round++) {
        const U64Vec p0 = multiply_low(c0, m0), p1 = multiply_low(c2, m1);
        c0 = (p1 >> 32) ^ c1 ^ keys[2 * round];
        c2 = (p0 >> 32) ^ c3 ^ keys[2 * round + 1];
        c1 = p1;
        c3 = p0;
      }
      const U64Vec c[4] = {c0, c1, c2, c3};
      for (int w = 0; w < 4; w++)
        *(U32HalfUnaligned*)(words + w * kDropoutCounters + i) = __builtin_convertvector(c[w], U32HalfVec);
    }
  }
};

// Loads as many words as a vector of T has lanes.
FASTNN_INLINE IVec<float> load_words(const u32* words, float) { return (IVec<float>)*(const U32Unaligned*)words; }
FASTNN_INLINE I32HalfVec load_words(const u32* words, double) { return (I32HalfVec) * (const U32HalfUnaligned*)words; }

// Returns a mask with all bits set where a word is at least the threshold.
FASTNN_INLINE IVec<float> at_least(const u32* words, u32 threshold, float) {
  return (IVec<float>)(*(const U32Unaligned*)words >= threshold);
}
FASTNN_INLINE IVec<double> at_least(const u32* words, u32 threshold, double) {
  return (IVec<double>)(__builtin_convertvector((U32HalfVec)(*(const U32HalfUnaligned*)words), U64Vec) >= (u64)threshold);
}

// Takes the counters of `words` words from a stream. Worker 0 writes the seed and the first counter to aux. Several threads may
// use one stream at a time; they get different counters.
FASTNN_INLINE void take(u64* state, u64* aux, i64 words, const Worker& me) {
  if (!me.ith) {
    aux[0] = state[0];
    aux[1] = __atomic_fetch_add(&state[1], (u64)(ceil_div(words, kDropoutGroup) * kDropoutCounters), __ATOMIC_RELAXED);
  }
  sync(me);
}

}  // namespace
