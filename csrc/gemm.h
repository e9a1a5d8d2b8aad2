// Matrix products: c = alpha op(a) op(b) + beta c, with a dense layer's bias and activation on the way out.
//
// One micro-kernel does all the arithmetic: ukern computes a tile of MR rows and NV vectors of c with its accumulators in
// registers. It reads a and b where they lie, or from panels packed for it; GemmPlan says which, and how M, N and K are cut.
// A plan follows from the sizes alone and workers only share out its pieces, so the result has the same bits for any number
// of them.
#pragma once
#include "activation.h"
#include "simd.h"

namespace {

// What differs from ISA to ISA; the shapes of tiles serve both element types.
struct GemmTuning {
  int wide;             // vectors across a tile that reads b in place
  int narrow;           // vectors across a tile that reads packed panels of b
  int rows[5];          // rows[v]: rows of the largest tile v vectors wide; its sums and operands fill the registers
  bool masked_loads;    // a short last vector of b can be read in place
  bool bad_strides;     // tiles are too narrow to read matrices in place whose rows collide in the caches
  double flops_per_ns;  // of float32 on one core, for gemm_work
};
#if defined(__AVX512F__)
constexpr GemmTuning kGemm = {4, 2, {0, 14, 14, 8, 6}, true, false, 200};
#elif defined(__AVX2__)
constexpr GemmTuning kGemm = {2, 2, {0, 12, 6}, true, true, 100};
#else
constexpr GemmTuning kGemm = {2, 2, {0, 8, 4}, false, true, 40};
#endif

// Sizes of matrices and blocks, in bytes.
constexpr i64 kInPlace = 2 << 20;       // matrices up to this size are read in place
constexpr i64 kDepthInPlace = 4096;     // of K in a block, read in place
constexpr i64 kDepthPacked = 2048;      // of K in a block of packed panels
constexpr i64 kRowBlock = 128 << 10;    // of a in a block of rows: it stays in the second-level cache while panels of b pass
// In elements.
constexpr i64 kInPlaceRows = 512;       // products of up to so many rows read in place whatever their size
constexpr i64 kPackRows = 16;           // from so many rows of a, packing b pays where its stride is bad
constexpr i64 kPackColumns = 64;        // from so many columns of b, packing a pays
constexpr i64 kRegionRows = 4096, kRegionColumns = 2048;  // what is packed at a time: bounds the scratch
constexpr i64 kItemWork = 1 << 16;      // multiply-adds that are worth handing out
constexpr i64 kItems = 32;              // pieces of work that are enough for all workers
constexpr i64 kSplitTiles = 8;          // K is split where there are fewer tiles than this ...
constexpr i64 kSplitDepth = 512;        // ... and at least twice so many steps

// n things cut into pieces that differ by at most one; the larger ones come first.
struct Cut {
  i64 pieces, size, extra;
  FASTNN_INLINE Cut into(i64 n, i64 pieces) { return {pieces, n / pieces, n % pieces}; }
  FASTNN_INLINE Cut by(i64 n, i64 limit) { return into(n, max_i64(1, ceil_div(n, limit))); }
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
  T alpha, beta;        // with beta = 0, c is only written
  const T* bias;        // of length n, or null; goes with alpha = 1
  bool relu;            // c = max(c, 0)
  ForwardFn<T> fn;      // y = fn(c), or null
  T* y;
  Activation act;
  i64 ldc;              // of c and y
};

template <class T>
struct Tile {
  i64 k;
  const T* a;
  i64 a_row, a_col;  // strides
  const T* b;
  i64 ldb;
  T* c;
  i64 ldc;
  i64 last;  // columns in the last vector
  const T* bias;
  T alpha, beta;
  bool relu;
};

template <class T>
FASTNN_INLINE void store_last(T* p, Vec<T> v, i64 n) {
#if !defined(__AVX512F__)
  if (n == kLanes<T>) return store(p, v);  // cheaper than a masked store
#endif
  store_n(p, v, n);
}

template <class T>
FASTNN_INLINE Vec<T> load_last(const T* p, i64 n) {
#if !defined(__AVX512F__)
  if (n == kLanes<T>) return load(p);
#endif
  return load_n(p, n);
}

// MASK: the last vector of each row of b is read in place and may be short.
template <class T, int MR, int NV, bool MASK>
void ukern(const Tile<T>& t) {
  constexpr i64 L = kLanes<T>;
  // Small tiles run several sums over k side by side, to hide the latency of the additions.
  constexpr int kChains = MR * NV >= 6 ? 1 : MR * NV >= 3 ? 2 : 4;
  // Three rows share a pointer: p, p + stride and p + 2 strides need no further registers.
  constexpr int kPointers = (MR + 2) / 3;
  const i64 row = t.a_row, row2 = 2 * row, col = t.a_col, ldb = t.ldb, last = t.last;
  const T* a[kPointers];
  const T* b = t.b;
  Vec<T> acc[kChains][MR][NV];
#pragma GCC unroll 5
  for (int i = 0; i < kPointers; i++) a[i] = t.a + 3 * i * row;
#pragma GCC unroll 4
  for (int u = 0; u < kChains; u++)
#pragma GCC unroll 14
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) acc[u][i][j] = Vec<T>{};
  // c may be far away: let it come while the products are computed.
  if (t.beta != 0) {
#pragma GCC unroll 14
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) __builtin_prefetch(t.c + i * t.ldc + j * L, 1);
  }
  if (t.bias) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) {
      Vec<T> v = j < NV - 1 ? load(t.bias + j * L) : load_last(t.bias + j * L, last);
#pragma GCC unroll 14
      for (int i = 0; i < MR; i++) acc[0][i][j] = v;
    }
  }
  auto step = [&](int u) __attribute__((always_inline)) {
    Vec<T> bv[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) bv[j] = MASK && j == NV - 1 ? load_n(b + j * L, last) : load(b + j * L);
#pragma GCC unroll 14
    for (int i = 0; i < MR; i++) {
      T s = a[i / 3][i % 3 == 0 ? 0 : i % 3 == 1 ? row : row2];
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) acc[u][i][j] += s * bv[j];
    }
