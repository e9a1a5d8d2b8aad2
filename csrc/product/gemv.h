// Products with few rows. Reading b takes most of the time, so b is read once: in place, a few of its rows side by side, or from
// packed panels. The panels of a worker are the same in each call, and stay in the second-level cache of its core.
#pragma once
#include "product/gemm.h"

namespace {

// How products with few rows are computed on an ISA.
struct GemvTuning {
  i64 axpy_rows;     // with at most this many rows and ...
  i64 axpy_columns;  // ... at least this many columns, multiples of b's rows are added; else tiles of c are kept in registers
  int tile_rows;     // rows of a in a tile of dot products

  i64 row_columns = 128;  // with at least this many columns, one row is a sum of multiples of b's rows
  i64 dot_rows = 32;      // with at most this many rows, dot products with b's rows are cheaper than packing b
  i64 columns = 4096;     // columns of c in a piece, which remains in the first-level cache
  i64 grain = 64;         // smallest number of columns for another worker
};
#if defined(__AVX512F__)
constexpr GemvTuning kGemv = {2, 512, 6};
#else
constexpr GemvTuning kGemv = {16, 256, 3};
#endif

// Method to compute a product; it depends only on the sizes and the layout.
enum class Way { kTiles, kAxpy, kDot };
template <class T>
Way product_way(i64 m, i64 n, i64 k, bool a_along_k, bool b_along_k) {
  constexpr i64 L = kLanes<T>;
  // Adding the lanes of a dot product costs as much as some steps of k.
  if (b_along_k) return a_along_k && m <= kGemv.dot_rows && m * L <= k ? Way::kDot : Way::kTiles;
  // Unaligned rows of c are slow to write many times.
  const bool axpy = m == 1 ? n >= kGemv.row_columns : m <= kGemv.axpy_rows && n >= kGemv.axpy_columns && n % L == 0;
  return axpy ? Way::kAxpy : Way::kTiles;
}

// c[i0 ..][j0 ..] += alpha a b for M rows, `columns` columns and R steps of k from k0. With `ahead`, the elements of b that are
// so far ahead are prefetched: a worker reads a part of each row, and the hardware does not foresee such jumps.
template <class T, int M, int R, bool Far>
void add_axpys(const Product<T>& g, i64 i0, i64 j0, i64 columns, i64 k0, i64 ahead) {
  Vec<T> s[M][R];
  const T* b[R];
  T* c[M];
#pragma GCC unroll 8
  for (int i = 0; i < M; i++)
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) s[i][r] = splat<T>(g.alpha * *g.a.at(i0 + i, k0 + r));
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) b[r] = g.b.at(j0, k0 + r);
#pragma GCC unroll 8
  for (int i = 0; i < M; i++) c[i] = g.c + (i0 + i) * g.ldc + j0;
  for_vectors<T>({0, columns}, [&](i64 j, auto lanes) __attribute__((always_inline)) {
    // The products are summed first, so c is rounded only once in R steps.
    Vec<T> acc[M];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const Vec<T> v = lanes.load(b[r] + j);
      if (Far) __builtin_prefetch(b[r] + ahead + j, 0, 2);
#pragma GCC unroll 8
      for (int i = 0; i < M; i++) acc[i] = r ? acc[i] + s[i][r] * v : s[i][r] * v;
    }
#pragma GCC unroll 8
    for (int i = 0; i < M; i++) lanes.store(c[i] + j, lanes.load(c[i] + j) + acc[i]);
  });
}

template <class T, int R, bool Far>
void add_axpys(const Product<T>& g, i64 j0, i64 columns, i64 k0, i64 ahead = 0) {
  i64 i = 0;
  for (; g.m - i >= 3; i += 3) add_axpys<T, 3, R, Far>(g, i, j0, columns, k0, ahead);
  if (g.m - i == 2) add_axpys<T, 2, R, Far>(g, i, j0, columns, k0, ahead);
  if (g.m - i == 1) add_axpys<T, 1, R, Far>(g, i, j0, columns, k0, ahead);
}

