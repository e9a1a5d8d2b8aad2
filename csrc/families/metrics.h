// Running metrics: sums of values (total[0]) and of weights (total[1]), counts, and scores.
#pragma once
#include "families/reduce.h"

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

// Adds f(row) times the weight of the row, for each row. A row of weight 0 adds nothing, even if f gives NaN.
template <class T, class F>
FASTNN_INLINE void add_rows(double* total, const T* sample_weight, i64 M, i64 N, const Worker& me, F f) {
  double sums[2];
  const bool last = sum_chunks(N ? M : 0, metric_chunk(N), me, sums, [&](Range rows, double* part) {
    double values = 0, weights = 0;
    for (i64 row = rows.begin; row < rows.end; row++) {
      const double weight = sample_weight ? (double)sample_weight[row] : 1;
      values += weight == 0 ? 0 : weight * f(row);
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

// Arguments of all metrics that compare predictions with an array of targets.
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

template <class T>
struct MeanRows {
  static constexpr const char* fields = "total values sample_weight M";
  double* total;
  const T *values, *sample_weight;
  i64 M;
};

FASTNN_INLINE i64 mean_rows_scratch(const void* args, int, int) {
  return chunk_scratch(((const MeanRows<float>*)args)->M, metric_chunk(1), 2);
}
FASTNN_INLINE double mean_rows_work(const void* args, int itemsize) {
  return elements_work(((const MeanRows<float>*)args)->M, itemsize, 1, 1);
}

template <class T>
void mean_rows(const void* args, const Worker& me) {
  const MeanRows<T> a = *(const MeanRows<T>*)args;
  add_rows(a.total, a.sample_weight, a.M, 1, me, [&](i64 row) { return (double)a.values[row]; });
}

template <class T>
struct TopKAccuracy {
  static constexpr const char* fields = "total p labels sample_weight k M N";
  double* total;
  const T* p;
  const i64* labels;
  const T* sample_weight;
  i64 k, M, N;
};

FASTNN_INLINE i64 top_k_accuracy_scratch(const void* args, int, int) {
  const TopKAccuracy<float> a = *(const TopKAccuracy<float>*)args;
  return chunk_scratch(a.M, metric_chunk(a.N), 2);
}
FASTNN_INLINE double top_k_accuracy_work(const void* args, int itemsize) {
  const TopKAccuracy<float> a = *(const TopKAccuracy<float>*)args;
  return 3.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.2, 0.4);
}

template <class T>
void top_k_accuracy(const void* args, const Worker& me) {
  const TopKAccuracy<T> a = *(const TopKAccuracy<T>*)args;
  add_rows(a.total, a.sample_weight, a.M, a.N, me, [&](i64 row) {
    const i64 label = a.labels[row];
    if ((u64)label >= (u64)a.N) return 0.0;
    const T* p = a.p + row * a.N;
    const T own = p[label];
    i64 greater = 0;
    for (i64 i = 0; i < a.N; i++) greater += p[i] > own;
    return own == own && greater < a.k ? 1.0 : 0.0;
  });
}

// ---- counts: one worker owns each count and adds to it in the order of the rows ----

template <class T>
struct ConfusionMatrix {
  static constexpr const char* fields = "matrix p labels sample_weight N M";
  double* matrix;
  const T* p;
  const i64* labels;
  const T* sample_weight;
  i64 N, M;
};

FASTNN_INLINE double confusion_matrix_work(const void* args, int itemsize) {
  const ConfusionMatrix<float> a = *(const ConfusionMatrix<float>*)args;
  return 5.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.1, 0.2);
}

template <class T>
void confusion_matrix(const void* args, const Worker& me) {
  const ConfusionMatrix<T> a = *(const ConfusionMatrix<T>*)args;
  const Range own = share(a.N, 1, me);
  for (i64 row = 0; row < a.M; row++) {
    const i64 label = a.labels[row];
    if (label < own.begin || label >= own.end) continue;
    a.matrix[label * a.N + argmax(a.p + row * a.N, a.N)] += a.sample_weight ? (double)a.sample_weight[row] : 1.0;
  }
}

template <class T>
struct ThresholdCounts {
  static constexpr const char* fields = "counts p targets sample_weight thresholds H N M";
  double* counts;
  const T *p, *targets, *sample_weight;
  const double* thresholds;
  i64 H, N, M;
};

FASTNN_INLINE double threshold_counts_work(const void* args, int itemsize) {
  const ThresholdCounts<float> a = *(const ThresholdCounts<float>*)args;
  return elements_work(a.H * a.N * a.M, itemsize, 1, 1);
}

template <class T>
void threshold_counts(const void* args, const Worker& me) {
  const ThresholdCounts<T> a = *(const ThresholdCounts<T>*)args;
  const Range own = share(a.H * a.N, 1, me);
  for (i64 i = own.begin; i < own.end; i++) {
    const T threshold = (T)a.thresholds[i / a.N];
    double sums[4] = {};
    for (i64 row = 0; row < a.M; row++) {
      const i64 at = row * a.N + i % a.N;
      const int positive = a.p[at] > threshold, is = a.targets[at] != 0;
      sums[is ? 2 - 2 * positive : 3 - 2 * positive] += a.sample_weight ? (double)a.sample_weight[row] : 1.0;
    }
    for (int j = 0; j < 4; j++) a.counts[i * 4 + j] += sums[j];
  }
}

template <class T>
struct R2Metric {
  static constexpr const char* fields = "state pred target sample_weight N M";
  double* state;
  const T *pred, *target, *sample_weight;
  i64 N, M;
};

FASTNN_INLINE double r2_metric_work(const void* args, int itemsize) {
  const R2Metric<float> a = *(const R2Metric<float>*)args;
  return elements_work(a.M * a.N, itemsize, 3, 3);
}

template <class T>
void r2_metric(const void* args, const Worker& me) {
  const R2Metric<T> a = *(const R2Metric<T>*)args;
  const auto weight = [&](i64 row) { return a.sample_weight ? (double)a.sample_weight[row] : 1.0; };
  const Range own = share(a.N, 1, me);
  for (i64 n = own.begin; n < own.end; n++) {
    double weights = 0, mean = 0, squares = 0, errors = 0;
    i64 some = 0;  // first row with a weight: differences from its target make squares exactly 0 if all targets are equal
    while (some < a.M && weight(some) == 0) some++;
    if (some == a.M) continue;
    const double origin = (double)a.target[some * a.N + n];
    for (i64 row = some; row < a.M; row++) {
      if (weight(row) == 0) continue;
      weights += weight(row);
      mean += weight(row) * ((double)a.target[row * a.N + n] - origin);
    }
    if (weights == 0) continue;
    mean = origin + mean / weights;
    for (i64 row = some; row < a.M; row++) {
      if (weight(row) == 0) continue;
      const double y = (double)a.target[row * a.N + n], e = y - (double)a.pred[row * a.N + n];
      squares += weight(row) * ((y - mean) * (y - mean));
      errors += weight(row) * (e * e);
    }
    double *total = a.state + n, *center = total + a.N, *spread = center + a.N, *error = spread + a.N;
    const double all = *total + weights, apart = mean - *center;
    *spread += squares + apart * apart * (*total * weights / all);
    *center += apart * (weights / all);
    *error += errors;
    *total = all;
  }
}

// ---- scores, stored for metrics that need all of them together ----

template <class T>
struct CollectScores {
  static constexpr const char* fields = "store count p targets sample_weight P M N";
  double* store;
  i64* count;
  const T *p, *targets, *sample_weight;
  i64 P, M, N;
};

FASTNN_INLINE double collect_scores_work(const void* args, int itemsize) {
  const CollectScores<float> a = *(const CollectScores<float>*)args;
  return elements_work(a.M * a.N, itemsize, 1, 1);
}

template <class T>
void collect_scores(const void* args, const Worker& me) {
  const CollectScores<T> a = *(const CollectScores<T>*)args;
  const i64 begin = *a.count, n = a.M * a.N;
  const Range own = share(begin < 0 || begin > a.P ? 0 : min_i64(n, a.P - begin), kGrain, me);
  double* to = a.store + begin;
  for (i64 i = own.begin; i < own.end; i++) {
    to[i] = (double)a.p[i];
    to[a.P + i] = (double)a.targets[i];
    to[2 * a.P + i] = a.sample_weight ? (double)a.sample_weight[i / a.N] : 1.0;
  }
  sync(me);
  if (me.ith == 0) *a.count = begin + n;
}

}  // namespace
