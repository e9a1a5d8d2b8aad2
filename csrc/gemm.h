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
  bool pack_a, pack_b;   // a is packed only where b is
  bool split;            // the blocks of K give partial products, which are added at the end
  Cut k;                 // the blocks of K
  i64 vectors;           // across a panel of columns, at most
  i64 rows, columns;     // of a region, the part that is packed at a time
  i64 a_panel, b_panel;  // elements of a packed panel, at most
  i64 a_size, scratch;   // elements of all packed panels of a, and of all scratch
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
  const bool bad_a = n >= kGemm.pack_columns && collide<T>(a_along_k ? k : m, a_along_k ? 1 : k);
  const bool bad_b = m >= kGemm.pack_rows && collide<T>(n, k);
  p.pack_b = b_along_k || large || (kGemm.bad_strides && (bad_b || (bad_a && !a_along_k))) || (!kGemm.masked_loads && n % L);
  p.pack_a = p.pack_b && bad_a && (large || !a_along_k);
  p.vectors = p.pack_b ? kGemm.narrow : kGemm.wide;
  // A tile narrow enough to hold all of few rows reads b once.
  while (p.vectors > kGemm.narrow && m > kGemm.rows[p.vectors] && m <= kGemm.rows[kGemm.narrow]) p.vectors--;
  p.rows = p.pack_b ? min_i64(m, kGemm.region_rows) : m;
  p.columns = p.pack_b ? min_i64(n, kGemm.region_columns) : n;
  p.k = Cut::by(k, (p.pack_b ? kGemm.depth_packed : kGemm.depth_in_place) / size);
  const i64 tile_rows = kGemm.rows[p.vectors];
  const i64 row_tiles = ceil_div(p.rows, tile_rows), panels = ceil_div(p.columns, p.vectors * L);
  if (!p.pack_b && k >= 2 * kGemm.split_depth && row_tiles * panels < kGemm.split_tiles) {
    p.split = true;
    p.k = Cut::into(k, min_i64(kGemm.items, k / kGemm.split_depth));
    p.scratch = p.k.pieces * m * n;
  }
  if (p.pack_b) {
    const i64 depth = p.k.size + (p.k.extra > 0);
    p.a_panel = depth * round_up(tile_rows, L);
    p.b_panel = depth * p.vectors * L;
    p.a_size = p.pack_a ? row_tiles * p.a_panel : 0;
    p.scratch = p.a_size + panels * p.b_panel;
  }
  return p;
}

// The work of a region goes out in items: a panel of columns for a block of rows.
struct Grid {
  Cut columns;  // vectors into panels
  i64 row_blocks;
  i64 items() const { return columns.pieces * row_blocks; }
};

template <class T>
Grid gemm_grid(const GemmPlan& p, i64 m, i64 n) {
  const Cut columns = Cut::by(ceil_div(n, kLanes<T>), p.vectors);
  const i64 work = m * n * p.k.size;
  i64 blocks = 1;
  if (work > kGemm.item_work) {
    blocks =
        max_i64(m * p.k.size * (i64)sizeof(T) / kGemm.row_block, min_i64(kGemm.items, work / kGemm.item_work) / columns.pieces);
    blocks = max_i64(1, min_i64(blocks, m / kGemm.rows[p.vectors]));
  }
  return {columns, blocks};
}

