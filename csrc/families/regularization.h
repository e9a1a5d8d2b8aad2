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

constexpr i64 kNormPiece = 64, kNormColumns = 1024;  // columns that workers divide, and that one walk over the rows handles

template <class T>
struct LimitNorms {
  static constexpr const char* fields = "w limits A B C";
  T* w;
  const double* limits;  // smallest norm, largest norm, rate
  i64 A, B, C;
};

FASTNN_INLINE double limit_norms_work(const void* args, int itemsize) {
  const LimitNorms<float>& a = *(const LimitNorms<float>*)args;
  return elements_work(a.A * a.B * a.C, itemsize, 0.2, 0.3);
}

// sum[c] += the squares of ROWS rows.
template <int ROWS, class T>
FASTNN_INLINE void add_squares(double* sum, const T* w, i64 row, i64 n) {
  for (i64 c = 0; c < n; c += kLanes<double>) {
    Vec<double> total = load(sum + c);
    for (int r = 0; r < ROWS; r++) {
      const Vec<double> x = c + kLanes<double> <= n ? load_wide(w + r * row + c) : load_wide(w + r * row + c, n - c);
      total += x * x;
    }
    store(sum + c, total);
  }
}

// Walks whole rows of many columns, because a walk down few columns is slow in large arrays. The order of a column's sum is that
// of the rows, however workers divide the columns.
template <class T>
void limit_norms(const void* args, const Worker& me) {
  const LimitNorms<T> a = *(const LimitNorms<T>*)args;
  const double low = a.limits[0], high = a.limits[1], rate = a.limits[2];
  const i64 pieces = ceil_div(a.C, kNormPiece);
  const Range mine = share(a.A * pieces, 1, me);
  for (i64 k = mine.begin, count; k < mine.end; k += count) {
    const i64 piece = k % pieces, begin = piece * kNormPiece;
    count = min_i64(kNormColumns / kNormPiece, min_i64(mine.end - k, pieces - piece));
    const i64 n = min_i64(count * kNormPiece, a.C - begin);
    T* const w = a.w + k / pieces * a.B * a.C + begin;
    double sum[kNormColumns];
    T factor[kNormColumns];
    for (i64 c = 0; c < count * kNormPiece; c++) sum[c] = 0;
    i64 b = 0;
    if (a.C == 1)
      sum[0] = sum_wide({0, a.B}, [&](i64 i, auto... left) {
        const Vec<double> x = load_wide(w + i, left...);
        return x * x;
      });
    else {
      for (; b + 4 <= a.B; b += 4) add_squares<4>(sum, w + b * a.C, a.C, n);
      for (; b < a.B; b++) add_squares<1>(sum, w + b * a.C, a.C, n);
    }
    for (i64 c = 0; c < n; c += kLanes<double>) {
      const Vec<double> norm = vsqrt<double>(load(sum + c));
      Vec<double> wanted = vmin<double>(vmax<double>(norm, splat(low)), splat(high));
      if (rate != 1) wanted = rate * wanted + (1 - rate) * norm;
      store(sum + c, wanted / (1e-7 + norm));
    }
    for (i64 c = 0; c < n; c++) factor[c] = (T)sum[c];
    if (a.C == 1)
      for_vectors<T>({0, a.B}, [&](i64 i, auto lanes) { lanes.store(w + i, lanes.load(w + i) * factor[0]); });
    else
      for (b = 0; b < a.B; b++)
        for_vectors<T>({0, n}, [&](i64 c, auto lanes) {
          lanes.store(w + b * a.C + c, lanes.load(w + b * a.C + c) * lanes.load(factor + c));
        });
  }
}

}  // namespace
