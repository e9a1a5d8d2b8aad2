// Images seen through an affine map. fastnn/backends/reference/augmentation.py defines it.
//
// Workers share the lines of the result, and in backward, where several places may see a pixel, the images.
#pragma once
#include "math/simd.h"

namespace {

enum FillMode : i64 { kConstant, kNearest, kReflect, kWrap };

template <class T>
struct AffineTransformForward {
  static constexpr const char* fields = "y x matrix interpolation fill_mode fill_value N P Q C H W";
  T* y;
  const T* x;
  const double* matrix;
  i64 interpolation, fill_mode;
  double fill_value;
  i64 N, P, Q, C, H, W;
};

template <class T>
struct AffineTransformBackward {
  static constexpr const char* fields = "dx dy matrix interpolation fill_mode N H W C P Q";
  T* dx;
  const T* dy;
  const double* matrix;
  i64 interpolation, fill_mode;
  i64 N, H, W, C, P, Q;
};

// Returns the pixel of an axis that position i shows, or -1. It is called, as inlined at each place it would be most of the code.
static __attribute__((noinline)) i64 shown(i64 i, i64 n, i64 fill_mode) {
  if (i >= 0 && i < n) return i;
  if (fill_mode == kConstant) return -1;
  if (fill_mode == kNearest) return i < 0 ? 0 : n - 1;
  const i64 period = fill_mode == kReflect ? 2 * n : n;
  i %= period;
  i += i < 0 ? period : 0;
  return fill_mode == kReflect ? min_i64(i, period - 1 - i) : i;
}

// One or two pixels of an axis, and their weights.
struct Taps {
  i64 count, pixel[2];
  double weight[2];
};
static __attribute__((noinline)) Taps taps_at(double place, i64 n, i64 interpolation, i64 fill_mode) {
  if (!(__builtin_fabs(place) <= 0x1p31)) return {1, {0, 0}, {(double)__builtin_nanf(""), 0}};
  if (!interpolation) place += 0.5;
  i64 first = (i64)place;
  first -= (double)first > place;
  const double upper = interpolation ? place - (double)first : 0;
  if (upper == 0) return {1, {shown(first, n, fill_mode), 0}, {1, 0}};
  return {2, {shown(first, n, fill_mode), shown(first + 1, n, fill_mode)}, {1 - upper, upper}};
}

// Where the pixels of a line of the result come from.
struct Line {
  double a0, b0, column, line;  // of pixel 0
  __attribute__((always_inline)) Line(const double* m, i64 p)
      : a0(m[0]), b0(m[3]), column(m[1] * (double)p + m[2]), line(m[4] * (double)p + m[5]) {}
  // Returns whether it is a line of the image, maybe turned around, so that its pixels are copied.
  bool copies() const {
    return b0 == 0 && (a0 == 1 || a0 == -1) && __builtin_fabs(column) <= 0x1p30 && __builtin_fabs(line) <= 0x1p30 &&
           (double)(i64)column == column && (double)(i64)line == line;
  }
};

// Calls f(pixel of the image or -1, weight) for the pixels that place q of a line sees.
template <class T, class Args, class F>
FASTNN_INLINE void each_tap(const Args& a, const Line& from, i64 q, F f) {
  const Taps rows = taps_at(from.b0 * (double)q + from.line, a.H, a.interpolation, a.fill_mode);
  const Taps columns = taps_at(from.a0 * (double)q + from.column, a.W, a.interpolation, a.fill_mode);
  for (i64 v = 0; v < rows.count; v++)
    for (i64 u = 0; u < columns.count; u++) {
      const T weight = (T)(rows.weight[v] * columns.weight[u]);
      const bool inside = rows.pixel[v] >= 0 && columns.pixel[u] >= 0;
      if (weight != 0) f(inside ? rows.pixel[v] * a.W + columns.pixel[u] : -1, weight);
    }
}

// Copies n pixels to y, from x backwards. Numbers of channels that images usually have are known to the compiler.
template <int CHANNELS, class T>
FASTNN_INLINE void turn(T* __restrict y, const T* __restrict x, i64 n, i64 channels) {
  const i64 C = CHANNELS ? CHANNELS : channels;
  for (i64 q = 0; q < n; q++) __builtin_memcpy(y + q * C, x - q * C, (size_t)C * sizeof(T));
}

template <class T>
FASTNN_INLINE void copy_line(const AffineTransformForward<T>& a, const Line& from, const T* x, T* y) {
  const i64 C = a.C, line = shown((i64)from.line, a.H, a.fill_mode), step = (i64)from.a0, column = (i64)from.column;
  const T* row = line < 0 ? nullptr : x + line * a.W * C;
  // The places whose pixels are inside: 0 <= column + step q < W.
  const i64 low = step > 0 ? -column : column - a.W + 1;
  const i64 begin = min_i64(a.Q, max_i64(0, low)), end = max_i64(begin, min_i64(a.Q, low + a.W));
  const auto outside = [&](i64 q) __attribute__((always_inline)) {
    const i64 i = shown(column + step * q, a.W, a.fill_mode);
    for (i64 c = 0; c < C; c++) y[q * C + c] = row && i >= 0 ? row[i * C + c] : (T)a.fill_value;
  };
  for (i64 q = 0; q < begin; q++) outside(q);
  if (!row)
    for (i64 i = begin * C; i < end * C; i++) y[i] = (T)a.fill_value;
  else if (step > 0)
    __builtin_memcpy(y + begin * C, row + (column + begin) * C, (size_t)((end - begin) * C) * sizeof(T));
  else if (C == 1)
    turn<1>(y + begin, row + column - begin, end - begin, C);
  else if (C == 3)
    turn<3>(y + begin * C, row + (column - begin) * C, end - begin, C);
  else
    turn<0>(y + begin * C, row + (column - begin) * C, end - begin, C);
  for (i64 q = end; q < a.Q; q++) outside(q);
}

template <class T>
void affine_transform_forward(const void* args, const Worker& me) {
  const auto& a = *(const AffineTransformForward<T>*)args;
  const i64 C = a.C;
  const Range lines = share(a.N * a.P, rows_grain(a.Q * C), me);
  for (i64 i = lines.begin; i < lines.end; i++) {
    const i64 n = i / a.P;
    const Line from(a.matrix + 6 * n, i % a.P);
    const T* x = a.x + n * a.H * a.W * C;
    T* y = a.y + i * a.Q * C;
    if (from.copies()) {
      copy_line(a, from, x, y);
      continue;
    }
    for (i64 q = 0; q < a.Q; q++, y += C) {
      const double line = from.b0 * (double)q + from.line, column = from.a0 * (double)q + from.column;
      if (a.interpolation && line > 0 && column > 0 && line < (double)(a.H - 1) && column < (double)(a.W - 1)) {
        const i64 h = (i64)line, w = (i64)column;
        const double v = line - (double)h, u = column - (double)w;
        if (v != 0 && u != 0) {  // all four pixels are inside and count
          const T w00 = (T)((1 - v) * (1 - u)), w01 = (T)((1 - v) * u), w10 = (T)(v * (1 - u)), w11 = (T)(v * u);
          const T *upper = x + (h * a.W + w) * C, *lower = upper + a.W * C;
          for (i64 c = 0; c < C; c++) y[c] = w00 * upper[c] + w01 * upper[c + C] + w10 * lower[c] + w11 * lower[c + C];
          continue;
        }
      }
      for (i64 c = 0; c < C; c++) y[c] = 0;
      each_tap<T>(a, from, q, [&](i64 pixel, T weight) __attribute__((always_inline)) {
        for (i64 c = 0; c < C; c++) y[c] += weight * (pixel < 0 ? (T)a.fill_value : x[pixel * C + c]);
      });
    }
  }
}

template <class T>
void affine_transform_backward(const void* args, const Worker& me) {
  const auto& a = *(const AffineTransformBackward<T>*)args;
  const i64 C = a.C, pixels = a.H * a.W * C;
  const Range images = share(a.N, 1, me);
  for (i64 n = images.begin; n < images.end; n++) {
    T* dx = a.dx + n * pixels;
    for (i64 i = 0; i < pixels; i++) dx[i] = 0;
    for (i64 p = 0; p < a.P; p++) {
      const Line from(a.matrix + 6 * n, p);
      for (i64 q = 0; q < a.Q; q++) {
        const T* dy = a.dy + ((n * a.P + p) * a.Q + q) * C;
        each_tap<T>(a, from, q, [&](i64 pixel, T weight) __attribute__((always_inline)) {
          if (pixel < 0 || weight != weight) return;
          for (i64 c = 0; c < C; c++) dx[pixel * C + c] += weight * dy[c];
        });
      }
    }
  }
}

template <class Args>
double affine_transform_work(const void* args, int itemsize) {
  const auto& a = *(const Args*)args;
  return elements_work(a.N * a.P * a.Q * (a.interpolation ? 3 + a.C : 1 + a.C), itemsize, 1, 1.2);
}

}  // namespace
