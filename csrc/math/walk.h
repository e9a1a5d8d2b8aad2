// Iterates over arrays with any strides, in runs along the last axis.
#pragma once
#include "math/simd.h"

namespace {

// A walk over K arrays: a shape and the strides of each array. `layout` contains them row by row. Axes that can be merged are
// merged, so that runs along the last axis are long.
constexpr int kMaxDims = 64;  // NumPy's limit
template <int K>
struct Walk {
  int dims = 0;
  i64 shape[kMaxDims], stride[K][kMaxDims];

  Walk(const i64* layout, i64 R) {
    for (i64 d = 0; d < R; d++) {
      if (layout[d] == 1) continue;
      bool merge = dims > 0;
      for (int k = 0; k < K && merge; k++) merge = stride[k][dims - 1] == layout[(k + 1) * R + d] * layout[d];
      if (!merge) shape[dims++] = 1;
      shape[dims - 1] *= layout[d];
      for (int k = 0; k < K; k++) stride[k][dims - 1] = layout[(k + 1) * R + d];
    }
    if (dims == 0) append(1);
  }

  // Adds a last axis of this size, with stride 0 for all arrays.
  void append(i64 size) {
    shape[dims] = size;
    for (int k = 0; k < K; k++) stride[k][dims] = 0;
    dims++;
  }
  void remove(int d) {
    dims--;
    for (; d < dims; d++) {
      shape[d] = shape[d + 1];
      for (int k = 0; k < K; k++) stride[k][d] = stride[k][d + 1];
    }
  }
  i64 size() const {
    i64 n = 1;
    for (int d = 0; d < dims; d++) n *= shape[d];
    return n;
  }
};

// Calls f(position, n, offsets) for each run of n elements along the last axis in a range of the walk.
template <int K, class F>
FASTNN_INLINE void for_runs(const Walk<K>& walk, Range r, F f) {
  if (r.begin >= r.end) return;
  const int last = walk.dims - 1;
  i64 index[kMaxDims], offset[K] = {};
  i64 rest = r.begin;
  for (int d = last; d >= 0; d--) {
    index[d] = rest % walk.shape[d];
    rest /= walk.shape[d];
    for (int k = 0; k < K; k++) offset[k] += index[d] * walk.stride[k][d];
  }
  for (i64 at = r.begin; at < r.end;) {
    const i64 n = min_i64(walk.shape[last] - index[last], r.end - at);
    f(at, n, offset);
    at += n;
    for (int k = 0; k < K; k++) offset[k] -= index[last] * walk.stride[k][last];
    index[last] = 0;
    for (int d = last - 1; d >= 0; d--) {
      index[d]++;
      for (int k = 0; k < K; k++) offset[k] += walk.stride[k][d];
      if (index[d] < walk.shape[d]) break;
      for (int k = 0; k < K; k++) offset[k] -= walk.shape[d] * walk.stride[k][d];
      index[d] = 0;
    }
  }
}

}  // namespace
