// Losses, one value for each row, and their reduction to one number. reference/loss.py defines them.
#pragma once
#include "families/pointwise_loss.h"
#include "families/softmax.h"

namespace {

template <class T>
struct SparseCrossEntropyForward {
  static constexpr const char* fields = "losses weights p logits labels sample_weight class_weight smoothing ignore_index M N";
  T *losses, *weights, *p;
  const T* logits;
  const i64* labels;
  const T *sample_weight, *class_weight;
  double smoothing;
  i64 ignore_index, M, N;
};

FASTNN_INLINE double sparse_cross_entropy_forward_work(const void* args, int itemsize) {
  const auto& a = *(const SparseCrossEntropyForward<float>*)args;
  return 10.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.3, 1.2);
}

template <class T>
void sparse_cross_entropy_forward(const void* args, const Worker& me) {
  const SparseCrossEntropyForward<T> a = *(const SparseCrossEntropyForward<T>*)args;
  const T nan = (T)__builtin_nan("");
  const Range rows = share(a.M, rows_grain(a.N), me);
  if (a.N == 0) {
    for (i64 row = rows.begin; row < rows.end; row++) a.losses[row] = a.weights[row] = nan;
    return;
  }
  const T on = (T)(1 - a.smoothing), off = (T)(a.smoothing / (double)a.N);  // target: off everywhere; at the label, on is added
  // p may be written over the logits. Then either the logits at the labels are read before, or p is computed after the losses.
  const bool after = a.p == a.logits && off != 0;
  T at_label[kLanes<T>];
  auto take = [&](i64 row) {
    const i64 label = a.labels[row];
    at_label[(row - rows.begin) % kLanes<T>] = (u64)label < (u64)a.N ? a.logits[row * a.N + label] : nan;
  };
  softmax_blocks<T>(after ? nullptr : a.p, a.logits, rows, a.N, take, [&](i64 row, T max, T log_sum) {
    const i64 label = a.labels[row];
    if (label == a.ignore_index || (u64)label >= (u64)a.N) {
      a.losses[row] = a.weights[row] = label == a.ignore_index ? (T)0 : nan;
      return;
    }
    const T* x = a.logits + row * a.N;
    const T sample = a.sample_weight ? a.sample_weight[row] : (T)1, weight = a.class_weight ? a.class_weight[label] : (T)1;
    Vec<T> rest = {};
    if (off != 0)
      rest = sum_vectors<T>(a.N, [&](i64 i, auto lanes) {
        Vec<T> target = off * (a.class_weight ? lanes.load(a.class_weight + i) : splat<T>(1));
        Vec<T> term = target * (lanes.load(x + i) - max - log_sum);
        return target == splat<T>(0) ? splat<T>(0) : term;
      });
    const T target = on * weight;
    const T picked = at_label[(row - rows.begin) % kLanes<T>];
    const T value = hsum<T>(rest) + (target == 0 ? 0 : target * (picked - max - log_sum));
    a.losses[row] = weighted(a.sample_weight, row, -value);
    a.weights[row] = sample * weight;
  });
  if (after) softmax_blocks<T>(a.p, a.logits, rows, a.N, [](i64, T, T) {});
}

template <class T>
struct SparseCrossEntropyBackward {
  static constexpr const char* fields = "dlogits dlosses p labels sample_weight class_weight smoothing ignore_index M N";
  T* dlogits;
  const T *dlosses, *p;
  const i64* labels;
  const T *sample_weight, *class_weight;
  double smoothing;
  i64 ignore_index, M, N;
};

FASTNN_INLINE double sparse_cross_entropy_backward_work(const void* args, int itemsize) {
  const auto& a = *(const SparseCrossEntropyBackward<float>*)args;
  return 2.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.05, 0.1);
}

template <class T>
void sparse_cross_entropy_backward(const void* args, const Worker& me) {
  const SparseCrossEntropyBackward<T> a = *(const SparseCrossEntropyBackward<T>*)args;
  if (a.N == 0) return;
  const T on = (T)(1 - a.smoothing), off = (T)(a.smoothing / (double)a.N);
  T off_sum = off * (T)a.N;
  if (off != 0 && a.class_weight)
    off_sum = off * hsum<T>(sum_vectors<T>(a.N, [&](i64 i, auto lanes) { return lanes.load(a.class_weight + i); }));
  const Range rows = share(a.M, rows_grain(a.N), me);
  for (i64 row = rows.begin; row < rows.end; row++) {
    const T* p = a.p + row * a.N;
    T* d = a.dlogits + row * a.N;
    const i64 label = a.labels[row];
    const bool bad = (u64)label >= (u64)a.N && label != a.ignore_index;
    if (bad || label == a.ignore_index || (a.sample_weight && a.sample_weight[row] == 0)) {
      fill_row(d, a.N, bad ? (T)__builtin_nan("") : (T)0);
      continue;
    }
    const T sample = a.sample_weight ? a.sample_weight[row] : (T)1, weight = a.class_weight ? a.class_weight[label] : (T)1;
    const T sum = sample * (off_sum + on * weight), dloss = a.dlosses[row];
    const T at_label = dloss * (p[label] * sum - sample * weight * (on + off));
    if (off == 0)
      for_vectors<T>({0, a.N}, [&](i64 i, auto lanes) { lanes.store(d + i, dloss * (lanes.load(p + i) * sum)); });
    else
      for_vectors<T>({0, a.N}, [&](i64 i, auto lanes) {
        Vec<T> target = (sample * off) * (a.class_weight ? lanes.load(a.class_weight + i) : splat<T>(1));
        lanes.store(d + i, dloss * (lanes.load(p + i) * sum - target));
      });
    d[label] = at_label;
  }
}

