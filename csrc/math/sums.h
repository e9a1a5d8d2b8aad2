// Sums with results that do not depend on the number of workers: in vectors, in float64, and over fixed chunks.
#pragma once
#include "math/simd.h"

namespace {

// Returns the sums of f(i, lanes) over n elements, separately for each lane. Blocks limit the rounding error of long rows.
template <class T, class F>
FASTNN_INLINE Vec<T> sum_vectors(i64 n, F f) {
  constexpr i64 kBlock = 64 * kLanes<T>;
  if (n <= kLanes<T>) return FirstLanes<T>{n}.only(f(0, FirstLanes<T>{n}));
  Vec<T> total = {};
  for (i64 begin = 0; begin < n; begin += kBlock) {
    Vec<T> part = {};
    for_vectors<T>({begin, min_i64(begin + kBlock, n)}, [&](i64 i, auto lanes) { part += lanes.only(f(i, lanes)); });
    total += part;
  }
  return total;
}

// Loads as many elements as a float64 vector has lanes, converted to float64.
FASTNN_INLINE Vec<double> load_wide(const double* p) { return load(p); }
FASTNN_INLINE Vec<double> load_wide(const double* p, i64 n) { return load_n(p, n); }
typedef float UnalignedHalfVec __attribute__((vector_size(FASTNN_VB / 2), aligned(4), may_alias));
FASTNN_INLINE Vec<double> load_wide(const float* p) { return widen((HalfVec)(*(const UnalignedHalfVec*)p)); }
FASTNN_INLINE Vec<double> load_wide(const float* p, i64 n) {
  Vec<float> v = load_n(p, n);
  HalfVec half;
  memcpy(&half, &v, sizeof(half));
  return widen(half);
}

// Returns the sum over a range of the float64 vectors f(i) or f(i, count). `count` is passed for the last vector if it is short;
// its other lanes must be 0.
template <class F>
FASTNN_INLINE double sum_wide(Range r, F f) {
  constexpr i64 kStep = kLanes<double>;
  Vec<double> acc[4] = {};
  i64 i = r.begin;
  for (; i + 4 * kStep <= r.end; i += 4 * kStep)
    for (int k = 0; k < 4; k++) acc[k] += f(i + k * kStep);
  for (; i + kStep <= r.end; i += kStep) acc[0] += f(i);
  if (i < r.end) acc[1] += f(i, r.end - i);
  return hsum<double>((acc[0] + acc[1]) + (acc[2] + acc[3]));
}

// Computes K sums over n items in fixed chunks. f(range, part) sets the K sums of a chunk, which are added in order. Only worker
// 0 gets the totals; the function returns true on it. It uses chunk_scratch bytes of scratch.
template <int K, class F>
FASTNN_INLINE bool sum_chunks(i64 n, i64 chunk, const Worker& me, double (&total)[K], F f) {
  double (*part)[K] = (double (*)[K])me.scratch;
  Range mine = share(n, chunk, me);
  for (i64 i = mine.begin; i < mine.end; i += chunk) f(Range{i, min_i64(i + chunk, n)}, part[i / chunk]);
  sync(me);
  if (me.ith) return false;
  for (int k = 0; k < K; k++) {
    total[k] = 0;
    for (i64 i = 0; i < ceil_div(n, chunk); i++) total[k] += part[i][k];
  }
  return true;
}
FASTNN_INLINE i64 chunk_scratch(i64 n, i64 chunk, int sums) { return ceil_div(n, chunk) * sums * (i64)sizeof(double); }

}  // namespace
