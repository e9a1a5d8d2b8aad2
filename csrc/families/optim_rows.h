// Adam for tables in which few rows have a gradient.
#pragma once
#include "families/optim.h"
#include "math/rows.h"

namespace {

template <class T>
struct AdamRowsStep {
  static constexpr const char* fields = "w m v seen dw touched hyper step B C P";
  T *w, *m, *v;
  u8* seen;
  const T* dw;
  const u8* touched;
  const double* hyper;  // lr, beta1, beta2, eps, weight_decay, decoupled
  const i64* step;
  i64 B, C, P;
};

FASTNN_INLINE double adam_rows_step_work(const void* args, int itemsize) {
  const AdamRowsStep<float> a = *(const AdamRowsStep<float>*)args;
  return elements_work(a.B * a.C, itemsize, 0.2, 0.5);
}

template <class T>
void adam_rows_step(const void* args, const Worker& me) {
  const AdamRowsStep<T> a = *(const AdamRowsStep<T>*)args;
  if (a.B == 0) return;
  const AdamRule<T> rule(a.hyper, (double)a.step[0]);
  for_own_rows(a.B, me, [&](i64 b) {
    T *w = a.w + b * a.C, *m = a.m + b * a.C, *v = a.v + b * a.C;
    const T* dw = a.dw + b * a.C;
    if (!a.seen[b]) {
      if (!a.touched[b] && rule.decay.coupled == 0) {
        if (rule.decay.keep != 1)
          for_vectors<T>({0, a.C}, [&](i64 c, auto lanes) { lanes.store(w + c, rule.decay.keep * lanes.load(w + c)); });
        return;
      }
      a.seen[b] = 1;
      if (a.step[0] > 1) for_vectors<T>({0, a.C}, [&](i64 c, auto lanes) { lanes.store(v + c, held<T>(lanes.load(v + c))); });
    }
    if (a.touched[b])
      for_vectors<T>({0, a.C}, [&](i64 c, auto lanes) { rule.apply(w + c, m + c, v + c, lanes.load(dw + c), lanes); });
    else
      for_vectors<T>({0, a.C}, [&](i64 c, auto lanes) { rule.apply(w + c, m + c, v + c, Vec<T>{}, lanes); });
  });
}

template <class T>
struct SparseAdamStep {
  static constexpr const char* fields = "w m v dw touched hyper step B C P";
  T *w, *m, *v;
  const T* dw;
  const u8* touched;
  const double* hyper;  // lr, beta1, beta2, eps
  const i64* step;
  i64 B, C, P;
};

// How many rows are touched is not known; a tenth is a guess.
FASTNN_INLINE double sparse_adam_step_work(const void* args, int itemsize) {
  const SparseAdamStep<float> a = *(const SparseAdamStep<float>*)args;
  return 0.5 * (double)a.B + elements_work(a.B * a.C / 10, itemsize, 0.2, 0.5);
}

template <class T>
void sparse_adam_step(const void* args, const Worker& me) {
  const SparseAdamStep<T> a = *(const SparseAdamStep<T>*)args;
  if (a.B == 0) return;
  const double *h = a.hyper, t = (double)a.step[0];
  const T fresh1 = (T)(1 - h[1]), fresh2 = (T)(1 - h[2]), eps = (T)h[3];
  const T lr = (T)(h[0] * __builtin_sqrt(1 - __builtin_pow(h[2], t)) / (1 - __builtin_pow(h[1], t)));
  for_own_rows(a.B, me, [&](i64 b) {
    if (!a.touched[b]) return;
    for_vectors<T>({b * a.C, (b + 1) * a.C}, [&](i64 i, auto lanes) {
      const Vec<T> g = lanes.load(a.dw + i), m0 = lanes.load(a.m + i), v0 = lanes.load(a.v + i);
      const Vec<T> m = settled<T>(m0 + fresh1 * (g - m0)), v = held<T>(v0 + fresh2 * (g * g - v0));
      lanes.store(a.m + i, m);
      lanes.store(a.v + i, v);
      lanes.store(a.w + i, lanes.load(a.w + i) - lr * m / (vsqrt<T>(v) + eps));
    });
  });
}

}  // namespace