template <class T>
struct CrossEntropyForward {
  static constexpr const char* fields = "losses p logits targets sample_weight class_weight smoothing M N";
  T *losses, *p;
  const T *logits, *targets, *sample_weight, *class_weight;
  double smoothing;
  i64 M, N;
};

FASTNN_INLINE double cross_entropy_forward_work(const void* args, int itemsize) {
  const auto& a = *(const CrossEntropyForward<float>*)args;
  return 10.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.3, 1.2);
}

// Returns target[i...] = ((1 - smoothing) targets + smoothing / N) class_weight.
template <class T, class Lanes>
FASTNN_INLINE Vec<T> dense_target(const T* targets, const T* class_weight, i64 i, T on, T off, Lanes lanes) {
  Vec<T> target = on * lanes.load(targets + i) + off;
  return class_weight ? target * lanes.load(class_weight + i) : target;
}

template <class T>
void cross_entropy_forward(const void* args, const Worker& me) {
  const CrossEntropyForward<T> a = *(const CrossEntropyForward<T>*)args;
  const Range rows = share(a.M, rows_grain(a.N), me);
  if (a.N == 0) {
    for (i64 row = rows.begin; row < rows.end; row++) a.losses[row] = 0;
    return;
  }
  const T on = (T)(1 - a.smoothing), off = (T)(a.smoothing / (double)a.N);
  softmax_blocks<T>(a.p, a.logits, rows, a.N, [&](i64 row, T max, T log_sum) {
    const T *x = a.logits + row * a.N, *targets = a.targets + row * a.N;
    const Vec<T> sum = sum_vectors<T>(a.N, [&](i64 i, auto lanes) {
      Vec<T> target = dense_target(targets, a.class_weight, i, on, off, lanes);
      Vec<T> term = target * (lanes.load(x + i) - max - log_sum);
      return target == splat<T>(0) ? splat<T>(0) : term;
    });
    a.losses[row] = weighted(a.sample_weight, row, -hsum<T>(sum));
  });
}

template <class T>
struct CrossEntropyBackward {
  static constexpr const char* fields = "dlogits dlosses p targets sample_weight class_weight smoothing M N";
  T* dlogits;
  const T *dlosses, *p, *targets, *sample_weight, *class_weight;
  double smoothing;
  i64 M, N;
};

FASTNN_INLINE double cross_entropy_backward_work(const void* args, int itemsize) {
  const auto& a = *(const CrossEntropyBackward<float>*)args;
  return 3.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.1, 0.2);
}

template <class T>
void cross_entropy_backward(const void* args, const Worker& me) {
  const CrossEntropyBackward<T> a = *(const CrossEntropyBackward<T>*)args;
  if (a.N == 0) return;
  const T on = (T)(1 - a.smoothing), off = (T)(a.smoothing / (double)a.N);
  const Range rows = share(a.M, rows_grain(a.N), me);
  for (i64 row = rows.begin; row < rows.end; row++) {
    const T *p = a.p + row * a.N, *targets = a.targets + row * a.N;
    T* d = a.dlogits + row * a.N;
    const Vec<T> sum = sum_lanes<T>(
        sum_vectors<T>(a.N, [&](i64 i, auto lanes) { return dense_target(targets, a.class_weight, i, on, off, lanes); }));
    const T w = a.sample_weight ? a.sample_weight[row] : (T)1, dloss = a.dlosses[row] * w;
    if (w == 0) {
      fill_row(d, a.N, (T)0);
      continue;
    }
    for_vectors<T>({0, a.N}, [&](i64 i, auto lanes) {
      lanes.store(d + i, dloss * (lanes.load(p + i) * sum - dense_target(targets, a.class_weight, i, on, off, lanes)));
    });
  }
}

template <class T>
struct GaussianNllForward {
  static constexpr const char* fields = "losses pred target sample_weight floor log_variance M N";
  T* losses;
  const T *pred, *target, *sample_weight;
  double floor;
  i64 log_variance, M, N;
};

FASTNN_INLINE double gaussian_nll_forward_work(const void* args, int itemsize) {
  const auto& a = *(const GaussianNllForward<float>*)args;
  return 2.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.3, 1.2);
}

