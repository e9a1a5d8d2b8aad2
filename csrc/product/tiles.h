// The tile registers of AMX: 8 of them, with 16 rows of 64 bytes each.
//
// The instructions are written as assembly. The intrinsics of g++ 12 say that they read 8 bytes of the configuration, and that
// tile loads read no memory, so the compiler could leave out or move the stores before them.
//
// FASTNN_EMULATE_TILES (CMakeLists.txt) replaces the instructions by C++ with the semantics of Intel's manual, for tests on CPUs
// without AMX.
#pragma once
#include "math/simd.h"

#if defined(__AVX512F__)
#define FASTNN_AMX __attribute__((target("amx-tile,amx-bf16")))

namespace {

// The operand of LDTILECFG. All tiles are used as a whole.
struct alignas(64) TileConfig {
  u8 palette = 1, start_row = 0, reserved[14] = {};
  u16 row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  u8 rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64, "LDTILECFG reads 64 bytes");

#if !defined(FASTNN_EMULATE_TILES)
FASTNN_AMX FASTNN_INLINE void tile_configure(const TileConfig& config) { asm volatile("ldtilecfg %0" : : "m"(config)); }
FASTNN_AMX FASTNN_INLINE void tile_release() { asm volatile("tilerelease" : : : "memory"); }
template <int TILE>
FASTNN_AMX FASTNN_INLINE void tile_zero() {
  asm volatile("tilezero %%tmm%c0" : : "i"(TILE));
}
// `stride` is the distance of rows in bytes.
template <int TILE>
FASTNN_AMX FASTNN_INLINE void tile_load(const void* p, i64 stride) {
  asm volatile("tileloadd (%1,%2,1), %%tmm%c0" : : "i"(TILE), "r"(p), "r"(stride) : "memory");
}
template <int TILE>
FASTNN_AMX FASTNN_INLINE void tile_store(void* p, i64 stride) {
  asm volatile("tilestored %%tmm%c0, (%1,%2,1)" : : "i"(TILE), "r"(p), "r"(stride) : "memory");
}
// SUM += A B: A has rows of pairs of bfloat16, B has the pairs of a step in a row, SUM is of float.
template <int SUM, int A, int B>
FASTNN_AMX FASTNN_INLINE void tile_dot_bf16() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(SUM), "i"(A), "i"(B));
}

#else
struct EmulatedTiles {
  bool configured;
  TileConfig config;
  alignas(64) u8 data[8][16][64];
};
static thread_local EmulatedTiles emulated_tiles;

// Stops the program like the CPU, which raises an exception if tiles are used without a configuration that fits.
FASTNN_INLINE EmulatedTiles& tiles_in_use() {
  if (!emulated_tiles.configured) __builtin_trap();
  return emulated_tiles;
}
static void tile_release() {
  emulated_tiles.configured = false;
  memset(emulated_tiles.data, 0, sizeof(emulated_tiles.data));
}
static void tile_configure(const TileConfig& config) {
  if (config.palette != 1) __builtin_trap();
  for (int i = 0; i < 16; i++)
    if (config.row_bytes[i] > (i < 8 ? 64 : 0) || config.rows[i] > (i < 8 ? 16 : 0)) __builtin_trap();
  tile_release();
  emulated_tiles.config = config;
  emulated_tiles.configured = true;
}
template <int TILE>
void tile_zero() {
  memset(tiles_in_use().data[TILE], 0, 1024);
}
template <int TILE>
void tile_load(const void* p, i64 stride) {
  EmulatedTiles& tiles = tiles_in_use();
  tile_zero<TILE>();
  for (i64 r = 0; r < tiles.config.rows[TILE]; r++)
    memcpy(tiles.data[TILE][r], (const char*)p + r * stride, tiles.config.row_bytes[TILE]);
}
template <int TILE>
void tile_store(void* p, i64 stride) {
  EmulatedTiles& tiles = tiles_in_use();
  for (i64 r = 0; r < tiles.config.rows[TILE]; r++)
    memcpy((char*)p + r * stride, tiles.data[TILE][r], tiles.config.row_bytes[TILE]);
}
// Denormal operands and results count as zero.
FASTNN_INLINE Vec<float> without_denormals(Vec<float> x) {
  const IVec<float> bits = (IVec<float>)x;
  return (Vec<float>)((bits & 0x7f800000) == 0 ? bits & (i32)0x80000000 : bits);
}
// The sum of the even steps and that of the odd ones begin at 0 and are added at the end, as in the manual.
template <int SUM, int A, int B>
void tile_dot_bf16() {
  EmulatedTiles& tiles = tiles_in_use();
  const TileConfig& config = tiles.config;
  const i64 pairs = config.row_bytes[A] / 4;
  if (config.rows[A] != config.rows[SUM] || config.rows[B] != pairs || config.row_bytes[B] != config.row_bytes[SUM])
    __builtin_trap();
  for (i64 r = 0; r < config.rows[SUM]; r++) {
    Vec<float> sums[2] = {};
    for (i64 k = 0; k < pairs; k++)
      for (int odd = 0; odd < 2; odd++) {
        u16 bits;
        memcpy(&bits, tiles.data[A][r] + 4 * k + 2 * odd, 2);
        const IVec<float> row = (IVec<float>)load((const float*)tiles.data[B][k]);
        const Vec<float> a = without_denormals((Vec<float>)isplat<float>((i32)((u32)bits << 16)));
        const Vec<float> b = without_denormals((Vec<float>)(odd ? row & (i32)0xffff0000 : row << 16));
        sums[odd] = without_denormals((Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)sums[odd]));
      }
    float* c = (float*)tiles.data[SUM][r];
    store(c, without_denormals(without_denormals(load(c)) + without_denormals(sums[0] + sums[1])));
  }
}
#endif

}  // namespace
#endif
