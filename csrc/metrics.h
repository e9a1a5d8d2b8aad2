// Running metrics: each adds a sum of values to total[0] and of weights to total[1].
#pragma once
#include "reduce.h"

namespace {

template <class T>
struct MeanMetric {
  static constexpr const char* fields = "total value count";
  double* total;
  const T* value;
  double count;
};

template <class T>
void mean_metric(const void* args, const Worker& me) {
  const MeanMetric<T> a = *(const MeanMetric<T>*)args;
  if (me.ith) return;
  a.total[0] += (double)*a.value * a.count;
  a.total[1] += a.count;
}

FASTNN_INLINE i64 metric_chunk(i64 n) { return max_i64(1, 8192 / max_i64(1, n)); }

// Adds f(row) for each row, times the row's weight.
template <class T, class F>
FASTNN_INLINE void add_rows(double* total, const T* sample_weight, i64 M, i64 N, const Worker& me, F f) {
  double sums[2];
  const bool last = sum_chunks(N ? M : 0, metric_chunk(N), me, sums, [&](Range rows, double* part) {
    double values = 0, weights = 0;
    for (i64 row = rows.begin; row < rows.end; row++) {
      const double weight = sample_weight ? (double)sample_weight[row] : 1;
      values += weight * f(row);
      weights += weight;
    }
    part[0] = values;
    part[1] = weights;
  });
  if (!last) return;
  total[0] += sums[0];
  total[1] += sums[1];
}

template <class T>
struct SparseAccuracy {
  static constexpr const char* fields = "total p labels sample_weight M N";
  double* total;
  const T* p;
  const i64* labels;
  const T* sample_weight;
  i64 M, N;
};

FASTNN_INLINE i64 sparse_accuracy_scratch(const void* args, int, int) {
  const SparseAccuracy<float> a = *(const SparseAccuracy<float>*)args;
  return chunk_scratch(a.M, metric_chunk(a.N), 2);
}
FASTNN_INLINE double sparse_accuracy_work(const void* args, int itemsize) {
  const SparseAccuracy<float> a = *(const SparseAccuracy<float>*)args;
  return 3.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.1, 0.2);
}

template <class T>
void sparse_accuracy(const void* args, const Worker& me) {
  const SparseAccuracy<T> a = *(const SparseAccuracy<T>*)args;
  add_rows(a.total, a.sample_weight, a.M, a.N, me,
           [&](i64 row) { return argmax(a.p + row * a.N, a.N) == a.labels[row] ? 1.0 : 0.0; });
}

// The same fields for the metrics that compare with an array of targets.
template <class T>
struct CategoricalAccuracy {
  static constexpr const char* fields = "total p targets sample_weight M N";
  double* total;
  const T *p, *targets, *sample_weight;
  i64 M, N;
};

FASTNN_INLINE i64 categorical_accuracy_scratch(const void* args, int, int) {
  const CategoricalAccuracy<float> a = *(const CategoricalAccuracy<float>*)args;
  return chunk_scratch(a.M, metric_chunk(a.N), 2);
}
FASTNN_INLINE double categorical_accuracy_work(const void* args, int itemsize) {
  const CategoricalAccuracy<float> a = *(const CategoricalAccuracy<float>*)args;
  return 5.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.2, 0.4);
}

template <class T>
void categorical_accuracy(const void* args, const Worker& me) {
  const CategoricalAccuracy<T> a = *(const CategoricalAccuracy<T>*)args;
  add_rows(a.total, a.sample_weight, a.M, a.N, me,
           [&](i64 row) { return argmax(a.p + row * a.N, a.N) == argmax(a.targets + row * a.N, a.N) ? 1.0 : 0.0; });
}

template <class T>
struct BinaryAccuracy {
  static constexpr const char* fields = "total p targets sample_weight threshold M N";
  double* total;
  const T *p, *targets, *sample_weight;
  double threshold;
  i64 M, N;
};

FASTNN_INLINE i64 binary_accuracy_scratch(const void* args, int, int) {
  const BinaryAccuracy<float> a = *(const BinaryAccuracy<float>*)args;
  return chunk_scratch(a.M, metric_chunk(a.N), 2);
}
FASTNN_INLINE double binary_accuracy_work(const void* args, int itemsize) {
  const BinaryAccuracy<float> a = *(const BinaryAccuracy<float>*)args;
  return 3.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.2, 0.4);
}

template <class T>
void binary_accuracy(const void* args, const Worker& me) {
  const BinaryAccuracy<T> a = *(const BinaryAccuracy<T>*)args;
  const T threshold = (T)a.threshold;
  add_rows(a.total, a.sample_weight, a.M, a.N, me, [&](i64 row) {
    const T *p = a.p + row * a.N, *targets = a.targets + row * a.N;
    i64 right = 0;
    for (i64 i = 0; i < a.N; i++) right += (p[i] > threshold ? (T)1 : (T)0) == targets[i];
    return (double)right / (double)a.N;
  });
}

template <class T>
struct ErrorMetric {
  static constexpr const char* fields = "total pred target sample_weight power M N";
  double* total;
  const T *pred, *target, *sample_weight;
  i64 power, M, N;
};

FASTNN_INLINE i64 error_metric_scratch(const void* args, int, int) {
  const ErrorMetric<float> a = *(const ErrorMetric<float>*)args;
  return chunk_scratch(a.M, metric_chunk(a.N), 2);
}
FASTNN_INLINE double error_metric_work(const void* args, int itemsize) {
  const ErrorMetric<float> a = *(const ErrorMetric<float>*)args;
  return 3.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.2, 0.3);
}

template <class T>
void error_metric(const void* args, const Worker& me) {
  const ErrorMetric<T> a = *(const ErrorMetric<T>*)args;
  add_rows(a.total, a.sample_weight, a.M, a.N, me, [&](i64 row) {
    const T *pred = a.pred + row * a.N, *target = a.target + row * a.N;
    const double sum = sum_wide({0, a.N}, [&](i64 i, auto... n) {
      Vec<double> e = vabs<double>(load_wide(pred + i, n...) - load_wide(target + i, n...));
      return a.power == 2 ? e * e : e;
    });
    return sum / (double)a.N;
  });
}

}  // namespace
