// Transposes squares of numbers in registers.
#pragma once
#include "math/simd.h"

namespace {

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
// Transposes a square of lanes in registers: swaps off-diagonal blocks, then smaller blocks inside each block, and so on.
template <class T, int H = kLanes<T> / 2>
FASTNN_INLINE void transpose(Vec<T>* r) {
  swap_blocks<T, H>(r, typename UpTo<kLanes<T>>::type());
  if constexpr (H > 1) transpose<T, H / 2>(r);
}

}  // namespace