#pragma GCC unroll 5
    for (int i = 0; i < kPointers; i++) a[i] += col;
    b += ldb;
  };
  i64 k = t.k;
  if constexpr (kChains > 1) {
    for (; k >= kChains; k -= kChains)
#pragma GCC unroll 4
      for (int u = 0; u < kChains; u++) step(u);
  }
  for (; k > 0; k--) step(0);
#pragma GCC unroll 4
  for (int u = kChains - 1; u > 0; u--)
#pragma GCC unroll 14
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) acc[u & (u - 1)][i][j] += acc[u][i][j];

  const T alpha = t.alpha, beta = t.beta;
  const i64 ldc = t.ldc;
  T* c = t.c;
  if (alpha != 1) {
#pragma GCC unroll 14
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) acc[0][i][j] *= alpha;
  }
  if (beta != 0) {
#pragma GCC unroll 14
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) {
        const T* p = c + i * ldc + j * L;
        acc[0][i][j] += beta * (j < NV - 1 ? load(p) : load_last(p, last));
      }
  }
  if (t.relu) {
#pragma GCC unroll 14
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) acc[0][i][j] = vmax<T>(acc[0][i][j], Vec<T>{});
  }
#pragma GCC unroll 14
  for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) {
      T* p = c + i * ldc + j * L;
      j < NV - 1 ? store(p, acc[0][i][j]) : store_last(p, acc[0][i][j], last);
    }
}

template <class T>
using Ukern = void (*)(const Tile<T>&);

template <int... I>
struct Indices {};
template <int N, int... I>
struct UpTo : UpTo<N - 1, N - 1, I...> {};
template <int... I>
struct UpTo<0, I...> {
  typedef Indices<I...> type;
};

