// Kernels of activations: element-wise, gated, and with learned slopes. It also declares the table of element-wise functions, by
// which the dense layer calls them, too.
#pragma once
#include "math/sums.h"

namespace fastnn {

// An element-wise function over a run of n elements. y may be z, and dx may be dy. z may be null if the function does not save
// it.
template <class T>
struct ActivationFns {
  void (*forward)(T* y, const T* z, i64 n, Activation act);
  void (*backward)(T* dx, const T* dy, const T* z, const T* y, i64 n, Activation act);
  bool saves_z;
  double cost32, cost64;  // rough nanoseconds for an element of float32 and float64
};

// Indexed by the ids of spec.ACTIVATIONS.
struct ActivationTable {
  const ActivationFns<float>* of_float;
  const ActivationFns<double>* of_double;
};

}  // namespace fastnn

// This ISA's functions, defined in functions.h.
extern "C" const fastnn::ActivationTable FASTNN_TABLE(functions);

namespace {

// Ids that some kernels handle separately.
enum ActivationId { kLinear, kRelu };

// Returns whether the output at this position is added to the old values.
FASTNN_INLINE bool adds(i64 mask, int output) { return mask >> output & 1; }

template <class T>
FASTNN_INLINE const fastnn::ActivationFns<T>& activation_fns(i64 id) {
  if constexpr (sizeof(T) == 4)
    return FASTNN_TABLE(functions).of_float[id];
  else
    return FASTNN_TABLE(functions).of_double[id];
}
FASTNN_INLINE double activation_work(i64 n, int itemsize, Activation act) {
  const auto& fns = activation_fns<float>(act.id);
  return elements_work(n, itemsize, fns.cost32, fns.cost64);
}

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
  activation_fns<T>(a.act.id).forward(a.y + r.begin, a.x + r.begin, r.end - r.begin, a.act);
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
  activation_fns<T>(a.act.id).backward(a.dx + i, a.dy + i, a.x + i, a.y + i, r.end - i, a.act);
}

FASTNN_INLINE double activation_backward_work(const void* args, int itemsize) {
  const auto& a = *(const ActivationBackward<float>*)args;
  return activation_work(a.n, itemsize, a.act);
}

// ---- gated: one half of x times a function of the other ----

template <class T>
struct GluForward {
  static constexpr const char* fields = "y x act A C";
  T* y;
  const T* x;
  Activation act;
  i64 A, C;
};

constexpr i64 kGateChunk = 512;

// Calls f(i, x, n) for runs of n elements of y (A, C), starting at i. The first half of the input starts at x, the second at x +
// C.
template <class F>
FASTNN_INLINE void for_halves(i64 A, i64 C, const Worker& me, F f) {
  const Range r = share(A * C, kGrain, me);
  for (i64 i = r.begin, n; i < r.end; i += n) {
    const i64 row = i / C;
    n = min_i64(kGateChunk, min_i64((row + 1) * C, r.end) - i);
    f(i, i + row * C, n);
  }
}

template <class T>
void glu_forward(const void* args, const Worker& me) {
  const GluForward<T> a = *(const GluForward<T>*)args;
  const auto fn = activation_fns<T>(a.act.id).forward;
  for_halves(a.A, a.C, me, [&](i64 i, i64 at, i64 n) {
    T gate[kGateChunk];
    fn(gate, a.x + at + a.C, n, a.act);
    for_vectors<T>({0, n}, [&](i64 j, auto lanes) { lanes.store(a.y + i + j, lanes.load(a.x + at + j) * lanes.load(gate + j)); });
  });
}

FASTNN_INLINE double glu_forward_work(const void* args, int itemsize) {
  const auto& a = *(const GluForward<float>*)args;
  return activation_work(a.A * a.C, itemsize, a.act) + elements_work(a.A * a.C, itemsize, 0.1, 0.2);
}

template <class T>
struct GluBackward {
  static constexpr const char* fields = "dx dy x act A C";
  T* dx;
  const T *dy, *x;
  Activation act;
  i64 A, C;
};

template <class T>
void glu_backward(const void* args, const Worker& me) {
  const GluBackward<T> a = *(const GluBackward<T>*)args;
  const auto& fns = activation_fns<T>(a.act.id);
  for_halves(a.A, a.C, me, [&](i64 i, i64 at, i64 n) {
    T gate[kGateChunk], dgate[kGateChunk];
    const T *dy = a.dy + i, *half = a.x + at, *z = half + a.C;
    T* dx = a.dx + at;
    fns.forward(gate, z, n, a.act);
    for_vectors<T>({0, n}, [&](i64 j, auto lanes) {
      const Vec<T> d = lanes.load(dy + j);
      lanes.store(dx + j, d * lanes.load(gate + j));
      lanes.store(dgate + j, d * lanes.load(half + j));
    });
    fns.backward(dx + a.C, dgate, z, gate, n, a.act);
  });
}

