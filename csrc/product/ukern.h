// The micro-kernel of all matrix products. It computes a tile of c, MR rows by NV vectors, with the sums in registers.
#pragma once
#include "product/product.h"

namespace {

constexpr i64 kNever = 1 << 30;  // beyond any number of rows or caches; times the size of a cache, it does not overflow

// How products are computed on an ISA. Tile widths are in vectors, for both element types.
struct GemmTuning {
  int vectors;          // vectors across a tile
  int rows[5];          // rows[v]: rows of the largest tile of v vectors; its sums and operands fill the registers
  bool masked_loads;    // a short last vector of b can be read in place
  bool pack_a;          // if columns of a collide in the caches, a is always packed, because tiles have few rows
  int group_quarters;   // quarters of the second-level cache for the panels of a group
  i64 far_a;            // a is packed if it is larger than this many second-level caches ...
  i64 pack_alone_rows;  // number of rows of a from which b is packed before the products, rather than by the first of them
  i64 pack_long_rows;   // the same for fewer rows than this, if b is several times as large as the second-level cache

  // In bytes. These decide the order of sums, so they do not depend on the caches of the machine.
  i64 depth;                   // part of K in a block
  i64 depth_rounded = 2048;    // the same for factors that are rounded, and always packed
  i64 depth_colliding = 1024;  // the same if columns of a collide in the caches and are read in place
  // In rows or columns.
  i64 pack_rows = 48;        // number of rows of a from which packing b pays if its rows are read in parts or from far away
  i64 pack_rows_large = 16;  // the same if b is several times as large as the second-level cache
  i64 pack_a_depth = 512;    // number of steps of K from which packing a pays if its columns collide in the caches
  i64 far_a_columns = 512;   // ... and b has at least this many columns
  i64 pack_columns = 64;     // number of columns of b from which packing a pays if columns of a collide
  // For pieces of work.
  i64 item_work = 1 << 16;  // smallest number of multiply-adds of a piece
  i64 items = 32;           // number of pieces that is enough for all workers, if K is split
  i64 split_tiles = 8;      // K is split if there are fewer tiles than this ...
  i64 split_depth = 512;    // ... and at least twice this many steps
};
#if defined(__AVX512F__)
constexpr GemmTuning kGemm = {4, {0, 16, 14, 8, 6}, true, false, 1, kNever, 512, 0, 4096};
#elif defined(__AVX2__)
constexpr GemmTuning kGemm = {2, {0, 12, 6}, true, true, 3, 8, kNever, 128, 2048};
#elif defined(__aarch64__)  // 32 registers of NEON, and multiplications by an element of a register
constexpr GemmTuning kGemm = {2, {0, 16, 12}, false, true, 3, 8, kNever, 128, 2048};
#else
constexpr GemmTuning kGemm = {2, {0, 8, 4}, false, true, 3, 8, kNever, 128, 2048};
#endif

constexpr i64 kOneChain = 6;  // vectors of a tile from which each of its sums over k is one chain

// The fewest rows from which on all tiles of a panel have so many vectors, for each number of vectors across: the order of the
// sums is then the same for any number of rows.
struct OneChain {
  i64 rows[5];
};
constexpr OneChain one_chain() {
  OneChain least = {};
  for (i64 v = 1; v <= kGemm.vectors; v++)
    for (i64 m = 1; m <= 64; m++)
      if (m / ((m + kGemm.rows[v] - 1) / kGemm.rows[v]) * v < kOneChain) least.rows[v] = m + 1;
  return least;
}
constexpr OneChain kOneChainRows = one_chain();

template <class T>
struct Tile {
  i64 k;
  const T* a;
  i64 a_row, a_col;  // strides
  const T* b;
  i64 ldb;
  T* c;
  i64 ldc;
  i64 rows;
  i64 last;  // columns in the last vector
  const T* bias;
  T* packed;  // where the panel is written, if the kernel packs it
  T alpha, beta;
  bool relu;
};

// Loads a vector of a row of a tile. The last vector may be short, with n lanes. A whole vector uses no mask if masks are slow.
template <class T>
FASTNN_INLINE Vec<T> load_part(const T* p, bool last, i64 n) {
  return last && (FASTNN_VB == 64 || n < kLanes<T>) ? load_n(p, n) : load(p);
}
template <class T>
FASTNN_INLINE void store_part(T* p, Vec<T> v, bool last, i64 n) {
  if (last && (FASTNN_VB == 64 || n < kLanes<T>))
    store_n(p, v, n);
  else
    store(p, v);
}

// Operations on the sums of a tile before they are written to c.
template <class T, int MR, int NV>
FASTNN_INLINE void store_tile(const Tile<T>& t, Vec<T> (*acc)[NV]) {
  constexpr i64 L = kLanes<T>;
  const T alpha = t.alpha, beta = t.beta;
  const i64 ldc = t.ldc;
  T* c = t.c;
  if (alpha != 1) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) acc[i][j] *= alpha;
  }
  if (beta != 0) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) acc[i][j] += beta * load_part(c + i * ldc + j * L, j == NV - 1, t.last);
  }
  if (t.relu) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) acc[i][j] = vmax<T>(acc[i][j], Vec<T>{});
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) store_part(c + i * ldc + j * L, acc[i][j], j == NV - 1, t.last);
}

