// Rotary positions. fastnn/backends/reference/attention.py defines them.
#pragma once
#include "math/simd.h"

namespace {

template <class T>
struct Rotary {
  static constexpr const char* fields = "y x table positions heads halves inverse B M H D P R S";
  T* y;
  const T *x, *table;
  const i64* positions;
  i64 heads, halves, inverse;
  i64 B, M, H, D, P, R, S;
};

// Turns pairs of columns that lie side by side.
template <class T>
FASTNN_INLINE void turn_neighbours(T* y, const T* x, const T* turn, i64 pairs, T sign) {
  for (i64 c = 0; c < pairs; c++) {
    const T first = x[2 * c], second = x[2 * c + 1], cosine = turn[c], sine = sign * turn[pairs + c];
    y[2 * c] = first * cosine - second * sine;
    y[2 * c + 1] = first * sine + second * cosine;
  }
}

template <class T>
void rotary(const void* args, const Worker& me) {
  const auto& g = *(const Rotary<T>*)args;
  const i64 C = g.R / 2;
  const Vec<T> sign = splat<T>(g.inverse ? -1 : 1);
  const Range mine = share(g.B * g.M, rows_grain(g.H * g.D), me);
  for (i64 row = mine.begin; row < mine.end; row++) {
    const i64 at = g.positions[g.S > 1 ? row : row % g.M];
    const bool known = at >= 0 && at < g.P;
    const T* turn = g.table + (known ? at : 0) * g.R;
    const i64 turned = known ? g.heads : 0;
    for (i64 h = 0; h < g.H; h++) {
      const T* x = g.x + (row * g.H + h) * g.D;
      T* y = g.y + (row * g.H + h) * g.D;
      const i64 columns = h < g.heads ? 2 * C : 0;  // that change
      if (h >= turned) {
        for_vectors<T>({0, columns}, [&](i64 c, auto lanes) { lanes.store(y + c, splat((T)__builtin_nan(""))); });
      } else if (g.halves) {
        for_vectors<T>({0, C}, [&](i64 c, auto lanes) {
          const Vec<T> cosine = lanes.load(turn + c), sine = sign * lanes.load(turn + C + c);
          const Vec<T> first = lanes.load(x + c), second = lanes.load(x + C + c);
          lanes.store(y + c, first * cosine - second * sine);
          lanes.store(y + C + c, first * sine + second * cosine);
        });
      } else {
        turn_neighbours(y, x, turn, C, sign[0]);
      }
      for_vectors<T>({columns, g.D}, [&](i64 c, auto lanes) { lanes.store(y + c, lanes.load(x + c)); });
    }
  }
}

FASTNN_INLINE double rotary_work(const void* args, int itemsize) {
  const auto& g = *(const Rotary<float>*)args;
  return elements_work(g.B * g.M * g.H * g.D, itemsize, g.halves ? 0.15 : 0.6, g.halves ? 0.3 : 0.6);
}

}  // namespace
