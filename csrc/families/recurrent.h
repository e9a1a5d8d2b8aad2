// Recurrent layers. fastnn/backends/reference/recurrent.py defines them. lstm.h and gru.h have the kernels of these cells.
//
// A step is a product of the state with weights, and element-wise functions of its sums. The weights are packed once for all
// steps: a block of units has all its gates in neighbouring columns, so the functions follow while the sums are in the
// first-level cache. A worker has the same blocks in each step, and keeps them in the second-level cache of its core. Workers
// wait for each other once in a step. If there are few steps, packing does not pay, and the weights are read in place.
#pragma once
#include "math/transpose.h"
#include "math/vmath.h"
#include "product/product.h"

namespace {

// The rows of the sequences.
struct Steps {
  i64 n, count;
  const i64* lengths;
  i64 batch_first, reverse;

  FASTNN_INLINE Steps of(i64 rows, i64 n, const i64* lengths, i64 batch_first, i64 reverse) {
    return {n, n ? rows / n : 0, lengths, batch_first, reverse};
  }
  __attribute__((always_inline)) i64 length(i64 i) const { return lengths ? max_i64(0, min_i64(lengths[i], count)) : count; }
  __attribute__((always_inline)) bool active(i64 i, i64 step) const { return step < length(i); }
  __attribute__((always_inline)) i64 row(i64 i, i64 step) const {
    const i64 n_steps = length(i), t = reverse && step < n_steps ? n_steps - 1 - step : step;
    return batch_first ? i * count + t : t * n + i;
  }
};

// Memory for several arrays of a kernel, each of which begins at a cache line. Without a base, it only counts.
struct Arena {
  char* base;
  i64 used;
  template <class T>
  T* take(i64 n) {
    T* p = base ? (T*)(base + used) : nullptr;
    used += round_up(n * (i64)sizeof(T), 64);
    return p;
  }
};

// Rows of the state in scratch memory. A distance that is a multiple of a page would put all rows into the same places of the
// first-level cache.
template <class T>
FASTNN_INLINE i64 state_stride(i64 columns) {
  return round_up(columns, kLanes<T>) + kLanes<T>;
}

// Sums of a step: those of the rows [r0, r1) and the units [j0, j1).
template <class T>
struct StepSums {
  i64 r0, r1, j0, j1;
  const T* at[8];  // for each gate and vector of units, in this order, the first row
  i64 stride;      // distance of rows
  __attribute__((always_inline)) const T* operator()(i64 vector, i64 i) const { return at[vector] + (i - r0) * stride; }
};

// A product c = a w in each step, with a (n, k) and w (k, gates, units), where rows of w have a distance. If w is `turned`, it
// is stored as (units, k), and there is one gate.
template <class T>
struct StepProduct {
  static constexpr i64 L = kLanes<T>;
  static constexpr i64 kWidest = FASTNN_VB == 64 ? 4 : 2;  // vectors of a panel
  static constexpr i64 kPackSteps = 4;                     // number of steps from which packing pays
  static constexpr i64 kRows = 36;                         // rows of a piece

  i64 n, k, gates, units;
  const T* w;
  i64 ld;
  bool turned, packs;
  i64 wide, vectors, panels, blocks;  // vectors of a gate in a block; vectors of a panel; panels of a block; blocks of units
  Cut rows;
  const T* packed;
  T *to = nullptr, *sums = nullptr;
  char* scratch = nullptr;

  // `steps` decides whether w is packed; `packed`: w as `pack` wrote it, or null.
  __attribute__((noinline)) StepProduct(i64 n, i64 k, i64 gates, i64 units, const T* w, i64 ld, bool turned, i64 steps,
                                        const T* packed)
      : n(n),
        k(k),
        gates(gates),
        units(units),
        w(w),
        ld(ld),
        turned(turned),
        packs(steps >= kPackSteps),
        wide(gates == 1 || (gates == 3 && kWidest < 3) ? 2 : 1),
        vectors(gates * wide <= kWidest ? gates * wide : kWidest),
        panels(gates * wide / vectors),
        blocks(ceil_div(units, wide * L)),
        rows(Cut::by(n, kRows)),
        packed(packed) {}

  i64 block_size() const { return k * gates * wide * L; }
  Product<T> whole(const T* a, i64 lda) const {
    Product<T> p = {};
    p.m = n;
    p.n = p.ldc = gates * units;
    p.k = k;
    p.a = {a, lda, true};
    p.b = {w, ld, turned};
    p.c = sums;
    p.alpha = 1;
    p.packed = packed;
    return p;
  }

