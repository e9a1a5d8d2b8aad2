// Rows by index: batches, look-ups and their gradients. A negative index counts from the end. An index outside of the array reads
// NaN (0 in integer arrays), and is skipped when values are added. T is the dtype; u8 means bool.
#pragma once
#include "math/rows.h"

namespace {

template <class T>
FASTNN_INLINE T outside_value() {
  if constexpr (std::is_same_v<T, Bfloat16>)
    return {0x7fc0};
  else
    return (T)0.5 == 0 ? (T)0 : (T)__builtin_nan("");
}

FASTNN_INLINE i64 from_0(i64 index, i64 n) { return index < 0 ? index + n : index; }

// Copies y[j] = x[index[j]] for the rows j of a range. Rows in a random order are far away in the caches, and the CPU cannot
// foresee them, so the next ones are prefetched.
template <class T>
void take_rows(T* y, const T* x, const i64* index, Range rows, i64 B, i64 C) {
  const i64 bytes = C * (i64)sizeof(T), ahead = max_i64(1, 2048 / max_i64(1, bytes)), first = min_i64(bytes, 4096);
  const auto prefetch = [&](i64 j) __attribute__((always_inline)) {
    const i64 row = from_0(index[j], B);
    if ((u64)row < (u64)B)
      for (i64 at = 0; at < first; at += 64) __builtin_prefetch((const char*)(x + row * C) + at);
  };
  for (i64 j = rows.begin; j < min_i64(rows.begin + ahead, rows.end); j++) prefetch(j);
  for (i64 j = rows.begin; j < rows.end; j++) {
    if (j + ahead < rows.end) prefetch(j + ahead);
    T* to = y + j * C;
    const i64 row = from_0(index[j], B);
    if ((u64)row < (u64)B)
      memcpy(to, x + row * C, (size_t)bytes);
    else
      for (i64 c = 0; c < C; c++) to[c] = outside_value<T>();
  }
}

template <class T>
struct GatherBatch {
  static constexpr const char* fields = "y x index cursor J C B Q";
  T* y;
  const T* x;
  const i64 *index, *cursor;
  i64 J, C, B, Q;
};

FASTNN_INLINE double gather_batch_work(const void* args, int itemsize) {
  const GatherBatch<float> a = *(const GatherBatch<float>*)args;
  return 5.0 * (double)a.J + elements_work(a.J * a.C, itemsize, 0.1, 0.2);
}

template <class T>
void gather_batch(const void* args, const Worker& me) {
  const GatherBatch<T> a = *(const GatherBatch<T>*)args;
  const i64 start = *a.cursor;
  const i64 inside = start < 0 || start > a.Q ? 0 : min_i64(a.J, a.Q - start);  // number of rows with an index
  const Range rows = share(a.J, rows_grain(a.C), me);
  take_rows(a.y, a.x, a.index + (inside ? start : 0), {rows.begin, min_i64(rows.end, inside)}, a.B, a.C);
  for (i64 i = max_i64(rows.begin, inside) * a.C; i < rows.end * a.C; i++) a.y[i] = outside_value<T>();
}

template <class T>
struct TakeForward {
  static constexpr const char* fields = "y x index J C B";
  T* y;
  const T* x;
  const i64* index;
  i64 J, C, B;
};

FASTNN_INLINE double take_forward_work(const void* args, int itemsize) {
  const TakeForward<float> a = *(const TakeForward<float>*)args;
  return 5.0 * (double)a.J + elements_work(a.J * a.C, itemsize, 0.1, 0.2);
}

template <class T>
void take_forward(const void* args, const Worker& me) {
  const TakeForward<T> a = *(const TakeForward<T>*)args;
  take_rows(a.y, a.x, a.index, share(a.J, rows_grain(a.C), me), a.B, a.C);
}

template <class T>
struct TakeBackward {
  static constexpr const char* fields = "dx touched dy index add B C J";
  T* dx;
  u8* touched;  // null if absent
  const T* dy;
  const i64* index;
  i64 add, B, C, J;
};

FASTNN_INLINE double take_backward_work(const void* args, int itemsize) {
  const TakeBackward<float> a = *(const TakeBackward<float>*)args;
  return 5.0 * (double)a.J + elements_work(((a.add & 1 ? 0 : a.B) + a.J) * a.C, itemsize, 0.1, 0.2);
}

template <class T>
FASTNN_INLINE void add_row(T* dx, const T* dy, i64 C) {
  for_vectors<T>({0, C}, [&](i64 c, auto lanes) { lanes.store(dx + c, lanes.load(dx + c) + lanes.load(dy + c)); });
}

// Each worker owns some rows of dx and reads the whole index, so values are added to a row in the order of the index.
template <class T>
void take_backward(const void* args, const Worker& me) {
  const TakeBackward<T> a = *(const TakeBackward<T>*)args;
  const Range own = share(a.B, rows_grain(a.C), me);
  if (own.begin >= own.end) return;
  if (!(a.add & 1)) memset(a.dx + own.begin * a.C, 0, (size_t)((own.end - own.begin) * a.C) * sizeof(T));
  if (!(a.add & 2) && a.touched) memset(a.touched + own.begin, 0, (size_t)(own.end - own.begin));
  for (i64 j = 0; j < a.J; j++) {
    const i64 row = from_0(a.index[j], a.B);
    if (row < own.begin || row >= own.end) continue;
    if (a.touched) a.touched[row] = 1;
    add_row(a.dx + row * a.C, a.dy + j * a.C, a.C);
  }
}

template <class T>
struct TakeBackwardMarked {
  static constexpr const char* fields = "dx touched dy index B C J";
  T* dx;
  u8* touched;
  const T* dy;
  const i64* index;
  i64 B, C, J;
};

FASTNN_INLINE double take_backward_marked_work(const void* args, int itemsize) {
  const TakeBackwardMarked<float> a = *(const TakeBackwardMarked<float>*)args;
  return 5.0 * (double)a.J + 0.1 * (double)a.B + elements_work(2 * a.J * a.C, itemsize, 0.1, 0.2);
}

template <class T>
void take_backward_marked(const void* args, const Worker& me) {
  const TakeBackwardMarked<T> a = *(const TakeBackwardMarked<T>*)args;
  for_own_rows(a.B, me, [&](i64 b) {
    if (!a.touched[b]) return;
    memset(a.dx + b * a.C, 0, (size_t)a.C * sizeof(T));
    a.touched[b] = 0;
  });
  for (i64 j = 0; j < a.J; j++) {
    const i64 row = from_0(a.index[j], a.B);
    if ((u64)row >= (u64)a.B || !owns_row(row, me)) continue;
    a.touched[row] = 1;
    add_row(a.dx + row * a.C, a.dy + j * a.C, a.C);
  }
}

template <class T>
struct GatherForward {
  static constexpr const char* fields = "y x index I J L K";
  T* y;
  const T* x;
  const i64* index;
  i64 I, J, L, K;
};

FASTNN_INLINE double gather_forward_work(const void* args, int itemsize) {
  const GatherForward<float> a = *(const GatherForward<float>*)args;
  return elements_work(a.I * a.J * a.L, itemsize, 1, 1);
}

template <class T>
void gather_forward(const void* args, const Worker& me) {
  const GatherForward<T> a = *(const GatherForward<T>*)args;
  const Range rows = share(a.I * a.J, rows_grain(a.L), me);
  for (i64 row = rows.begin; row < rows.end; row++) {
    const i64* index = a.index + row * a.L;
    const T* x = a.x + row / a.J * a.K * a.L;
    T* y = a.y + row * a.L;
    for (i64 l = 0; l < a.L; l++) {
      const i64 k = from_0(index[l], a.K);
      y[l] = (u64)k < (u64)a.K ? x[k * a.L + l] : outside_value<T>();
    }
  }
}

template <class T>
struct GatherBackward {
  static constexpr const char* fields = "dx dy index I K L J";
  T* dx;
  const T* dy;
  const i64* index;
  i64 I, K, L, J;
};

FASTNN_INLINE double gather_backward_work(const void* args, int itemsize) {
  const GatherBackward<float> a = *(const GatherBackward<float>*)args;
  return elements_work(a.I * (a.J + a.K) * a.L, itemsize, 1, 1);
}

// Each worker owns some rows (i, k) of dx and reads the index of each i of these rows.
template <class T>
void gather_backward(const void* args, const Worker& me) {
  const GatherBackward<T> a = *(const GatherBackward<T>*)args;
  const Range own = share(a.I * a.K, rows_grain(a.L), me);
  if (own.begin >= own.end) return;
  memset(a.dx + own.begin * a.L, 0, (size_t)((own.end - own.begin) * a.L) * sizeof(T));
  for (i64 i = own.begin / a.K; i * a.K < own.end; i++) {
    const i64 first = max_i64(0, own.begin - i * a.K), last = min_i64(a.K, own.end - i * a.K);
    T* dx = a.dx + i * a.K * a.L;
    for (i64 j = i * a.J; j < (i + 1) * a.J; j++)
      for (i64 l = 0; l < a.L; l++) {
        const i64 k = from_0(a.index[j * a.L + l], a.K);
        if (k >= first && k < last) dx[k * a.L + l] += a.dy[j * a.L + l];
      }
  }
}

}  // namespace
