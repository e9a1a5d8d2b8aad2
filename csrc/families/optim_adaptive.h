// Steps that divide by averages of past gradients (variants of Adam, RMSprop, Adagrad, Adadelta), and steps that use the sign.
#pragma once
#include "families/optim.h"

namespace {

// Moments and weight decay, which all variants of Adam use.
template <class T>
struct Moments {
  T beta1, beta2, fresh1, fresh2, eps;
  Decay<T> decay;
  // h starts with lr, beta1, beta2, eps.
  FASTNN_INLINE Moments of(const double* h, double weight_decay, double decoupled) {
    return {(T)h[1], (T)h[2], (T)(1 - h[1]), (T)(1 - h[2]), (T)h[3], Decay<T>::of(h[0], weight_decay, decoupled)};
  }
  __attribute__((always_inline)) Vec<T> gradient(Vec<T> w, Vec<T> g) const {
    return decay.coupled != 0 ? g + decay.coupled * w : g;
  }
  __attribute__((always_inline)) Vec<T> first(Vec<T> m, Vec<T> g) const { return settled<T>(beta1 * m + fresh1 * g); }
  __attribute__((always_inline)) Vec<T> second(Vec<T> v, Vec<T> g) const { return held<T>(beta2 * v + fresh2 * g * g); }
};

template <class T>
struct AmsgradStep {
  static constexpr const char* fields = "w m v top dw hyper step n P";
  T *w, *m, *v, *top;
  const T* dw;
  const double* hyper;  // lr, beta1, beta2, eps, weight_decay, decoupled
  const i64* step;
  i64 n, P;
};

template <class T>
void amsgrad_step(const void* args, const Worker& me) {
  const AmsgradStep<T> a = *(const AmsgradStep<T>*)args;
  if (a.n == 0) return;
  const double *h = a.hyper, t = (double)a.step[0];
  const Moments<T> s = Moments<T>::of(h, h[4], h[5]);
  const T lr = (T)(h[0] / (1 - __builtin_pow(h[1], t))), root = (T)(1 / __builtin_sqrt(1 - __builtin_pow(h[2], t)));
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) {
    Vec<T> w = lanes.load(a.w + i), g = s.gradient(w, lanes.load(a.dw + i));
    Vec<T> m = s.first(lanes.load(a.m + i), g), v = s.second(lanes.load(a.v + i), g), top = lanes.load(a.top + i);
    top = v != v ? v : vmax<T>(top, v);
    lanes.store(a.m + i, m);
    lanes.store(a.v + i, v);
    lanes.store(a.top + i, top);
    lanes.store(a.w + i, s.decay.keep * w - lr * m / (vsqrt<T>(top) * root + s.eps));
  });
}

// RAdam has the same arguments as Adam.
template <class T>
void radam_step(const void* args, const Worker& me) {
  const AdamStep<T> a = *(const AdamStep<T>*)args;
  if (a.n == 0) return;
  const double *h = a.hyper, t = (double)a.step[0], power2 = __builtin_pow(h[2], t);
  const Moments<T> s = Moments<T>::of(h, h[4], h[5]);
  const double r = 2 / (1 - h[2]) - 1, rho = r - 2 * t * power2 / (1 - power2);
  const bool adaptive = rho > 5;
  double rate = h[0] / (1 - __builtin_pow(h[1], t));
  if (adaptive) rate *= __builtin_sqrt((rho - 4) * (rho - 2) * r / ((r - 4) * (r - 2) * rho) * (1 - power2));
  const T lr = (T)rate;
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) {
    Vec<T> w = lanes.load(a.w + i), g = s.gradient(w, lanes.load(a.dw + i));
    Vec<T> m = s.first(lanes.load(a.m + i), g), v = s.second(lanes.load(a.v + i), g);
    lanes.store(a.m + i, m);
    lanes.store(a.v + i, v);
    Vec<T> u = lr * m;
    if (adaptive) u /= vsqrt<T>(v) + s.eps;
    lanes.store(a.w + i, s.decay.keep * w - u);
  });
}

template <class T>
struct AdamaxStep {
  static constexpr const char* fields = "w m u dw hyper step n P";
  T *w, *m, *u;
  const T* dw;
  const double* hyper;  // lr, beta1, beta2, eps, weight_decay, decoupled
  const i64* step;
  i64 n, P;
};

