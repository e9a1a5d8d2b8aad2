// Selection and copies between layouts, kernels of the elementwise family. T is an unsigned type of the elements' size.
#pragma once
#include "math/walk.h"

namespace {

template <class T>
struct WhereForward {
  static constexpr const char* fields = "z c x y layout n p q r R";
  T* z;
  const u8* c;
  const T *x, *y;
  const i64* layout;
  i64 n, p, q, r, R;
};

FASTNN_INLINE double where_forward_work(const void* args, int itemsize) {
  return elements_work(((const WhereForward<float>*)args)->n, itemsize, 0.1, 0.2);
}

template <class T>
void where_forward(const void* args, const Worker& me) {
  const WhereForward<T> a = *(const WhereForward<T>*)args;
  if (a.n == 0) return;
  const Walk<3> walk(a.layout, a.R);
  const int last = walk.dims - 1;
  const i64 sc = walk.stride[0][last], sx = walk.stride[1][last], sy = walk.stride[2][last];
  for_runs(walk, share(a.n, kGrain, me), [&](i64 at, i64 n, const i64* offset) {
    T* z = a.z + at;
    const u8* c = a.c + offset[0];
    const T *x = a.x + offset[1], *y = a.y + offset[2];
    if (sc == 1 && sx == 1 && sy == 1) {
#pragma GCC ivdep
      for (i64 i = 0; i < n; i++) {
        const T yes = x[i], no = y[i];
        z[i] = c[i] ? yes : no;
      }
    } else {
      for (i64 i = 0; i < n; i++) z[i] = c[i * sc] ? x[i * sx] : y[i * sy];
    }
  });
}

template <class T>
struct StridedCopy {
  static constexpr const char* fields = "y x layout n p R";
  T* y;
  const T* x;
  const i64* layout;
  i64 n, p, R;
};

FASTNN_INLINE double strided_copy_work(const void* args, int itemsize) {
  const StridedCopy<float> a = *(const StridedCopy<float>*)args;
  double n = 1;
  for (i64 d = 0; d < a.R; d++) n *= (double)a.layout[d];
  return elements_work((i64)n, itemsize, 0.2, 0.3);
}

constexpr i64 kCopyTile = 16;

// Copies y[i, j] = x[i, j] for four rows and columns; y is contiguous along j and x along i.
template <class T>
FASTNN_INLINE void transpose_four(T* y, const T* x, i64 y_row, i64 x_column) {
  typedef T Four __attribute__((vector_size(4 * sizeof(T)), aligned(sizeof(T)), may_alias));
  Four c[4];
  for (int j = 0; j < 4; j++) c[j] = *(const Four*)(x + j * x_column);
  const Four low01 = __builtin_shufflevector(c[0], c[1], 0, 4, 1, 5), low23 = __builtin_shufflevector(c[2], c[3], 0, 4, 1, 5);
  const Four high01 = __builtin_shufflevector(c[0], c[1], 2, 6, 3, 7), high23 = __builtin_shufflevector(c[2], c[3], 2, 6, 3, 7);
  *(Four*)y = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
  *(Four*)(y + y_row) = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
  *(Four*)(y + 2 * y_row) = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
  *(Four*)(y + 3 * y_row) = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

// The same for any number of rows and columns, tile by tile, so that cache lines of x are used while they are in the cache.
template <class T>
void transpose_rows(T* y, const T* x, i64 rows, i64 columns, i64 y_row, i64 x_column) {
  for (i64 begin = 0; begin < columns; begin += kCopyTile) {
    const i64 end = min_i64(begin + kCopyTile, columns), fours = begin + (end - begin) / 4 * 4;
    i64 i = 0;
    for (; i + 4 <= rows; i += 4) {
      for (i64 j = begin; j < fours; j += 4) transpose_four(y + i * y_row + j, x + i + j * x_column, y_row, x_column);
      for (i64 j = fours; j < end; j++)
        for (i64 k = i; k < i + 4; k++) y[k * y_row + j] = x[k + j * x_column];
    }
    for (; i < rows; i++)
      for (i64 j = begin; j < end; j++) y[i * y_row + j] = x[i + j * x_column];
  }
}

template <class T>
void strided_copy(const void* args, const Worker& me) {
  const StridedCopy<T> a = *(const StridedCopy<T>*)args;
  Walk<2> walk(a.layout, a.R);
  const i64* offsets = a.layout + 3 * a.R;
  if (walk.size() == 0) return;
  T* y = a.y + offsets[0];
  const T* x = a.x + offsets[1];
  const int last = walk.dims - 1;
  const i64 columns = walk.shape[last], sy = walk.stride[0][last], sx = walk.stride[1][last];

  int across = -1;  // the axis along which x is contiguous
  for (int d = 0; d < last; d++)
    if (walk.stride[1][d] == 1) across = d;
  if (across >= 0 && sy == 1 && sx != 1 && columns >= kCopyTile) {
    const i64 rows = walk.shape[across], y_row = walk.stride[0][across], blocks = ceil_div(rows, kCopyTile);
    walk.remove(last);
    walk.remove(across);
    walk.append(blocks);
    walk.stride[0][walk.dims - 1] = kCopyTile * y_row;
    walk.stride[1][walk.dims - 1] = kCopyTile;
    const i64 grain = max_i64(1, kGrain / (kCopyTile * columns));
    for_runs(walk, share(walk.size(), grain, me), [&](i64 at, i64 n, const i64* offset) {
      for (i64 b = 0; b < n; b++) {
        const i64 left = rows - (at + b) % blocks * kCopyTile;
        transpose_rows(y + offset[0] + b * kCopyTile * y_row, x + offset[1] + b * kCopyTile, min_i64(kCopyTile, left), columns,
                       y_row, sx);
      }
    });
    return;
  }

  for_runs(walk, share(walk.size(), kGrain, me), [&](i64, i64 n, const i64* offset) {
    T* to = y + offset[0];
    const T* from = x + offset[1];
    if (sy == 1 && sx == 1)
      memcpy(to, from, (size_t)n * sizeof(T));
    else
      for (i64 i = 0; i < n; i++) to[i * sy] = from[i * sx];
  });
}

}  // namespace