  __attribute__((noinline)) void reserve(Arena& arena, int nth) {
    if (packs) {
      to = packed ? nullptr : arena.take<T>(blocks * block_size());
      sums = arena.take<T>(nth * (rows.size + 1) * gates * wide * L);
    } else {
      sums = arena.take<T>(n * gates * units);
      scratch = arena.take<char>(product_scratch(n, gates * units, k, true, turned, 0, sizeof(T), nth));
    }
  }

  __attribute__((noinline)) void pack_block(i64 block, T* out) const {
    for (i64 p = 0; p < panels; p++)
      for (i64 v = 0; v < vectors; v++) {
        const i64 at = p * vectors + v, j = (block * wide + at % wide) * L, left = min_i64(L, units - j);
        T* column = out + p * k * vectors * L + v * L;
        if (!turned) {
          const T* from = w + at / wide * units + j;
          for (i64 i = 0; i < k; i++) store(column + i * vectors * L, left > 0 ? load_n(from + i * ld, left) : Vec<T>{});
          continue;
        }
        for (i64 i = 0; i < k; i += L) {
          const i64 steps = min_i64(L, k - i);
          Vec<T> r[L];
#pragma GCC unroll 16
          for (i64 t = 0; t < L; t++) r[t] = t < left ? load_n(w + (j + t) * ld + i, steps) : Vec<T>{};
          transpose<T>(r);
#pragma GCC unroll 16
          for (i64 t = 0; t < L; t++)
            if (t < steps) store(column + (i + t) * vectors * L, r[t]);
        }
      }
  }

  // Packs w in the order in which `run` reads it, for calls with `packed`. Returns the number of elements, 0 if it is read in
  // place. If `out` is null, it only counts.
  __attribute__((noinline)) i64 pack(T* out) const {
    if (!packs) return product_fns<T>().pack(whole(nullptr, k), 0, out) / (i64)sizeof(T);
    for (i64 block = 0; out && block < blocks; block++) pack_block(block, out + block * block_size());
    return blocks * block_size();
  }
  __attribute__((noinline)) void pack(const Worker& me) const {
    if (!packs || packed) return;
    const Range mine = share(blocks, 1, me);
    for (i64 block = mine.begin; block < mine.end; block++) pack_block(block, to + block * block_size());
  }

  StepSums<T> piece(i64 item) const {
    const i64 r = item % rows.pieces, j0 = item / rows.pieces * wide * L;
    return {rows.begin(r), rows.begin(r + 1), j0, min_i64(units, j0 + wide * L), {}, 0};
  }
  Range share_of(const Worker& me) const { return share(n ? blocks * rows.pieces : 0, 1, me); }

  // Computes a piece of c, or finds it.
  __attribute__((noinline)) StepSums<T> compute(i64 item, const T* a, i64 lda, const Worker& me) const {
    StepSums<T> s = piece(item);
    if (!packs) {
      for (i64 v = 0; v < gates * wide; v++) s.at[v] = sums + s.r0 * gates * units + v / wide * units + s.j0 + v % wide * L;
      s.stride = gates * units;
      return s;
    }
    fastnn::PanelProducts<T> p = {};
    p.count = panels;
    p.m = s.r1 - s.r0;
    p.k = k;
    p.vectors = vectors;
    p.a = a + s.r0 * lda;
    p.a_row = lda;
    p.a_col = 1;
    p.b = (packed ? packed : to) + item / rows.pieces * block_size();
    p.b_step = k * vectors * L;
    p.c = sums + me.ith * (rows.size + 1) * gates * wide * L;
    p.c_step = p.m * vectors * L;
    product_fns<T>().panels(p);
    for (i64 v = 0; v < gates * wide; v++) s.at[v] = p.c + v / vectors * p.c_step + v % vectors * L;
    s.stride = vectors * L;
    return s;
  }

  // Computes all of c, if w is read in place.
  __attribute__((noinline)) void prepare(const T* a, i64 lda, const Worker& me) const {
    if (packs) return;
    Worker inside = me;
    inside.scratch = scratch;
    product(whole(a, lda), 0, inside);
    sync(me);
  }

