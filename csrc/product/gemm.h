// How the products of product.h are cut into pieces and computed.
//
// The micro-kernel computes a tile of c: some rows by some vectors of columns, a panel. It reads a and b in place, or from packed
// panels. A worker takes a few panels at a time and computes all tiles of their columns, so b is read from far away once.
//
// GemmPlan describes the cuts. Those of M, N and K decide the order in which numbers are summed. They depend only on the sizes
// and the layout, so the result has the same bits on any machine with this ISA, for any number of workers and wherever the arrays
// begin. The rest decides only who computes a tile and from which copy of b: it also depends on the caches, on the number of
// workers, and on whether rows of b begin at cache lines.
#pragma once
#include "core/caches.h"
#include "product/bf16.h"
#include "product/patches.h"

namespace {

// ---- how a product is cut ----

struct GemmPlan {
  bool pack_a;  // a is packed: its columns collide in the caches, it is far away, it is gathered, or its format requires it
  bool split;   // each block of K gives a partial product; they are added at the end
  Cut k;        // the blocks of K
  Cut tiles;    // rows into tiles
  Cut columns;  // vectors of columns into panels

  bool far;         // b is larger than its share of the second-level cache
  bool pack;        // b is read from packed panels, otherwise in place
  bool on_the_way;  // the first tile of a panel packs it for the others
  Cut groups;       // panels into groups; a group is packed at a time, and remains in the second-level cache for all rows
  i64 row_blocks;   // number of blocks of rows, each of which has some tiles
  i64 panel_size;   // largest number of elements of a packed panel
  i64 a_size;       // largest number of elements of a packed block of rows of a
  i64 gathered;     // those of them, at the end, into which patches are gathered
  i64 scratch;      // elements that each worker packs, or elements of all partial products
  i64 most;         // elements that all workers pack, at most, if fewer of them take part
  // Number of pieces of work. A piece is a group of columns for a block of rows.
  i64 items() const { return groups.pieces * row_blocks; }
  // Pieces that follow each other share columns, so that a worker reads little of b, or the rows of a that they pack.
  i64 block(i64 item) const { return pack_a ? item / groups.pieces : item % row_blocks; }
  i64 group(i64 item) const { return pack_a ? item % groups.pieces : item / row_blocks; }
};

// The sizes and the layout of a product.
struct GemmShape {
  i64 m, n, k;
  bool a_along_k, b_along_k;
  bool patches;  // a consists of patches, which are gathered
};

// How b can be read.
enum class Reading {
  kPacked,     // it has been packed
  kAligned,    // each row begins at a cache line
  kUnaligned,  // a vector of a row is in two cache lines, which takes twice as long on some CPUs
};

template <class T>
Reading reading(const Product<T>& g) {
  const i64 offset = (i64)(uintptr_t)g.b.p | (g.b.ld * (i64)sizeof(T));
  return g.packed ? Reading::kPacked : offset % 64 ? Reading::kUnaligned : Reading::kAligned;
}

// Returns whether `rows` rows of ld elements collide in the caches when they are read side by side.
template <class T>
bool collide(i64 ld, i64 rows) {
  const i64 bytes = ld * (i64)sizeof(T), power_of_two = bytes & -bytes;
  return power_of_two >= 4096 || power_of_two * rows > 2 << 20;
}

// Returns whether parts of rows, `ld` elements apart and `line` bytes long, drive each other out of the first-level cache when
// they are read in place: at distances of large powers of two they share few of its sets.
template <class T>
bool crowd(i64 ld, i64 rows, i64 line, i64 l1) {
  const i64 bytes = ld * (i64)sizeof(T), power_of_two = bytes & -bytes;
  return power_of_two > line && power_of_two * rows > l1;
}

// Returns the smallest number of blocks of rows that gives all workers about the same number of pieces.
FASTNN_INLINE i64 fair_blocks(i64 groups, i64 most, int nth) {
  i64 blocks = 1;
  for (; blocks < most; blocks++) {
    const i64 items = groups * blocks;
    if (items * 8 >= ceil_div(items, nth) * nth * 7) break;
  }
  return blocks;
}

template <class T, class F>
GemmPlan gemm_plan(const GemmShape& s, Reading b, int nth) {
  constexpr i64 L = kLanes<T>, size = sizeof(T);
  const i64 m = s.m, n = s.n, k = s.k;
  GemmPlan p = {};
  i64 vectors = F::kVectors;
  const bool bad_a = !s.a_along_k && n >= kGemm.pack_columns && collide<T>(m, k);
  const bool must_pack = !F::kReads || s.b_along_k || (!kGemm.masked_loads && n % L);
  const fastnn::Caches& cache = fastnn::caches();
  const bool far_a = F::kReads && !s.patches && s.a_along_k && n >= kGemm.far_a_columns && m * k * size > kGemm.far_a * cache.l2;
  const bool crowded_a = !s.a_along_k && kGemm.pack_a && n >= kGemm.pack_columns && m > kGemm.rows[vectors] &&
                         crowd<T>(m, min_i64(k, kGemm.depth / size), 64, cache.l1);
  p.pack_a = s.patches || !F::kReads || far_a || crowded_a || (bad_a && (kGemm.pack_a || k > kGemm.pack_a_depth));
  // If there are few rows, a narrower tile with all of them reads b only once.
  while (vectors > 2 && m > kGemm.rows[vectors] && m <= kGemm.rows[2]) vectors--;
  // If columns of a collide, the part of a for a tile must remain in the second-level cache from panel to panel.
  const i64 bytes = !F::kReads ? kGemm.depth_rounded : bad_a && !p.pack_a ? kGemm.depth_colliding : kGemm.depth;
  p.k = Cut::by(k, bytes / size * F::kSteps);
  p.columns = Cut::by(ceil_div(n, L), vectors);
  const i64 widest = p.columns.size + (p.columns.extra > 0), tile_rows = F::rows(widest);
  p.tiles = Cut::by(m, tile_rows);
  p.split = !must_pack && !s.patches && k >= 2 * kGemm.split_depth && p.tiles.pieces * p.columns.pieces < kGemm.split_tiles;
  if (p.split) {
    p.k = Cut::into(k, min_i64(kGemm.items, k / kGemm.split_depth));
    p.groups = Cut::by(p.columns.pieces, 1);
    p.row_blocks = 1;
    p.scratch = p.most = p.k.pieces * m * n;
    return p;
  }

  // A b that is read once, or that all tiles read from the second-level cache, is read in place. Unaligned panels must be in
  // the first-level cache for this. Rows that collide are not read side by side.
  const i64 depth = panel_depth<F>(p.k.size + (p.k.extra > 0));
  p.panel_size = depth * widest * L;
  p.far = n * k * size > cache.l2 / 2;
  const bool apart = b != Reading::kAligned && min_i64(p.panel_size, depth * n) * size > cache.l1;
  const i64 rows = n * k * size > 4 * cache.l2 ? kGemm.pack_rows_large : kGemm.pack_rows;
  const bool crowded = collide<T>(n, k) || crowd<T>(n, min_i64(depth, k), widest * L * size, cache.l1);
  p.pack = must_pack || b == Reading::kPacked || (m >= rows && (p.far || apart || crowded));
  // For few rows, it is the reading of a b in memory that counts, and long runs are read fastest.
  const bool alone = m >= kGemm.pack_alone_rows || (m < kGemm.pack_long_rows && n * k * size > 4 * cache.l2);
  p.on_the_way = p.pack && !must_pack && !alone;
  // A group is as large as the cache allows, since all rows of a are read again for each group. A group that is packed alone
  // passes through the cache twice, as it was and packed. While a group that was packed before is read, the next one comes.
  const i64 most = kGemm.group_quarters, quarters = b == Reading::kPacked ? min_i64(2, most) : must_pack ? 1 : most;
  const i64 room = cache.l2 / 4 * quarters / max_i64(1, p.panel_size * size);
  p.groups = Cut::by(p.columns.pieces, max_i64(1, min_i64(room, p.columns.pieces / nth)));
  p.row_blocks = m * n * k <= kGemm.item_work ? 1 : fair_blocks(p.groups.pieces, min_i64(4 * nth, p.tiles.pieces), nth);
  if (p.pack_a) {
    // The packed rows fit into the second-level cache, or nearly if they are far away: more rows read each panel of b. Scratch
    // must not grow if fewer workers take part.
    const i64 least = ceil_div(m, max_i64(tile_rows, cache.l2 * (far_a ? 2 : 1) / max_i64(1, depth * size)));
    const i64 fair = far_a || s.patches ? min_i64(round_up(least, nth), max_i64(least, p.tiles.pieces)) : least;
    p.row_blocks = max_i64(p.row_blocks, fair);
    const i64 block_rows = ceil_div(p.tiles.pieces, least) * tile_rows, steps = p.k.size + (p.k.extra > 0);
    p.a_size = ceil_div(p.tiles.pieces, least) * depth * round_up(tile_rows, L);
    if (s.patches) {  // they are gathered where they are read, or before they are packed
      const i64 rows = F::kReads ? block_rows : tile_rows;
      p.gathered = (s.a_along_k ? rows * patch_stride<T>(steps) : steps * patch_stride<T>(rows)) + L;
      p.a_size = p.gathered + (F::kReads ? 0 : p.a_size);
    }
  }
  p.scratch = p.a_size + (p.pack ? (p.groups.size + (p.groups.extra > 0)) * p.panel_size : 0);
  p.most = nth * p.a_size + (p.pack ? max_i64(nth, min_i64(nth * room, p.columns.pieces)) * p.panel_size : 0);
  return p;
}

// Returns the tiles of a block of rows.
FASTNN_INLINE Range block_tiles(const GemmPlan& p, i64 block) {
  return {p.tiles.pieces * block / p.row_blocks, p.tiles.pieces * (block + 1) / p.row_blocks};
}

// Packs a block of rows of a for a block of K, one panel for each tile. Patches are gathered into rows, all of which are in one
// piece; a format that does not read them gets them tile by tile, from memory at the end of the panels.
template <class F, class T>
void pack_tiles(const Product<T>& g, const GemmPlan& p, i64 block, i64 kb, T* to) {
  const i64 k0 = p.k.begin(kb), depth = p.k.begin(kb + 1) - k0;
  const Range tiles = block_tiles(p, block);
  T* gathered = to + p.a_size - p.gathered;
  auto gather_rows = [&](T* to, i64 i0, i64 rows) {
    if (g.a.along_k)
      gather(to, patch_stride<T>(depth), *g.patches, i0, rows, k0, depth);
    else
      gather(to, patch_stride<T>(rows), *g.patches, k0, depth, i0, rows);
    return Operand<T>{to, patch_stride<T>(g.a.along_k ? depth : rows), g.a.along_k};
  };
  if (g.patches && F::kReads) {
    gather_rows(gathered, p.tiles.begin(tiles.begin), p.tiles.begin(tiles.end) - p.tiles.begin(tiles.begin));
    return;
  }
  for (i64 t = tiles.begin; t < tiles.end; t++) {
    const i64 i0 = p.tiles.begin(t), rows = p.tiles.begin(t + 1) - i0;
    if (g.patches)
      F::pack_a(to, gather_rows(gathered, i0, rows), 0, rows, 0, depth);
    else
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
  if constexpr (F::kLongRuns)
    if (!g.b.along_k && left.vectors == right.vectors && right.last == L)
      return F::pack_rows(to, end - first, p.panel_size, left.vectors * L, g.b, left.j0, k0, depth);
  for (i64 i = first; i < end; i++) {
    const Panel q = panel_at<T>(p, g.n, i);
    F::pack(to + (i - first) * p.panel_size, g.b, q.j0, (q.vectors - 1) * L + q.last, k0, depth);
  }
}

// Prefetches rows of c to write them. A row that does not begin at a cache line ends in one more.
template <class T>
FASTNN_INLINE void prefetch_rows(const T* c, i64 rows, i64 columns, i64 ldc) {
  for (i64 i = 0; i < rows; i++, c += ldc) {
    for (i64 j = 0; j < columns; j += 64 / (i64)sizeof(T)) __builtin_prefetch(c + j, 1);
    __builtin_prefetch(c + columns - 1, 1);
  }
}

// Computes one piece for one block of K. `scratch` contains packed rows of a and receives the packed group, or the partial
// products.
template <class F, class T>
void gemm_item(const Product<T>& g, const GemmPlan& p, i64 item, i64 kb, T* scratch) {
  constexpr i64 L = kLanes<T>;
  const i64 block = p.block(item), group = p.group(item);
  const i64 first = p.groups.begin(group), end = p.groups.begin(group + 1);
  const i64 k0 = p.k.begin(kb), depth = p.k.begin(kb + 1) - k0;
  const bool last = kb == p.k.pieces - 1 && !p.split;
  T* c = p.split ? scratch + kb * g.m * g.n : g.c;
  Tile<T> t = {};
  t.k = panel_depth<F>(depth);
  t.ldc = p.split ? g.n : g.ldc;
  t.alpha = p.split ? (T)1 : g.alpha;
  t.beta = p.split ? (T)0 : kb ? (T)1 : g.beta;
  t.relu = g.relu && last;

  const Panel left = panel_at<T>(p, g.n, first), right = panel_at<T>(p, g.n, end - 1);
  const i64 columns = right.j0 + (right.vectors - 1) * L + right.last - left.j0;
  const Range mine = block_tiles(p, block);
  const T* packed = scratch + p.a_size;
  bool on_the_way = false;
  if (g.packed) {
    packed = g.packed + (kb * p.columns.pieces + first) * p.panel_size;
  } else if (p.pack) {
    // The first tile packs whole panels if there is such a kernel for its rows.
    on_the_way = p.on_the_way && left.vectors == F::kVectors && right.vectors == F::kVectors && right.last == L &&
                 p.tiles.begin(mine.begin + 1) - p.tiles.begin(mine.begin) == F::rows(F::kVectors);
    if (!on_the_way) pack_group<F>(g, p, group, kb, scratch + p.a_size);
  }
  const T* a = scratch;
  Ukern<T> kernel = nullptr;
  struct {
    i64 rows, vectors;
    bool mask;
  } size = {};
  for (i64 i = mine.begin; i < mine.end; i++) {
    const i64 i0 = p.tiles.begin(i), rows = p.tiles.begin(i + 1) - i0;
    const bool packs = on_the_way && i == mine.begin;
    t.rows = rows;
    if (F::kReads && g.patches) {
      const i64 before = i0 - p.tiles.begin(mine.begin), all = p.tiles.begin(mine.end) - p.tiles.begin(mine.begin);
      const i64 ld = patch_stride<T>(g.a.along_k ? depth : all);
      t.a = scratch + before * (g.a.along_k ? ld : 1);
      t.a_row = g.a.along_k ? ld : 1;
      t.a_col = g.a.along_k ? 1 : ld;
    } else if (p.pack_a) {
      t.a = a;
      t.a_row = 1;
      t.a_col = round_up(rows, L);
      a += t.k * t.a_col;
    } else {
      t.a = g.a.at(i0, k0);
      t.a_row = g.a.along_k ? g.a.ld : 1;
      t.a_col = g.a.along_k ? 1 : g.a.ld;
    }
    if (g.packed && p.far && g.m >= kGemm.pack_rows) {  // prefetches the panels that follow during these
      const i64 size = (end - first) * p.panel_size, part = ceil_div(size, mine.end - mine.begin);
      const T* next = packed + (p.k.pieces == 1 ? size : p.columns.pieces * p.panel_size) + (i - mine.begin) * part;
      for (i64 o = 0; o < part; o += 64 / (i64)sizeof(T)) __builtin_prefetch(next + o, 0, 2);
    }
    for (i64 panel = first; panel < end; panel++) {
      const Panel q = panel_at<T>(p, g.n, panel);
      const T* there = packed + (panel - first) * p.panel_size;
      t.b = p.pack && !packs ? there : g.b.at(q.j0, k0);
      t.ldb = p.pack && !packs ? q.vectors * L : g.b.ld;
      t.last = q.last;
      t.bias = g.bias && kb == 0 ? g.bias + q.j0 : nullptr;
      t.c = c + i0 * t.ldc + q.j0;
      const bool mask = !p.pack && q.last < L;
      // c may not be in the caches. Each tile prefetches its own last rows and the first rows of the next tile: a whole tile at
      // once would delay the loads of a and b.
      if (t.k >= 128 && q.vectors > 1) {
        const i64 half = rows / 2, width = q.vectors * L;
        prefetch_rows(t.c + half * t.ldc, rows - half, width - L + q.last, t.ldc);
        prefetch_rows(panel + 1 < end ? t.c + width : c + (i0 + rows) * t.ldc + left.j0, half, width, t.ldc);
      }
      if constexpr (F::kReads)
        if (packs) {
          t.packed = (T*)there;
          F::packing(t);
          continue;
        }
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

template <class T>
GemmShape shape_of(const Product<T>& g) {
  return {g.m, g.n, g.k, g.a.along_k, g.b.along_k, g.patches != nullptr};
}

template <class F, class T>
void gemm(const Product<T>& g, const Worker& me) {
  if (!g.m || !g.n) return;
  const GemmPlan p = gemm_plan<T, F>(shape_of(g), reading(g), me.nth);
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
    const i64 block = p.block(i);
    next = p.pack_a ? min_i64((block + 1) * p.groups.pieces, mine.end) : i + 1;  // the pieces that share packed rows of a
    for (i64 kb = 0; kb < p.k.pieces; kb++) {
      if (p.pack_a) pack_tiles<F>(g, p, block, kb, scratch);
      for (i64 item = i; item < next; item++) gemm_item<F>(g, p, item, kb, scratch);
    }
  }
}

// Packs all of b, for many products with it. Returns the number of elements, or 0 if K is split. If `to` is null, it only counts.
// A b that would be read in place is packed, too: panels are one stream, and their vectors are aligned.
template <class T>
i64 pack_whole(const Product<T>& g, T* to) {
  if (!g.m || !g.n) return 0;
  const GemmPlan p = gemm_plan<T, Full<T>>(shape_of(g), Reading::kPacked, 1);
  if (p.split) return 0;
  if (to)
    for (i64 kb = 0; kb < p.k.pieces; kb++)
      for (i64 group = 0; group < p.groups.pieces; group++)
        pack_group<Full<T>>(g, p, group, kb, to + (kb * p.columns.pieces + p.groups.begin(group)) * p.panel_size);
  return p.k.pieces * p.columns.pieces * p.panel_size;
}

// Returns bytes, enough for any address of b and for fewer workers, too.
template <class T, class F>
i64 gemm_scratch(const GemmShape& s, int nth) {
  if (!s.m || !s.n) return 0;
  const GemmPlan p = gemm_plan<T, F>(s, Reading::kUnaligned, nth);
  return p.most * (i64)sizeof(T);
}

}  // namespace
