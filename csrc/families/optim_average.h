// Steps that store averages of weights or gradients: schedule-free AdamW, moving averages and accumulation. Also the two passes
// of Muon.
#pragma once
#include "families/optim.h"

namespace {

// hyper: lr, beta1, beta2, eps, weight_decay, warmup_steps, r, weight_lr_power.
FASTNN_INLINE double schedule_free_rate(const double* h, double t) { return h[5] != 0 && t < h[5] ? h[0] * (t / h[5]) : h[0]; }

struct ScheduleFreeWeight {
  static constexpr const char* fields = "average hyper step P";
  double* average;  // a row for each parameter: sum of the weights, largest rate, share of this step
  const double* hyper;
  const i64* step;
  i64 P;
};

FASTNN_INLINE void schedule_free_weight(const void* args, const Worker& me) {
  const ScheduleFreeWeight a = *(const ScheduleFreeWeight*)args;
  Range range = share(a.P, kGrain, me);
  for (i64 i = range.begin; i < range.end; i++) {
    double *row = a.average + 3 * i, t = (double)a.step[i], rate = schedule_free_rate(a.hyper, t);
    double total = t > 1 ? row[0] : 0, top = t > 1 && row[1] > rate ? row[1] : rate;
    double weight = __builtin_pow(t, a.hyper[6]) * __builtin_pow(top, a.hyper[7]);
    total += weight;
    row[0] = total;
    row[1] = top;
    row[2] = total != 0 ? weight / total : 0;
  }
}

template <class T>
struct ScheduleFreeStep {
  static constexpr const char* fields = "w z v dw hyper average step n P";
  T *w, *z, *v;
  const T* dw;
  const double *hyper, *average;
  const i64* step;
  i64 n, P;
};

template <class T>
void schedule_free_step(const void* args, const Worker& me) {
  const ScheduleFreeStep<T> a = *(const ScheduleFreeStep<T>*)args;
  if (a.n == 0) return;
  const double *h = a.hyper, t = (double)a.step[0], share_of_z = a.average[2], rate = schedule_free_rate(h, t);
  const bool first = a.step[0] == 1;
  const T beta2 = (T)h[2], fresh2 = (T)(1 - h[2]), eps = (T)h[3], weight_decay = (T)h[4], c = (T)share_of_z, lr = (T)rate;
  const T root = (T)(1 / __builtin_sqrt(1 - __builtin_pow(h[2], t))), ahead = (T)(rate * (1 - h[1] * (1 - share_of_z)));
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) {
    Vec<T> w = lanes.load(a.w + i), g = lanes.load(a.dw + i), z = first ? w : lanes.load(a.z + i);
    Vec<T> v = held<T>(beta2 * lanes.load(a.v + i) + fresh2 * g * g);
    Vec<T> d = g / (vsqrt<T>(v) * root + eps) + weight_decay * w;
    lanes.store(a.v + i, v);
    lanes.store(a.w + i, w + c * (z - w) - ahead * d);
    lanes.store(a.z + i, z - lr * d);
  });
}

template <class T>
struct Lerp {
  static constexpr const char* fields = "x y weight n";
  T* x;
  const T* y;
  const double* weight;
  i64 n;
};

template <class T>
void lerp(const void* args, const Worker& me) {
  const Lerp<T> a = *(const Lerp<T>*)args;
  const T weight = (T)*a.weight;
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) {
    Vec<T> x = lanes.load(a.x + i);
    lanes.store(a.x + i, settled<T>(x + weight * (lanes.load(a.y + i) - x)));
  });
}

template <class T>
struct EmaStep {
  static constexpr const char* fields = "average w momentum step n P";
  T* average;
  const T* w;
  const double* momentum;
  const i64* step;
  i64 n, P;
};

template <class T>
void ema_step(const void* args, const Worker& me) {
  const EmaStep<T> a = *(const EmaStep<T>*)args;
  if (a.n == 0) return;
  const T kept = (T)*a.momentum, fresh = (T)(1 - *a.momentum);
  const bool first = a.step[0] == 1;
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) {
    Vec<T> w = lanes.load(a.w + i);
    lanes.store(a.average + i, settled<T>(first ? w : kept * lanes.load(a.average + i) + fresh * w));
  });
}

template <class T>
struct Accumulate {
  static constexpr const char* fields = "mean x share n";
  T* mean;
  const T* x;
  const double* share;
  i64 n;
};

template <class T>
void accumulate(const void* args, const Worker& me) {
  const Accumulate<T> a = *(const Accumulate<T>*)args;
  const T part = (T)*a.share;
  for_vectors<T>(share(a.n, kGrain, me),
                 [&](i64 i, auto lanes) { lanes.store(a.mean + i, lanes.load(a.mean + i) + part * lanes.load(a.x + i)); });
}

template <class T>
struct MuonMomentum {
  static constexpr const char* fields = "b u dw hyper n";
  T *b, *u;
  const T* dw;
  const double* hyper;  // lr, momentum, nesterov, weight_decay, eps
  i64 n;
};

template <class T>
void muon_momentum(const void* args, const Worker& me) {
  const MuonMomentum<T> a = *(const MuonMomentum<T>*)args;
  const T momentum = (T)a.hyper[1], fresh = (T)(1 - a.hyper[1]);
  const bool nesterov = a.hyper[2] != 0;
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) {
    Vec<T> g = lanes.load(a.dw + i), b = settled<T>(momentum * lanes.load(a.b + i) + fresh * g);
    lanes.store(a.b + i, b);
    lanes.store(a.u + i, nesterov ? momentum * b + fresh * g : b);
  });
}

template <class T>
struct MuonStep {
  static constexpr const char* fields = "w u hyper scale n";
  T* w;
  const T* u;
  const double* hyper;
  double scale;
  i64 n;
};

template <class T>
void muon_step(const void* args, const Worker& me) {
  const MuonStep<T> a = *(const MuonStep<T>*)args;
  const T keep = (T)(1 - a.hyper[0] * a.hyper[3]), rate = (T)(a.hyper[0] * a.scale);
  for_vectors<T>(share(a.n, kGrain, me),
                 [&](i64 i, auto lanes) { lanes.store(a.w + i, keep * lanes.load(a.w + i) - rate * lanes.load(a.u + i)); });
}

}  // namespace
