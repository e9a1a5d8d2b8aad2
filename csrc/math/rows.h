// The rows of a table that a worker owns: every nth group of rows, since the rows that are used are often neighbours.
#pragma once
#include "math/simd.h"

namespace {

constexpr i64 kRowGroup = 64;

FASTNN_INLINE bool owns_row(i64 row, const Worker& me) { return row / kRowGroup % me.nth == me.ith; }

// Calls f(row) for each of B rows that this worker owns.
template <class F>
FASTNN_INLINE void for_own_rows(i64 B, const Worker& me, F f) {
  for (i64 begin = me.ith * kRowGroup; begin < B; begin += me.nth * kRowGroup)
    for (i64 row = begin; row < min_i64(begin + kRowGroup, B); row++) f(row);
}

}  // namespace