  // Computes c = a w, and calls f with the sums of each piece of this worker.
  template <class F>
  void run(const T* a, i64 lda, const Worker& me, F f) const {
    prepare(a, lda, me);
    const Range mine = share_of(me);
    for (i64 item = mine.begin; item < mine.end; item++) f(compute(item, a, lda, me));
  }
};

// Calls f(i, j, vector, lanes) for the rows of a piece and its vectors of units.
template <class T, class F>
FASTNN_INLINE void for_units(const StepSums<T>& s, F f) {
  for (i64 j = s.j0, v = 0; j < s.j1; j += kLanes<T>, v++)
    for (i64 i = s.r0; i < s.r1; i++) f(i, j, v, SomeLanes<T>{s.j1 - j});
}

// Sets the state to its initial value, or 0, and its copy for the first product. A worker may call it for any rows.
template <class T>
__attribute__((noinline)) void begin_state(T* h, T* copy, i64 stride, const T* h0, const T* mask, Range rows, i64 columns) {
  for (i64 i = rows.begin; i < rows.end; i++)
    for_vectors<T>({0, columns}, [&](i64 j, auto lanes) {
      const Vec<T> v = h0 ? lanes.load(h0 + i * columns + j) : Vec<T>{};
      lanes.store(h + i * columns + j, v);
      if (copy) lanes.store(copy + i * stride + j, mask ? v * lanes.load(mask + i * columns + j) : v);
    });
}

// The nanoseconds that decide the number of workers. If a step is short, waiting for each other costs more than they save.
FASTNN_INLINE double steps_work(i64 rows, i64 n, double step) {
  const double all = step * (double)(n ? rows / n : 0);
  return all < 4 * step ? all : 4 * step;
}

// ---- the plain cell ----

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
  StepProduct<T> product;
  i64 stride;
  T *state[2], *part;
  i64 bytes;
  RnnForwardPlan(const RnnForward<T>& a, char* scratch, int nth)
      : product(a.N, a.H, 1, a.H, a.u, a.H, false, a.N ? a.R / a.N : 0, a.packed), stride(state_stride<T>(a.H)) {
    Arena arena = {scratch, 0};
    product.reserve(arena, nth);
    for (T*& s : state) s = arena.take<T>(a.N * stride);
    part = arena.take<T>(nth * (product.rows.size + 1) * 2 * kLanes<T>);
    bytes = arena.used;
  }
};

template <class T>
void rnn_forward(const void* args, const Worker& me) {
  const auto& a = *(const RnnForward<T>*)args;
  const RnnForwardPlan<T> p(a, me.scratch, me.nth);
  StepProduct<T> product = p.product;
  const Steps steps = Steps::of(a.R, a.N, a.lengths, a.batch_first, a.reverse);
  const i64 H = a.H, width = 2 * kLanes<T>;
  T* part = p.part + me.ith * (product.rows.size + 1) * width;
  product.pack(me);
  begin_state(a.h, p.state[0], p.stride, a.h0, a.mask, share(a.N, 1, me), H);
  sync(me);
  for (i64 step = 0; step < steps.count; step++) {
    const T* now = p.state[step & 1];
    T* next = p.state[~step & 1];
    product.run(now, p.stride, me, [&](const StepSums<T>& s) {
      for_units(s, [&](i64 i, i64 j, i64 v, auto lanes) {
        const Vec<T> z = lanes.load(a.x + steps.row(i, step) * H + j) + lanes.load(s(v, i));
        store(part + (i - s.r0) * width + v * kLanes<T>, lanes.only(z));
      });
      activation_fns<T>(a.act.id).forward(part, part, (s.r1 - s.r0) * width, a.act);
      for_units(s, [&](i64 i, i64 j, i64 v, auto lanes) {
        const i64 row = steps.row(i, step), at = i * H + j;
        const bool active = steps.active(i, step);
        const Vec<T> old = lanes.load(now + i * p.stride + j);
        const Vec<T> y = load(part + (i - s.r0) * width + v * kLanes<T>);
        if (a.before) lanes.store(a.before + row * H + j, active ? old : Vec<T>{});
        lanes.store(a.y + row * H + j, active ? y : Vec<T>{});
        if (active) lanes.store(a.h + at, y);
        lanes.store(next + i * p.stride + j, !active ? old : a.mask ? y * lanes.load(a.mask + at) : y);
      });
    });
    sync(me);
  }
}