template <class T>
void gaussian_nll_forward(const void* args, const Worker& me) {
  const GaussianNllForward<T> a = *(const GaussianNllForward<T>*)args;
  const Vec<T> floor = splat<T>((T)a.floor);
  const Range rows = share(a.M, rows_grain(a.N), me);
  for (i64 row = rows.begin; row < rows.end; row++) {
    const T *mean = a.pred + 2 * row * a.N, *variance = mean + a.N, *target = a.target + row * a.N;
    const Vec<T> sum = sum_vectors<T>(a.N, [&](i64 i, auto lanes) {
      Vec<T> e = lanes.load(target + i) - lanes.load(mean + i), s = lanes.load(variance + i), v = vmax<T>(s, floor);
      return a.log_variance ? s + e * e * vexp(-s) : vlog(v) + e * e / v;
    });
    a.losses[row] = weighted(a.sample_weight, row, (T)0.5 * hsum<T>(sum) / (T)a.N);
  }
}

template <class T>
struct GaussianNllBackward {
  static constexpr const char* fields = "dpred dlosses pred target sample_weight floor log_variance M N";
  T* dpred;
  const T *dlosses, *pred, *target, *sample_weight;
  double floor;
  i64 log_variance, M, N;
};

FASTNN_INLINE double gaussian_nll_backward_work(const void* args, int itemsize) {
  const auto& a = *(const GaussianNllBackward<float>*)args;
  return 2.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.4, 1.5);
}

template <class T>
void gaussian_nll_backward(const void* args, const Worker& me) {
  const GaussianNllBackward<T> a = *(const GaussianNllBackward<T>*)args;
  const Vec<T> floor = splat<T>((T)a.floor);
  const Range rows = share(a.M, rows_grain(a.N), me);
  for (i64 row = rows.begin; row < rows.end; row++) {
    const T *mean = a.pred + 2 * row * a.N, *variance = mean + a.N, *target = a.target + row * a.N;
    T *dmean = a.dpred + 2 * row * a.N, *dvariance = dmean + a.N;
    const T w = a.sample_weight ? a.sample_weight[row] : (T)1, d = a.dlosses[row] * w / (T)a.N;
    if (w == 0) {
      fill_row(dmean, 2 * a.N, (T)0);
      continue;
    }
    for_vectors<T>({0, a.N}, [&](i64 i, auto lanes) {
      Vec<T> e = lanes.load(target + i) - lanes.load(mean + i), s = lanes.load(variance + i);
      Vec<T> v = a.log_variance ? vexp(s) : vmax<T>(s, floor), by_variance = (T)0.5 * ((T)1 - e * e / v);
      if (!a.log_variance) by_variance /= v;
      lanes.store(dmean + i, d * (-e / v));
      lanes.store(dvariance + i, d * by_variance);
    });
  }
}

enum ReduceLossMode { kBatch, kWeights, kTotal, kWeightsOrOne };  // in the order of spec.REDUCE_LOSS_MODES
constexpr i64 kLossChunk = 8192;

template <class T>
struct ReduceLossForward {
  static constexpr const char* fields = "loss normaliser losses weights mode M";
  T *loss, *normaliser;
  const T *losses, *weights;
  i64 mode, M;
};

FASTNN_INLINE i64 reduce_loss_forward_scratch(const void* args, int, int) {
  return chunk_scratch(((const ReduceLossForward<float>*)args)->M, kLossChunk, 2);
}
FASTNN_INLINE double reduce_loss_forward_work(const void* args, int itemsize) {
  return elements_work(((const ReduceLossForward<float>*)args)->M, itemsize, 0.1, 0.2);
}

template <class T>
void reduce_loss_forward(const void* args, const Worker& me) {
  const ReduceLossForward<T> a = *(const ReduceLossForward<T>*)args;
  const T* weights = a.mode == kWeights || a.mode == kWeightsOrOne ? a.weights : nullptr;
  double total[2];
  const bool last = sum_chunks(a.M, kLossChunk, me, total, [&](Range r, double* part) {
    part[0] = sum_wide(r, [&](i64 i, auto... n) { return load_wide(a.losses + i, n...); });
    part[1] = weights ? sum_wide(r, [&](i64 i, auto... n) { return load_wide(weights + i, n...); }) : 0;
  });
  if (!last) return;
  const bool weighted = a.mode == kWeights || (a.mode == kWeightsOrOne && total[1] != 0);
  *a.normaliser = (T)(weighted ? total[1] : a.mode == kBatch ? (double)a.M : 1.0);
  *a.loss = (T)(total[0] / (double)*a.normaliser);
}

template <class T>
struct ReduceLossBackward {
  static constexpr const char* fields = "dlosses dloss normaliser M";
  T* dlosses;
  const T *dloss, *normaliser;
  i64 M;
};

FASTNN_INLINE double reduce_loss_backward_work(const void* args, int itemsize) {
  return elements_work(((const ReduceLossBackward<float>*)args)->M, itemsize, 0.05, 0.1);
}

template <class T>
void reduce_loss_backward(const void* args, const Worker& me) {
  const ReduceLossBackward<T> a = *(const ReduceLossBackward<T>*)args;
  const Vec<T> d = splat<T>(*a.dloss / *a.normaliser);
  for_vectors<T>(share(a.M, kGrain, me), [&](i64 i, auto lanes) { lanes.store(a.dlosses + i, d); });
}

}  // namespace
