// The steps of the recurrent family: rows, products and their sums.
//
// A step is a product of the state with weights, and element-wise functions of its sums. The weights are packed once for all
// steps: a block of units has all its gates in neighbouring columns, so a worker has all sums of its units, and continues with
// their functions row by row, which reads and writes long runs. A worker has the same blocks in each step, and keeps them in the
// second-level cache of its core. Workers wait for each other once in a step. If there are few steps, packing does not pay, and
// the weights are read in place.
#pragma once
#include "math/transpose.h"
#include "math/vmath.h"
#include "product/product.h"

namespace {

FASTNN_INLINE i64 step_count(i64 rows, i64 n) { return n ? rows / n : 0; }

// The rows of the sequences.
struct Steps {
  i64 n, count;
  const i64* lengths;
  i64 batch_first, reverse;

  template <class Args>
  explicit Steps(const Args& a)
      : n(a.N), count(step_count(a.R, a.N)), lengths(a.lengths), batch_first(a.batch_first), reverse(a.reverse) {}
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
  T* at;             // the first ones, or null
  i64 stride, gate;  // distances of rows and of gates
  i64 wide, jump;    // after so many vectors of units of a gate, the others of the block follow

  // Fetches `arrays` arrays of n units that follow each other in a row of p, if there is one.
  __attribute__((always_inline)) void fetch(const T* p, i64 row, i64 arrays, i64 n) const {
    for (i64 g = 0; p && g < arrays; g++)
      for (i64 j = j0; j < j1; j += 64 / (i64)sizeof(T)) __builtin_prefetch(p + (row * arrays + g) * n + j);
  }

  // Calls f(j, sums, lanes) for the vectors of units in row i.
  template <class F>
  __attribute__((always_inline)) void units(i64 i, F f) const {
    T* sums = at ? at + (i - r0) * stride : nullptr;
    for (i64 j = j0, left = wide; j < j1; j += kLanes<T>) {
      f(j, sums, SomeLanes<T>{j1 - j});
      sums += kLanes<T>;
      if (!--left) sums += jump, left = wide;
    }
  }
};

// A product c = a w in each step, with a (n, k) and w (k, gates, units), where rows of w have a distance. If w is `turned`, it
// is stored as (units, k), and there is one gate.
template <class T>
struct StepProduct {
  static constexpr i64 L = kLanes<T>;
  static constexpr i64 kWidest = FASTNN_VB == 64 ? 4 : 2;  // vectors of a panel
  static constexpr i64 kPackSteps = 4;                     // number of steps from which packing pays
  static constexpr i64 kNoBlocks = i64(1) << 60;
  static constexpr i64 kRows = 36;      // rows of a piece
  static constexpr i64 kColumns = 512;  // columns of sums that are computed before their functions

  i64 n, k, gates, units;
  const T* w;
  i64 ld;
  bool turned, packs;
  i64 wide, vectors, panels, blocks;  // vectors of a gate in a block; vectors of a panel; panels of a block; blocks of units
  Cut rows;
  const T* packed;
  T *to = nullptr, *sums = nullptr;
  char* scratch = nullptr;

  // The number of rows of all steps decides whether w is packed; `packed`: w as `pack` wrote it, or null.
  __attribute__((noinline)) StepProduct(i64 n, i64 k, i64 gates, i64 units, const T* w, i64 ld, bool turned, i64 all_rows,
                                        const T* packed)
      : n(n),
        k(k),
        gates(gates),
        units(units),
        w(w),
        ld(ld),
        turned(turned),
        packs(step_count(all_rows, n) >= kPackSteps),
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
      sums = arena.take<T>(nth * (rows.size + 1) * sums_stride());
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

  i64 most_blocks() const { return max_i64(1, kColumns / (gates * wide * L)); }
  // The distance of rows of a worker's sums.
  i64 sums_stride() const { return min_i64(blocks, most_blocks()) * gates * wide * L + L; }

  // Computes c for the rows of a piece and the blocks [b0, b1), or finds it. Without a, it only tells the rows and units.
  __attribute__((noinline)) StepSums<T> compute(i64 r, i64 b0, i64 b1, const T* a, i64 lda, const Worker& me) const {
    const i64 r0 = rows.begin(r), j0 = b0 * wide * L;
    StepSums<T> s = {r0, rows.begin(r + 1), j0, min_i64(units, b1 * wide * L), nullptr, gates * units, units, kNoBlocks, 0};
    if (!a) return s;
    if (!packs) {
      s.at = sums + r0 * gates * units + j0;
      return s;
    }
    fastnn::PanelProducts<T> p = {};
    p.count = (b1 - b0) * panels;
    p.m = s.r1 - r0;
    p.k = k;
    p.vectors = vectors;
    p.a = a + r0 * lda;
    p.a_row = lda;
    p.a_col = 1;
    p.b = (packed ? packed : to) + b0 * block_size();
    p.b_step = k * vectors * L;
    p.c = s.at = sums + me.ith * (rows.size + 1) * sums_stride();
    p.c_step = vectors * L;
    p.c_row = s.stride = sums_stride();
    product_fns<T>().panels(p);
    s.gate = wide * L;
    s.wide = wide;
    s.jump = (gates - 1) * wide * L;
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

  // Computes c = a w, and calls f with the sums of each piece of this worker; without a, there are no sums. A worker has the same
  // blocks of units for all rows.
  template <class F>
  void run(const T* a, i64 lda, const Worker& me, F f) const {
    if (a) prepare(a, lda, me);
    const Range mine = share(n ? blocks * rows.pieces : 0, 1, me);
    for (i64 r = 0; r < rows.pieces; r++) {
      const i64 last = ceil_div(mine.end - r, rows.pieces);
      for (i64 b = ceil_div(mine.begin - r, rows.pieces); b < last; b += most_blocks())
        f(compute(r, b, min_i64(last, b + most_blocks()), a, lda, me));
    }
  }
};

// Returns a vector of the state, or of its gradient, times the factors of mask[at], if there is a mask.
template <class T, class Lanes>
__attribute__((always_inline)) inline Vec<T> masked(Vec<T> v, const T* mask, i64 at, Lanes lanes) {
  return mask ? v * lanes.load(mask + at) : v;
}

// Sets the state to its initial value, or 0, and its masked copy for the first product, if there is one. A worker may call it for
// any rows.
template <class T>
__attribute__((noinline)) void begin_state(T* h, const T* h0, Range rows, i64 columns, T* copy = nullptr, i64 stride = 0,
                                           const T* mask = nullptr) {
  for (i64 i = rows.begin; i < rows.end; i++)
    for_vectors<T>({0, columns}, [&](i64 j, auto lanes) {
      const Vec<T> v = h0 ? lanes.load(h0 + i * columns + j) : Vec<T>{};
      lanes.store(h + i * columns + j, v);
      if (copy) lanes.store(copy + i * stride + j, masked(v, mask, i * columns + j, lanes));
    });
}

// Returns the bytes of scratch of a kernel that lays it out by this plan.
template <template <class> class Plan>
i64 plan_scratch(const void* args, int itemsize, int nth) {
  if (itemsize == 4) return Plan<float>(*(const typename Plan<float>::Args*)args, nullptr, nth).bytes;
  return Plan<double>(*(const typename Plan<double>::Args*)args, nullptr, nth).bytes;
}

// The nanoseconds that decide the number of workers. If a step is short, waiting for each other costs more than they save.
FASTNN_INLINE double steps_work(i64 rows, i64 n, double step) {
  const double all = step * (double)step_count(rows, n);
  return all < 4 * step ? all : 4 * step;
}

}  // namespace
