// Element-wise functions with their derivatives, softmax and log-softmax.
//
// To add a function: a line in spec.ACTIVATIONS, and here one entry in the enum, one struct and one line in the list.
#pragma once
#include "sums.h"

namespace {

// In the order of spec.ACTIVATIONS.
enum ActivationId {
  kLinear,
  kRelu,
  kLeakyRelu,
  kSigmoid,
  kTanh,
  kGelu,
  kGeluTanh,
  kExponential,
  kLog,
  kSqrt,
  kAbs,
  kClip,
  kAffine,
  kPower,
  kErf,
  kSin,
  kCos,
  kLog1p,
  kExpm1,
  kSign,
  kFloor,
  kCeil,
  kRound,
};

// Each struct has value(x) = f(x) and slope(dy, z, y) = dy f'(z), where y = f(z); p and q are the parameters.
// saves_z says whether backward is given z; where it is not, slope must not look at z.
template <class T>
struct Linear {
  static constexpr bool saves_z = false;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return x; }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T>, T, T) { return dy; }
};

template <class T>
struct Relu {
  static constexpr bool saves_z = false;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vmax<T>(x, splat<T>(0)); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return y <= (T)0 ? splat<T>(0) : dy; }
};

template <class T>
struct LeakyRelu {
  static constexpr bool saves_z = true;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T) { return x > (T)0 ? x : p * x; }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T p, T) { return z > (T)0 ? dy : p * dy; }
};

// Saves z for the losses on logits; its own slope needs only y.
template <class T>
struct Sigmoid {
  static constexpr bool saves_z = true;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vsigmoid<T>(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return dy * y * ((T)1 - y); }
};

template <class T>
struct Tanh {
  static constexpr bool saves_z = false;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vtanh(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return dy * ((T)1 - y * y); }
};

// In both gelus, f(-inf) and the second term of the slope at +-inf are limits: the formulas give infinity times 0.
template <class T>
struct Gelu {
  static constexpr bool saves_z = true;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) {
    Vec<T> e, y = x * normal_cdf(x, e);
    return x == splat<T>(-(T)__builtin_inf()) ? splat<T>(0) : y;
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) {
    Vec<T> e, cdf = normal_cdf(z, e), rest = z * e * (T)0.39894228040143267794;
    return dy * (cdf + (vabs<T>(z) == splat<T>((T)__builtin_inf()) ? splat<T>(0) : rest));
  }
};

// x s(2u), where u = sqrt(2 / pi) (x + 0.044715 x^3) and s is the sigmoid: the same as x/2 (1 + tanh u).
template <class T>
struct GeluTanh {
  static constexpr bool saves_z = true;
  static constexpr T k = (T)1.59576912160573071176;  // 2 sqrt(2 / pi)
  FASTNN_INLINE Vec<T> two_u(Vec<T> x) { return k * (x + (T)0.044715 * (x * x * x)); }
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) {
    Vec<T> y = x * vsigmoid<T>(two_u(x));
    return x == splat<T>(-(T)__builtin_inf()) ? splat<T>(0) : y;
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) {
    Vec<T> e = vexp(-two_u(z)), g = (T)1 / ((T)1 + e);
    Vec<T> other = e > (T)1 ? (T)1 - g : g * e;  // 1 - s without cancellation, which its large factor would show
    Vec<T> rest = z * g * other * (k * ((T)1 + (T)0.134145 * (z * z)));
    return dy * (g + (vabs<T>(z) == splat<T>((T)__builtin_inf()) ? splat<T>(0) : rest));
  }
};

template <class T>
struct Exponential {
  static constexpr bool saves_z = false;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vexp(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return dy * y; }
};

template <class T>
struct Log {
  static constexpr bool saves_z = true;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vlog(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) { return dy / z; }
};

template <class T>
struct Sqrt {
  static constexpr bool saves_z = false;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vsqrt<T>(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return dy / (y + y); }
};

template <class T>
struct Abs {
  static constexpr bool saves_z = true;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vabs<T>(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) {
    Vec<T> sign = z > (T)0 ? splat<T>(1) : (z < (T)0 ? splat<T>(-1) : z);  // 0 and NaN stay
    return dy * sign;
  }
};

template <class T>
struct Clip {
  static constexpr bool saves_z = true;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T q) { return vmin<T>(vmax<T>(x, splat(p)), splat(q)); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T p, T q) { return (z < splat(p)) | (z > splat(q)) ? splat<T>(0) : dy; }
};