template <class T>
void adamax_step(const void* args, const Worker& me) {
  const AdamaxStep<T> a = *(const AdamaxStep<T>*)args;
  if (a.n == 0) return;
  const double *h = a.hyper, t = (double)a.step[0];
  const Moments<T> s = Moments<T>::of(h, h[4], h[5]);
  const T lr = (T)(h[0] / (1 - __builtin_pow(h[1], t)));
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) {
    Vec<T> w = lanes.load(a.w + i), g = s.gradient(w, lanes.load(a.dw + i));
    Vec<T> m = s.first(lanes.load(a.m + i), g), old = s.beta2 * lanes.load(a.u + i), now = vabs<T>(g) + s.eps;
    Vec<T> u = held<T>(now != now ? now : vmax<T>(old, now));
    lanes.store(a.m + i, m);
    lanes.store(a.u + i, u);
    lanes.store(a.w + i, s.decay.keep * w - lr * m / u);
  });
}

FASTNN_INLINE double nadam_mu(const double* h, double t) { return h[1] * (1 - 0.5 * __builtin_pow(0.96, t * h[4])); }

struct NadamProduct {
  static constexpr const char* fields = "product hyper step P";
  double* product;
  const double* hyper;  // as in NadamStep
  const i64* step;
  i64 P;
};

FASTNN_INLINE void nadam_product(const void* args, const Worker& me) {
  const NadamProduct a = *(const NadamProduct*)args;
  Range r = share(a.P, kGrain, me);
  for (i64 i = r.begin; i < r.end; i++) {
    double product = (a.step[i] > 1 ? a.product[i] : 1) * nadam_mu(a.hyper, (double)a.step[i]);
    a.product[i] = settled<double>(splat<double>(product))[0];
  }
}

template <class T>
struct NadamStep {
  static constexpr const char* fields = "w m v dw hyper product step n P";
  T *w, *m, *v;
  const T* dw;
  const double *hyper, *product;  // lr, beta1, beta2, eps, momentum_decay, weight_decay, decoupled
  const i64* step;
  i64 n, P;
};

template <class T>
void nadam_step(const void* args, const Worker& me) {
  const NadamStep<T> a = *(const NadamStep<T>*)args;
  if (a.n == 0) return;
  const double *h = a.hyper, t = (double)a.step[0], mu = nadam_mu(h, t), ahead = nadam_mu(h, t + 1), product = *a.product;
  const Moments<T> s = Moments<T>::of(h, h[5], h[6]);
  const T now = (T)(h[0] * (1 - mu) / (1 - product)), next = (T)(h[0] * ahead / (1 - product * ahead));
  const T root = (T)(1 / __builtin_sqrt(1 - __builtin_pow(h[2], t)));
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) {
    Vec<T> w = lanes.load(a.w + i), g = s.gradient(w, lanes.load(a.dw + i));
    Vec<T> m = s.first(lanes.load(a.m + i), g), v = s.second(lanes.load(a.v + i), g);
    lanes.store(a.m + i, m);
    lanes.store(a.v + i, v);
    lanes.store(a.w + i, s.decay.keep * w - (now * g + next * m) / (vsqrt<T>(v) * root + s.eps));
  });
}

template <class T>
struct RmspropStep {
  static constexpr const char* fields = "w v mean b dw hyper n";
  T *w, *v, *mean, *b;
  const T* dw;
  const double* hyper;  // lr, alpha, eps, momentum, inside, weight_decay, decoupled
  i64 n;
};

template <class T>
void rmsprop_step(const void* args, const Worker& me) {
  const RmspropStep<T> a = *(const RmspropStep<T>*)args;
  const double* h = a.hyper;
  const T lr = (T)h[0], alpha = (T)h[1], fresh = (T)(1 - h[1]), eps = (T)h[2], momentum = (T)h[3];
  const bool inside = h[4] != 0;
  const Decay<T> decay = Decay<T>::of(h[0], h[5], h[6]);
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) {
    Vec<T> w = lanes.load(a.w + i), g = lanes.load(a.dw + i);
    if (decay.coupled != 0) g += decay.coupled * w;
    Vec<T> v = held<T>(alpha * lanes.load(a.v + i) + fresh * g * g);
    lanes.store(a.v + i, v);
    if (a.mean) {
      Vec<T> mean = settled<T>(alpha * lanes.load(a.mean + i) + fresh * g);
      lanes.store(a.mean + i, mean);
      v = vmax<T>(v - mean * mean, splat<T>(0));
    }
    Vec<T> u = g / (inside ? vsqrt<T>(v + eps) : vsqrt<T>(v) + eps);
    if (a.b) {
      u = settled<T>(momentum * lanes.load(a.b + i) + u);
      lanes.store(a.b + i, u);
    }
    lanes.store(a.w + i, decay.keep * w - lr * u);
  });
}