// ---- packed panels ----

// Vectors of columns in a panel of packed weights; the last panel has the rest. The rows of a panel follow each other, padded to
// whole vectors, so a worker reads its columns of b as one stream. With few rows of a, a panel is wide: nothing is read twice.
// Otherwise the sums of three rows and those of four steps fill the registers.
constexpr i64 kMostVectors = 4;
FASTNN_INLINE i64 panel_vectors(i64 rows) { return rows <= 2 || FASTNN_VB == 64 ? kMostVectors : 2; }

// Packs all of b. Returns the number of elements. If `to` is null, it only counts.
template <class T>
i64 pack_panels(const Product<T>& g, T* to) {
  constexpr i64 L = kLanes<T>;
  const i64 width = panel_vectors(g.m) * L;
  for (i64 j = 0; to && j < g.n; j += width) pack(to + j * g.k, g.b, j, min_i64(width, g.n - j), 0, g.k);
  return round_up(g.n, L) * g.k;
}

// c += a b for M rows, a panel of N vectors and `k` steps, in the same order as add_axpys; alpha is 1 if b is packed. The last
// vector has `last` columns.
template <class T, int M, int N>
void add_panel(const Product<T>& g, const T* b, i64 i0, i64 j0, i64 last, i64 k0, i64 k) {
  constexpr i64 L = kLanes<T>;
  const T* a[M];
  T* c[M];
  Vec<T> sum[M][N];
#pragma GCC unroll 4
  for (int i = 0; i < M; i++) {
    a[i] = g.a.at(i0 + i, k0);
    c[i] = g.c + (i0 + i) * g.ldc + j0;
#pragma GCC unroll 4
    for (int j = 0; j < N; j++) sum[i][j] = load_part(c[i] + j * L, j == N - 1, last);
  }
  const i64 next = g.a.along_k ? 1 : g.a.ld;
  auto steps = [&](auto count) __attribute__((always_inline)) {
    constexpr int R = decltype(count)::value;
    Vec<T> acc[M][N];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++, b += N * L) {
      Vec<T> v[N];
#pragma GCC unroll 4
      for (int j = 0; j < N; j++) v[j] = load(b + j * L);
#pragma GCC unroll 4
      for (int i = 0; i < M; i++) {
        const Vec<T> s = splat<T>(a[i][r * next]);
#pragma GCC unroll 4
        for (int j = 0; j < N; j++) acc[i][j] = r ? acc[i][j] + s * v[j] : s * v[j];
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < M; i++, a[i - 1] += R * next)
#pragma GCC unroll 4
      for (int j = 0; j < N; j++) sum[i][j] += acc[i][j];
  };
  for (; k >= 4; k -= 4) steps(std::integral_constant<int, 4>{});
  for (; k > 0; k--) steps(std::integral_constant<int, 1>{});
#pragma GCC unroll 4
  for (int i = 0; i < M; i++)
#pragma GCC unroll 4
    for (int j = 0; j < N; j++) store_part(c[i] + j * L, sum[i][j], j == N - 1, last);
}

// The same for all rows and steps. The part of a panel that several groups of rows read remains in the first-level cache.
template <class T, int N>
void add_panel(const Product<T>& g, const T* b, i64 j0, i64 last) {
  constexpr i64 L = kLanes<T>, kRows = N <= 2 ? 3 : 2, kPart = 4096 / (N * FASTNN_VB) * 4;  // in whole sums of four steps
  const i64 part = g.m <= kRows ? g.k : kPart;
  for (i64 k0 = 0; k0 < g.k; k0 += part, b += part * N * L) {
    const i64 k = min_i64(part, g.k - k0);
    i64 i = 0;
    for (; g.m - i >= kRows; i += kRows) add_panel<T, kRows, N>(g, b, i, j0, last, k0, k);
    if (kRows > 2 && g.m - i == 2) add_panel<T, 2, N>(g, b, i, j0, last, k0, k);
    if (g.m - i == 1) add_panel<T, 1, N>(g, b, i, j0, last, k0, k);
  }
}

