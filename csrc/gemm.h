// Matrix products: c = alpha op(a) op(b) + beta c, with a dense layer's bias and activation on the way out.
//
// The micro-kernel reads a and b where they lie, or from panels packed for it; GemmPlan says which, and how M, N and K are cut.
// A plan follows from the sizes alone and workers only share out its pieces, so the result has the same bits for any number
// of them.
#pragma once
#include "activation.h"
#include "ukern.h"

namespace {

// n things cut into pieces that differ by at most one; the larger ones come first.
struct Cut {
  i64 pieces, size, extra;
  FASTNN_INLINE Cut into(i64 n, i64 pieces) { return {pieces, n / pieces, n % pieces}; }
  FASTNN_INLINE Cut by(i64 n, i64 limit) { return n <= limit ? Cut{1, n, 0} : into(n, ceil_div(n, limit)); }
  i64 begin(i64 i) const { return i * size + min_i64(i, extra); }
};

// A factor of the product. i counts the rows of op(a) or the columns of op(b).
template <class T>
struct Operand {
  const T* p;
  i64 ld;
  bool along_k;  // element (i, k) is p[i * ld + k], else p[k * ld + i]
  const T* at(i64 i, i64 k) const { return along_k ? p + i * ld + k : p + k * ld + i; }
};

template <class T>
struct Gemm {
  i64 m, n, k;
  Operand<T> a, b;
  T* c;
  T alpha, beta;    // with beta = 0, c is only written
  const T* bias;    // of length n, or null; goes with alpha = 1
  bool relu;        // c = max(c, 0)
  ForwardFn<T> fn;  // y = fn(c), or null
  T* y;
  Activation act;
  i64 ldc;  // of c and y
};

// ---- packing ----

template <class T, int H, int... I>
FASTNN_INLINE void swap_blocks(Vec<T>* r, Indices<I...>) {
  constexpr int L = kLanes<T>;
#pragma GCC unroll 16
  for (int i = 0; i < L; i++)
    if (!(i & H)) {
      Vec<T> x = r[i], y = r[i + H];
      r[i] = __builtin_shufflevector(x, y, (I & H ? L + I - H : I)...);
      r[i + H] = __builtin_shufflevector(x, y, (I & H ? L + I : I + H)...);
    }
}
// Transposes a square of lanes in registers, by swapping ever smaller off-diagonal blocks.
template <class T, int H = kLanes<T> / 2>
FASTNN_INLINE void transpose(Vec<T>* r) {
  swap_blocks<T, H>(r, typename UpTo<kLanes<T>>::type());
  if constexpr (H > 1) transpose<T, H / 2>(r);
}

// A panel: n rows of op(a) or columns of op(b) over a block of K, side by side for each k, with zeros up to full vectors.
template <class T>
void pack(T* panel, const Operand<T>& from, i64 i0, i64 n, i64 k0, i64 kc) {
  constexpr i64 L = kLanes<T>;
  const i64 width = round_up(n, L), ld = from.ld;
  const T* p = from.at(i0, k0);
  if (!from.along_k) {
    for (i64 k = 0; k < kc; k++, p += ld, panel += width)
      for_vectors<T>({0, n}, [&](i64 i, auto lanes) { store(panel + i, lanes.load(p + i)); });
    return;
  }
  for (i64 k = 0; k < kc; k += L)
    for (i64 i = 0; i < n; i += L) {
      const i64 steps = min_i64(L, kc - k), rows = min_i64(L, n - i);
      const T* q = p + i * ld + k;
      T* to = panel + k * width + i;
      Vec<T> r[L];
#pragma GCC unroll 16
      for (int t = 0; t < L; t++) r[t] = t < rows ? (steps == L ? load(q + t * ld) : load_n(q + t * ld, steps)) : Vec<T>{};
      transpose<T>(r);
#pragma GCC unroll 16
      for (int t = 0; t < L; t++)
        if (t < steps) store(to + t * width, r[t]);
    }
}

// ---- how a product is cut ----

struct GemmPlan {
  bool pack;       // b is read from packed panels, else in place
  bool split;      // the blocks of K give partial products, which are added at the end
  Cut k;           // the blocks of K
  i64 vectors;     // across a panel of columns, at most
  i64 panels;      // in a group of columns, which is packed at a time, at most
  i64 panel_size;  // elements of a packed panel, at most
  i64 a_tiles;     // of a that are packed at a time; 0 if a is read in place
  i64 a_size;      // elements of them
  i64 scratch;     // elements: of each worker's packed group, or of all partial products
};

// Whether `rows` rows of ld elements collide in the caches when they are read side by side.
template <class T>
bool collide(i64 ld, i64 rows) {
  const i64 bytes = ld * (i64)sizeof(T), power_of_two = bytes & -bytes;
  return power_of_two >= 4096 || power_of_two * rows > 1 << 20;
}

template <class T>
GemmPlan gemm_plan(i64 m, i64 n, i64 k, bool a_along_k, bool b_along_k) {
  constexpr i64 L = kLanes<T>, size = sizeof(T);
  GemmPlan p = {};
  const bool large = m > kGemm.in_place_rows && max_i64(m, n) * k * size > kGemm.in_place;
  const bool bad_a = !a_along_k && n >= kGemm.pack_columns && collide<T>(m, k);
  const bool bad_b = m >= kGemm.pack_rows && collide<T>(n, k);
  p.pack = b_along_k || large || bad_a || bad_b || (!kGemm.masked_loads && n % L);
  p.vectors = p.pack ? kGemm.narrow : kGemm.wide;
  // A tile narrow enough to hold all of few rows reads b once.
  while (p.vectors > kGemm.narrow && m > kGemm.rows[p.vectors] && m <= kGemm.rows[kGemm.narrow]) p.vectors--;
  // A tile's part of an a that collides is read again for each panel: it must survive in the second-level cache.
  p.k = Cut::by(k, (!p.pack ? kGemm.depth_in_place : bad_a ? kGemm.depth_colliding : kGemm.depth_packed) / size);
  p.panels = 1;
  if (!p.pack && k >= 2 * kGemm.split_depth &&
      ceil_div(m, kGemm.rows[p.vectors]) * ceil_div(n, p.vectors * L) < kGemm.split_tiles) {
    p.split = true;
    p.k = Cut::into(k, min_i64(kGemm.items, k / kGemm.split_depth));
    p.scratch = p.k.pieces * m * n;
  }
  if (p.pack) {
    const i64 depth = p.k.size + (p.k.extra > 0);
    p.panel_size = depth * p.vectors * L;
    p.panels = max_i64(1, kGemm.group / max_i64(1, p.panel_size * size));
    p.a_tiles = bad_a && kGemm.pack_a ? kGemm.a_tiles : 0;
    p.a_size = depth * round_up(p.a_tiles * kGemm.rows[p.vectors], L);
    p.scratch = p.a_size + min_i64(p.panels, ceil_div(n, p.vectors * L)) * p.panel_size;
  }
  return p;
}

// The work goes out in items: a group of panels for a block of rows.
struct Grid {
  Cut columns, groups;  // vectors into panels, panels into groups
  i64 row_blocks;
  i64 items() const { return groups.pieces * row_blocks; }
};

template <class T>
Grid gemm_grid(const GemmPlan& p, i64 m, i64 n) {
  const Cut columns = Cut::by(ceil_div(n, kLanes<T>), p.vectors), groups = Cut::by(columns.pieces, p.panels);
  const i64 work = m * n * p.k.size;
  i64 blocks = 1;
  if (work > kGemm.item_work) {
    const i64 fair = min_i64(kGemm.items, work / kGemm.item_work) / groups.pieces;
    // Each block of rows packs its own panels of b, or reads those of a as long as it finds them in the second-level cache.
    blocks = p.pack ? min_i64(fair, m / kGemm.packed_rows) : max_i64(m * p.k.size * (i64)sizeof(T) / kGemm.row_block, fair);
    blocks = max_i64(1, min_i64(blocks, m / kGemm.rows[p.vectors]));
  }
  return {columns, groups, blocks};
}

// One item for one block of K; scratch is for what is packed, or for the partial products.
template <class T>
void gemm_item(const Gemm<T>& g, const GemmPlan& p, const Grid& grid, i64 item, i64 kb, T* scratch) {
  constexpr i64 L = kLanes<T>;
  const i64 block = item / grid.groups.pieces, group = item - block * grid.groups.pieces;
  const i64 first = grid.groups.begin(group), end = grid.groups.begin(group + 1);
  const i64 k0 = p.k.begin(kb), depth = p.k.begin(kb + 1) - k0;
  const bool last = kb == p.k.pieces - 1 && !p.split;
  T* c = p.split ? scratch + kb * g.m * g.n : g.c;
  Tile<T> t;
  t.k = depth;
  t.a_row = g.a.along_k ? g.a.ld : 1;
  t.a_col = g.a.along_k ? 1 : g.a.ld;
  t.ldc = g.ldc;
  t.alpha = p.split ? (T)1 : g.alpha;
  t.beta = p.split ? (T)0 : kb ? (T)1 : g.beta;
  t.relu = g.relu && last;

  // The panels of a group are equally wide but for some of one vector less.
  struct Panel {
    i64 j0, vectors, last;
  };
  auto panel_at = [&](i64 panel) -> Panel {
    const i64 v0 = grid.columns.begin(panel), vectors = grid.columns.begin(panel + 1) - v0;
    return {v0 * L, vectors, min_i64(vectors * L, g.n - v0 * L) - (vectors - 1) * L};
  };
  if (p.pack)
    for (i64 i = first; i < end; i++) {
      const Panel q = panel_at(i);
      pack(scratch + p.a_size + (i - first) * p.panel_size, g.b, q.j0, (q.vectors - 1) * L + q.last, k0, depth);
    }
  const i64 group0 = panel_at(first).j0, columns = min_i64(grid.columns.begin(end) * L, g.n) - group0;
  const Cut tiles = Cut::by(g.m, kGemm.rows[p.pack ? p.vectors : panel_at(first).vectors]);
  const i64 tiles_end = tiles.pieces * (block + 1) / grid.row_blocks;
  i64 a_begin = 0, a_end = 0;  // rows of a that are packed
  for (i64 i = tiles.pieces * block / grid.row_blocks; i < tiles_end; i++) {
    const i64 i0 = tiles.begin(i), rows = tiles.size + (i < tiles.extra);
    if (p.a_tiles) {
      if (i0 >= a_end) {
        a_begin = i0;
        a_end = tiles.begin(min_i64(i + p.a_tiles, tiles_end));
        t.a_col = round_up(a_end - a_begin, L);
        pack(scratch, g.a, a_begin, a_end - a_begin, k0, depth);
      }
      t.a = scratch + (i0 - a_begin);
    } else {
      t.a = g.a.at(i0, k0);
    }
    for (i64 panel = first; panel < end; panel++) {
      const Panel q = panel_at(panel);
      t.b = p.pack ? scratch + p.a_size + (panel - first) * p.panel_size : g.b.at(q.j0, k0);
      t.ldb = p.pack ? q.vectors * L : g.b.ld;
      t.last = q.last;
      t.bias = g.bias && kb == 0 ? g.bias + q.j0 : nullptr;
      t.c = c + i0 * g.ldc + q.j0;
      pick_ukern<T>(rows, q.vectors, !p.pack && q.last < L)(t);
    }
    if (g.fn && last) {
      T *y = g.y + i0 * g.ldc + group0, *z = c + i0 * g.ldc + group0;
      if (columns == g.ldc)  // whole rows are one run
        g.fn(y, z, rows * columns, g.act);
      else
        for (i64 r = 0; r < rows; r++) g.fn(y + r * g.ldc, z + r * g.ldc, columns, g.act);
    }
  }
}

// c = alpha (sum of the partial products, in the order of K) + beta c.
template <class T>
void add_partial_products(const Gemm<T>& g, const GemmPlan& p, const Worker& me) {
  const T* partial = (const T*)me.scratch;
  const i64 size = g.m * g.n;
  const Range mine = share(size, 256, me);
  for_vectors<T>(mine, [&](i64 i, auto lanes) {
    Vec<T> sum = lanes.load(partial + i);
    for (i64 kb = 1; kb < p.k.pieces; kb++) sum += lanes.load(partial + kb * size + i);
    if (g.alpha != 1) sum *= g.alpha;
    if (g.beta != 0) sum += g.beta * lanes.load(g.c + i);
    lanes.store(g.c + i, g.relu ? vmax<T>(sum, Vec<T>{}) : sum);
  });
  if (g.fn) g.fn(g.y + mine.begin, g.c + mine.begin, mine.end - mine.begin, g.act);
}

template <class T>
void gemm(const Gemm<T>& g, const Worker& me) {
  if (!g.m || !g.n) return;
  const GemmPlan p = gemm_plan<T>(g.m, g.n, g.k, g.a.along_k, g.b.along_k);
  const Grid grid = gemm_grid<T>(p, g.m, g.n);
  const i64 items = grid.items();
  if (p.split) {
    const Range mine = share(items * p.k.pieces, 1, me);
    for (i64 i = mine.begin; i < mine.end; i++) gemm_item(g, p, grid, i % items, i / items, (T*)me.scratch);
    sync(me);
    add_partial_products(g, p, me);
    sync(me);  // the next product may use the same scratch
    return;
  }
  T* packed = (T*)me.scratch + me.ith * p.scratch;
  const Range mine = share(items, 1, me);
  for (i64 i = mine.begin; i < mine.end; i++)
    for (i64 kb = 0; kb < p.k.pieces; kb++) gemm_item(g, p, grid, i, kb, packed);
}

// Bytes.
FASTNN_INLINE i64 gemm_scratch(i64 m, i64 n, i64 k, bool a_along_k, bool b_along_k, int itemsize, int nth) {
  if (!m || !n) return 0;
  const GemmPlan p = (itemsize == 4 ? gemm_plan<float> : gemm_plan<double>)(m, n, k, a_along_k, b_along_k);
  return p.scratch * itemsize * (p.split ? 1 : nth);
}

// Rough nanoseconds on one worker: that of the multiply-adds, where short rows still cost whole vectors, or that of the memory.
FASTNN_INLINE double gemm_work(i64 m, i64 n, i64 k, int itemsize) {
  constexpr double kBytesPerNs = 100;
  const double columns = (double)round_up(n, FASTNN_VB / itemsize);
  const double arithmetic = 2.0 * (double)m * columns * (double)k / kGemm.flops_per_ns * (itemsize / 4);
  const double memory = ((double)m * (double)k + (double)k * (double)n + (double)m * (double)n) * itemsize / kBytesPerNs;
  return arithmetic > memory ? arithmetic : memory;
}

}  // namespace
