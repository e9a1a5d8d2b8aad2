// Losses, a value for each row, and their reduction to one number; reference/loss.py says what each of them is.
#pragma once
#include "softmax.h"

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
  return 10.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.3, 4);
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
  const T on = (T)(1 - a.smoothing), off = (T)(a.smoothing / (double)a.N);  // target: off everywhere, on more at the label
  // With p in place of the logits: what the losses need of these is taken before, or p is written after them.
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
    a.losses[row] = sample == 0 ? 0 : -(sample * value);  // a weight of 0 also takes an infinite loss away
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
    if (label == a.ignore_index || (u64)label >= (u64)a.N) {
      const Vec<T> fill = splat<T>(label == a.ignore_index ? (T)0 : (T)__builtin_nan(""));
      for_vectors<T>({0, a.N}, [&](i64 i, auto lanes) { lanes.store(d + i, fill); });
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
  return 10.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.3, 4);
}

// target[i...] = ((1 - smoothing) targets + smoothing / N) class_weight
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
    a.losses[row] = -hsum<T>(sum) * (a.sample_weight ? a.sample_weight[row] : (T)1);
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
    const T dloss = a.dlosses[row] * (a.sample_weight ? a.sample_weight[row] : (T)1);
    for_vectors<T>({0, a.N}, [&](i64 i, auto lanes) {
      lanes.store(d + i, dloss * (lanes.load(p + i) * sum - dense_target(targets, a.class_weight, i, on, off, lanes)));
    });
  }
}

// Losses that are means over the row of f(x, t, q), q being a weight of the column or 1. Rows of one element are taken together.
template <class T, class F>
FASTNN_INLINE void mean_loss(T* losses, const T* x, const T* t, const T* sample_weight, const T* q, i64 M, i64 N,
                             const Worker& me, F f) {
  const Range rows = share(M, rows_grain(N), me);
  if (N == 1) {
    const Vec<T> q0 = splat<T>(q ? *q : (T)1);
    for_vectors<T>(rows, [&](i64 i, auto lanes) {
      Vec<T> value = f(lanes.load(x + i), lanes.load(t + i), q0);
      lanes.store(losses + i, sample_weight ? value * lanes.load(sample_weight + i) : value);
    });
    return;
  }
  for (i64 row = rows.begin; row < rows.end; row++) {
    const i64 at = row * N;
    const Vec<T> sum = sum_vectors<T>(N, [&](i64 i, auto lanes) {
      return f(lanes.load(x + at + i), lanes.load(t + at + i), q ? lanes.load(q + i) : splat<T>(1));
    });
    losses[row] = hsum<T>(sum) / (T)N * (sample_weight ? sample_weight[row] : (T)1);
  }
}

FASTNN_INLINE double mean_loss_work(i64 M, i64 N, int itemsize, double four, double eight) {
  return (N == 1 ? 0.0 : 2.0) * (double)M + elements_work(M * N, itemsize, four, eight);
}

// Their gradients: dx = dlosses sample_weight f(x, t, q) / N.
template <class T, class F>
FASTNN_INLINE void mean_loss_gradient(T* dx, const T* dlosses, const T* x, const T* t, const T* sample_weight, const T* q, i64 M,
                                      i64 N, const Worker& me, F f) {
  const Range rows = share(M, rows_grain(N), me);
  if (N == 1) {
    const Vec<T> q0 = splat<T>(q ? *q : (T)1);
    for_vectors<T>(rows, [&](i64 i, auto lanes) {
      Vec<T> d = lanes.load(dlosses + i);
      if (sample_weight) d *= lanes.load(sample_weight + i);
      lanes.store(dx + i, d * f(lanes.load(x + i), lanes.load(t + i), q0));
    });
    return;
  }
  for (i64 row = rows.begin; row < rows.end; row++) {
    const i64 at = row * N;
    const T d = dlosses[row] * (sample_weight ? sample_weight[row] : (T)1) / (T)N;
    for_vectors<T>({0, N}, [&](i64 i, auto lanes) {
      lanes.store(dx + at + i, d * f(lanes.load(x + at + i), lanes.load(t + at + i), q ? lanes.load(q + i) : splat<T>(1)));
    });
  }
}

template <class T>
struct SigmoidCrossEntropyForward {
  static constexpr const char* fields = "losses logits targets sample_weight pos_weight smoothing M N";
  T* losses;
  const T *logits, *targets, *sample_weight, *pos_weight;
  double smoothing;
  i64 M, N;
};

FASTNN_INLINE double sigmoid_cross_entropy_forward_work(const void* args, int itemsize) {
  const auto& a = *(const SigmoidCrossEntropyForward<float>*)args;
  return mean_loss_work(a.M, a.N, itemsize, 0.8, 10);
}

