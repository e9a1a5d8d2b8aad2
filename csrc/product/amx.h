// Factors rounded to bfloat16 and multiplied by AMX, tile by tile.
#pragma once
#include "product/bf16.h"
#include "product/tiles.h"

#if defined(__AVX512F__)
namespace {

// Panels of tiles of 1 KB. A panel has up to two tiles side by side, then those of the next 32 steps of K. A tile of a has a row
// for each row of a, with its 16 pairs of steps. A tile of b has a row for each pair of steps, with the pairs of 16 columns.
struct Tiles {
  static constexpr bool kReads = false;
  static constexpr int kSteps = 2;
  static constexpr int kGroup = 16;
  static constexpr int kVectors = 2;
  static constexpr bool kLongRuns = false;
  static constexpr i64 kTile = 256;  // elements of 4 bytes
  FASTNN_INLINE i64 rows(i64) { return 32; }

  // A worker calls `begin` before its part of a product and `end` after it.
  FASTNN_AMX static void begin() { tile_configure(TileConfig{}); }
  FASTNN_AMX static void end() { tile_release(); }

  static void pack(float* panel, const Operand<float>& from, i64 i0, i64 n, i64 k0, i64 kc) {
    pack_tiles<false>(panel, from, i0, n, k0, kc);
  }
  static void pack_a(float* panel, const Operand<float>& from, i64 i0, i64 n, i64 k0, i64 kc) {
    pack_tiles<true>(panel, from, i0, n, k0, kc);
  }
  template <bool A>
  FASTNN_BF16 static void pack_tiles(float* to, const Operand<float>& from, i64 i0, i64 n, i64 k0, i64 kc) {
    for (i64 k = 0; k < kc; k += 32)
      for (i64 i = 0; i < n; i += 16, to += kTile) {
        const float* p = from.at(i0 + i, k0 + k);
        Vec<float> r[16];
        if (from.along_k)
          load_pairs<true>(r, p, from.ld, n - i, kc - k);
        else
          load_pairs<false>(r, p, from.ld, n - i, kc - k);
        if (from.along_k != A) transpose<float>(r);
#pragma GCC unroll 16
        for (int t = 0; t < 16; t++) store(to + t * 16, r[t]);
      }
  }

  // R x V tiles of sums. For each pair of tiles of a and b, the instruction adds the products of 32 steps.
  template <int R, int V>
  FASTNN_AMX static void ukern(const Tile<float>& t) {
    tile_zero<0>();
    if (V == 2) tile_zero<1>();
    if (R == 2) tile_zero<2>();
    if (R == 2 && V == 2) tile_zero<3>();
    const float *a = t.a, *b = t.b;
    for (i64 k = 0; k < t.k; k += kGroup, a += R * kTile, b += V * kTile) {
      tile_load<4>(a, 64);
      tile_load<6>(b, 64);
      if (V == 2) tile_load<7>(b + kTile, 64);
      tile_dot_bf16<0, 4, 6>();
      if (V == 2) tile_dot_bf16<1, 4, 7>();
      if (R == 2) {
        tile_load<5>(a + kTile, 64);
        tile_dot_bf16<2, 5, 6>();
        if (V == 2) tile_dot_bf16<3, 5, 7>();
      }
    }
    alignas(64) float sums[R * 16 * V * 16];
    constexpr i64 width = V * 16, stride = width * 4;
    tile_store<0>(sums, stride);
    if (V == 2) tile_store<1>(sums + 16, stride);
    if (R == 2) tile_store<2>(sums + 16 * width, stride);
    if (R == 2 && V == 2) tile_store<3>(sums + 16 * width + 16, stride);
    store_sums(t, sums, V);
  }

  // Operations on the sums before they are written to c, as in store_tile.
  __attribute__((noinline)) static void store_sums(const Tile<float>& t, const float* sums, i64 vectors) {
    for (i64 i = 0; i < t.rows; i++)
      for (i64 j = 0; j < vectors; j++, sums += 16) {
        const bool last = j == vectors - 1;
        float* c = t.c + i * t.ldc + j * 16;
        Vec<float> sum = load(sums);
        if (t.bias) sum += load_part(t.bias + j * 16, last, t.last);
        if (t.alpha != 1) sum *= t.alpha;
        if (t.beta != 0) sum += t.beta * load_part(c, last, t.last);
        if (t.relu) sum = vmax<float>(sum, Vec<float>{});
        store_part(c, sum, last, t.last);
      }
  }

  static Ukern<float> pick(i64 rows, i64 vectors, bool) {
    if (rows > 16) return vectors == 2 ? ukern<2, 2> : ukern<2, 1>;
    return vectors == 2 ? ukern<1, 2> : ukern<1, 1>;
  }
};

}  // namespace
#endif