template <class T>
struct Affine {
  static constexpr bool saves_z = false;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T q) { return p * x + q; }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T>, T p, T) { return dy * p; }
};

template <class T>
struct Power {
  static constexpr bool saves_z = true;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T) { return power(x, p); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T p, T) {
    if (p == 0) return dy * ((T)0 * z);
    return dy * (p * power(z, p - 1));
  }
  // The exponents that people use, without the C library.
  FASTNN_INLINE Vec<T> power(Vec<T> x, T p) {
    if (p == 2) return x * x;
    if (p == 1) return x;
    if (p == (T)0.5) return vsqrt<T>(x);
    if (p == -1) return (T)1 / x;
    return vpow<T>(x, p);
  }
};

template <class T>
struct Erf {
  static constexpr bool saves_z = true;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return verf(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) { return dy * ((T)1.12837916709551257390 * vexp(-z * z)); }
};

template <class T>
struct Sin {
  static constexpr bool saves_z = true;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T) { return vsin(p * x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T p, T) { return dy * (p * vcos(p * z)); }
};

template <class T>
struct Cos {
  static constexpr bool saves_z = true;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vcos(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) { return -dy * vsin(z); }
};

template <class T>
struct Log1p {
  static constexpr bool saves_z = true;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vlog1p<T>(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) { return dy / ((T)1 + z); }
};

template <class T>
struct Expm1 {
  static constexpr bool saves_z = false;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vexpm1(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return dy * (y + (T)1); }
};

// The functions with steps, whose slope is 0.
template <class T>
struct Sign {
  static constexpr bool saves_z = false;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return x > (T)0 ? splat<T>(1) : (x < (T)0 ? splat<T>(-1) : x); }
  FASTNN_INLINE Vec<T> slope(Vec<T>, Vec<T>, Vec<T>, T, T) { return splat<T>(0); }
};

template <class T>
struct Floor : Sign<T> {
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) {
    Vec<T> y = vround<T>(x);
    return y > x ? y - (T)1 : y;
  }
};

template <class T>
struct Ceil : Sign<T> {
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) {
    Vec<T> y = vround<T>(x);
    return y < x ? y + (T)1 : y;
  }
};

template <class T>
struct Round : Sign<T> {
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vround<T>(x); }
};

template <class T, class F>
void apply_forward(T* y, const T* z, i64 n, Activation act) {
  const T p = (T)act.p0, q = (T)act.p1;
  for_vectors<T>({0, n}, [&](i64 i, auto lanes) { lanes.store(y + i, F::value(lanes.load(z + i), p, q)); });
}

template <class T, class F>
void apply_backward(T* dx, const T* dy, const T* z, const T* y, i64 n, Activation act) {
  const T p = (T)act.p0, q = (T)act.p1;
  if (!F::saves_z) z = y;
  for_vectors<T>({0, n}, [&](i64 i, auto lanes) {
    lanes.store(dx + i, F::slope(lanes.load(dy + i), lanes.load(z + i), lanes.load(y + i), p, q));
  });
}

// A run of n elements. y may be z, dx may be dy; z may be null for functions that do not save it.
template <class T>
using ForwardFn = void (*)(T* y, const T* z, i64 n, Activation act);
template <class T>
using BackwardFn = void (*)(T* dx, const T* dy, const T* z, const T* y, i64 n, Activation act);

template <class T>
struct ActivationFns {
  ForwardFn<T> forward;
  BackwardFn<T> backward;
  bool saves_z;
  double cost32, cost64;  // nanoseconds for an element of float32 and float64, roughly
};