template <class T>
struct AdagradStep {
  static constexpr const char* fields = "w s dw hyper step n P";
  T *w, *s;
  const T* dw;
  const double* hyper;  // lr, lr_decay, eps, weight_decay, decoupled
  const i64* step;
  i64 n, P;
};

template <class T>
void adagrad_step(const void* args, const Worker& me) {
  const AdagradStep<T> a = *(const AdagradStep<T>*)args;
  if (a.n == 0) return;
  const double* h = a.hyper;
  const T lr = (T)(h[0] / (1 + (double)(a.step[0] - 1) * h[1])), eps = (T)h[2];
  const Decay<T> decay = Decay<T>::of(h[0], h[3], h[4]);
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) {
    Vec<T> w = lanes.load(a.w + i), g = lanes.load(a.dw + i);
    if (decay.coupled != 0) g += decay.coupled * w;
    Vec<T> s = held<T>(lanes.load(a.s + i) + g * g);
    lanes.store(a.s + i, s);
    lanes.store(a.w + i, decay.keep * w - lr * g / (vsqrt<T>(s) + eps));
  });
}

template <class T>
struct AdadeltaStep {
  static constexpr const char* fields = "w v u dw hyper n";
  T *w, *v, *u;
  const T* dw;
  const double* hyper;  // lr, rho, eps, weight_decay, decoupled
  i64 n;
};

template <class T>
void adadelta_step(const void* args, const Worker& me) {
  const AdadeltaStep<T> a = *(const AdadeltaStep<T>*)args;
  const double* h = a.hyper;
  const T lr = (T)h[0], rho = (T)h[1], fresh = (T)(1 - h[1]), eps = (T)h[2];
  const Decay<T> decay = Decay<T>::of(h[0], h[3], h[4]);
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) {
    Vec<T> w = lanes.load(a.w + i), g = lanes.load(a.dw + i), u = lanes.load(a.u + i);
    if (decay.coupled != 0) g += decay.coupled * w;
    Vec<T> v = held<T>(rho * lanes.load(a.v + i) + fresh * g * g);
    Vec<T> d = vsqrt<T>(u + eps) / vsqrt<T>(v + eps) * g;
    lanes.store(a.v + i, v);
    lanes.store(a.u + i, held<T>(rho * u + fresh * d * d));
    lanes.store(a.w + i, decay.keep * w - lr * d);
  });
}

template <class T>
struct LionStep {
  static constexpr const char* fields = "w m dw hyper n";
  T *w, *m;
  const T* dw;
  const double* hyper;  // lr, beta1, beta2, weight_decay, decoupled
  i64 n;
};

template <class T>
void lion_step(const void* args, const Worker& me) {
  const LionStep<T> a = *(const LionStep<T>*)args;
  const double* h = a.hyper;
  const T lr = (T)h[0], beta1 = (T)h[1], fresh1 = (T)(1 - h[1]), beta2 = (T)h[2], fresh2 = (T)(1 - h[2]);
  const Decay<T> decay = Decay<T>::of(h[0], h[3], h[4]);
  for_vectors<T>(share(a.n, kGrain, me), [&](i64 i, auto lanes) {
    Vec<T> w = lanes.load(a.w + i), g = lanes.load(a.dw + i), m = lanes.load(a.m + i);
    if (decay.coupled != 0) g += decay.coupled * w;
    Vec<T> c = beta1 * m + fresh1 * g;
    Vec<T> sign = c > splat<T>(0) ? splat<T>(1) : c < splat<T>(0) ? splat<T>(-1) : c;  // keeps 0 and NaN
    lanes.store(a.w + i, decay.keep * w - lr * sign);
    m = beta2 * m + fresh2 * g;
    lanes.store(a.m + i, m == Vec<T>{} ? m : with_sign<T>(held<T>(m), m));
  });
}

}  // namespace
