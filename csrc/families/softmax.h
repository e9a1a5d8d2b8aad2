// Functions of rows: softmax, log-softmax, sparsemax.
#pragma once
#include "math/sums.h"
#include "math/vmath.h"

namespace {

// Computes p = softmax(x) of rows of n elements, and for each row the maximum and sum(exp(x - max)). p may be x, or null.
template <class T>
using SoftmaxFn = void (*)(T* p, const T* x, i64 rows, i64 n, T* max, T* sum);

// For rows of more than V - 1 and at most V vectors, which remain in registers. V = 0: rows of any length.
// The maximum may ignore a NaN: the sum and the whole row become NaN anyway.
template <class T, int V>
void softmax_rows(T* p, const T* x, i64 rows, i64 n, T* max, T* sum) {
  constexpr i64 L = kLanes<T>;
  const Vec<T> lowest = splat<T>(-(T)__builtin_inf());
  const auto larger = [](Vec<T> a, Vec<T> b) { return a > b ? a : b; };
  for (i64 row = 0; row < rows; row++, x += n) {
    Vec<T> top = lowest, total = {};
    if constexpr (V > 0) {
      const FirstLanes<T> rest{n - (V - 1) * L};
      Vec<T> v[V];
      for (int k = 0; k < V - 1; k++) v[k] = load(x + k * L);
      v[V - 1] = rest.load(x + (V - 1) * L, lowest);
      for (int k = 0; k < V; k++) top = larger(v[k], top);
      top = fold_lanes<T>(top, larger);
      for (int k = 0; k < V; k++) {
        v[k] = vexp(v[k] - top);
        total += v[k];
      }
      total = sum_lanes<T>(total);
      if (p) {
        for (int k = 0; k < V - 1; k++) store(p + row * n + k * L, v[k] / total);
        rest.store(p + row * n + (V - 1) * L, v[V - 1] / total);
      }
    } else {
      for_vectors<T>({0, n}, [&](i64 i, auto lanes) { top = larger(lanes.load(x + i, lowest), top); });
      top = fold_lanes<T>(top, larger);
      total = sum_lanes<T>(sum_vectors<T>(n, [&](i64 i, auto lanes) {
        Vec<T> e = vexp(lanes.load(x + i, lowest) - top);
        if (p) lanes.store(p + row * n + i, e);
        return e;
      }));
      if (p)
        for_vectors<T>({0, n}, [&](i64 i, auto lanes) { lanes.store(p + row * n + i, lanes.load(p + row * n + i) / total); });
    }
    max[row] = top[0];
    sum[row] = total[0];
  }
}

template <class T>
FASTNN_INLINE SoftmaxFn<T> softmax_fn(i64 n) {
  switch (ceil_div(n, kLanes<T>)) {
    case 1: return softmax_rows<T, 1>;
    case 2: return softmax_rows<T, 2>;
    case 3: return softmax_rows<T, 3>;
    default: return softmax_rows<T, 0>;
  }
}

// Computes softmax in blocks of as many rows as a vector has lanes, so that their logarithms are computed together. Then it calls
// f(row, max, log of the sum) for each row of the block. It calls before(row) for each row first, because p may overwrite x.
template <class T, class B, class F>
FASTNN_INLINE void softmax_blocks(T* p, const T* x, Range rows, i64 n, B before, F f) {
  const SoftmaxFn<T> softmax = softmax_fn<T>(n);
  for (i64 begin = rows.begin; begin < rows.end; begin += kLanes<T>) {
    T max[kLanes<T>], log_sum[kLanes<T>] = {};
    const i64 count = min_i64(kLanes<T>, rows.end - begin);
    for (i64 i = 0; i < count; i++) before(begin + i);
    softmax(p ? p + begin * n : nullptr, x + begin * n, count, n, max, log_sum);
    store(log_sum, vlog(load(log_sum)));
    for (i64 i = 0; i < count; i++) f(begin + i, max[i], log_sum[i]);
  }
}
template <class T, class F>
FASTNN_INLINE void softmax_blocks(T* p, const T* x, Range rows, i64 n, F f) {
  softmax_blocks<T>(p, x, rows, n, [](i64) {}, f);
}

template <class T>
struct RowsForward {
  static constexpr const char* fields = "y x M N";
  T* y;
  const T* x;
  i64 M, N;
};

FASTNN_INLINE double softmax_forward_work(const void* args, int itemsize) {
  const auto& a = *(const RowsForward<float>*)args;
  return 6.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.3, 1.2);
}