// MASK: b is read in place, and the last vector of each row may be short. PACK: writes the panel of b that it reads.
template <class T, int MR, int NV, bool MASK, bool PACK = false>
void ukern(const Tile<T>& t) {
  constexpr i64 L = kLanes<T>;
  // Small tiles compute several sums over k side by side, to hide the latency of the additions.
  constexpr int kChains = MR * NV >= kOneChain ? 1 : MR * NV >= 3 ? 2 : 4;
  // Three rows share a pointer: p, p + stride and p + 2 strides need no more registers.
  constexpr int kPointers = (MR + 2) / 3;
  constexpr i64 kAhead = 16;  // rows of b that are prefetched: each may be on another page
  // Tiles of so few rows belong to products that read each panel of b only once, perhaps from memory. With AVX-512, they need it
  // faster than the hardware prefetches it.
  constexpr bool kStreams = !PACK && FASTNN_VB == 64 && (NV == 3 || (NV > 1 && MR < kGemm.rows[NV]));
  const i64 row = t.a_row, row2 = 2 * row, col = t.a_col, ldb = t.ldb, last = t.last;
  T* packed = t.packed;
  const T* a[kPointers];
  const T* b = t.b;
  Vec<T> acc[kChains][MR][NV];
#pragma GCC unroll 6
  for (int i = 0; i < kPointers; i++) a[i] = t.a + 3 * i * row;
#pragma GCC unroll 4
  for (int u = 0; u < kChains; u++)
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) acc[u][i][j] = Vec<T>{};
  if (t.bias) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) {
      const Vec<T> v = load_part(t.bias + j * L, j == NV - 1, last);
#pragma GCC unroll 16
      for (int i = 0; i < MR; i++) acc[0][i][j] = v;
    }
  }
  auto step = [&](int u) __attribute__((always_inline)) {
    Vec<T> bv[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; j++) bv[j] = MASK && j == NV - 1 ? load_n(b + j * L, last) : load(b + j * L);
    if constexpr (PACK) {
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) {
        store(packed + j * L, bv[j]);
        __builtin_prefetch(b + kAhead * ldb + j * L);
      }
      __builtin_prefetch(b + kAhead * ldb + NV * L - 1);
      packed += NV * L;
    }
    if constexpr (kStreams) {
      constexpr i64 kFarAhead = 8192 / (i64)sizeof(T);
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) __builtin_prefetch(b + kFarAhead + j * L);
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++) {
      T s = a[i / 3][i % 3 == 0 ? 0 : i % 3 == 1 ? row : row2];
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) acc[u][i][j] += s * bv[j];
    }
#pragma GCC unroll 6
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
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 4
      for (int j = 0; j < NV; j++) acc[u & (u - 1)][i][j] += acc[u][i][j];

  store_tile<T, MR, NV>(t, acc[0]);
}

template <class T>
using Ukern = void (*)(const Tile<T>&);

template <class T, int NV, bool MASK, int... I>
Ukern<T> pick_ukern(i64 rows, Indices<I...>) {
  static constexpr Ukern<T> list[] = {ukern<T, I + 1, NV, MASK>...};
  return list[rows - 1];
}
template <class T, int NV>
Ukern<T> pick_ukern(i64 rows, bool mask) {
  typename UpTo<kGemm.rows[NV]>::type all;
#if defined(__AVX512F__)
  (void)mask;  // masked loads are free: one kernel is used for both
  return pick_ukern<T, NV, true>(rows, all);
#elif defined(__AVX2__)
  if (mask) return pick_ukern<T, NV, true>(rows, all);
#else
  (void)mask;  // there are no masked loads, and the plan does not use any
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

}  // namespace