// One item for one block of K.
template <class T>
void gemm_item(const Gemm<T>& g, const GemmPlan& p, const Grid& grid, i64 item, i64 kb, T* scratch) {
  constexpr i64 L = kLanes<T>;
  const i64 block = item / grid.columns.pieces, panel = item - block * grid.columns.pieces;
  const i64 v0 = grid.columns.begin(panel), vectors = grid.columns.begin(panel + 1) - v0;
  const i64 j0 = v0 * L, columns = min_i64(vectors * L, g.n - j0), k0 = p.k.begin(kb);
  const bool last = kb == p.k.pieces - 1 && !p.split;
  T* c = p.split ? scratch + kb * g.m * g.n : g.c;
  Tile<T> t;
  t.k = p.k.begin(kb + 1) - k0;
  t.b = p.pack_b ? scratch + p.a_size + panel * p.b_panel : g.b.at(j0, k0);
  t.ldb = p.pack_b ? vectors * L : g.b.ld;
  t.ldc = g.ldc;
  t.last = columns - (vectors - 1) * L;
  t.bias = g.bias && kb == 0 ? g.bias + j0 : nullptr;
  t.alpha = p.split ? (T)1 : g.alpha;
  t.beta = p.split ? (T)0 : kb ? (T)1 : g.beta;
  t.relu = g.relu && last;

  const Cut tiles = Cut::by(g.m, kGemm.rows[p.pack_a ? p.vectors : vectors]);
  const bool mask = !p.pack_b && t.last < L;
  const Ukern<T> small = pick_ukern<T>(tiles.size, vectors, mask);
  const Ukern<T> large = tiles.extra ? pick_ukern<T>(tiles.size + 1, vectors, mask) : small;
  const i64 end = tiles.pieces * (block + 1) / grid.row_blocks;
  for (i64 i = tiles.pieces * block / grid.row_blocks; i < end; i++) {
    const i64 i0 = tiles.begin(i), rows = tiles.size + (i < tiles.extra);
    if (p.pack_a) {
      t.a = scratch + i * p.a_panel;
      t.a_row = 1;
      t.a_col = round_up(rows, L);
    } else {
      t.a = g.a.at(i0, k0);
      t.a_row = g.a.along_k ? g.a.ld : 1;
      t.a_col = g.a.along_k ? 1 : g.a.ld;
    }
    t.c = c + i0 * g.ldc + j0;
    (i < tiles.extra ? large : small)(t);
    if (g.fn && last) {
      T* y = g.y + i0 * g.ldc + j0;
      if (columns == g.ldc)  // whole rows are one run
        g.fn(y, t.c, rows * columns, g.act);
      else
        for (i64 r = 0; r < rows; r++) g.fn(y + r * g.ldc, t.c + r * g.ldc, columns, g.act);
    }
  }
}

template <class T>
void pack_region(const Gemm<T>& g, const GemmPlan& p, const Grid& grid, i64 kb, const Worker& me) {
  T* scratch = (T*)me.scratch;
  const i64 k0 = p.k.begin(kb), depth = p.k.begin(kb + 1) - k0;
  if (p.pack_a) {
    const Cut tiles = Cut::by(g.m, kGemm.rows[p.vectors]);
    const Range mine = share(tiles.pieces, 1, me);
    for (i64 i = mine.begin; i < mine.end; i++)
      pack(scratch + i * p.a_panel, g.a, tiles.begin(i), tiles.begin(i + 1) - tiles.begin(i), k0, depth);
  }
  const Range mine = share(grid.columns.pieces, 1, me);
  for (i64 i = mine.begin; i < mine.end; i++) {
    const i64 j0 = grid.columns.begin(i) * kLanes<T>, j1 = min_i64(grid.columns.begin(i + 1) * kLanes<T>, g.n);
    pack(scratch + p.a_size + i * p.b_panel, g.b, j0, j1 - j0, k0, depth);
  }
}

template <class T>
void gemm_region(const Gemm<T>& g, const GemmPlan& p, const Worker& me) {
  const Grid grid = gemm_grid<T>(p, g.m, g.n);
  const i64 items = grid.items();
  if (p.split) {
    const Range mine = share(items * p.k.pieces, 1, me);
    for (i64 i = mine.begin; i < mine.end; i++) gemm_item(g, p, grid, i % items, i / items, (T*)me.scratch);
    return;
  }
  const Range mine = share(items, 1, me);
  for (i64 kb = 0; kb < p.k.pieces; kb++) {
    if (p.pack_b) {
      sync(me);  // the others may still read what was packed before
      pack_region(g, p, grid, kb, me);
      sync(me);
    }
    for (i64 i = mine.begin; i < mine.end; i++) gemm_item(g, p, grid, i, kb, (T*)me.scratch);
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
  for (i64 i = 0; i < g.m; i += p.rows)
    for (i64 j = 0; j < g.n; j += p.columns) {
      Gemm<T> region = g;
      region.m = min_i64(p.rows, g.m - i);
      region.n = min_i64(p.columns, g.n - j);
      region.a.p = g.a.at(i, 0);
      region.b.p = g.b.at(j, 0);
      region.c = g.c + i * g.ldc + j;
      region.y = g.fn ? g.y + i * g.ldc + j : nullptr;
      region.bias = g.bias ? g.bias + j : nullptr;
      gemm_region(region, p, me);
    }
  if (p.split) {
    sync(me);
    add_partial_products(g, p, me);
  }
}

// Bytes.
FASTNN_INLINE i64 gemm_scratch(i64 m, i64 n, i64 k, bool a_along_k, bool b_along_k, int itemsize) {
  if (!m || !n) return 0;
  const auto plan = itemsize == 4 ? gemm_plan<float> : gemm_plan<double>;
  return plan(m, n, k, a_along_k, b_along_k).scratch * itemsize;
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
