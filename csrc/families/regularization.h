// Penalties on weights and activations, and limits on the norms of weights.
#pragma once
#include "math/sums.h"

namespace {

constexpr i64 kPenaltyChunk = 8192;

template <class T>
struct PenaltyForward {
  static constexpr const char* fields = "value x weights n";
  T* value;
  const T* x;
  const double* weights;  // of |x| and of x^2
  i64 n;
};

FASTNN_INLINE i64 penalty_forward_scratch(const void* args, int, int) {
  return chunk_scratch(((const PenaltyForward<float>*)args)->n, kPenaltyChunk, 2);
}
FASTNN_INLINE double penalty_forward_work(const void* args, int itemsize) {
  return elements_work(((const PenaltyForward<float>*)args)->n, itemsize, 0.15, 0.2);
}

template <class T>
void penalty_forward(const void* args, const Worker& me) {
  const PenaltyForward<T> a = *(const PenaltyForward<T>*)args;
  const double l1 = a.weights[0], l2 = a.weights[1];
  double total[2];
  const bool last = sum_chunks(a.n, kPenaltyChunk, me, total, [&](Range r, double* part) {
    part[0] = l1 == 0 ? 0 : sum_wide(r, [&](i64 i, auto... n) { return vabs<double>(load_wide(a.x + i, n...)); });
    part[1] = l2 == 0 ? 0 : sum_wide(r, [&](i64 i, auto... n) {
      Vec<double> x = load_wide(a.x + i, n...);
      return x * x;
    });
  });
  if (last) a.value[0] = (T)(l1 * total[0] + l2 * total[1]);
}

template <class T>
struct PenaltyBackward {
  static constexpr const char* fields = "dx dvalue x weights add n";
  T* dx;
  const T *dvalue, *x;
  const double* weights;
  i64 add, n;
};

FASTNN_INLINE double penalty_backward_work(const void* args, int itemsize) {
  return elements_work(((const PenaltyBackward<float>*)args)->n, itemsize, 0.1, 0.2);
}

template <class T>
void penalty_backward(const void* args, const Worker& me) {
  const PenaltyBackward<T> a = *(const PenaltyBackward<T>*)args;
  if (a.n == 0) return;
  const double outer = *a.dvalue;
  const T one = (T)(outer * a.weights[0]), two = (T)(2 * outer * a.weights[1]);
  const bool l1 = a.weights[0] != 0, l2 = a.weights[1] != 0;
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) {
    const Vec<T> x = lanes.load(a.x + i), zero = {};
    Vec<T> d = zero;
    if (l2) d += two * x;
    if (l1) d += x > zero ? splat<T>(one) : x < zero ? splat<T>(-one) : x;  // keeps 0 and NaN
    lanes.store(a.dx + i, a.add ? lanes.load(a.dx + i) + d : d);
  });
}

constexpr i64 kNormColumns = 64;

template <class T>
struct LimitNorms {
  static constexpr const char* fields = "w limits A B C";
  T* w;
  const double* limits;  // smallest norm, largest norm, rate
  i64 A, B, C;
};

FASTNN_INLINE double limit_norms_work(const void* args, int itemsize) {
  const LimitNorms<float>& a = *(const LimitNorms<float>*)args;
  return elements_work(a.A * a.B * a.C, itemsize, 0.4, 0.5);
}

template <class T>
void limit_norms(const void* args, const Worker& me) {
  const LimitNorms<T> a = *(const LimitNorms<T>*)args;
  const double low = a.limits[0], high = a.limits[1], rate = a.limits[2];
  const i64 blocks = ceil_div(a.C, kNormColumns);
  const Range mine = share(a.A * blocks, 1, me);
  for (i64 k = mine.begin; k < mine.end; k++) {
    const i64 begin = k % blocks * kNormColumns, n = min_i64(kNormColumns, a.C - begin);
    T* const w = a.w + k / blocks * a.B * a.C + begin;
    double sum[kNormColumns] = {};
    for (i64 b = 0; b < a.B; b++)
      for (i64 c = 0; c < n; c++) sum[c] += (double)w[b * a.C + c] * (double)w[b * a.C + c];
    T factor[kNormColumns];
    for (i64 c = 0; c < n; c++) {
      const double norm = __builtin_sqrt(sum[c]);
      double wanted = norm < low ? low : norm > high ? high : norm;
      if (rate != 1) wanted = rate * wanted + (1 - rate) * norm;
      factor[c] = (T)(wanted / (1e-7 + norm));
    }
    for (i64 b = 0; b < a.B; b++)
      for (i64 c = 0; c < n; c++) w[b * a.C + c] *= factor[c];
  }
}

}  // namespace
