// Recurrent layers. fastnn/backends/reference/recurrent.py defines them. lstm.h and gru.h have the kernels of these cells; here
// are those of the plain cell, h = act(x + h u).
#pragma once
#include "families/steps.h"

namespace {

template <class T>
struct RnnForward {
  static constexpr const char* fields = "y h before x u h0 lengths mask act batch_first reverse R H N";
  T *y, *h, *before;
  const T *x, *u, *h0;
  const i64* lengths;
  const T* mask;
  Activation act;
  i64 batch_first, reverse;
  i64 R, H, N;
  const T* packed;
};

template <class T>
struct RnnForwardPlan {
  using Args = RnnForward<T>;
  StepProduct<T> product;
  i64 stride;
  T* state[2];
  i64 bytes;
  RnnForwardPlan(const Args& a, char* scratch, int nth)
      : product(a.N, a.H, 1, a.H, a.u, a.H, false, a.R, a.packed), stride(state_stride<T>(a.H)) {
    Arena arena = {scratch, 0};
    product.reserve(arena, nth);
    for (T*& s : state) s = arena.take<T>(a.N * stride);
    bytes = arena.used;
  }
};

template <class T>
void rnn_forward(const void* args, const Worker& me) {
  const RnnForward<T> a = *(const RnnForward<T>*)args;
  const RnnForwardPlan<T> p(a, me.scratch, me.nth);
  StepProduct<T> product = p.product;
  const Steps steps(a);
  const i64 H = a.H;
  product.pack(me);
  begin_state(a.h, a.h0, share(a.N, 1, me), H, p.state[0], p.stride, a.mask);
  sync(me);
  for (i64 step = 0; step < steps.count; step++) {
    const T* now = p.state[step & 1];
    T* next = p.state[~step & 1];
    product.run(now, p.stride, me, [&](StepSums<T> s) {
      for (i64 i = s.r0; i < s.r1; i++) {
        const i64 row = steps.row(i, step);
        const bool active = steps.active(i, step);
        T* z = s.at + (i - s.r0) * s.stride;
        s.units(i, [&](i64 j, T* sum, auto lanes) { lanes.store(sum, lanes.load(a.x + row * H + j) + lanes.load(sum)); });
        activation_fns<T>(a.act.id).forward(z, z, s.j1 - s.j0, a.act);
        s.units(i, [&](i64 j, T* sum, auto lanes) {
          const Vec<T> old = lanes.load(now + i * p.stride + j), y = lanes.load(sum);
          if (a.before) lanes.store(a.before + row * H + j, active ? old : Vec<T>{});
          lanes.store(a.y + row * H + j, active ? y : Vec<T>{});
          if (active) lanes.store(a.h + i * H + j, y);
          lanes.store(next + i * p.stride + j, active ? masked(y, a.mask, i * H + j, lanes) : old);
        });
      }
    });
    sync(me);
  }
}

FASTNN_INLINE double rnn_work(i64 R, i64 N, i64 H, int itemsize) {
  return steps_work(R, N, product_work(N, H, H, itemsize) + elements_work(N * H, itemsize, 1, 2));
}
FASTNN_INLINE double rnn_forward_work(const void* args, int itemsize) {
  const auto& a = *(const RnnForward<float>*)args;
  return rnn_work(a.R, a.N, a.H, itemsize);
}
template <class T>
i64 rnn_pack(const void* args, void* to) {
  RnnForward<T> a = *(const RnnForward<T>*)args;
  a.packed = nullptr;
  return RnnForwardPlan<T>(a, nullptr, 1).product.pack((T*)to) * (i64)sizeof(T);
}
FASTNN_INLINE i64 rnn_forward_pack(const void* args, int itemsize, int, void* to) {
  return (itemsize == 4 ? rnn_pack<float> : rnn_pack<double>)(args, to);
}

template <class T>
struct RnnBackward {
  static constexpr const char* fields = "dx dh0 dy dh y u lengths mask act batch_first reverse R H N";
  T *dx, *dh0;
  const T *dy, *dh, *y, *u;
  const i64* lengths;
  const T* mask;
  Activation act;
  i64 batch_first, reverse;
  i64 R, H, N;
};

template <class T>
struct RnnBackwardPlan {
  using Args = RnnBackward<T>;
  StepProduct<T> product;
  i64 stride;
  T *slope[2], *part;  // gradients of the sums; a row's gradients of its state, and its values
  i64 bytes;
  RnnBackwardPlan(const Args& a, char* scratch, int nth)
      : product(a.N, a.H, 1, a.H, a.u, a.H, true, a.R, nullptr), stride(state_stride<T>(a.H)) {
    Arena arena = {scratch, 0};
    product.reserve(arena, nth);
    for (T*& s : slope) s = arena.take<T>(a.N * stride);
    part = arena.take<T>(nth * 2 * product.sums_stride());
    bytes = arena.used;
  }
};

template <class T>
void rnn_backward(const void* args, const Worker& me) {
  const RnnBackward<T> a = *(const RnnBackward<T>*)args;
  const RnnBackwardPlan<T> p(a, me.scratch, me.nth);
  StepProduct<T> product = p.product;
  const Steps steps(a);
  const i64 H = a.H;
  T *total = p.part + me.ith * 2 * product.sums_stride(), *value = total + product.sums_stride();
  product.pack(me);
  begin_state(a.dh0, a.dh, share(a.N, 1, me), H);
  sync(me);
  // The product with the turned weights ends the gradient of the state before a step. That of the sums of the step before follows
  // for the same units.
  for (i64 step = steps.count; step >= 0; step--) {
    product.run(step < steps.count ? p.slope[step & 1] : nullptr, p.stride, me, [&](StepSums<T> s) {
      for (i64 i = s.r0; i < s.r1; i++) {
        if (s.at && steps.active(i, step))
          s.units(i, [&](i64 j, T* sum, auto lanes) {
            lanes.store(a.dh0 + i * H + j, masked(lanes.load(sum), a.mask, i * H + j, lanes));
          });
        if (!step) continue;
        const i64 row = steps.row(i, step - 1);
        const bool active = steps.active(i, step - 1);
        s.units(i, [&](i64 j, T*, auto lanes) {
          const Vec<T> d = lanes.load(a.dh0 + i * H + j);
          lanes.store(total + j - s.j0, a.dy ? d + lanes.load(a.dy + row * H + j) : d);
          lanes.store(value + j - s.j0, lanes.load(a.y + row * H + j));
        });
        activation_fns<T>(a.act.id).backward(total, total, value, value, s.j1 - s.j0, a.act);
        s.units(i, [&](i64 j, T*, auto lanes) {
          const Vec<T> d = active ? lanes.load(total + j - s.j0) : Vec<T>{};
          lanes.store(a.dx + row * H + j, d);
          lanes.store(p.slope[~step & 1] + i * p.stride + j, d);
        });
      }
    });
    sync(me);
  }
}

FASTNN_INLINE double rnn_backward_work(const void* args, int itemsize) {
  const auto& a = *(const RnnBackward<float>*)args;
  return rnn_work(a.R, a.N, a.H, itemsize);
}

}  // namespace