// The same for all rows and the columns [j0, j1), which begin and end with a panel.
template <class T>
void add_panels(const Product<T>& g, i64 j0, i64 j1) {
  constexpr i64 L = kLanes<T>;
  const i64 width = panel_vectors(g.m) * L;
  for (i64 j = j0; j < j1; j += width) {
    const i64 columns = min_i64(width, j1 - j), vectors = ceil_div(columns, L), last = columns - (vectors - 1) * L;
    const T* b = g.packed + j * g.k;
    if (vectors == 4)
      add_panel<T, 4>(g, b, j, last);
    else if (vectors == 3)
      add_panel<T, 3>(g, b, j, last);
    else if (vectors == 2)
      add_panel<T, 2>(g, b, j, last);
    else
      add_panel<T, 1>(g, b, j, last);
  }
}

// ---- dot products ----

// One step of reducing the vectors of r to the sums of their lanes. It adds blocks of H lanes; if there are several vectors, the
// halves of two vectors are put into one.
template <class T, int N, int H, int... I>
FASTNN_INLINE void fold_blocks(Vec<T>* r, Indices<I...>) {
  constexpr int L = kLanes<T>;
#pragma GCC unroll 16
  for (int i = 0; i < (H < N ? H : N); i++) {
    const Vec<T> x = r[i], y = r[H < N ? i + H : i];
    r[i] = __builtin_shufflevector(x, y, (I & H ? L + I - H : I)...) + __builtin_shufflevector(x, y, (I & H ? L + I : I + H)...);
  }
}
// Lane i of the result is the sum of the lanes of r[i], for i < N; N is a power of two, at most the number of lanes.
template <class T, int N, int H = kLanes<T> / 2>
FASTNN_INLINE Vec<T> sums_of_lanes(Vec<T>* r) {
  fold_blocks<T, N, H>(r, typename UpTo<kLanes<T>>::type());
  if constexpr (H > 1) return sums_of_lanes<T, N, H / 2>(r);
  return r[0];
}

// Computes c += alpha a b^T for M rows from i0 and N columns from j0.
template <class T, int M, int N>
void add_dots(const Product<T>& g, i64 i0, i64 j0) {
  constexpr int L = kLanes<T>, kChains = M * N < 8 ? 2 : 1;  // several sums side by side hide the latency of the additions
  const T *a = g.a.at(i0, 0), *b = g.b.at(j0, 0);
  const i64 lda = g.a.ld, ldb = g.b.ld;
  Vec<T> acc[kChains][M][N] = {};
  auto step = [&](int u, i64 k, auto lanes) __attribute__((always_inline)) {
    Vec<T> bv[N];
#pragma GCC unroll 4
    for (int j = 0; j < N; j++) bv[j] = lanes.load(b + j * ldb + k);
#pragma GCC unroll 8
    for (int i = 0; i < M; i++) {
      const Vec<T> av = lanes.load(a + i * lda + k);
#pragma GCC unroll 4
      for (int j = 0; j < N; j++) acc[u][i][j] += av * bv[j];
    }
  };
  i64 k = 0;
  for (; k + kChains * L <= g.k; k += kChains * L)
#pragma GCC unroll 2
    for (int u = 0; u < kChains; u++) step(u, k + u * L, AllLanes<T>{});
  for_vectors<T>({k, g.k}, [&](i64 k, auto lanes) __attribute__((always_inline)) { step(0, k, lanes); });

  // The sums of the tile, in groups of one vector.
  constexpr int kPower = M * N > 8 ? 16 : M * N > 4 ? 8 : M * N > 2 ? 4 : M * N, kGroup = kPower < L ? kPower : L;
  constexpr int kPadded = (M * N + kGroup - 1) / kGroup * kGroup;
  Vec<T> r[kPadded] = {};
  T sums[kPadded + L];
#pragma GCC unroll 8
  for (int i = 0; i < M; i++)
#pragma GCC unroll 4
    for (int j = 0; j < N; j++) {
      r[i * N + j] = acc[0][i][j];
      if constexpr (kChains > 1) r[i * N + j] += acc[1][i][j];
    }
#pragma GCC unroll 16
  for (int q = 0; q < kPadded; q += kGroup) store(sums + q, sums_of_lanes<T, kGroup>(r + q));
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++) g.c[(i0 + i) * g.ldc + j0 + j] += g.alpha * sums[i * N + j];
}