template <class T, int NV, bool MASK, int... I>
Ukern<T> pick_ukern(i64 rows, Indices<I...>) {
  static constexpr Ukern<T> list[] = {ukern<T, I + 1, NV, MASK>...};
  return list[rows - 1];
}
template <class T, int NV>
Ukern<T> pick_ukern(i64 rows, bool mask) {
  typename UpTo<kGemm.rows[NV]>::type all;
#if defined(__AVX512F__)
  (void)mask;  // masked loads cost nothing: one kernel serves both
  return pick_ukern<T, NV, true>(rows, all);
#elif defined(__AVX2__)
  if (mask) return pick_ukern<T, NV, true>(rows, all);
#else
  (void)mask;  // there are no masked loads, and the plan asks for none
#endif
  return pick_ukern<T, NV, false>(rows, all);
}
template <class T>
Ukern<T> pick_ukern(i64 rows, i64 vectors, bool mask) {
#if defined(__AVX512F__)
  if (vectors == 4) return pick_ukern<T, 4>(rows, mask);
  if (vectors == 3) return pick_ukern<T, 3>(rows, mask);
#endif
  return vectors == 2 ? pick_ukern<T, 2>(rows, mask) : pick_ukern<T, 1>(rows, mask);
}

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
  bool pack_a, pack_b;    // a is packed only where b is
  bool split;             // the blocks of K give partial products, which are added at the end
  Cut k;                  // the blocks of K
  i64 vectors;            // across a panel of columns, at most
  i64 rows, columns;      // of a region, the part that is packed at a time
  i64 a_panel, b_panel;   // elements of a packed panel, at most
  i64 a_size, scratch;    // elements of all packed panels of a, and of all scratch
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
  const bool large = m > kInPlaceRows && max_i64(m, n) * k * size > kInPlace;
  const bool bad_a = n >= kPackColumns && collide<T>(a_along_k ? k : m, a_along_k ? 1 : k);
  const bool bad_b = m >= kPackRows && collide<T>(n, k);
  p.pack_b = b_along_k || large || (kGemm.bad_strides && (bad_b || (bad_a && !a_along_k))) || (!kGemm.masked_loads && n % L);
  p.pack_a = p.pack_b && bad_a && (large || !a_along_k);
  p.vectors = p.pack_b ? kGemm.narrow : kGemm.wide;
  p.rows = p.pack_b ? min_i64(m, kRegionRows) : m;
  p.columns = p.pack_b ? min_i64(n, kRegionColumns) : n;
  p.k = Cut::by(k, (p.pack_b ? kDepthPacked : kDepthInPlace) / size);
  const i64 tile_rows = kGemm.rows[p.vectors];
  const i64 row_tiles = ceil_div(p.rows, tile_rows), panels = ceil_div(p.columns, p.vectors * L);
  if (!p.pack_b && k >= 2 * kSplitDepth && row_tiles * panels < kSplitTiles) {
    p.split = true;
    p.k = Cut::into(k, min_i64(kItems, k / kSplitDepth));
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
  if (work > kItemWork) {
    blocks = max_i64(m * p.k.size * (i64)sizeof(T) / kRowBlock, min_i64(kItems, work / kItemWork) / columns.pieces);
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
  const GemmPlan p = itemsize == 4 ? gemm_plan<float>(m, n, k, a_along_k, b_along_k) : gemm_plan<double>(m, n, k, a_along_k, b_along_k);
  return p.scratch * itemsize;
}

// Rough nanoseconds on one worker; short rows still cost whole vectors.
FASTNN_INLINE double gemm_work(i64 m, i64 n, i64 k, int itemsize) {
  const double columns = (double)round_up(n, FASTNN_VB / itemsize);
  return 2.0 * (double)m * columns * (double)k / kGemm.flops_per_ns * (itemsize / 4);
}

}  // namespace
