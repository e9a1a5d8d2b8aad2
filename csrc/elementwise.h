// Broadcasting arithmetic, selection, copies between layouts, and reductions. u8 stands for bool.
#pragma once
#include "simd.h"

namespace {

template <class T>
constexpr bool kWhole = (T)0.5 == 0;

// ---- walks ----

// How flat arrays are walked: a shape, and the strides of K arrays; `layout` has them row by row. Dimensions that can be taken
// together are merged, so that runs along the last one are long.
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

  // A last dimension, in which no array moves yet.
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

// f(position, n, offsets) for the runs of n elements along the last dimension that make up a range of the walk.
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

// ---- binary operations and comparisons ----

// Each operation is written once, for one element and for a vector of them: V is T or Vec<T>. Whole numbers wrap around.
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

// A float as a whole number, towards zero; INT64_MIN for NaN and what int64 does not hold, as x86 and NumPy there have it.
template <class F>
FASTNN_INLINE i64 whole(F x) {
  return x >= (F)-0x1p63 && x < (F)0x1p63 ? (i64)x : INT64_MIN;
}
FASTNN_INLINE Vec<i64> whole(Vec<double> x) {
  const Vec<double> held = (x >= -0x1p63) & (x < 0x1p63) ? x : splat(-0x1p63);
  return __builtin_convertvector(held, Vec<i64>);
}

// The true quotient, towards zero in whole numbers.
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
// NaN wins over any number.
template <class V>
FASTNN_INLINE V maximum(V a, V b) {
  return (a > b) | (a != a) ? a : b;
}
template <class V>
FASTNN_INLINE V minimum(V a, V b) {
  return (a < b) | (a != a) ? a : b;
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

// The results of a few vectors, as they are or as bools: of the masks of two vectors, one takes the lower halves.
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
template <int N>
FASTNN_INLINE void put(u8* z, const Vec<i64> (&masks)[N]) {
  put_masks(z, masks);
}
template <int N>
FASTNN_INLINE void put(u8* z, const IVec<float> (&masks)[N]) {
  put_masks(z, masks);
}

// z = op(x, y) along a run; the arrays advance by their strides.
template <class Z, class T>
using BinaryRun = void (*)(Z* z, const T* x, const T* y, i64 n, i64 sx, i64 sy);

// N vectors from p on, or the first number there again and again, which are written to `repeated`.
template <class T, int N>
FASTNN_INLINE const T* vectors_from(const T* p, i64 stride, T (&repeated)[N * kLanes<T>]) {
  if (stride) return p;
  for (int k = 0; k < N; k++) store(repeated + k * kLanes<T>, splat<T>(*p));
  return repeated;
}

// In vectors where the strides are 0 or 1. One loop serves all of them, as a number that is used again lies in memory as vectors:
// the compiler would write a loop for each case.
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
    asm("" : "+r"(i));  // not to be made into vectors again
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

// ---- selection and copies; T is an unsigned type of the elements' size ----

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

// y[i, j] = x[i, j] for four rows and columns, where y is contiguous along j and x along i.
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

// The same for any number of rows and columns, tile by tile, so that lines of x are used while they are there.
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

  int across = -1;  // the dimension along which x is contiguous
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

// ---- fill and cast ----

template <class T>
struct Fill {
  static constexpr const char* fields = "y value n";
  T* y;
  double value;
  i64 n;
};

FASTNN_INLINE double fill_work(const void* args, int itemsize) {
  return elements_work(((const Fill<float>*)args)->n, itemsize, 0.05, 0.1);
}

// A bool is whether the value is other than 0.
template <class To, class From>
FASTNN_INLINE To convert(From x) {
  if constexpr (sizeof(To) == 1)
    return x != 0;
  else if constexpr (sizeof(From) == 1)
    return (To)(x != 0);
  else if constexpr (kWhole<To> && !kWhole<From>)
    return whole(x);
  else
    return (To)x;
}

template <class T>
void fill(const void* args, const Worker& me) {
  const Fill<T> a = *(const Fill<T>*)args;
  const T value = convert<T>(a.value);
  const Range r = share(a.n, kGrain, me);
  for (i64 i = r.begin; i < r.end; i++) a.y[i] = value;
}

struct Cast {
  static constexpr const char* fields = "y x to n";
  void* y;
  const void* x;
  i64 to, n;
};

FASTNN_INLINE double cast_work(const void* args, int itemsize) {
  return elements_work(((const Cast*)args)->n, itemsize, 0.2, 0.3);
}

// What the elements of a dtype are in memory, as values, and from values. Floats become whole numbers as `whole` makes them, of
// which short ones keep the last bits.
template <class T>
struct Element {
  typedef T Type;
  static T value(T x) { return x; }
  template <class From>
  static T of(From x) {
    if constexpr (kWhole<T> && !kWhole<From>)
      return (T)whole(x);
    else
      return (T)x;
  }
};
struct BoolElement {
  typedef u8 Type;
  static i64 value(u8 x) { return x != 0; }
  template <class From>
  static u8 of(From x) {
    return x != 0;
  }
};
struct Bfloat16Element {
  typedef u16 Type;
  static float value(u16 x) { return bit_cast<float>((u32)x << 16); }
  // To the nearest, of two the even one; through float32.
  template <class From>
  static u16 of(From x) {
    const u32 bits = bit_cast<u32>((float)x);
    if ((bits & 0x7fffffff) > 0x7f800000) return (u16)(bits >> 16 | 0x40);  // NaN stays one
    return (u16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
};

// Casts that data and ids take: bytes and half-size floats to float32 and back to bfloat16, int32 to int64. Others with short
// elements are rare.
template <class T>
constexpr bool kShort = std::is_same_v<T, Element<u8>> || std::is_same_v<T, Element<i32>> || std::is_same_v<T, Bfloat16Element>;
template <class To, class From>
constexpr bool kUsual = std::is_same_v<From, Element<i32>> ? std::is_same_v<To, Element<i64>>
                        : kShort<From> ? std::is_same_v<To, Element<float>>
                                       : std::is_same_v<From, Element<float>> && std::is_same_v<To, Bfloat16Element>;
template <class To, class From>
constexpr bool kRare = (kShort<To> || kShort<From>) && !kUsual<To, From>;

template <class To, class From>
void cast_range(const Cast& a, Range r) {
  auto* y = (typename To::Type*)a.y;
  const auto* x = (const typename From::Type*)a.x;
  for (i64 i = r.begin; i < r.end; i++) {
    if constexpr (kRare<To, From>) asm volatile("");  // one at a time: vectors would be much code
    y[i] = To::of(From::value(x[i]));
  }
}

template <class From>
void cast(const void* args, const Worker& me) {
  const Cast& a = *(const Cast*)args;
  const Range r = share(a.n, kGrain, me);
  switch (a.to) {
    case fastnn::kFloat32: cast_range<Element<float>, From>(a, r); break;
    case fastnn::kFloat64: cast_range<Element<double>, From>(a, r); break;
    case fastnn::kInt64: cast_range<Element<i64>, From>(a, r); break;
    case fastnn::kBool: cast_range<BoolElement, From>(a, r); break;
    case fastnn::kUint8: cast_range<Element<u8>, From>(a, r); break;
    case fastnn::kInt32: cast_range<Element<i32>, From>(a, r); break;
    case fastnn::kBfloat16: cast_range<Bfloat16Element, From>(a, r); break;
  }
}

}  // namespace
