// Broadcasting arithmetic and comparisons. u8 means bool.
#pragma once
#include "math/walk.h"

namespace {

template <class T>
constexpr bool kWhole = (T)0.5 == 0;

// Each operation is written once, for one element and for a vector: V is T or Vec<T>. Integers wrap around.
template <class V>
struct Wrapping {
  typedef V Type;
};
template <>
struct Wrapping<i64> {
  typedef u64 Type;
};
template <>
struct Wrapping<Vec<i64>> {
  typedef u64 Type __attribute__((vector_size(FASTNN_VB)));
};
template <class V>
FASTNN_INLINE V add(V a, V b) {
  typedef typename Wrapping<V>::Type W;
  return (V)((W)a + (W)b);
}
template <class V>
FASTNN_INLINE V subtract(V a, V b) {
  typedef typename Wrapping<V>::Type W;
  return (V)((W)a - (W)b);
}
template <class V>
FASTNN_INLINE V multiply(V a, V b) {
  typedef typename Wrapping<V>::Type W;
  return (V)((W)a * (W)b);
}

// Converts a float to an integer, rounding towards zero. NaN and values outside of int64 give INT64_MIN, as on x86 and in NumPy
// there.
template <class F>
FASTNN_INLINE i64 whole(F x) {
  return x >= (F)-0x1p63 && x < (F)0x1p63 ? (i64)x : INT64_MIN;
}
FASTNN_INLINE Vec<i64> whole(Vec<double> x) {
  const Vec<double> held = ((x >= -0x1p63) & (x < 0x1p63)) ? x : splat(-0x1p63);
  return __builtin_convertvector(held, Vec<i64>);
}

// Returns the true quotient; for integers, it is rounded towards zero.
template <class V>
FASTNN_INLINE V divide(V a, V b) {
  return a / b;
}
template <>
inline __attribute__((always_inline)) i64 divide(i64 a, i64 b) {
  return whole((double)a / (double)b);
}
template <>
inline __attribute__((always_inline)) Vec<i64> divide(Vec<i64> a, Vec<i64> b) {
  return whole(__builtin_convertvector(a, Vec<double>) / __builtin_convertvector(b, Vec<double>));
}
// If an operand is NaN, the result is NaN.
template <class V>
FASTNN_INLINE V maximum(V a, V b) {
  return ((a > b) | (a != a)) ? a : b;
}
template <class V>
FASTNN_INLINE V minimum(V a, V b) {
  return ((a < b) | (a != a)) ? a : b;
}
#define FASTNN_COMPARE(name, op)      \
  template <class V>                  \
  FASTNN_INLINE auto name(V a, V b) { \
    return a op b;                    \
  }
FASTNN_COMPARE(equal, ==)
FASTNN_COMPARE(not_equal, !=)
FASTNN_COMPARE(less, <)
FASTNN_COMPARE(less_equal, <=)
FASTNN_COMPARE(greater, >)
FASTNN_COMPARE(greater_equal, >=)
#undef FASTNN_COMPARE

template <class T>
FASTNN_INLINE T power(T a, T b) {
  if constexpr (kWhole<T>) {
    u64 result = 1, square = (u64)a;
    if (b < 0) return a == 1 || a == -1 ? (b & 1 ? a : 1) : 0;
    for (; b; b >>= 1, square *= square)
      if (b & 1) result *= square;
    return (T)result;
  }
  return sizeof(T) == 4 ? (T)__builtin_powf((float)a, (float)b) : (T)__builtin_pow((double)a, (double)b);
}

template <int size>
struct HalfInt;
template <>
struct HalfInt<8> {
  typedef int32_t V __attribute__((vector_size(FASTNN_VB)));
};
template <>
struct HalfInt<4> {
  typedef int16_t V __attribute__((vector_size(FASTNN_VB)));
};
template <>
struct HalfInt<2> {
  typedef int8_t V __attribute__((vector_size(FASTNN_VB)));
};

// Stores the results of a few vectors as values or as bools. For bools, the lower halves of two vectors of masks are put into one
// vector, until the elements are bytes.
template <class T, int N>
FASTNN_INLINE void put(T* z, const Vec<T> (&results)[N]) {
  for (int k = 0; k < N; k++) store(z + k * kLanes<T>, results[k]);
}
template <class Mask, int... I>
FASTNN_INLINE Mask lower_halves(Mask a, Mask b, Indices<I...>) {
  return __builtin_shufflevector(a, b, 2 * I...);
}
template <class Int, int N>
FASTNN_INLINE void put_masks(u8* z, const Int (&masks)[N]) {
  if constexpr (N == 1) {
    const Int bools = masks[0] & 1;
    memcpy(z, &bools, sizeof(bools));
  } else {
    typedef typename HalfInt<sizeof(masks[0][0])>::V Half;
    Half halves[N / 2];
#pragma GCC unroll 4
    for (int k = 0; k < N / 2; k++)
      halves[k] =
          lower_halves((Half)masks[2 * k], (Half)masks[2 * k + 1], typename UpTo<sizeof(Half) / sizeof(halves[0][0])>::type());
    put_masks(z, halves);
  }
}
// The lanes of a comparison of doubles are long or long long, depending on the compiler.
template <class Masks>
FASTNN_INLINE void put(u8* z, const Masks& masks) {
  put_masks(z, masks);
}

// Computes z = op(x, y) along a run. sx and sy are the strides of x and y.
template <class Z, class T>
using BinaryRun = void (*)(Z* z, const T* x, const T* y, i64 n, i64 sx, i64 sy);

// Returns p, or if the stride is 0, `repeated` filled with N vectors of the first number.
template <class T, int N>
FASTNN_INLINE const T* vectors_from(const T* p, i64 stride, T (&repeated)[N * kLanes<T>]) {
  if (stride) return p;
  for (int k = 0; k < N; k++) store(repeated + k * kLanes<T>, splat<T>(*p));
  return repeated;
}

// Uses vectors if the strides are 0 or 1. A repeated number is stored in memory as vectors, so that one loop is enough for all
// cases; otherwise the compiler would make one loop for each case.
template <class Z, class T, auto op, auto vector_op>
void binary_run(Z* z, const T* x, const T* y, i64 n, i64 sx, i64 sy) {
  constexpr i64 L = kLanes<T>, kVectors = sizeof(Z) == sizeof(T) ? 2 : sizeof(T),
                kStep = kVectors * L;  // kStep: whole vectors of z
  constexpr bool kOne = sizeof(Z) == sizeof(T);
  i64 i = 0;
  if (n >= (kOne ? L : kStep) && (u64)sx <= 1 && (u64)sy <= 1) {
    if (n >= kStep) {
      T repeated[2][kStep];
      const T *u = vectors_from<T, kVectors>(x, sx, repeated[0]), *v = vectors_from<T, kVectors>(y, sy, repeated[1]);
      for (; i + kStep <= n; i += kStep, u += sx * kStep, v += sy * kStep) {
        decltype(vector_op(load(u), load(v))) results[kVectors];
#pragma GCC unroll 8
        for (int k = 0; k < kVectors; k++) results[k] = vector_op(load(u + k * L), load(v + k * L));
        put(z + i, results);
      }
    }
    if constexpr (kOne) {
      if (i + L <= n) {
        store(z + i, vector_op(sx ? load(x + i) : splat<T>(*x), sy ? load(y + i) : splat<T>(*y)));
        i += L;
      }
    }
  }
  x += i * sx;
  y += i * sy;
  for (; i < n; i++, x += sx, y += sy) {
    asm("" : "+r"(i));  // prevents another vectorized loop
    z[i] = (Z)op(*x, *y);
  }
}

template <class T>
void power_run(T* z, const T* x, const T* y, i64 n, i64 sx, i64 sy) {
  for (i64 i = 0; i < n; i++) z[i] = power(x[i * sx], y[i * sy]);
}

#define FASTNN_RUN(Z, op) binary_run<Z, T, op<T>, op<Vec<T>>>
// In the order of spec.BINARY_OPS and spec.COMPARE_OPS.
template <class T>
FASTNN_INLINE BinaryRun<T, T> binary_op(i64 op) {
  static constexpr BinaryRun<T, T> list[] = {
      FASTNN_RUN(T, add), FASTNN_RUN(T, subtract), FASTNN_RUN(T, multiply), FASTNN_RUN(T, divide),
      power_run<T>,       FASTNN_RUN(T, maximum),  FASTNN_RUN(T, minimum),
  };
  return list[op];
}
template <class T>
FASTNN_INLINE BinaryRun<u8, T> compare_op(i64 op) {
  static constexpr BinaryRun<u8, T> list[] = {
      FASTNN_RUN(u8, equal),      FASTNN_RUN(u8, not_equal), FASTNN_RUN(u8, less),
      FASTNN_RUN(u8, less_equal), FASTNN_RUN(u8, greater),   FASTNN_RUN(u8, greater_equal),
  };
  return list[op];
}
#undef FASTNN_RUN

template <class Z, class T>
struct Binary {
  static constexpr const char* fields = "z x y layout op n p q R";
  Z* z;
  const T *x, *y;
  const i64* layout;
  i64 op, n, p, q, R;
};

FASTNN_INLINE double binary_work(const void* args, int itemsize) {
  return elements_work(((const Binary<float, float>*)args)->n, itemsize, 0.1, 0.2);
}

template <class Z, class T>
FASTNN_INLINE void walk_binary(const Binary<Z, T>& a, BinaryRun<Z, T> run, const Worker& me) {
  if (a.n == 0) return;
  const Walk<2> walk(a.layout, a.R);
  const i64 sx = walk.stride[0][walk.dims - 1], sy = walk.stride[1][walk.dims - 1];
  for_runs(walk, share(a.n, kGrain, me),
           [&](i64 at, i64 n, const i64* offset) { run(a.z + at, a.x + offset[0], a.y + offset[1], n, sx, sy); });
}

template <class T>
void binary_forward(const void* args, const Worker& me) {
  const auto& a = *(const Binary<T, T>*)args;
  walk_binary(a, binary_op<T>(a.op), me);
}

template <class T>
void compare_forward(const void* args, const Worker& me) {
  const auto& a = *(const Binary<u8, T>*)args;
  walk_binary(a, compare_op<T>(a.op), me);
}

}  // namespace