// The same for a tile of at most M rows.
template <class T, int M, int N>
void add_dots(const Product<T>& g, i64 rows, i64 i0, i64 j0) {
  if (rows == M)
    add_dots<T, M, N>(g, i0, j0);
  else if constexpr (M > 1)
    add_dots<T, M - 1, N>(g, rows, i0, j0);
}

template <class T, int N>
void add_dots(const Product<T>& g, i64 j0) {
  const Cut tiles = Cut::by(g.m, kGemv.tile_rows);
  for (i64 t = 0; t < tiles.pieces; t++)
    add_dots<T, kGemv.tile_rows, N>(g, tiles.begin(t + 1) - tiles.begin(t), tiles.begin(t), j0);
}

// Pieces are whole vectors and tiles, and each element is computed separately. So the number of workers does not change any bits.
template <class T>
void few_rows(const Product<T>& g, Way way, const Worker& me) {
  const Range mine = share(g.n, kGemv.grain, me);
  for (i64 j0 = mine.begin; j0 < mine.end; j0 += kGemv.columns) {
    const i64 j1 = min_i64(j0 + kGemv.columns, mine.end), columns = j1 - j0;
    for (i64 i = 0; i < g.m; i++) {
      T* c = g.c + i * g.ldc;
      for_vectors<T>({j0, j1}, [&](i64 j, auto lanes) {
        Vec<T> v = g.bias ? lanes.load(g.bias + j) : Vec<T>{};
        if (g.beta != 0) v += g.beta * lanes.load(c + j);
        lanes.store(c + j, v);
      });
    }
    if (way == Way::kAxpy && g.packed) {
      add_panels(g, j0, j1);
    } else if (way == Way::kAxpy) {
      constexpr i64 kAhead = 16 << 10;  // bytes: more than what comes from memory in its latency
      const bool far = g.k * g.n * (i64)sizeof(T) > fastnn::caches().l2 / 4;
      const i64 ahead = round_up(ceil_div(kAhead, columns * (i64)sizeof(T)), 4) * g.b.ld;
      i64 k = 0;
      for (; far && k + 4 <= g.k; k += 4) add_axpys<T, 4, true>(g, j0, columns, k, ahead);
      for (; k + 4 <= g.k; k += 4) add_axpys<T, 4, false>(g, j0, columns, k);
      for (; k < g.k; k++) add_axpys<T, 1, false>(g, j0, columns, k);
    } else {
      i64 j = j0;
      for (; j + 4 <= j1; j += 4) add_dots<T, 4>(g, j);
      for (; j < j1; j++) add_dots<T, 1>(g, j);
    }
    for (i64 i = 0; i < g.m; i++) {
      T* c = g.c + i * g.ldc;
      if (g.relu) for_vectors<T>({j0, j1}, [&](i64 j, auto lanes) { lanes.store(c + j, vmax<T>(lanes.load(c + j), Vec<T>{})); });
      if (g.fn) g.fn(g.y + i * g.ldc + j0, c + j0, columns, g.act);
    }
  }
}

}  // namespace