template <class T>
void softmax_forward(const void* args, const Worker& me) {
  const RowsForward<T> a = *(const RowsForward<T>*)args;
  if (a.N == 0) return;
  const SoftmaxFn<T> softmax = softmax_fn<T>(a.N);
  const Range rows = share(a.M, rows_grain(a.N), me);
  for (i64 row = rows.begin; row < rows.end; row += kLanes<T>) {
    T max[kLanes<T>], sum[kLanes<T>];
    softmax(a.y + row * a.N, a.x + row * a.N, min_i64(kLanes<T>, rows.end - row), a.N, max, sum);
  }
}

template <class T>
void log_softmax_forward(const void* args, const Worker& me) {
  const RowsForward<T> a = *(const RowsForward<T>*)args;
  if (a.N == 0) return;
  softmax_blocks<T>(nullptr, a.x, share(a.M, rows_grain(a.N), me), a.N, [&](i64 row, T max, T log_sum) {
    const T* x = a.x + row * a.N;
    T* y = a.y + row * a.N;
    for_vectors<T>({0, a.N}, [&](i64 i, auto lanes) { lanes.store(y + i, lanes.load(x + i) - max - log_sum); });
  });
}

template <class T>
struct RowsBackward {
  static constexpr const char* fields = "dx dy y M N";
  T* dx;
  const T *dy, *y;
  i64 M, N;
};

FASTNN_INLINE double softmax_backward_work(const void* args, int itemsize) {
  const auto& a = *(const RowsBackward<float>*)args;
  return 3.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.1, 0.2);
}

template <class T>
void softmax_backward(const void* args, const Worker& me) {
  const RowsBackward<T> a = *(const RowsBackward<T>*)args;
  const Range rows = share(a.M, rows_grain(a.N), me);
  for (i64 row = rows.begin; row < rows.end; row++) {
    const T *dy = a.dy + row * a.N, *y = a.y + row * a.N;
    T* dx = a.dx + row * a.N;
    const Vec<T> dot =
        sum_lanes<T>(sum_vectors<T>(a.N, [&](i64 i, auto lanes) { return lanes.load(dy + i) * lanes.load(y + i); }));
    for_vectors<T>({0, a.N}, [&](i64 i, auto lanes) { lanes.store(dx + i, lanes.load(y + i) * (lanes.load(dy + i) - dot)); });
  }
}

FASTNN_INLINE double log_softmax_backward_work(const void* args, int itemsize) {
  const auto& a = *(const RowsBackward<float>*)args;
  return 3.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.3, 1.2);
}

template <class T>
void log_softmax_backward(const void* args, const Worker& me) {
  const RowsBackward<T> a = *(const RowsBackward<T>*)args;
  const Range rows = share(a.M, rows_grain(a.N), me);
  for (i64 row = rows.begin; row < rows.end; row++) {
    const T *dy = a.dy + row * a.N, *y = a.y + row * a.N;
    T* dx = a.dx + row * a.N;
    const Vec<T> sum = sum_lanes<T>(sum_vectors<T>(a.N, [&](i64 i, auto lanes) { return lanes.load(dy + i); }));
    for_vectors<T>({0, a.N}, [&](i64 i, auto lanes) { lanes.store(dx + i, lanes.load(dy + i) - vexp(lanes.load(y + i)) * sum); });
  }
}

// ---- sparsemax: the nearest point in the probability simplex ----