FASTNN_INLINE double rnn_work(i64 R, i64 N, i64 H, int itemsize) {
  return steps_work(R, N, product_work(N, H, H, itemsize) + elements_work(N * H, itemsize, 1, 2));
}
template <class T>
i64 rnn_forward_bytes(const void* args, int nth) {
  return RnnForwardPlan<T>(*(const RnnForward<T>*)args, nullptr, nth).bytes;
}
FASTNN_INLINE i64 rnn_forward_scratch(const void* args, int itemsize, int nth) {
  return (itemsize == 4 ? rnn_forward_bytes<float> : rnn_forward_bytes<double>)(args, nth);
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
  StepProduct<T> product;
  i64 stride;
  T *slope[2], *part;
  i64 bytes;
  RnnBackwardPlan(const RnnBackward<T>& a, char* scratch, int nth)
      : product(a.N, a.H, 1, a.H, a.u, a.H, true, a.N ? a.R / a.N : 0, nullptr), stride(state_stride<T>(a.H)) {
    Arena arena = {scratch, 0};
    product.reserve(arena, nth);
    for (T*& s : slope) s = arena.take<T>(a.N * stride);
    part = arena.take<T>(nth * (product.rows.size + 1) * 4 * kLanes<T>);
    bytes = arena.used;
  }
};

template <class T>
void rnn_backward(const void* args, const Worker& me) {
  const auto& a = *(const RnnBackward<T>*)args;
  const RnnBackwardPlan<T> p(a, me.scratch, me.nth);
  StepProduct<T> product = p.product;
  const Steps steps = Steps::of(a.R, a.N, a.lengths, a.batch_first, a.reverse);
  const i64 H = a.H, width = 2 * kLanes<T>, most = (product.rows.size + 1) * width;
  T *total = p.part + me.ith * 2 * most, *value = total + most;
  // The gradient of the sums of a step, from that of its state.
  const auto slopes = [&](const StepSums<T>& s, i64 step) {
    for_units(s, [&](i64 i, i64 j, i64 v, auto lanes) {
      const i64 row = steps.row(i, step), to = (i - s.r0) * width + v * kLanes<T>;
      Vec<T> d = lanes.load(a.dh0 + i * H + j);
      if (a.dy) d += lanes.load(a.dy + row * H + j);
      store(total + to, lanes.only(d));
      store(value + to, lanes.only(lanes.load(a.y + row * H + j)));
    });
    activation_fns<T>(a.act.id).backward(total, total, nullptr, value, (s.r1 - s.r0) * width, a.act);
    for_units(s, [&](i64 i, i64 j, i64 v, auto lanes) {
      const Vec<T> d = steps.active(i, step) ? load(total + (i - s.r0) * width + v * kLanes<T>) : Vec<T>{};
      lanes.store(a.dx + steps.row(i, step) * H + j, d);
      lanes.store(p.slope[step & 1] + i * p.stride + j, d);
    });
  };
  product.pack(me);
  begin_state(a.dh0, (T*)nullptr, 0, a.dh, (const T*)nullptr, share(a.N, 1, me), H);
  sync(me);
  if (steps.count) {
    const Range mine = product.share_of(me);
    for (i64 item = mine.begin; item < mine.end; item++) slopes(product.piece(item), steps.count - 1);
    sync(me);
  }
  for (i64 step = steps.count - 1; step >= 0; step--) {
    product.run(p.slope[step & 1], p.stride, me, [&](const StepSums<T>& s) {
      for_units(s, [&](i64 i, i64 j, i64 v, auto lanes) {
        if (!steps.active(i, step)) return;
        const Vec<T> d = lanes.load(s(v, i));
        lanes.store(a.dh0 + i * H + j, a.mask ? d * lanes.load(a.mask + i * H + j) : d);
      });
      if (step) slopes(s, step - 1);
    });
    sync(me);
  }
}

template <class T>
i64 rnn_backward_bytes(const void* args, int nth) {
  return RnnBackwardPlan<T>(*(const RnnBackward<T>*)args, nullptr, nth).bytes;
}
FASTNN_INLINE i64 rnn_backward_scratch(const void* args, int itemsize, int nth) {
  return (itemsize == 4 ? rnn_backward_bytes<float> : rnn_backward_bytes<double>)(args, nth);
}
FASTNN_INLINE double rnn_backward_work(const void* args, int itemsize) {
  const auto& a = *(const RnnBackward<float>*)args;
  return rnn_work(a.R, a.N, a.H, itemsize);
}

}  // namespace