FASTNN_INLINE double glu_backward_work(const void* args, int itemsize) {
  const auto& a = *(const GluBackward<float>*)args;
  return 2 * activation_work(a.A * a.C, itemsize, a.act) + elements_work(a.A * a.C, itemsize, 0.2, 0.4);
}

// ---- prelu: learned slopes; C slopes, one for each column or one for all ----

template <class T>
struct PreluForward {
  static constexpr const char* fields = "y x slope M N C";
  T* y;
  const T *x, *slope;
  i64 M, N, C;
};

template <class T>
void prelu_forward(const void* args, const Worker& me) {
  const PreluForward<T> a = *(const PreluForward<T>*)args;
  const Range rows = share(a.M, rows_grain(a.N), me);
  for (i64 i = rows.begin; i < rows.end; i++)
    for_vectors<T>({0, a.N}, [&](i64 j, auto lanes) {
      const Vec<T> x = lanes.load(a.x + i * a.N + j), s = a.C == 1 ? splat(a.slope[0]) : lanes.load(a.slope + j);
      lanes.store(a.y + i * a.N + j, x > (T)0 ? x : s * x);
    });
}

FASTNN_INLINE double prelu_forward_work(const void* args, int itemsize) {
  const auto& a = *(const PreluForward<float>*)args;
  return elements_work(a.M * a.N, itemsize, 0.1, 0.2);
}

template <class T>
struct PreluBackward {
  static constexpr const char* fields = "dx dslope dy x slope add M N C";
  T *dx, *dslope;
  const T *dy, *x, *slope;
  i64 add;
  i64 M, N, C;
};

// Returns the number of rows in a piece of the partial sums.
FASTNN_INLINE i64 prelu_rows(i64 M, i64 N) { return max_i64(rows_grain(N), ceil_div(M, 64)); }

template <class T>
void prelu_backward(const void* args, const Worker& me) {
  const PreluBackward<T> a = *(const PreluBackward<T>*)args;
  const i64 rows = prelu_rows(a.M, a.N), pieces = ceil_div(a.M, rows);
  const bool need_dx = a.dx, need_dslope = a.dslope, one = a.C == 1;
  T* partial = (T*)me.scratch;
  const auto of_slope = [&](i64 i, auto lanes) {
    const Vec<T> x = lanes.load(a.x + i);
    return x > (T)0 ? splat<T>(0) : x * lanes.load(a.dy + i);
  };
  const Range mine = share(pieces, 1, me);
  for (i64 piece = mine.begin; piece < mine.end; piece++) {
    const i64 begin = piece * rows, end = min_i64(a.M, begin + rows);
    for (i64 i = begin; need_dx && i < end; i++)
      for_vectors<T>({0, a.N}, [&](i64 j, auto lanes) {
        const Vec<T> x = lanes.load(a.x + i * a.N + j), dy = lanes.load(a.dy + i * a.N + j);
        const Vec<T> s = one ? splat(a.slope[0]) : lanes.load(a.slope + j);
        lanes.store(a.dx + i * a.N + j, x > (T)0 ? dy : s * dy);
      });
    if (!need_dslope) continue;
    if (one) {
      const i64 at = begin * a.N;
      partial[piece] = hsum<T>(sum_vectors<T>((end - begin) * a.N, [&](i64 i, auto lanes) { return of_slope(at + i, lanes); }));
    } else {
      for_vectors<T>({0, a.N}, [&](i64 j, auto lanes) {
        Vec<T> sum = {};
        for (i64 i = begin; i < end; i++) sum += of_slope(i * a.N + j, lanes);
        lanes.store(partial + piece * a.N + j, sum);
      });
    }
  }
  if (!need_dslope) return;
  sync(me);
  for_vectors<T>(share(a.C, 64, me), [&](i64 j, auto lanes) {
    Vec<T> sum = adds(a.add, 1) ? lanes.load(a.dslope + j) : Vec<T>{};
    for (i64 piece = 0; piece < pieces; piece++) sum += lanes.load(partial + piece * a.C + j);
    lanes.store(a.dslope + j, sum);
  });
}

FASTNN_INLINE i64 prelu_backward_scratch(const void* args, int itemsize, int) {
  const auto& a = *(const PreluBackward<float>*)args;
  return a.dslope ? ceil_div(a.M, prelu_rows(a.M, a.N)) * a.C * itemsize : 0;
}
FASTNN_INLINE double prelu_backward_work(const void* args, int itemsize) {
  const auto& a = *(const PreluBackward<float>*)args;
  return elements_work(a.M * a.N, itemsize, 0.2, 0.4);
}

}  // namespace
