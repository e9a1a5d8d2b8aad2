// Losses that are the mean over a row of the losses of its elements. reference/pointwise_loss.py defines them.
#pragma once
#include "families/loss_functions.h"
#include "math/sums.h"

namespace {

// A row of weight 0 gives 0, even if its loss is infinite.
template <class T>
FASTNN_INLINE T weighted(const T* sample_weight, i64 row, T value) {
  const T w = sample_weight ? sample_weight[row] : (T)1;
  return w == 0 ? 0 : w * value;
}
template <class T>
FASTNN_INLINE Vec<T> weighted(Vec<T> w, Vec<T> value) {
  return w == splat<T>(0) ? splat<T>(0) : w * value;
}

template <class T>
FASTNN_INLINE void fill_row(T* row, i64 n, T value) {
  for_vectors<T>({0, n}, [&](i64 i, auto lanes) { lanes.store(row + i, splat<T>(value)); });
}

// Rows of one element are processed together. A formula of more than a few operations is compiled only once: the same code
// computes whole vectors and the last one. For losses, it also computes rows of one element and longer rows.
template <class F>
constexpr bool kDear = F::cost.four > 0.1;

// Computes the losses of some rows.
template <class T, class F>
void mean_losses(T* losses, const T* x, const T* t, const T* sample_weight, const T* column, i64 N, Range rows,
                 PointwiseLoss fn) {
  const T p = (T)fn.p0, r = (T)fn.p1;
  const bool together = N == 1;
  if constexpr (kDear<F>) {
    constexpr i64 L = kLanes<T>, kBlock = 64 * L;
    const i64 n = together ? rows.end - rows.begin : N;
    const Vec<T> nothing = splat<T>(n <= L ? (T)-0.0 : (T)0);  // as in sum_vectors: a sum of only -0 is -0
    for (i64 row = rows.begin; row < rows.end; row += together ? n : 1) {
      const i64 at = row * N;
      Vec<T> total = nothing, part = nothing;
      for (i64 i = 0; i < n; i += L) {
        const SomeLanes<T> lanes = {n - i};
        const Vec<T> q = !column ? splat<T>(1) : together ? splat<T>(*column) : lanes.load(column + i);
        const Vec<T> value = F::value(lanes.load(x + at + i), lanes.load(t + at + i), q, p, r);
        if (together) {
          lanes.store(losses + at + i, sample_weight ? weighted<T>(lanes.load(sample_weight + at + i), value) : value);
          continue;
        }
        part += lanes.only(value);
        if (i % kBlock == kBlock - L || i + L >= n) {
          total += part;
          part = nothing;
        }
      }
      if (!together) losses[row] = weighted(sample_weight, row, hsum<T>(total) / (T)N);
    }
    return;
  }
  if (together) {
    const Vec<T> q = splat<T>(column ? *column : (T)1);
    for_vectors<T>(rows, [&](i64 i, auto lanes) {
      Vec<T> value = F::value(lanes.load(x + i), lanes.load(t + i), q, p, r);
      lanes.store(losses + i, sample_weight ? weighted<T>(lanes.load(sample_weight + i), value) : value);
    });
    return;
  }
  for (i64 row = rows.begin; row < rows.end; row++) {
    const i64 at = row * N;
    const Vec<T> sum = sum_vectors<T>(N, [&](i64 i, auto lanes) {
      return F::value(lanes.load(x + at + i), lanes.load(t + at + i), column ? lanes.load(column + i) : splat<T>(1), p, r);
    });
    losses[row] = weighted(sample_weight, row, hsum<T>(sum) / (T)N);
  }
}

// Computes the gradients dx = dlosses sample_weight slope / N.
template <class T, class F>
void mean_slopes(T* dx, const T* dlosses, const T* x, const T* t, const T* sample_weight, const T* column, i64 N, Range rows,
                 PointwiseLoss fn) {
  const T p = (T)fn.p0, r = (T)fn.p1;
  const bool together = N == 1;
  if (together && !kDear<F>) {
    const Vec<T> q = splat<T>(column ? *column : (T)1);
    for_vectors<T>(rows, [&](i64 i, auto lanes) {
      Vec<T> d = lanes.load(dlosses + i) * F::slope(lanes.load(x + i), lanes.load(t + i), q, p, r);
      lanes.store(dx + i, sample_weight ? weighted<T>(lanes.load(sample_weight + i), d) : d);
    });
    return;
  }
  const i64 n = together ? rows.end - rows.begin : N;
  for (i64 row = rows.begin; row < rows.end; row += together ? n : 1) {
    const i64 at = row * N;
    const T w = sample_weight && !together ? sample_weight[row] : (T)1, d = together ? (T)1 : dlosses[row] * w / (T)N;
    if (w == 0) {
      fill_row(dx + at, N, (T)0);
      continue;
    }
    const auto step = [&](i64 i, auto lanes) __attribute__((always_inline)) {
      const Vec<T> q = !column ? splat<T>(1) : together ? splat<T>(*column) : lanes.load(column + i);
      const Vec<T> slope = F::slope(lanes.load(x + at + i), lanes.load(t + at + i), q, p, r);
      if (kDear<F> && together) {
        const Vec<T> each = lanes.load(dlosses + at + i) * slope;
        lanes.store(dx + at + i, sample_weight ? weighted<T>(lanes.load(sample_weight + at + i), each) : each);
      } else {
        lanes.store(dx + at + i, d * slope);
      }
    };
    if constexpr (kDear<F>)
      for (i64 i = 0; i < n; i += kLanes<T>) step(i, SomeLanes<T>{n - i});
    else
      for_vectors<T>({0, n}, step);
  }
}

template <class T>
struct PointwiseFns {
  void (*losses)(T* losses, const T* x, const T* t, const T* sample_weight, const T* column, i64 N, Range rows, PointwiseLoss fn);
  void (*slopes)(T* dx, const T* dlosses, const T* x, const T* t, const T* sample_weight, const T* column, i64 N, Range rows,
                 PointwiseLoss fn);
  double cost32, cost64;
};

template <class T, class List>
struct PointwiseTable;
template <class T, template <class> class... F>
struct PointwiseTable<T, LossList<F...>> {
  static constexpr int count = sizeof...(F);
  static constexpr PointwiseFns<T> list[] = {{mean_losses<T, F<T>>, mean_slopes<T, F<T>>, F<T>::cost.four, F<T>::cost.eight}...};
};

template <class T>
FASTNN_INLINE const PointwiseFns<T>& pointwise_fns(i64 id) {
  return PointwiseTable<T, AllLosses>::list[id];
}

FASTNN_INLINE double mean_work(i64 M, i64 N, int itemsize, i64 id) {
  const auto& fns = pointwise_fns<float>(id);
  return (N == 1 ? 0.0 : 2.0) * (double)M + elements_work(M * N, itemsize, fns.cost32, fns.cost64);
}

template <class T>
struct PointwiseLossForward {
  static constexpr const char* fields = "losses pred target sample_weight column fn M N";
  T* losses;
  const T *pred, *target, *sample_weight, *column;
  PointwiseLoss fn;
  i64 M, N;
};

FASTNN_INLINE double pointwise_loss_forward_work(const void* args, int itemsize) {
  const auto& a = *(const PointwiseLossForward<float>*)args;
  return mean_work(a.M, a.N, itemsize, a.fn.id);
}

template <class T>
void pointwise_loss_forward(const void* args, const Worker& me) {
  const PointwiseLossForward<T> a = *(const PointwiseLossForward<T>*)args;
  pointwise_fns<T>(a.fn.id).losses(a.losses, a.pred, a.target, a.sample_weight, a.column, a.N, share(a.M, rows_grain(a.N), me),
                                   a.fn);
}

template <class T>
struct PointwiseLossBackward {
  static constexpr const char* fields = "dpred dlosses pred target sample_weight column fn M N";
  T* dpred;
  const T *dlosses, *pred, *target, *sample_weight, *column;
  PointwiseLoss fn;
  i64 M, N;
};

FASTNN_INLINE double pointwise_loss_backward_work(const void* args, int itemsize) {
  const auto& a = *(const PointwiseLossBackward<float>*)args;
  return mean_work(a.M, a.N, itemsize, a.fn.id);
}

template <class T>
void pointwise_loss_backward(const void* args, const Worker& me) {
  const PointwiseLossBackward<T> a = *(const PointwiseLossBackward<T>*)args;
  pointwise_fns<T>(a.fn.id).slopes(a.dpred, a.dlosses, a.pred, a.target, a.sample_weight, a.column, a.N,
                                   share(a.M, rows_grain(a.N), me), a.fn);
}

}  // namespace