// The list, by ActivationId.
template <class T>
FASTNN_INLINE ActivationFns<T> activation_fns(i64 id) {
#define FASTNN_ACTIVATION(F, cost32, cost64)                                       \
  {                                                                                \
    apply_forward<T, F<T>>, apply_backward<T, F<T>>, F<T>::saves_z, cost32, cost64 \
  }
  static constexpr ActivationFns<T> list[] = {
      FASTNN_ACTIVATION(Linear, 0.05, 0.1), FASTNN_ACTIVATION(Relu, 0.05, 0.1),     FASTNN_ACTIVATION(LeakyRelu, 0.05, 0.1),
      FASTNN_ACTIVATION(Sigmoid, 0.2, 3),   FASTNN_ACTIVATION(Tanh, 0.2, 9),        FASTNN_ACTIVATION(Gelu, 0.4, 15),
      FASTNN_ACTIVATION(GeluTanh, 0.3, 4),  FASTNN_ACTIVATION(Exponential, 0.2, 3), FASTNN_ACTIVATION(Log, 0.3, 3),
      FASTNN_ACTIVATION(Sqrt, 0.1, 0.3),    FASTNN_ACTIVATION(Abs, 0.05, 0.1),      FASTNN_ACTIVATION(Clip, 0.05, 0.1),
      FASTNN_ACTIVATION(Affine, 0.05, 0.1), FASTNN_ACTIVATION(Power, 1, 2),         FASTNN_ACTIVATION(Erf, 0.3, 9),
      FASTNN_ACTIVATION(Sin, 0.3, 9),       FASTNN_ACTIVATION(Cos, 0.3, 9),         FASTNN_ACTIVATION(Log1p, 0.3, 4),
      FASTNN_ACTIVATION(Expm1, 0.2, 9),     FASTNN_ACTIVATION(Sign, 0.05, 0.1),     FASTNN_ACTIVATION(Floor, 0.05, 0.1),
      FASTNN_ACTIVATION(Ceil, 0.05, 0.1),   FASTNN_ACTIVATION(Round, 0.05, 0.1),
  };
#undef FASTNN_ACTIVATION
  return list[id];
}
FASTNN_INLINE double activation_work(i64 n, int itemsize, Activation act) {
  const auto fns = activation_fns<float>(act.id);
  return elements_work(n, itemsize, fns.cost32, fns.cost64);
}

template <class T>
FASTNN_INLINE ForwardFn<T> activation_forward_fn(i64 id) {
  return activation_fns<T>(id).forward;
}
template <class T>
FASTNN_INLINE BackwardFn<T> activation_backward_fn(i64 id) {
  return activation_fns<T>(id).backward;
}
FASTNN_INLINE bool saves_z(i64 id) { return activation_fns<float>(id).saves_z; }

template <class T>
struct ActivationForward {
  static constexpr const char* fields = "y x act n";
  T* y;
  const T* x;
  Activation act;
  i64 n;
};

template <class T>
void activation_forward(const void* args, const Worker& me) {
  const ActivationForward<T> a = *(const ActivationForward<T>*)args;
  Range r = share(a.n, kGrain, me);
  activation_forward_fn<T>(a.act.id)(a.y + r.begin, a.x + r.begin, r.end - r.begin, a.act);
}

FASTNN_INLINE double activation_forward_work(const void* args, int itemsize) {
  const auto& a = *(const ActivationForward<float>*)args;
  return activation_work(a.n, itemsize, a.act);
}

template <class T>
struct ActivationBackward {
  static constexpr const char* fields = "dx dy x y act n";
  T* dx;
  const T *dy, *x, *y;
  Activation act;
  i64 n;
};

template <class T>
void activation_backward(const void* args, const Worker& me) {
  const ActivationBackward<T> a = *(const ActivationBackward<T>*)args;
  Range r = share(a.n, kGrain, me);
  const i64 i = r.begin;
  activation_backward_fn<T>(a.act.id)(a.dx + i, a.dy + i, a.x + i, a.y + i, r.end - i, a.act);
}

FASTNN_INLINE double activation_backward_work(const void* args, int itemsize) {
  const auto& a = *(const ActivationBackward<float>*)args;
  return activation_work(a.n, itemsize, a.act);
}

// ---- softmax ----

// p = softmax(x) of rows of n elements, and of each row the maximum and sum(exp(x - max)); p may be x, or null.
template <class T>
using SoftmaxFn = void (*)(T* p, const T* x, i64 rows, i64 n, T* max, T* sum);

// For rows of at most V vectors and more than V - 1, which stay in registers; V = 0: rows of any length.
// A maximum that overlooks a NaN is good enough: the sum and with it the whole row become NaN all the same.
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

// Softmax works on blocks of as many rows as a vector has lanes, so that their logarithms are taken together:
// f(row, max, log of the sum) for each row of a block. `before(row)` has come for each of them while x was whole: p may be x.
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
  return 6.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.3, 4);
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
  return 3.0 * (double)a.M + elements_work(a.M * a.N, itemsize, 0.3, 4);
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

}  // namespace
