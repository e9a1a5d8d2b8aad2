// Dropout from a counter-based stream of random numbers; reference/random.py lays the stream out.
#pragma once
#include "simd.h"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace {

typedef u64 U64Vec __attribute__((vector_size(FASTNN_VB)));
typedef u32 U32HalfVec __attribute__((vector_size(FASTNN_VB / 2)));
typedef u32 U32Unaligned __attribute__((vector_size(FASTNN_VB), aligned(4), may_alias));
typedef u32 U32HalfUnaligned __attribute__((vector_size(FASTNN_VB / 2), aligned(4), may_alias));

// The products of the lower halves of the lanes.
FASTNN_INLINE U64Vec multiply_low(U64Vec a, U64Vec b) {
#if defined(__AVX512F__)
  return (U64Vec)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);  // unmasked, g++ 12 warns inside its own header
#elif defined(__AVX2__)
  return (U64Vec)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (U64Vec)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return (a & 0xffffffff) * (b & 0xffffffff);
#endif
}

constexpr i64 kDropoutGroup = 64;     // elements
constexpr i64 kDropoutCounters = 16;  // counters that a group takes

// Philox 4x32-10 (Salmon et al., SC 2011): a seed's round keys, and the words of a group from its first counter on.
struct Philox {
  u64 keys[20];

  explicit Philox(u64 seed) {
    u32 k0 = (u32)seed, k1 = (u32)(seed >> 32);
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
      keys[2 * round] = k0;
      keys[2 * round + 1] = k1;
    }
  }

  // Each 32-bit word lies in the lower half of a 64-bit lane; what gathers in the upper half never comes down.
  void group(u64 counter, u32* words) const {
    constexpr int L = kLanes<double>;
    const U64Vec m0 = U64Vec{} + 0xD2511F53u, m1 = U64Vec{} + 0xCD9E8D57u;
    for (int i = 0; i < kDropoutCounters; i += L) {
      U64Vec c0, c1, c2 = {}, c3 = {};
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

// All bits where a word is at least the threshold, for as many words as a vector of T has lanes.
FASTNN_INLINE IVec<float> at_least(const u32* words, u32 threshold, float) {
  return (IVec<float>)(*(const U32Unaligned*)words >= threshold);
}
FASTNN_INLINE IVec<double> at_least(const u32* words, u32 threshold, double) {
  return (IVec<double>)(__builtin_convertvector((U32HalfVec)(*(const U32HalfUnaligned*)words), U64Vec) >= (u64)threshold);
}

template <class T>
FASTNN_INLINE void drop(T* y, const T* x, i64 n, u64 seed, u64 offset, double rate, const Worker& me) {
  const Range mine = share(n, kGrain, me);
  if (rate >= 1) {
    for_vectors<T>(mine, [&](i64 i, auto lanes) { lanes.store(y + i, Vec<T>{}); });
    return;
  }
  const Philox philox(seed);
  const u32 threshold = (u32)(rate * 4294967296.0);
  const T scale = (T)(1 / (1 - rate));
  static_assert(kGrain % kDropoutGroup == 0, "pieces begin with a group");
  for (i64 begin = mine.begin; begin < mine.end; begin += kDropoutGroup) {
    u32 words[kDropoutGroup];
    philox.group(offset + (u64)(begin / kDropoutGroup * kDropoutCounters), words);
    for_vectors<T>({begin, min_i64(begin + kDropoutGroup, mine.end)}, [&](i64 i, auto lanes) {
      lanes.store(y + i, at_least(words + (i - begin), threshold, T{}) ? lanes.load(x + i) * scale : Vec<T>{});
    });
  }
}

template <class T>
struct DropoutForward {
  static constexpr const char* fields = "y aux state x rate n";
  T* y;
  u64 *aux, *state;
  const T* x;
  const double* rate;
  i64 n;
};

FASTNN_INLINE double dropout_forward_work(const void* args, int itemsize) {
  return elements_work(((const DropoutForward<float>*)args)->n, itemsize, 0.5, 0.7);
}

template <class T>
void dropout_forward(const void* args, const Worker& me) {
  const DropoutForward<T> a = *(const DropoutForward<T>*)args;
  const u64 seed = a.state[0], offset = a.state[1];
  drop(a.y, a.x, a.n, seed, offset, *a.rate, me);
  sync(me);  // all have read the state
  if (me.ith) return;
  a.aux[0] = seed;
  a.aux[1] = offset;
  a.state[1] = offset + (u64)(ceil_div(a.n, kDropoutGroup) * kDropoutCounters);
}

template <class T>
struct DropoutBackward {
  static constexpr const char* fields = "dx dy aux rate n";
  T* dx;
  const T* dy;
  const u64* aux;
  const double* rate;
  i64 n;
};

FASTNN_INLINE double dropout_backward_work(const void* args, int itemsize) {
  return elements_work(((const DropoutBackward<float>*)args)->n, itemsize, 0.5, 0.7);
}

template <class T>
void dropout_backward(const void* args, const Worker& me) {
  const DropoutBackward<T> a = *(const DropoutBackward<T>*)args;
  drop(a.dx, a.dy, a.n, a.aux[0], a.aux[1], *a.rate, me);
}

}  // namespace
