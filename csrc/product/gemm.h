// How the products of product.h are cut into pieces and computed.
//
// The micro-kernel computes a tile of c. It reads a and b in place, or from packed panels. Reading in place is cheaper for small
// matrices. Packing pays if the data would otherwise be read from memory in short runs, or if rows or columns collide in the
// caches. GemmPlan describes this choice and the cuts of M, N and K. It depends only on the sizes and the layout, and workers
// only share the pieces, so the result has the same bits for any number of workers.
#pragma once
#include "product/bf16.h"

namespace {

// ---- how a product is cut ----

struct GemmPlan {
  bool pack;       // b is read from packed panels, otherwise in place
  bool pack_a;     // a is packed, too: its columns collide in the caches, or its format requires it
  bool split;      // each block of K gives a partial product; they are added at the end
  Cut k;           // the blocks of K
  Cut tiles;       // rows into tiles, if b is packed
  Cut columns;     // vectors of columns into panels
  Cut groups;      // panels into groups; a group is packed at a time
  i64 row_blocks;  // number of blocks of rows, each of which has some tiles
  i64 panel_size;  // largest number of elements of a packed panel
  i64 a_size;      // largest number of elements of a packed block of rows of a
  i64 scratch;     // elements that each worker packs, or elements of all partial products
  // Number of pieces of work. A piece is a group of columns for a block of rows.
  i64 items() const { return groups.pieces * row_blocks; }
};

// Returns whether `rows` rows of ld elements collide in the caches when they are read side by side.
template <class T>
bool collide(i64 ld, i64 rows) {
  const i64 bytes = ld * (i64)sizeof(T), power_of_two = bytes & -bytes;
  return power_of_two >= 4096 || power_of_two * rows > 2 << 20;
}

template <class T, class F>
GemmPlan gemm_plan(i64 m, i64 n, i64 k, bool a_along_k, bool b_along_k) {
  constexpr i64 L = kLanes<T>, size = sizeof(T);
  GemmPlan p = {};
  const bool far = n * k * size > kGemm.far && m >= kGemm.pack_rows;  // read from memory, in long runs if packed
  const bool large = far || (m > kGemm.in_place_rows && max_i64(m, n) * k * size > kGemm.in_place);
  const bool bad_a = !a_along_k && n >= kGemm.pack_columns && collide<T>(m, k);
  const bool bad_b = m >= kGemm.pack_rows && collide<T>(n, k);
  p.pack = !F::kReads || b_along_k || large || bad_a || bad_b || (!kGemm.masked_loads && n % L);
  p.pack_a = !F::kReads || (bad_a && kGemm.pack_a);
  i64 vectors = p.pack ? F::kVectors : kGemm.wide;
  // If there are few rows, a narrower tile with all of them reads b only once.
  while (vectors > 2 && m > kGemm.rows[vectors] && m <= kGemm.rows[2]) vectors--;
  const i64 tile_rows = F::rows(vectors);
  // If columns of a collide, the part of a for a tile must remain in the second-level cache from panel to panel.
  const i64 bytes = !p.pack ? kGemm.depth_in_place : bad_a && !p.pack_a ? kGemm.depth_colliding : kGemm.depth_packed;
  p.k = Cut::by(k, bytes / size * F::kSteps);
  p.columns = Cut::by(ceil_div(n, L), vectors);
  if (!p.pack && k >= 2 * kGemm.split_depth && ceil_div(m, tile_rows) * p.columns.pieces < kGemm.split_tiles) {
    p.split = true;
    p.k = Cut::into(k, min_i64(kGemm.items, k / kGemm.split_depth));
    p.scratch = p.k.pieces * m * n;
  }
  const i64 depth = panel_depth<F>(p.k.size + (p.k.extra > 0)), work = m * n * p.k.size;
  p.panel_size = depth * vectors * L;
  const i64 group = min_i64(kGemm.group / max_i64(1, p.panel_size * size), p.columns.pieces / kGemm.groups);
  p.groups = Cut::by(p.columns.pieces, p.pack ? max_i64(1, group) : 1);
  i64 blocks = 1;
  if (work > kGemm.item_work) {
    const i64 fair = min_i64(kGemm.items, work / kGemm.item_work) / p.groups.pieces;
    // Each block of rows packs its own panels of b. Without packing, the rows of a in a block fit into the second-level cache.
    blocks = p.pack ? min_i64(fair, m / kGemm.packed_rows) : max_i64(m * p.k.size * size / kGemm.row_block, fair);
    blocks = max_i64(1, min_i64(blocks, m / tile_rows));
  }
  p.tiles = Cut::by(m, tile_rows);
  p.row_blocks = p.pack_a ? max_i64(blocks, ceil_div(m, kGemm.packed_a_rows)) : blocks;
  if (p.pack) {
    const i64 tiles = ceil_div(p.tiles.pieces, p.row_blocks);
    p.a_size = p.pack_a ? tiles * depth * round_up(tile_rows, L) : 0;
    p.scratch = p.a_size + (p.groups.size + (p.groups.extra > 0)) * p.panel_size;
  }
  return p;
}

// Returns the tiles of a block of rows.
FASTNN_INLINE Range block_tiles(const GemmPlan& p, const Cut& tiles, i64 block) {
  return {tiles.pieces * block / p.row_blocks, tiles.pieces * (block + 1) / p.row_blocks};
}

// Packs a block of rows of a for a block of K, one panel for each tile.
template <class F, class T>
void pack_tiles(const Product<T>& g, const GemmPlan& p, i64 block, i64 kb, T* to) {
  const i64 k0 = p.k.begin(kb), depth = p.k.begin(kb + 1) - k0;
  const Range tiles = block_tiles(p, p.tiles, block);
  for (i64 t = tiles.begin; t < tiles.end; t++) {
    const i64 i0 = p.tiles.begin(t), rows = p.tiles.begin(t + 1) - i0;
    F::pack_a(to, g.a, i0, rows, k0, depth);
    to += panel_depth<F>(depth) * round_up(rows, kLanes<T>);
  }
}

// A panel: its first column, its number of vectors, and the number of columns in the last vector.
struct Panel {
  i64 j0, vectors, last;
};
template <class T>
Panel panel_at(const GemmPlan& p, i64 n, i64 panel) {
  constexpr i64 L = kLanes<T>;
  const i64 v0 = p.columns.begin(panel), vectors = p.columns.begin(panel + 1) - v0;
  return {v0 * L, vectors, min_i64(vectors * L, n - v0 * L) - (vectors - 1) * L};
}

// Packs the panels of a group of columns for a block of K.
template <class F, class T>
void pack_group(const Product<T>& g, const GemmPlan& p, i64 group, i64 kb, T* to) {
  constexpr i64 L = kLanes<T>;
  const i64 first = p.groups.begin(group), end = p.groups.begin(group + 1);
  const i64 k0 = p.k.begin(kb), depth = p.k.begin(kb + 1) - k0;
  const Panel left = panel_at<T>(p, g.n, first), right = panel_at<T>(p, g.n, end - 1);
  if (F::kReads && !g.b.along_k && left.vectors == right.vectors && right.last == L)
    return pack_rows(to, end - first, p.panel_size, left.vectors * L, g.b, left.j0, k0, depth);
  for (i64 i = first; i < end; i++) {
    const Panel q = panel_at<T>(p, g.n, i);
    F::pack(to + (i - first) * p.panel_size, g.b, q.j0, (q.vectors - 1) * L + q.last, k0, depth);
  }
}

// Computes one piece for one block of K. `scratch` contains packed rows of a and receives the packed group, or the partial
// products.
template <class F, class T>
void gemm_item(const Product<T>& g, const GemmPlan& p, i64 item, i64 kb, T* scratch) {
  constexpr i64 L = kLanes<T>;
  const i64 block = item / p.groups.pieces, group = item - block * p.groups.pieces;
  const i64 first = p.groups.begin(group), end = p.groups.begin(group + 1);
  const i64 k0 = p.k.begin(kb), depth = p.k.begin(kb + 1) - k0;
  const bool last = kb == p.k.pieces - 1 && !p.split;
  T* c = p.split ? scratch + kb * g.m * g.n : g.c;
  Tile<T> t;
  t.k = panel_depth<F>(depth);
  t.ldc = p.split ? g.n : g.ldc;
  t.alpha = p.split ? (T)1 : g.alpha;
  t.beta = p.split ? (T)0 : kb ? (T)1 : g.beta;
  t.relu = g.relu && last;

  const Panel left = panel_at<T>(p, g.n, first), right = panel_at<T>(p, g.n, end - 1);
  const i64 columns = right.j0 + (right.vectors - 1) * L + right.last - left.j0;
  const bool panels = p.pack || g.packed;
  const T* packed = scratch + p.a_size;
  if (g.packed)
    packed = g.packed + (first * p.k.pieces + kb * (end - first)) * p.panel_size;
  else if (p.pack)
    pack_group<F>(g, p, group, kb, scratch + p.a_size);
  const Cut tiles = p.pack ? p.tiles : Cut::by(g.m, kGemm.rows[left.vectors]);
  const Range mine = block_tiles(p, tiles, block);
  const T* a = scratch;
  Ukern<T> kernel = nullptr;
  struct {
    i64 rows, vectors;
    bool mask;
  } size = {};
  for (i64 i = mine.begin; i < mine.end; i++) {
    const i64 i0 = tiles.begin(i), rows = tiles.begin(i + 1) - i0;
    t.rows = rows;
    if (p.pack_a) {
      t.a = a;
      t.a_row = 1;
      t.a_col = round_up(rows, L);
      a += t.k * t.a_col;
    } else {
      t.a = g.a.at(i0, k0);
      t.a_row = g.a.along_k ? g.a.ld : 1;
      t.a_col = g.a.along_k ? 1 : g.a.ld;
    }
    if (g.packed && p.pack && g.n * g.k * (i64)sizeof(T) > kGemm.in_place) {  // prefetches the next group during this one
      const i64 size = (end - first) * p.panel_size, part = ceil_div(size, mine.end - mine.begin);
      const T* next = packed + size + (i - mine.begin) * part;
      for (i64 o = 0; o < part; o += 64 / (i64)sizeof(T)) __builtin_prefetch(next + o, 0, 2);
    }
    for (i64 panel = first; panel < end; panel++) {
      const Panel q = panel_at<T>(p, g.n, panel);
      t.b = panels ? packed + (panel - first) * p.panel_size : g.b.at(q.j0, k0);
      t.ldb = panels ? q.vectors * L : g.b.ld;
      t.last = q.last;
      t.bias = g.bias && kb == 0 ? g.bias + q.j0 : nullptr;
      t.c = c + i0 * t.ldc + q.j0;
      const bool mask = !panels && q.last < L;
      if (rows != size.rows || q.vectors != size.vectors || mask != size.mask) {
        size = {rows, q.vectors, mask};
        kernel = F::pick(rows, q.vectors, mask);
      }
      kernel(t);
    }
    if (g.fn && last) {
      T *y = g.y + i0 * g.ldc + left.j0, *z = c + i0 * g.ldc + left.j0;
      if (columns == g.ldc)  // full rows are contiguous
        g.fn(y, z, rows * columns, g.act);
      else
        for (i64 r = 0; r < rows; r++) g.fn(y + r * g.ldc, z + r * g.ldc, columns, g.act);
    }
  }
}

// c = alpha (sum of the partial products, in the order of K) + beta c.
template <class T>
void add_partial_products(const Product<T>& g, const GemmPlan& p, const Worker& me) {
  const T* partial = (const T*)me.scratch;
  const i64 size = g.m * g.n;
  const Range mine = share(size, 256, me);
  for (i64 begin = mine.begin, end; begin < mine.end; begin = end) {
    const i64 row = g.ldc == g.n ? 0 : begin / g.n, ahead = row * (g.ldc - g.n);  // contiguous rows are one run
    end = g.ldc == g.n ? mine.end : min_i64((row + 1) * g.n, mine.end);
    T* c = g.c + ahead;
    for_vectors<T>({begin, end}, [&](i64 i, auto lanes) {
      Vec<T> sum = lanes.load(partial + i);
      for (i64 kb = 1; kb < p.k.pieces; kb++) sum += lanes.load(partial + kb * size + i);
      if (g.alpha != 1) sum *= g.alpha;
      if (g.beta != 0) sum += g.beta * lanes.load(c + i);
      lanes.store(c + i, g.relu ? vmax<T>(sum, Vec<T>{}) : sum);
    });
    if (g.fn) g.fn(g.y + ahead + begin, c + begin, end - begin, g.act);
  }
}

template <class F, class T>
void gemm(const Product<T>& g, const Worker& me) {
  if (!g.m || !g.n) return;
  const GemmPlan p = gemm_plan<T, F>(g.m, g.n, g.k, g.a.along_k, g.b.along_k);
  const i64 items = p.items();
  if (p.split) {
    const Range mine = share(items * p.k.pieces, 1, me);
    for (i64 i = mine.begin; i < mine.end; i++) gemm_item<F>(g, p, i % items, i / items, (T*)me.scratch);
    sync(me);
    add_partial_products(g, p, me);
    return;
  }
  T* scratch = (T*)me.scratch + me.ith * p.scratch;
  const Range mine = share(items, 1, me);
  for (i64 i = mine.begin, next; i < mine.end; i = next) {
    const i64 block = i / p.groups.pieces;
    next = p.pack_a ? min_i64((block + 1) * p.groups.pieces, mine.end) : i + 1;  // the pieces that share packed rows of a
    for (i64 kb = 0; kb < p.k.pieces; kb++) {
      if (p.pack_a) pack_tiles<F>(g, p, block, kb, scratch);
      for (i64 item = i; item < next; item++) gemm_item<F>(g, p, item, kb, scratch);
    }
  }
}

// Packs all of b, for many products with it. Returns the number of elements, or 0 if b is read in place. If `to` is null, it only
// counts. For few rows, b is packed even if the plan reads it in place: the panels are one stream, and their vectors are aligned.
template <class T>
i64 pack_whole(const Product<T>& g, T* to) {
  if (!g.m || !g.n) return 0;
  const GemmPlan p = gemm_plan<T, Full<T>>(g.m, g.n, g.k, g.a.along_k, g.b.along_k);
  if (!p.pack && g.m > kGemm.pack_rows) return 0;
  if (to)
    for (i64 group = 0; group < p.groups.pieces; group++)
      for (i64 kb = 0; kb < p.k.pieces; kb++) {
        pack_group<Full<T>>(g, p, group, kb, to);
        to += (p.groups.begin(group + 1) - p.groups.begin(group)) * p.panel_size;
      }
  return p.k.pieces * p.columns.pieces * p.panel_size;
}

// Returns bytes.
template <class T, class F>
i64 gemm_scratch(i64 m, i64 n, i64 k, bool a_along_k, bool b_along_k, int nth) {
  if (!m || !n) return 0;
  const GemmPlan p = gemm_plan<T, F>(m, n, k, a_along_k, b_along_k);
  return p.scratch * (i64)sizeof(T) * (p.split ? 1 : nth);
}

}  // namespace
