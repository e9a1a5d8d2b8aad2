// Reductions over the middle axis of x (A, B, C), kernels of the elementwise family.
#pragma once
#include "families/elementwise.h"
#include "math/sums.h"

namespace {

// How values are reduced: start() is the neutral element, fold() combines two vectors, and join() two partial results. Floats are
// summed in T over at most a few hundred values, then in float64.
template <class T>
struct SumPart {
  typedef double Type;
};
template <>
struct SumPart<i64> {
  typedef i64 Type;
};

template <class T>
struct Sum {
  typedef typename SumPart<T>::Type Part;
  FASTNN_INLINE T start() { return 0; }
  FASTNN_INLINE Vec<T> fold(Vec<T> a, Vec<T> b) { return add<Vec<T>>(a, b); }
  FASTNN_INLINE Part join(Part a, Part b) { return add<Part>(a, b); }
};

template <class T>
struct Prod {
  typedef typename SumPart<T>::Type Part;
  FASTNN_INLINE T start() { return 1; }
  FASTNN_INLINE Vec<T> fold(Vec<T> a, Vec<T> b) { return multiply<Vec<T>>(a, b); }
  FASTNN_INLINE Part join(Part a, Part b) { return multiply<Part>(a, b); }
};

// If a value is NaN, the result is NaN.
template <class T>
struct Max {
  typedef T Part;
  FASTNN_INLINE T start() { return kWhole<T> ? (T)INT64_MIN : -(T)__builtin_inf(); }
  FASTNN_INLINE Vec<T> fold(Vec<T> a, Vec<T> b) { return ((b > a) | (b != b)) ? b : a; }
  FASTNN_INLINE T join(T a, T b) { return maximum(b, a); }
};

template <class T>
struct Min {
  typedef T Part;
  FASTNN_INLINE T start() { return kWhole<T> ? (T)INT64_MAX : (T)__builtin_inf(); }
  FASTNN_INLINE Vec<T> fold(Vec<T> a, Vec<T> b) { return ((b < a) | (b != b)) ? b : a; }
  FASTNN_INLINE T join(T a, T b) { return minimum(b, a); }
};

// Folds x[i step + k next] into acc[k] for the vectors i of a run. Four chains hide the latency of an addition.
template <class T, class R, class Lanes>
FASTNN_INLINE void fold_four(Vec<T> (&acc)[4], const T* x, i64 count, i64 step, i64 next, Lanes lanes) {
  for (i64 i = 0; i < count; i++, x += step)
    for (int k = 0; k < 4; k++) acc[k] = R::fold(acc[k], lanes.load(x + k * next, splat<T>(R::start())));
}

template <class T, class R>
FASTNN_INLINE Vec<T> join_four(const Vec<T> (&acc)[4]) {
  return R::fold(R::fold(acc[0], acc[1]), R::fold(acc[2], acc[3]));
}

constexpr i64 kFoldRows = 256;

// Returns the reduction of n contiguous values.
template <class T, class R>
FASTNN_INLINE typename R::Part reduce_run(const T* x, i64 n) {
  typedef typename R::Part Part;
  constexpr i64 kStep = 4 * kLanes<T>;
  const Vec<T> start = splat<T>(R::start());
  const auto fold = [](Vec<T> a, Vec<T> b) { return R::fold(a, b); };
  if (n <= kLanes<T>) return (Part)fold_lanes<T>(select_n<T>(load_n(x, n), n, start), fold)[0];
  Part result = (Part)R::start();
  for (i64 begin = 0; begin < n; begin += kFoldRows * kStep) {
    const i64 count = min_i64(kFoldRows * kStep, n - begin), whole = count / kStep * kStep;
    Vec<T> acc[4] = {start, start, start, start};
    fold_four<T, R>(acc, x + begin, count / kStep, kStep, kLanes<T>, AllLanes<T>{});
    for_vectors<T>({begin + whole, begin + count},
                   [&](i64 i, auto lanes) { acc[0] = R::fold(acc[0], lanes.load(x + i, start)); });
    const Vec<T> all = fold_lanes<T>(join_four<T, R>(acc), fold);
    result = R::join(result, (Part)all[0]);
  }
  return result;
}

// Sets part[c] to the reduction of `rows` values from x[c] on, with this stride.
template <class T, class R>
FASTNN_INLINE void reduce_columns(typename R::Part* part, const T* x, i64 rows, i64 stride, i64 columns) {
  typedef typename R::Part Part;
  constexpr i64 L = kLanes<T>;
  const Vec<T> start = splat<T>(R::start());
  for (i64 c = 0; c < columns; c++) part[c] = (Part)R::start();
  for (i64 begin = 0; begin < rows; begin += kFoldRows) {
    const T* block = x + begin * stride;
    const i64 count = min_i64(kFoldRows, rows - begin);
    T values[4 * L];
    i64 c = 0;
    for (; c + 4 * L <= columns; c += 4 * L) {
      Vec<T> acc[4] = {start, start, start, start};
      fold_four<T, R>(acc, block + c, count, stride, L, AllLanes<T>{});
      for (int k = 0; k < 4; k++) store(values + k * L, acc[k]);
      for (i64 i = 0; i < 4 * L; i++) part[c + i] = R::join(part[c + i], (Part)values[i]);
    }
    for_vectors<T>({c, columns}, [&](i64 at, auto lanes) {
      Vec<T> acc[4] = {start, start, start, start};
      fold_four<T, R>(acc, block + at, count / 4, 4 * stride, stride, lanes);
      for (i64 i = count / 4 * 4; i < count; i++) acc[0] = R::fold(acc[0], lanes.load(block + at + i * stride, start));
      store(values, join_four<T, R>(acc));
      for (i64 i = 0; i < min_i64(L, columns - at); i++) part[at + i] = R::join(part[at + i], (Part)values[i]);
    });
  }
}

template <class T>
struct ReduceForward {
  static constexpr const char* fields = "y x op A C B";
  T* y;
  const T* x;
  i64 op, A, C, B;
};

// Cuts of the work: blocks of columns, and also pieces of B if many values are reduced to few results.
constexpr i64 kReduceColumns = 256;
struct ReducePieces {
  i64 rows, splits, blocks;
  ReducePieces(i64 A, i64 B, i64 C) : rows(B), splits(1), blocks(ceil_div(C, kReduceColumns)) {
    if (A * C > 256 || B * C < 16384) return;
    rows = ceil_div(8192, C);
    splits = ceil_div(B, rows);
  }
};

FASTNN_INLINE i64 reduce_forward_scratch(const void* args, int, int) {
  const ReduceForward<float> a = *(const ReduceForward<float>*)args;
  const ReducePieces pieces(a.A, a.B, a.C);
  return pieces.splits > 1 ? a.A * a.C * pieces.splits * 8 : 0;
}
FASTNN_INLINE double reduce_forward_work(const void* args, int itemsize) {
  const ReduceForward<float> a = *(const ReduceForward<float>*)args;
  return 5.0 * (double)a.A + elements_work(a.A * (a.B + 1) * a.C, itemsize, 0.1, 0.2);
}

enum ReduceOp { kSum, kMean, kMax, kMin, kProd };  // in the order of spec.REDUCE_OPS

template <class T, class Part>
FASTNN_INLINE T finished(Part part, const ReduceForward<T>& a) {
  if (kWhole<T> && a.B == 0 && a.op != kSum && a.op != kProd) return 0;
  if (a.op != kMean) return (T)part;
  return kWhole<T> ? (T)whole((double)part / (double)a.B) : (T)((double)part / (double)a.B);
}
// Writes the results of n reductions.
template <class T, class Part>
void finish(T* y, const Part* part, i64 n, const ReduceForward<T>& a) {
  for (i64 j = 0; j < n; j++) y[j] = finished(part[j], a);
}

template <class T, class R>
FASTNN_INLINE void reduce(const ReduceForward<T>& a, const Worker& me) {
  typedef typename R::Part Part;
  const ReducePieces pieces(a.A, a.B, a.C);
  Part* parts = (Part*)me.scratch;  // (A, splits, C)
  const i64 size = max_i64(1, pieces.rows * min_i64(a.C, kReduceColumns));
  const Range mine = share(a.A * pieces.splits * pieces.blocks, max_i64(1, kGrain / size), me);
  for (i64 i = mine.begin; i < mine.end; i++) {
    const i64 c = i % pieces.blocks * kReduceColumns, row = i / pieces.blocks;  // row of (A, splits)
    const i64 begin = row % pieces.splits * pieces.rows, outer = row / pieces.splits;
    const i64 rows = min_i64(pieces.rows, a.B - begin), columns = min_i64(kReduceColumns, a.C - c);
    const T* x = a.x + (outer * a.B + begin) * a.C + c;
    Part part[kReduceColumns];
    if (a.C == 1)
      part[0] = reduce_run<T, R>(x, rows);
    else
      reduce_columns<T, R>(part, x, rows, a.C, columns);
    if (pieces.splits > 1)
      memcpy(parts + row * a.C + c, part, (size_t)columns * sizeof(Part));
    else if (columns == 1)
      a.y[outer * a.C + c] = finished(part[0], a);
    else
      finish(a.y + outer * a.C + c, part, columns, a);
  }
  if (pieces.splits == 1) return;
  sync(me);
  if (me.ith) return;
  for (i64 outer = 0; outer < a.A; outer++)
    for (i64 c = 0; c < a.C; c++) {
      Part total = (Part)R::start();
      for (i64 s = 0; s < pieces.splits; s++) total = R::join(total, parts[(outer * pieces.splits + s) * a.C + c]);
      a.y[outer * a.C + c] = finished(total, a);
    }
}

template <class T>
void reduce_forward(const void* args, const Worker& me) {
  const ReduceForward<T> a = *(const ReduceForward<T>*)args;
  switch (a.op) {
    case kSum:
    case kMean: return reduce<T, Sum<T>>(a, me);
    case kMax: return reduce<T, Max<T>>(a, me);
    case kMin: return reduce<T, Min<T>>(a, me);
    case kProd: return reduce<T, Prod<T>>(a, me);
  }
}

// Returns whether x replaces the largest value so far. NaN is larger than any number.
template <class T>
FASTNN_INLINE bool exceeds(T x, T top) {
  return (x > top) | ((x != x) & (top == top));
}

// Returns the first lane in which a comparison is true, or the number of lanes.
template <class T>
FASTNN_INLINE int first_lane(IVec<T> held) {
#if defined(__aarch64__)
  const u64 lanes = sizeof(T) == 4 ? (u64)vget_lane_u64((uint64x1_t)vmovn_u32((uint32x4_t)held), 0)
                                   : (u64)vget_lane_u64((uint64x1_t)vmovn_u64((uint64x2_t)held), 0);
  return lanes ? __builtin_ctzll(lanes) / (64 / kLanes<T>) : kLanes<T>;
#else
#if defined(__AVX512F__)
  const u32 mask = sizeof(T) == 4 ? (u32)_mm512_movepi32_mask((__m512i)held) : (u32)_mm512_movepi64_mask((__m512i)held);
#elif defined(__AVX2__)
  const u32 mask = sizeof(T) == 4 ? (u32)_mm256_movemask_ps((__m256)held) : (u32)_mm256_movemask_pd((__m256d)held);
#else
  u32 mask = 0;
  for (int i = 0; i < kLanes<T>; i++) mask |= (u32)(held[i] & 1) << i;
#endif
  return __builtin_ctz(mask | 1u << kLanes<T>);
#endif
}

// Returns the first index of the largest of n values, n > 0.
template <class T>
FASTNN_INLINE i64 argmax(const T* x, i64 n) {
  if (n <= kLanes<T>) {
    const Vec<T> v = select_n<T>(load_n(x, n), n, splat<T>(Max<T>::start()));
    const int nan = first_lane<T>(v != v);
    if (nan < kLanes<T>) return nan;
    return first_lane<T>(v == fold_lanes<T>(v, [](Vec<T> a, Vec<T> b) { return a > b ? a : b; }));
  }
  const Vec<T> top = splat<T>(reduce_run<T, Max<T>>(x, n));
  i64 i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) {
    const Vec<T> v = load(x + i);
    const int lane = first_lane<T>((v == top) | (v != v));  // with a NaN anywhere, the maximum is NaN and equals no value
    if (lane < kLanes<T>) return i + lane;
  }
  const Vec<T> v = load_n(x + i, n - i);
  return i + first_lane<T>((v == top) | (v != v));
}

