// The GRU of the recurrent family.
//
// Without reset_after, the candidate needs the reset gate before its product, so a step has two products: that of the first two
// gates, and that of the candidate.
#pragma once
#include "families/steps.h"

namespace {

template <class T>
struct GruForward {
  static constexpr const char* fields =
      "y h gates inner before x u bu h0 lengths mask reset_after order batch_first reverse R H N";
  T *y, *h, *gates, *inner, *before;
  const T *x, *u, *bu, *h0;
  const i64* lengths;
  const T* mask;
  i64 reset_after, order, batch_first, reverse;
  i64 R, H, N;
  const T* packed;
};

template <class T>
struct GruForwardPlan {
  using Args = GruForward<T>;
  StepProduct<T> product, candidate;
  i64 stride;
  T *state[2], *inside = nullptr, *update = nullptr;  // the masked states; r h and z, for the candidate
  i64 bytes;
  GruForwardPlan(const Args& a, char* scratch, int nth)
      : product(a.N, a.H, a.reset_after ? 3 : 2, a.H, a.u, 3 * a.H, false, a.R, a.packed),
        candidate(a.N, a.H, 1, a.H, a.u + 2 * a.H, 3 * a.H, false, a.R, a.packed ? a.packed + product.pack(nullptr) : nullptr),
        stride(state_stride<T>(a.H)) {
    Arena arena = {scratch, 0};
    product.reserve(arena, nth);
    for (T*& s : state) s = arena.take<T>(a.N * stride);
    if (!a.reset_after) {
      candidate.reserve(arena, nth);
      inside = arena.take<T>(a.N * stride);
      update = arena.take<T>(a.N * stride);
    }
    bytes = arena.used;
  }
};

template <class T>
void gru_forward(const void* args, const Worker& me) {
  const GruForward<T> a = *(const GruForward<T>*)args;
  GruForwardPlan<T> p(a, me.scratch, me.nth);
  const Steps steps(a);
  const i64 H = a.H, at_z = a.order, at_r = 1 - a.order, stride = p.stride;
  T *inside = p.inside, *update = p.update;
  p.product.pack(me);
  if (!a.reset_after) p.candidate.pack(me);
  begin_state(a.h, a.h0, share(a.N, 1, me), H, p.state[0], p.stride, a.mask);
  sync(me);
  for (i64 step = 0; step < steps.count; step++) {
    const T* now = p.state[step & 1];
    T* next = p.state[~step & 1];
    // The state after the step, from the sum before the candidate's tanh, and what is kept of it.
    const auto finish = [&](i64 i, i64 row, bool active, i64 j, auto lanes, Vec<T> z, Vec<T> sum) __attribute__((always_inline)) {
      const Vec<T> old = lanes.load(now + i * stride + j);
      Vec<T> n = {}, h = {};
      if (active) {
        n = vtanh(sum);
        h = z * lanes.load(a.h + i * H + j) + ((T)1 - z) * n;
        lanes.store(a.h + i * H + j, h);
      }
      if (a.gates) lanes.store(a.gates + (row * 3 + 2) * H + j, n);
      if (a.before) lanes.store(a.before + row * H + j, active ? old : Vec<T>{});
      lanes.store(a.y + row * H + j, h);
      lanes.store(next + i * stride + j, active ? masked(h, a.mask, i * H + j, lanes) : old);
    };
    p.product.run(now, stride, me, [&](StepSums<T> s) {
      for (i64 i = s.r0; i < s.r1; i++) {
        const i64 row = steps.row(i, step);
        const bool active = steps.active(i, step);
        const T* x = a.x + row * 3 * H;
        // One function after the other: short loops overlap better than a long one.
#pragma GCC unroll 1
        for (i64 g = 0; g < 2; g++)
          s.units(i, [&](i64 j, T* sums, auto lanes) {
            Vec<T> v = lanes.load(sums + g * s.gate);
            if (a.bu) v += lanes.load(a.bu + g * H + j);
            lanes.store(sums + g * s.gate, vsigmoid<T>(lanes.load(x + g * H + j) + v));
          });
        s.units(i, [&](i64 j, T* sums, auto lanes) {
          const Vec<T> z = lanes.load(sums + at_z * s.gate), r = lanes.load(sums + at_r * s.gate);
          Vec<T> part = lanes.load(a.reset_after ? sums + 2 * s.gate : now + i * stride + j);
          if (a.bu) part += lanes.load(a.bu + 2 * H + j);
          if (!a.reset_after) part *= r;
          if (a.gates)
            for (int g = 0; g < 2; g++)
              lanes.store(a.gates + (row * 3 + g) * H + j, active ? lanes.load(sums + g * s.gate) : Vec<T>{});
          if (a.inner) lanes.store(a.inner + row * H + j, active ? part : Vec<T>{});
          if (a.reset_after) return finish(i, row, active, j, lanes, z, lanes.load(x + 2 * H + j) + r * part);
          lanes.store(inside + i * stride + j, part);
          lanes.store(update + i * stride + j, z);
        });
      }
    });
    sync(me);
    if (a.reset_after) continue;
    p.candidate.run(inside, stride, me, [&](StepSums<T> s) {
      for (i64 i = s.r0; i < s.r1; i++) {
        const i64 row = steps.row(i, step);
        s.units(i, [&](i64 j, T* sums, auto lanes) {
          const Vec<T> sum = lanes.load(a.x + (row * 3 + 2) * H + j) + lanes.load(sums);
          finish(i, row, steps.active(i, step), j, lanes, lanes.load(update + i * stride + j), sum);
        });
      }
    });
    sync(me);
  }
}

FASTNN_INLINE double gru_work(i64 R, i64 N, i64 H, int itemsize) {
  return steps_work(R, N, product_work(N, 3 * H, H, itemsize) + elements_work(N * H, itemsize, 2.5, 7));
}
FASTNN_INLINE double gru_forward_work(const void* args, int itemsize) {
  const auto& a = *(const GruForward<float>*)args;
  return gru_work(a.R, a.N, a.H, itemsize);
}
// Packs the weights of one product, or one after the other those of both, unless one of them is read in place.
template <class T>
i64 gru_pack(const void* args, void* to) {
  GruForward<T> a = *(const GruForward<T>*)args;
  a.packed = nullptr;
  const GruForwardPlan<T> p(a, nullptr, 1);
  const i64 first = p.product.pack(nullptr), second = a.reset_after ? 0 : p.candidate.pack(nullptr);
  if (!first || (!a.reset_after && !second)) return 0;
  if (to) p.product.pack((T*)to);
  if (to && second) p.candidate.pack((T*)to + first);
  return (first + second) * (i64)sizeof(T);
}
FASTNN_INLINE i64 gru_forward_pack(const void* args, int itemsize, int, void* to) {
  return (itemsize == 4 ? gru_pack<float> : gru_pack<double>)(args, to);
}

template <class T>
struct GruBackward {
  static constexpr const char* fields =
      "dx dv dh0 dy dh gates inner y u h0 lengths mask reset_after order batch_first reverse R H N";
  T *dx, *dv, *dh0;
  const T *dy, *dh, *gates, *inner, *y, *u, *h0;
  const i64* lengths;
  const T* mask;
  i64 reset_after, order, batch_first, reverse;
  i64 R, H, N;
};

template <class T>
struct GruBackwardPlan {
  using Args = GruBackward<T>;
  StepProduct<T> product, candidate;
  i64 stride, inside_stride;
  T *slope[2], *inside = nullptr;  // gradients of what is added to x; that of the candidate's sum
  i64 bytes;
  GruBackwardPlan(const Args& a, char* scratch, int nth)
      : product(a.N, (a.reset_after ? 3 : 2) * a.H, 1, a.H, a.u, 3 * a.H, true, a.R, nullptr),
        candidate(a.N, a.H, 1, a.H, a.u + 2 * a.H, 3 * a.H, true, a.R, nullptr),
        stride(state_stride<T>(3 * a.H)),
        inside_stride(state_stride<T>(a.H)) {
    Arena arena = {scratch, 0};
    product.reserve(arena, nth);
    for (T*& s : slope) s = arena.take<T>(a.N * stride);
    if (!a.reset_after) {
      candidate.reserve(arena, nth);
      inside = arena.take<T>(a.N * inside_stride);
    }
    bytes = arena.used;
  }
};

// A step of backward: the product with the turned weights ends the gradient of the state before it, and the element-wise part of
// the step before follows for the same units. Without reset_after, the candidate's product is between them.
template <class T>
void gru_backward(const void* args, const Worker& me) {
  const GruBackward<T> a = *(const GruBackward<T>*)args;
  GruBackwardPlan<T> p(a, me.scratch, me.nth);
  const Steps steps(a);
  const i64 H = a.H, at_z = a.order, at_r = 1 - a.order, stride = p.stride, inside_stride = p.inside_stride;
  T *slopes[2] = {p.slope[0], p.slope[1]}, *inside = p.inside;
  const auto before = [&](i64 i, i64 j, i64 step, auto lanes) __attribute__((always_inline)) {
    const T* h = step ? a.y + steps.row(i, step - 1) * H + j : a.h0 ? a.h0 + i * H + j : nullptr;
    return h ? lanes.load(h) : Vec<T>{};
  };
  const auto of_gate = [&](i64 i, i64 j, i64 row, i64 step, i64 gate, auto lanes, Vec<T> d) __attribute__((always_inline)) {
    lanes.store(a.dx + (row * 3 + gate) * H + j, d);
    if (a.dv) lanes.store(a.dv + (row * 3 + gate) * H + j, d);
    lanes.store(slopes[step & 1] + i * stride + gate * H + j, d);
  };
  // The gradients of the gates of a row, from that of its state; without reset_after, that of the reset gate is missing.
  const auto of_state = [&](i64 i, i64 row, i64 step, i64 j, auto lanes) __attribute__((always_inline)) {
    Vec<T> d_z = {}, d_r = {}, d_n = {}, d_inner = {};
    if (steps.active(i, step)) {
      const T* gates = a.gates + row * 3 * H + j;
      const Vec<T> z = lanes.load(gates + at_z * H), r = lanes.load(gates + at_r * H), n = lanes.load(gates + 2 * H);
      Vec<T> d = lanes.load(a.dh0 + i * H + j);
      if (a.dy) d += lanes.load(a.dy + row * H + j);
      lanes.store(a.dh0 + i * H + j, d * z);
      d_z = d * (before(i, j, step, lanes) - n) * z * ((T)1 - z);
      d_n = d * ((T)1 - z) * ((T)1 - n * n);
      d_inner = a.reset_after ? d_n * r : d_n;
      d_r = d_n * lanes.load(a.inner + row * H + j) * r * ((T)1 - r);
    }
    of_gate(i, j, row, step, at_z, lanes, d_z);
    lanes.store(a.dx + (row * 3 + 2) * H + j, d_n);
    if (!a.reset_after) return lanes.store(inside + i * inside_stride + j, d_n);
    of_gate(i, j, row, step, at_r, lanes, d_r);
    if (a.dv) lanes.store(a.dv + (row * 3 + 2) * H + j, d_inner);
    lanes.store(slopes[step & 1] + i * stride + 2 * H + j, d_inner);
  };
  const auto add = [&](i64 i, i64 j, auto lanes, Vec<T> d) __attribute__((always_inline)) {
    T* to = a.dh0 + i * H + j;
    lanes.store(to, lanes.load(to) + masked(d, a.mask, i * H + j, lanes));
  };
  p.product.pack(me);
  if (!a.reset_after) p.candidate.pack(me);
  begin_state(a.dh0, a.dh, share(a.N, 1, me), H);
  sync(me);
  for (i64 step = steps.count; step >= 0; step--) {
    p.product.run(step < steps.count ? slopes[step & 1] : nullptr, stride, me, [&](StepSums<T> s) {
      for (i64 i = s.r0; i < s.r1; i++) {
        if (s.at && steps.active(i, step)) s.units(i, [&](i64 j, T* sum, auto lanes) { add(i, j, lanes, lanes.load(sum)); });
        if (!step) continue;
        const i64 row = steps.row(i, step - 1);
        s.units(i, [&](i64 j, T*, auto lanes) { of_state(i, row, step - 1, j, lanes); });
      }
    });
    sync(me);
    if (a.reset_after || !step) continue;
    p.candidate.run(inside, inside_stride, me, [&](StepSums<T> s) {
      for (i64 i = s.r0; i < s.r1; i++) {
        const i64 row = steps.row(i, step - 1);
        s.units(i, [&](i64 j, T* sum, auto lanes) {
          Vec<T> d_r = {};
          if (steps.active(i, step - 1)) {
            const Vec<T> d = lanes.load(sum), r = lanes.load(a.gates + (row * 3 + at_r) * H + j);
            const Vec<T> h = masked(before(i, j, step - 1, lanes), a.mask, i * H + j, lanes);
            d_r = d * h * r * ((T)1 - r);
            add(i, j, lanes, d * r);
          }
          of_gate(i, j, row, step - 1, at_r, lanes, d_r);
        });
      }
    });
    sync(me);
  }
}

FASTNN_INLINE double gru_backward_work(const void* args, int itemsize) {
  const auto& a = *(const GruBackward<float>*)args;
  return gru_work(a.R, a.N, a.H, itemsize);
}

}  // namespace
