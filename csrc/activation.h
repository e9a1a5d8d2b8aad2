// The activations as kernels of their own, and the table of element-wise functions, by which the dense layer calls them too.
#pragma once
#include "sums.h"

namespace fastnn {

// An element-wise function over a run of n elements. y may be z, dx may be dy; z may be null for functions that do not save it.
template <class T>
struct ActivationFns {
  void (*forward)(T* y, const T* z, i64 n, Activation act);
  void (*backward)(T* dx, const T* dy, const T* z, const T* y, i64 n, Activation act);
  bool saves_z;
  double cost32, cost64;  // nanoseconds for an element of float32 and float64, roughly
};

// By the ids of spec.ACTIVATIONS.
struct ActivationTable {
  const ActivationFns<float>* of_float;
  const ActivationFns<double>* of_double;
};

}  // namespace fastnn

// This ISA's functions, defined in functions.h.
extern "C" const fastnn::ActivationTable FASTNN_TABLE(functions);

namespace {

// The ids that kernels treat in a way of their own.
enum ActivationId { kLinear, kRelu };

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

}  // namespace