template <class T>
struct ArgmaxForward {
  static constexpr const char* fields = "index x A C B";
  i64* index;
  const T* x;
  i64 A, C, B;
};

FASTNN_INLINE double argmax_forward_work(const void* args, int itemsize) {
  const ArgmaxForward<float> a = *(const ArgmaxForward<float>*)args;
  return 5.0 * (double)a.A + elements_work(a.A * (a.B + 1) * a.C, itemsize, 0.2, 0.2);
}

template <class T>
void argmax_forward(const void* args, const Worker& me) {
  const ArgmaxForward<T> a = *(const ArgmaxForward<T>*)args;
  constexpr i64 kColumns = 64;
  const i64 blocks = ceil_div(a.C, kColumns);
  const Range mine = share(a.A * blocks, rows_grain(a.B * min_i64(a.C, kColumns)), me);
  for (i64 i = mine.begin; i < mine.end; i++) {
    const i64 c = i % blocks * kColumns, columns = min_i64(kColumns, a.C - c);
    const T* x = a.x + i / blocks * a.B * a.C + c;
    i64* index = a.index + i / blocks * a.C + c;
    if (a.C == 1) {
      *index = a.B > 0 ? argmax(x, a.B) : 0;
      continue;
    }
    T top[kColumns];
    for (i64 j = 0; j < columns; j++) {
      index[j] = 0;
      if (a.B > 0) top[j] = x[j];
    }
    for (i64 b = 1; b < a.B; b++)
      for (i64 j = 0; j < columns; j++) {
        const T value = x[b * a.C + j];
        const bool better = exceeds(value, top[j]);
        index[j] = better ? b : index[j];
        top[j] = better ? value : top[j];
      }
  }
}

}  // namespace