// Moves the root of a heap of n numbers, with the largest one first, down to its correct place.
template <class T>
FASTNN_INLINE void sift_down(T* heap, i64 root, i64 n) {
  const T moved = heap[root];
  for (i64 child; (child = 2 * root + 1) < n; root = child) {
    if (child + 1 < n && heap[child + 1] > heap[child]) child++;
    if (!(heap[child] > moved)) break;
    heap[root] = heap[child];
  }
  heap[root] = moved;
}

// Returns the threshold of n numbers, of which the largest is 0: the positive differences of numbers and threshold sum to 1. It
// is NaN if a number is NaN. Only the largest numbers have positive differences, and they are above -1, so they are taken from a
// heap of the numbers above -1.
template <class T, class F>
FASTNN_INLINE T sparsemax_threshold(T* heap, i64 n, F number) {
  i64 count = 0, taken = 0;
  bool nan = false;
  for (i64 i = 0; i < n; i++) {
    const T z = number(i);
    nan |= z != z;
    heap[count] = z;
    count += z > (T)-1;
  }
  if (nan) return (T)__builtin_nan("");
  for (i64 i = count / 2; i-- > 0;) sift_down(heap, i, count);
  double sum = 0;
  while (count && 1 + (double)(taken + 1) * heap[0] > sum + heap[0]) {
    sum += heap[0];
    taken++;
    heap[0] = heap[--count];
    sift_down(heap, 0, count);
  }
  return (T)((sum - 1) / (double)taken);
}

FASTNN_INLINE i64 sparsemax_row(i64 N, int itemsize) { return round_up(N * itemsize, 64); }

template <class T>
void sparsemax_forward(const void* args, const Worker& me) {
  const RowsForward<T> a = *(const RowsForward<T>*)args;
  T* heap = (T*)(me.scratch + me.ith * sparsemax_row(a.N, sizeof(T)));
  const Range rows = share(a.M, rows_grain(a.N), me);
  for (i64 row = rows.begin; row < rows.end; row++) {
    const T* x = a.x + row * a.N;
    T* y = a.y + row * a.N;
    Vec<T> top = splat<T>(-(T)__builtin_inf());
    const auto larger = [](Vec<T> a, Vec<T> b) { return a > b ? a : b; };
    for_vectors<T>({0, a.N}, [&](i64 i, auto lanes) { top = larger(lanes.load(x + i, top), top); });
    top = fold_lanes<T>(top, larger);
    const T threshold = sparsemax_threshold(heap, a.N, [&](i64 i) { return x[i] - top[0]; });
    for_vectors<T>({0, a.N},
                   [&](i64 i, auto lanes) { lanes.store(y + i, vmax<T>(lanes.load(x + i) - top - threshold, splat<T>(0))); });
  }
}

FASTNN_INLINE i64 sparsemax_forward_scratch(const void* args, int itemsize, int nth) {
  return nth * sparsemax_row(((const RowsForward<float>*)args)->N, itemsize);
}
FASTNN_INLINE double sparsemax_forward_work(const void* args, int itemsize) {
  const auto& a = *(const RowsForward<float>*)args;
  return 20.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 2, 2);
}

template <class T>
void sparsemax_backward(const void* args, const Worker& me) {
  const RowsBackward<T> a = *(const RowsBackward<T>*)args;
  const Range rows = share(a.M, rows_grain(a.N), me);
  for (i64 row = rows.begin; row < rows.end; row++) {
    const T *dy = a.dy + row * a.N, *y = a.y + row * a.N;
    T* dx = a.dx + row * a.N;
    const auto in_support = [&](i64 i, auto lanes, Vec<T> v) { return lanes.load(y + i) > (T)0 ? v : splat<T>(0); };
    const T sum = hsum<T>(sum_vectors<T>(a.N, [&](i64 i, auto lanes) { return in_support(i, lanes, lanes.load(dy + i)); }));
    const T count = hsum<T>(sum_vectors<T>(a.N, [&](i64 i, auto lanes) { return in_support(i, lanes, splat<T>(1)); }));
    const T mean = sum / count;
    for_vectors<T>({0, a.N}, [&](i64 i, auto lanes) { lanes.store(dx + i, in_support(i, lanes, lanes.load(dy + i) - mean)); });
  }
}

}  // namespace
