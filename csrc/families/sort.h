// The sorted order of elements along the middle axis of x (A, B, C), a kernel of the elementwise family.
#pragma once
#include "families/elementwise.h"

namespace {

template <class T>
struct Argsort {
  static constexpr const char* fields = "index x descending A B C";
  i64* index;
  const T* x;
  i64 descending, A, B, C;
};

FASTNN_INLINE i64 argsort_scratch(const void* args, int, int nth) { return nth * 2 * ((const Argsort<float>*)args)->B * 8; }
FASTNN_INLINE double argsort_work(const void* args, int itemsize) {
  const Argsort<float> a = *(const Argsort<float>*)args;
  i64 passes = 1;
  while (a.B >> passes) passes++;
  return elements_work(a.A * a.B * a.C * passes, itemsize, 3, 3);
}

// Returns whether a comes strictly before b. NaN is larger than any number.
template <class T>
FASTNN_INLINE bool comes_before(T a, T b, bool descending) {
  return descending ? (a > b) | ((a != a) & (b == b)) : (a < b) | ((a == a) & (b != b));
}

// Merges sorted runs, which are twice as long each time. Returns the buffer that contains the sorted indices.
template <class T>
FASTNN_INLINE i64* merge_sort(i64* from, i64* to, const T* x, i64 n, i64 stride, bool descending) {
  for (i64 i = 0; i < n; i++) from[i] = i;
  for (i64 run = 1; run < n; run *= 2) {
    for (i64 begin = 0; begin < n; begin += 2 * run) {
      const i64 middle = min_i64(begin + run, n), end = min_i64(begin + 2 * run, n);
      i64 left = begin, right = middle;
      for (i64 i = begin; i < end; i++) {
        const bool second =
            left == middle || (right < end && comes_before(x[from[right] * stride], x[from[left] * stride], descending));
        to[i] = second ? from[right++] : from[left++];
      }
    }
    i64* other = from;
    from = to;
    to = other;
  }
  return from;
}

template <class T>
void argsort(const void* args, const Worker& me) {
  const Argsort<T> a = *(const Argsort<T>*)args;
  i64* scratch = (i64*)me.scratch + me.ith * 2 * a.B;
  const Range mine = share(a.A * a.C, rows_grain(a.B), me);
  for (i64 i = mine.begin; i < mine.end; i++) {
    const i64 at = i / a.C * a.B * a.C + i % a.C;
    const i64* order = merge_sort(scratch, scratch + a.B, a.x + at, a.B, a.C, a.descending != 0);
    for (i64 b = 0; b < a.B; b++) a.index[at + b * a.C] = order[b];
  }
}

}  // namespace