template <class T>
void sigmoid_cross_entropy_forward(const void* args, const Worker& me) {
  const SigmoidCrossEntropyForward<T> a = *(const SigmoidCrossEntropyForward<T>*)args;
  const T on = (T)(1 - a.smoothing), off = (T)(0.5 * a.smoothing);
  mean_loss<T>(a.losses, a.logits, a.targets, a.sample_weight, a.pos_weight, a.M, a.N, me,
               [=](Vec<T> x, Vec<T> target, Vec<T> q) {
                 Vec<T> t = on * target + off;
                 Vec<T> softplus = log1p_exp_neg<T>(x) + vmax<T>(-x, splat<T>(0));
                 return ((T)1 - t) * x + ((T)1 + (q - (T)1) * t) * softplus;
               });
}

template <class T>
struct SigmoidCrossEntropyBackward {
  static constexpr const char* fields = "dlogits dlosses logits targets sample_weight pos_weight smoothing M N";
  T* dlogits;
  const T *dlosses, *logits, *targets, *sample_weight, *pos_weight;
  double smoothing;
  i64 M, N;
};

FASTNN_INLINE double sigmoid_cross_entropy_backward_work(const void* args, int itemsize) {
  const auto& a = *(const SigmoidCrossEntropyBackward<float>*)args;
  return mean_loss_work(a.M, a.N, itemsize, 0.3, 4);
}

template <class T>
void sigmoid_cross_entropy_backward(const void* args, const Worker& me) {
  const SigmoidCrossEntropyBackward<T> a = *(const SigmoidCrossEntropyBackward<T>*)args;
  const T on = (T)(1 - a.smoothing), off = (T)(0.5 * a.smoothing);
  mean_loss_gradient<T>(a.dlogits, a.dlosses, a.logits, a.targets, a.sample_weight, a.pos_weight, a.M, a.N, me,
                        [=](Vec<T> x, Vec<T> target, Vec<T> q) {
                          Vec<T> t = on * target + off;
                          return ((T)1 + (q - (T)1) * t) * vsigmoid<T>(x) - q * t;
                        });
}

template <class T>
struct MseForward {
  static constexpr const char* fields = "losses pred target sample_weight M N";
  T* losses;
  const T *pred, *target, *sample_weight;
  i64 M, N;
};

FASTNN_INLINE double mse_forward_work(const void* args, int itemsize) {
  const auto& a = *(const MseForward<float>*)args;
  return mean_loss_work(a.M, a.N, itemsize, 0.1, 0.2);
}

template <class T>
void mse_forward(const void* args, const Worker& me) {
  const MseForward<T> a = *(const MseForward<T>*)args;
  mean_loss<T>(a.losses, a.pred, a.target, a.sample_weight, (const T*)nullptr, a.M, a.N, me,
               [](Vec<T> x, Vec<T> t, Vec<T>) { return (x - t) * (x - t); });
}

template <class T>
struct MseBackward {
  static constexpr const char* fields = "dpred dlosses pred target sample_weight M N";
  T* dpred;
  const T *dlosses, *pred, *target, *sample_weight;
  i64 M, N;
};

FASTNN_INLINE double mse_backward_work(const void* args, int itemsize) {
  const auto& a = *(const MseBackward<float>*)args;
  return mean_loss_work(a.M, a.N, itemsize, 0.1, 0.2);
}

template <class T>
void mse_backward(const void* args, const Worker& me) {
  const MseBackward<T> a = *(const MseBackward<T>*)args;
  mean_loss_gradient<T>(a.dpred, a.dlosses, a.pred, a.target, a.sample_weight, (const T*)nullptr, a.M, a.N, me,
                        [](Vec<T> x, Vec<T> t, Vec<T>) { return (T)2 * (x - t); });
}

enum ReduceLossMode { kBatch, kWeights, kTotal };  // in the order of spec.REDUCE_LOSS_MODES
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
  const T* weights = a.mode == kWeights ? a.weights : nullptr;
  double total[2];
  const bool last = sum_chunks(a.M, kLossChunk, me, total, [&](Range r, double* part) {
    part[0] = sum_wide(r, [&](i64 i, auto... n) { return load_wide(a.losses + i, n...); });
    part[1] = weights ? sum_wide(r, [&](i64 i, auto... n) { return load_wide(weights + i, n...); }) : 0;
  });
  if (!last) return;
  *a.normaliser = (T)(a.mode == kWeights ? total[1] : a.mode == kBatch ? (double)a.M : 1.0);
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
