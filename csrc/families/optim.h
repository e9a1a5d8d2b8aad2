// SGD and Adam over flat buffers, gradient clipping, step counters and schedules. optim_adaptive.h, optim_average.h and
// optim_rows.h contain the other optimizers.
#pragma once
#include "math/sums.h"

namespace {

// It has no dtype, and uses the first column of the table.
struct Advance {
  static constexpr const char* fields = "step by P";
  i64* step;
  i64 by, P;
};

FASTNN_INLINE void advance(const void* args, const Worker& me) {
  const Advance a = *(const Advance*)args;
  Range r = share(a.P, kGrain, me);
  for (i64 i = r.begin; i < r.end; i++) a.step[i] += a.by;
}

// Sets a flag, which a plan reads, if a count is a multiple of a period.
struct Every {
  static constexpr const char* fields = "flag count period";
  i64* flag;
  const i64* count;
  i64 period;
};

FASTNN_INLINE void every(const void* args, const Worker& me) {
  const Every a = *(const Every*)args;
  if (me.ith == 0) *a.flag = *a.count % a.period == 0;
}

// Sets hyper-parameters from a table with their next values.
struct Scheduled {
  static constexpr const char* fields = "hyper table slot count H S L";
  double* hyper;
  const double* table;
  const i64 *slot, *count;
  i64 H, S, L;
};

FASTNN_INLINE void scheduled(const void* args, const Worker& me) {
  const Scheduled a = *(const Scheduled*)args;
  if (me.ith == 0)
    for (i64 s = 0; s < a.S; s++) a.hyper[a.slot[s]] = a.table[s * a.L + *a.count % a.L];
}

// Work of a step with arguments of n elements, from the hundredths of a nanosecond for one element of float32 and float64.
template <class Args, int kFour, int kEight>
double update_work(const void* args, int itemsize) {
  return elements_work(((const Args*)args)->n, itemsize, kFour * 0.01, kEight * 0.01);
}

// Weight decay, coupled (g = dw + coupled w) or decoupled (w *= keep).
template <class T>
struct Decay {
  T coupled, keep;
  FASTNN_INLINE Decay of(double lr, double weight_decay, double decoupled) {
    if (decoupled != 0) return {0, (T)(1 - lr * weight_decay)};
    return {(T)weight_decay, 1};
  }
};

// Averages below kSmall are stored as 0. Averages of squares are at least kLeast.
template <class T>
constexpr T kSmall = (T)(sizeof(T) == 4 ? 1e-30 : 1e-300);
template <class T>
constexpr T kLeast = (T)(sizeof(T) == 4 ? 1e-36 : 1e-306);

// Returns an average of gradients, steps or weights as it is stored.
template <class T>
FASTNN_INLINE Vec<T> settled(Vec<T> x) {
  return vabs<T>(x) < splat<T>(kSmall<T>) ? Vec<T>{} : x;
}
// Returns an average of squares as it is stored.
template <class T>
FASTNN_INLINE Vec<T> held(Vec<T> x) {
  return vabs<T>(x) < splat<T>(kLeast<T>) ? splat<T>(kLeast<T>) : x;
}

template <class T>
struct SgdStep {
  static constexpr const char* fields = "w v dw hyper step n P";
  T *w, *v;
  const T* dw;
  const double* hyper;  // lr, momentum, dampening, nesterov, weight_decay, decoupled
  const i64* step;
  i64 n, P;
};

FASTNN_INLINE double sgd_step_work(const void* args, int itemsize) {
  return elements_work(((const SgdStep<float>*)args)->n, itemsize, 0.1, 0.2);
}

template <class T>
void sgd_step(const void* args, const Worker& me) {
  const SgdStep<T> a = *(const SgdStep<T>*)args;
  const double* h = a.hyper;
  const T lr = (T)h[0], momentum = (T)h[1], fresh = (T)(1 - h[2]);
  const bool nesterov = h[3] != 0, first = a.v && a.step[0] == 1;
  const Decay<T> decay = Decay<T>::of(h[0], h[4], h[5]);
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) {
    Vec<T> w = lanes.load(a.w + i), g = lanes.load(a.dw + i);
    if (decay.coupled != 0) g += decay.coupled * w;
    if (a.v) {
      Vec<T> v = settled<T>(first ? g : momentum * lanes.load(a.v + i) + fresh * g);
      lanes.store(a.v + i, v);
      g = nesterov ? g + momentum * v : v;
    }
    lanes.store(a.w + i, decay.keep * w - lr * g);
  });
}

template <class T>
struct AdamStep {
  static constexpr const char* fields = "w m v dw hyper step n P";
  T *w, *m, *v;
  const T* dw;
  const double* hyper;  // lr, beta1, beta2, eps, weight_decay, decoupled
  const i64* step;
  i64 n, P;
};

FASTNN_INLINE double adam_step_work(const void* args, int itemsize) {
  return elements_work(((const AdamStep<float>*)args)->n, itemsize, 0.2, 0.5);
}

