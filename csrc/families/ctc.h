// Connectionist temporal classification. reference/ctc.py defines it. All is computed in float64.
#pragma once
#include "math/vmath64.h"

namespace {

template <class T>
struct CtcLoss {
  static constexpr const char* fields = "loss alpha dx x targets steps labels blank N R P L C S";
  T* loss;
  double* alpha;
  T* dx;  // null if absent
  const T* x;
  const i64 *targets, *steps, *labels;
  i64 blank, N, R, P, L, C, S;
};

constexpr double kNothing = -__builtin_inf();

// For each worker: a row with two places before and after it, its log-probabilities, marks of places, and a row of classes.
FASTNN_INLINE i64 ctc_loss_scratch(const void* args, int, int nth) {
  const CtcLoss<float> a = *(const CtcLoss<float>*)args;
  return nth * round_up(3 * (a.P + 4) + a.C, 8) * 8;
}
FASTNN_INLINE double ctc_loss_work(const void* args, int) {
  const CtcLoss<float> a = *(const CtcLoss<float>*)args;
  return (double)(a.N * a.L) * ((double)a.P * 20 + (double)a.C * 0.3);
}

FASTNN_INLINE Vec<double> log_sum(Vec<double> a, Vec<double> b, Vec<double> c) {
  const Vec<double> top = vmax<double>(vmax<double>(a, b), c);
  const Vec<double> from = vabs<double>(top) == splat(__builtin_inf()) ? Vec<double>{} : top;
  return vlog(vexp(a - from) + vexp(b - from) + vexp(c - from)) + from;
}

// The places of a sample's path, and the rows for its recursions.
template <class T>
struct Path {
  const T* x;  // of the sample: rows are N C apart
  const i64* targets;
  i64 step, C, blank, places;
  double *row, *emit, *skip, *total;  // row has two places before it and after it

  i64 class_of(i64 s) const { return s % 2 ? targets[s / 2] : blank; }

  // The log-probabilities of all places at a time step.
  void read(i64 t) const {
    for (i64 s = 0; s < places; s++) {
      const i64 c = class_of(s);
      emit[s] = (u64)c < (u64)C ? (double)x[t * step + c] : __builtin_nan("");
    }
  }

  // Sets skip to 0 at places that can be reached from the last but one, or that reach the next but one, else to -infinity.
  void find_skips(bool back) const {
    for (i64 s = 0; s < places; s++) {
      const i64 to = back ? s + 2 : s;
      skip[s] = to % 2 && to > 2 && to < places && targets[to / 2] != targets[to / 2 - 1] ? 0 : kNothing;
    }
  }

  // Sets next from the row before it or, with D = 1, after it, which it copies to `row`.
  template <int D>
  void advance(double* next, const double* before) const {
    memcpy(row, before, (size_t)places * sizeof(double));
    for (int i = 0; i < 2; i++) row[-1 - i] = row[places + i] = kNothing;
    for_vectors<double>({0, places}, [&](i64 s, auto lanes) {
      const Vec<double> far = lanes.load(skip + s) == Vec<double>{} ? lanes.load(row + s + 2 * D) : splat(kNothing);
      lanes.store(next + s, lanes.load(emit + s) + log_sum(lanes.load(row + s), lanes.load(row + s + D), far));
    });
  }

  double forward(double* alpha, i64 P, i64 steps) const {
    find_skips(false);
    read(0);
    for (i64 s = 0; s < min_i64(2, places); s++) alpha[s] = emit[s];
    for (i64 t = 1; t < steps; t++) {
      read(t);
      advance<-1>(alpha + t * P, alpha + (t - 1) * P);
    }
    const double* last = alpha + (steps - 1) * P + places;
    return log_sum(splat(last[-1]), splat(places > 1 ? last[-2] : kNothing), splat(kNothing))[0];
  }

  void backward(double* alpha, T* dx, i64 P, i64 L, i64 steps, double log_p) const {
    find_skips(true);
    for (i64 t = steps - 1; t >= 0; t--) {
      double* const beta = alpha + (L + t % 2) * P;
      read(t);
      if (t == steps - 1)
        for (i64 s = 0; s < places; s++) beta[s] = s >= places - 2 ? emit[s] : kNothing;
      else
        advance<1>(beta, alpha + (L + (t + 1) % 2) * P);
      const double* own = alpha + t * P;
      for_vectors<double>({0, places}, [&](i64 s, auto lanes) {
        const Vec<double> a = lanes.load(own + s), b = lanes.load(beta + s), none = splat(kNothing);
        const Vec<double> p = vexp(a + b - lanes.load(emit + s) - log_p);
        lanes.store(row + s, a == none ? Vec<double>{} : b == none ? Vec<double>{} : p);
      });
      for (i64 c = 0; c < C; c++) total[c] = 0;
      for (i64 s = 0; s < places; s++)
        if ((u64)class_of(s) < (u64)C) total[class_of(s)] += row[s];
      for (i64 c = 0; c < C; c++) dx[t * step + c] = (T)-total[c];
    }
  }
};

template <class T>
void ctc_loss(const void* args, const Worker& me) {
  const CtcLoss<T> a = *(const CtcLoss<T>*)args;
  double* const own = (double*)me.scratch + me.ith * round_up(3 * (a.P + 4) + a.C, 8);
  const Range mine = share(a.N, 1, me);
  for (i64 n = mine.begin; n < mine.end; n++) {
    double* const alpha = a.alpha + n * a.R * a.P;
    for (i64 i = 0; i < a.R * a.P; i++) alpha[i] = kNothing;
    T* const dx = a.dx ? a.dx + n * a.C : nullptr;
    for (i64 t = 0; dx && t < a.L; t++) memset(dx + t * a.N * a.C, 0, (size_t)a.C * sizeof(T));
    const i64 steps = min_i64(max_i64(a.steps[n], 0), a.L), labels = min_i64(max_i64(a.labels[n], 0), a.S);
    if (steps == 0) {
      a.loss[n] = labels ? (T)__builtin_inf() : 0;
      continue;
    }
    const Path<T> path = {a.x + n * a.C, a.targets + n * a.S, a.N * a.C,         a.C, a.blank, 2 * labels + 1, own + 2,
                          own + a.P + 4, own + 2 * a.P + 8,   own + 3 * a.P + 12};
    const double log_p = path.forward(alpha, a.P, steps);
    a.loss[n] = (T)-log_p;
    if (dx && log_p != kNothing) path.backward(alpha, dx, a.P, a.L, steps, log_p);
  }
}

}  // namespace
