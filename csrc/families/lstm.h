// The LSTM of the recurrent family.
#pragma once
#include "families/steps.h"

namespace {

template <class T>
struct LstmForward {
  static constexpr const char* fields =
      "y h c gates cells hidden before x u projection h0 c0 lengths mask batch_first reverse R P N H";
  T *y, *h, *c, *gates, *cells, *hidden, *before;
  const T *x, *u, *projection, *h0, *c0;
  const i64* lengths;
  const T* mask;
  i64 batch_first, reverse;
  i64 R, P, N, H;
  const T *packed, *packed_projection;
};

template <class T>
struct LstmForwardPlan {
  using Args = LstmForward<T>;
  StepProduct<T> product, projected;
  i64 stride, inside_stride;
  T *state[2], *inside = nullptr;  // the masked states, and o tanh(c) where it is not the state
  i64 bytes;
  LstmForwardPlan(const Args& a, char* scratch, int nth)
      : product(a.N, a.P, 4, a.H, a.u, 4 * a.H, false, a.R, a.packed),
        projected(a.N, a.H, 1, a.P, a.projection, a.P, false, a.R, a.packed_projection),
        stride(state_stride<T>(a.P)),
        inside_stride(state_stride<T>(a.H)) {
    Arena arena = {scratch, 0};
    product.reserve(arena, nth);
    for (T*& s : state) s = arena.take<T>(a.N * stride);
    if (a.projection) {
      projected.reserve(arena, nth);
      inside = arena.take<T>(a.N * inside_stride);
    }
    bytes = arena.used;
  }
};

template <class T>
void lstm_forward(const void* args, const Worker& me) {
  const LstmForward<T> a = *(const LstmForward<T>*)args;
  LstmForwardPlan<T> p(a, me.scratch, me.nth);
  const Steps steps(a);
  const i64 H = a.H, P = a.P, stride = p.stride, inside_stride = p.inside_stride;
  T* inside = p.inside;
  const Range own = share(a.N, 1, me);
  p.product.pack(me);
  if (a.projection) p.projected.pack(me);
  begin_state(a.h, a.h0, own, P, p.state[0], p.stride, a.mask);
  begin_state(a.c, a.c0, own, H);
  sync(me);
  for (i64 step = 0; step < steps.count; step++) {
    const T* now = p.state[step & 1];
    T* next = p.state[~step & 1];
    // The state after the step, and what is kept of it.
    const auto finish = [&](i64 i, i64 row, bool active, i64 j, auto lanes, Vec<T> h) __attribute__((always_inline)) {
      const Vec<T> old = lanes.load(now + i * stride + j);
      if (a.before) lanes.store(a.before + row * P + j, active ? old : Vec<T>{});
      lanes.store(a.y + row * P + j, active ? h : Vec<T>{});
      if (active) lanes.store(a.h + i * P + j, h);
      lanes.store(next + i * stride + j, active ? masked(h, a.mask, i * P + j, lanes) : old);
    };
    p.product.run(now, stride, me, [&](StepSums<T> s) {
      // The gates go to their array, or remain where their sums are.
      const i64 gate = a.gates ? H : s.gate;
      for (i64 i = s.r0; i < s.r1; i++) {
        const i64 row = steps.row(i, step);
        const bool active = steps.active(i, step);
        const auto gates_at = [&](i64 j, T* sums) { return a.gates ? a.gates + row * 4 * H + j : sums; };
        // The next row is far away, and this one needs all its registers.
        s.fetch(a.x, i + 1 < s.r1 ? steps.row(i + 1, step) : steps.row(s.r0, min_i64(step + 1, steps.count - 1)), 4, H);
        // One function after the other: short loops overlap better than a long one.
        const auto compute = [&](i64 g, auto f) __attribute__((always_inline)) {
          s.units(i, [&](i64 j, T* sums, auto lanes) {
            const Vec<T> v = f(lanes.load(a.x + (row * 4 + g) * H + j) + lanes.load(sums + g * s.gate));
            lanes.store(gates_at(j, sums) + g * gate, active ? v : Vec<T>{});
          });
        };
#pragma GCC unroll 1
        for (i64 g = 0; g < 4; g += g == 1 ? 2 : 1) compute(g, [](Vec<T> v) { return vsigmoid<T>(v); });
        compute(2, [](Vec<T> v) { return vtanh(v); });
        s.units(i, [&](i64 j, T* sums, auto lanes) {
          Vec<T> out = {}, cell = {};
          if (active) {
            const T* g = gates_at(j, sums);
            T* c = a.c + i * H + j;
            cell = lanes.load(g + gate) * lanes.load(c) + lanes.load(g) * lanes.load(g + 2 * gate);
            lanes.store(c, cell);
            out = lanes.load(g + 3 * gate) * vtanh(cell);
          }
          if (a.cells) lanes.store(a.cells + row * H + j, cell);
          if (!a.projection) return finish(i, row, active, j, lanes, out);
          lanes.store(inside + i * inside_stride + j, out);
          if (a.hidden) lanes.store(a.hidden + row * H + j, out);
        });
      }
    });
    sync(me);
    if (!a.projection) continue;
    p.projected.run(inside, inside_stride, me, [&](StepSums<T> s) {
      for (i64 i = s.r0; i < s.r1; i++)
        s.units(i, [&](i64 j, T* sums, auto lanes) {
          finish(i, steps.row(i, step), steps.active(i, step), j, lanes, lanes.load(sums));
        });
    });
    sync(me);
  }
}

FASTNN_INLINE double lstm_work(i64 R, i64 N, i64 H, i64 P, bool projection, int itemsize) {
  const double one = product_work(N, 4 * H, P, itemsize) + (projection ? product_work(N, P, H, itemsize) : 0);
  return steps_work(R, N, one + elements_work(N * H, itemsize, 3, 8));
}
FASTNN_INLINE double lstm_forward_work(const void* args, int itemsize) {
  const auto& a = *(const LstmForward<float>*)args;
  return lstm_work(a.R, a.N, a.H, a.P, a.projection, itemsize);
}
template <class T>
i64 lstm_pack(const void* args, int weight, void* to) {
  LstmForward<T> a = *(const LstmForward<T>*)args;
  if (weight && !a.projection) return 0;
  a.packed = a.packed_projection = nullptr;
  const LstmForwardPlan<T> p(a, nullptr, 1);
  return (weight ? p.projected : p.product).pack((T*)to) * (i64)sizeof(T);
}
FASTNN_INLINE i64 lstm_forward_pack(const void* args, int itemsize, int weight, void* to) {
  return (itemsize == 4 ? lstm_pack<float> : lstm_pack<double>)(args, weight, to);
}

template <class T>
struct LstmBackward {
  static constexpr const char* fields =
      "dx dz dh0 dc0 dy dh dc gates cells u projection c0 lengths mask batch_first reverse R H P N";
  T *dx, *dz, *dh0, *dc0;
  const T *dy, *dh, *dc, *gates, *cells, *u, *projection, *c0;
  const i64* lengths;
  const T* mask;
  i64 batch_first, reverse;
  i64 R, H, P, N;
};

template <class T>
struct LstmBackwardPlan {
  using Args = LstmBackward<T>;
  StepProduct<T> product, projected;
  i64 stride, total_stride;
  T *slope[2], *total = nullptr;  // gradients of the gates; those of the state where it is projected
  i64 bytes;
  LstmBackwardPlan(const Args& a, char* scratch, int nth)
      : product(a.N, 4 * a.H, 1, a.P, a.u, 4 * a.H, true, a.R, nullptr),
        projected(a.N, a.P, 1, a.H, a.projection, a.P, true, a.R, nullptr),
        stride(state_stride<T>(4 * a.H)),
        total_stride(state_stride<T>(a.P)) {
    Arena arena = {scratch, 0};
    product.reserve(arena, nth);
    for (T*& s : slope) s = arena.take<T>(a.N * stride);
    if (a.projection) {
      projected.reserve(arena, nth);
      total = arena.take<T>(a.N * total_stride);
    }
    bytes = arena.used;
  }
};

// A step of backward: the product with the turned weights ends the gradient of the state before it, and the element-wise part of
// the step before follows for the same units. With a projection, another product lies between them.
template <class T>
void lstm_backward(const void* args, const Worker& me) {
  const LstmBackward<T> a = *(const LstmBackward<T>*)args;
  LstmBackwardPlan<T> p(a, me.scratch, me.nth);
  const Steps steps(a);
  const i64 H = a.H, P = a.P, stride = p.stride, total_stride = p.total_stride;
  T *slopes[2] = {p.slope[0], p.slope[1]}, *total = p.total;
  const Range own = share(a.N, 1, me);
  // The gradients of the gates of a row, from that of o tanh(c).
  const auto of_gates = [&](i64 i, i64 row, i64 step, i64 j, auto lanes, Vec<T> d) __attribute__((always_inline)) {
    Vec<T> slope[4] = {};
    if (steps.active(i, step)) {
      const T* gates = a.gates + row * 4 * H + j;
      const Vec<T> in = lanes.load(gates), forget = lanes.load(gates + H), input = lanes.load(gates + 2 * H);
      const Vec<T> out = lanes.load(gates + 3 * H), t = vtanh(lanes.load(a.cells + row * H + j));
      const T* before = step ? a.cells + steps.row(i, step - 1) * H + j : a.c0 ? a.c0 + i * H + j : nullptr;
      const Vec<T> dc = lanes.load(a.dc0 + i * H + j) + d * out * ((T)1 - t * t);
      slope[0] = dc * input * in * ((T)1 - in);
      slope[1] = dc * (before ? lanes.load(before) : Vec<T>{}) * forget * ((T)1 - forget);
      slope[2] = dc * in * ((T)1 - input * input);
      slope[3] = d * t * out * ((T)1 - out);
      lanes.store(a.dc0 + i * H + j, dc * forget);
    }
    for (int g = 0; g < 4; g++) {
      lanes.store(a.dx + (row * 4 + g) * H + j, slope[g]);
      lanes.store(slopes[step & 1] + i * stride + g * H + j, slope[g]);
    }
  };
  p.product.pack(me);
  if (a.projection) p.projected.pack(me);
  begin_state(a.dh0, a.dh, own, P);
  begin_state(a.dc0, a.dc, own, H);
  sync(me);
  for (i64 step = steps.count; step >= 0; step--) {
    p.product.run(step < steps.count ? slopes[step & 1] : nullptr, stride, me, [&](StepSums<T> s) {
      for (i64 i = s.r0; i < s.r1; i++) {
        if (s.at && steps.active(i, step))
          s.units(i, [&](i64 j, T* sum, auto lanes) {
            lanes.store(a.dh0 + i * P + j, masked(lanes.load(sum), a.mask, i * P + j, lanes));
          });
        if (!step) continue;
        const i64 row = steps.row(i, step - 1);
        const i64 next = i + 1 < s.r1 ? steps.row(i + 1, step - 1) : steps.row(s.r0, max_i64(step - 2, 0));
        s.fetch(a.gates, next, 4, H);
        s.fetch(a.cells, i + 1 < s.r1 ? steps.row(i + 1, max_i64(step - 2, 0)) : next, 1, H);  // those before the step
        s.fetch(a.dy, next, 1, P);
        s.units(i, [&](i64 j, T*, auto lanes) {
          Vec<T> d = lanes.load(a.dh0 + i * P + j);
          if (a.dy) d += lanes.load(a.dy + row * P + j);
          if (!a.projection) return of_gates(i, row, step - 1, j, lanes, d);
          lanes.store(total + i * total_stride + j, d);
          if (a.dz) lanes.store(a.dz + row * P + j, steps.active(i, step - 1) ? d : Vec<T>{});
        });
      }
    });
    sync(me);
    if (!a.projection || !step) continue;
    p.projected.run(total, total_stride, me, [&](StepSums<T> s) {
      for (i64 i = s.r0; i < s.r1; i++) {
        const i64 row = steps.row(i, step - 1);
        s.units(i, [&](i64 j, T* sum, auto lanes) { of_gates(i, row, step - 1, j, lanes, lanes.load(sum)); });
      }
    });
    sync(me);
  }
}

FASTNN_INLINE double lstm_backward_work(const void* args, int itemsize) {
  const auto& a = *(const LstmBackward<float>*)args;
  return lstm_work(a.R, a.N, a.H, a.P, a.projection, itemsize);
}

}  // namespace