template <class T>
struct AdamRule {
  T beta1, beta2, fresh1, fresh2, eps, lr, root;
  Decay<T> decay;

  AdamRule(const double* h, double t) {
    beta1 = (T)h[1], beta2 = (T)h[2], fresh1 = (T)(1 - h[1]), fresh2 = (T)(1 - h[2]), eps = (T)h[3];
    lr = (T)(h[0] / (1 - __builtin_pow(h[1], t))), root = (T)(1 / __builtin_sqrt(1 - __builtin_pow(h[2], t)));
    decay = Decay<T>::of(h[0], h[4], h[5]);
  }

  // Updates the elements of a vector with the gradient g.
  template <class Lanes>
  __attribute__((always_inline)) void apply(T* pw, T* pm, T* pv, Vec<T> g, Lanes lanes) const {
    const Vec<T> w = lanes.load(pw);
    if (decay.coupled != 0) g += decay.coupled * w;
    const Vec<T> m = settled<T>(beta1 * lanes.load(pm) + fresh1 * g);
    const Vec<T> v = held<T>(beta2 * lanes.load(pv) + fresh2 * g * g);
    lanes.store(pm, m);
    lanes.store(pv, v);
    lanes.store(pw, decay.keep * w - lr * m / (vsqrt<T>(v) * root + eps));
  }
};

template <class T>
void adam_step(const void* args, const Worker& me) {
  const AdamStep<T> a = *(const AdamStep<T>*)args;
  if (a.n == 0) return;
  const AdamRule<T> rule(a.hyper, (double)a.step[0]);
  for_vectors<T>(share(a.n, kGrain, me),
                 [&](i64 i, auto lanes) { rule.apply(a.w + i, a.m + i, a.v + i, lanes.load(a.dw + i), lanes); });
}

constexpr i64 kSquaresChunk = 8192;

template <class T>
struct SumSquares {
  static constexpr const char* fields = "total x n";
  double* total;
  const T* x;
  i64 n;
};

FASTNN_INLINE i64 sum_squares_scratch(const void* args, int, int) {
  return chunk_scratch(((const SumSquares<float>*)args)->n, kSquaresChunk, 1);
}
FASTNN_INLINE double sum_squares_work(const void* args, int itemsize) {
  return elements_work(((const SumSquares<float>*)args)->n, itemsize, 0.1, 0.15);
}

template <class T>
void sum_squares(const void* args, const Worker& me) {
  const SumSquares<T> a = *(const SumSquares<T>*)args;
  double total[1];
  const bool last = sum_chunks(a.n, kSquaresChunk, me, total, [&](Range r, double* part) {
    part[0] = sum_wide(r, [&](i64 i, auto... n) {
      Vec<double> x = load_wide(a.x + i, n...);
      return x * x;
    });
  });
  if (last) a.total[0] += total[0];
}

template <class T>
struct ClipNorm {
  static constexpr const char* fields = "x total limit n";
  T* x;
  const double *total, *limit;
  i64 n;
};

FASTNN_INLINE double clip_norm_work(const void* args, int itemsize) {
  return elements_work(((const ClipNorm<float>*)args)->n, itemsize, 0.1, 0.2);
}

template <class T>
void clip_norm(const void* args, const Worker& me) {
  const ClipNorm<T> a = *(const ClipNorm<T>*)args;
  const double scale = *a.limit / (__builtin_sqrt(*a.total) + 1e-6);
  if (scale >= 1) return;
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) { lanes.store(a.x + i, lanes.load(a.x + i) * (T)scale); });
}

template <class T>
struct UnitNorm {
  static constexpr const char* fields = "x total eps n";
  T* x;
  const double *total, *eps;
  i64 n;
};

template <class T>
void unit_norm(const void* args, const Worker& me) {
  const UnitNorm<T> a = *(const UnitNorm<T>*)args;
  const double norm = __builtin_sqrt(*a.total);
  const T divisor = (T)(norm < *a.eps ? *a.eps : norm);
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) { lanes.store(a.x + i, lanes.load(a.x + i) / divisor); });
}

template <class T>
struct ClipValue {
  static constexpr const char* fields = "x limit n";
  T* x;
  const double* limit;
  i64 n;
};

FASTNN_INLINE double clip_value_work(const void* args, int itemsize) {
  return elements_work(((const ClipValue<float>*)args)->n, itemsize, 0.1, 0.2);
}

template <class T>
void clip_value(const void* args, const Worker& me) {
  const ClipValue<T> a = *(const ClipValue<T>*)args;
  const Vec<T> bound = splat<T>((T)*a.limit);
  for_vectors<T>(share(a.n, kGrain, me),
                 [&](i64 i, auto lanes) { lanes.store(a.x + i, vmin<T>(vmax<T>(lanes.load(a.x + i), -bound), bound)); });
}

}  // namespace
