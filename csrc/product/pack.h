// Panels, which contain the factors of a product in the order in which the micro-kernel reads them.
#pragma once
#include "math/transpose.h"
#include "product/ukern.h"

namespace {

// Packs a panel: n rows of op(a) or columns of op(b) over a block of K, side by side for each k, padded with zeros to full
// vectors.
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
  for (i64 i = 0; i < n; i += L)
    for (i64 k = 0; k < kc; k += L) {
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

// Packs `panels` adjacent panels of full vectors, with `width` columns each, from a b that is not along K. It reads row by row:
// long runs of a large b are faster to read than short ones.
template <class T>
void pack_rows(T* to, i64 panels, i64 panel_size, i64 width, const Operand<T>& from, i64 j0, i64 k0, i64 kc) {
  constexpr i64 L = kLanes<T>, kAhead = 16;  // rows that are prefetched: each is on another page
  for (i64 k = 0; k < kc; k++) {
    const T* p = from.at(j0, k0 + k);
    for (i64 i = 0; i < panels * width; i += L) __builtin_prefetch(p + kAhead * from.ld + i);
    for (i64 i = 0; i < panels; i++)
      for (i64 j = 0; j < width; j += L, p += L) store(to + i * panel_size + k * width + j, load(p));
  }
}

// ---- formats of factors ----

// Numbers without rounding.
template <class T>
struct Full {
  static constexpr bool kReads = true;  // the micro-kernel also reads factors in place
  static constexpr int kSteps = 1;      // steps of K in one element of a panel
  static constexpr int kGroup = 1;      // the length of a panel along K is a multiple of this, in elements
  static constexpr int kVectors = kGemm.vectors;
  static constexpr bool kLongRuns = true;  // adjacent panels can be packed row by row
  FASTNN_INLINE i64 rows(i64 vectors) { return kGemm.rows[vectors]; }
  FASTNN_INLINE void pack_rows(T* to, i64 panels, i64 panel_size, i64 width, const Operand<T>& from, i64 j0, i64 k0, i64 kc) {
    ::pack_rows(to, panels, panel_size, width, from, j0, k0, kc);
  }
  FASTNN_INLINE void pack(T* panel, const Operand<T>& from, i64 i0, i64 n, i64 k0, i64 kc) { ::pack(panel, from, i0, n, k0, kc); }
  FASTNN_INLINE void pack_a(T* panel, const Operand<T>& from, i64 i0, i64 n, i64 k0, i64 kc) {
    ::pack(panel, from, i0, n, k0, kc);
  }
  FASTNN_INLINE Ukern<T> pick(i64 rows, i64 vectors, bool mask) { return pick_ukern<T>(rows, vectors, mask); }
  // Computes the largest tile, and writes the panel of b that it reads in place.
  FASTNN_INLINE void packing(const Tile<T>& t) { ukern<T, kGemm.rows[kVectors], kVectors, false, true>(t); }
};

// Returns the length of a panel of kc steps of K, in elements.
template <class F>
FASTNN_INLINE i64 panel_depth(i64 kc) {
  return round_up(ceil_div(kc, F::kSteps), F::kGroup);
}

}  // namespace
