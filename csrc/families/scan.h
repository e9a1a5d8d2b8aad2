// Running sums and products along the middle axis of x (A, B, C), kernels of the elementwise family.
#pragma once
#include "families/reduce.h"

namespace {

template <class T>
struct Cumulate {
  static constexpr const char* fields = "y x op reverse exclusive A B C";
  T* y;
  const T* x;
  i64 op, reverse, exclusive, A, B, C;
};

FASTNN_INLINE double cumulate_work(const void* args, int itemsize) {
  const Cumulate<float> a = *(const Cumulate<float>*)args;
  return 5.0 * (double)a.A + elements_work(a.A * a.B * a.C, itemsize, 1, 1);
}

// Floats are summed in float64. R is as in reduce.h.
template <class T, class R>
FASTNN_INLINE void scan(const Cumulate<T>& a, const Worker& me) {
  constexpr i64 kColumns = 64;
  const i64 blocks = ceil_div(a.C, kColumns), step = a.reverse ? -a.C : a.C;
  const Range mine = share(a.A * blocks, rows_grain(a.B * min_i64(a.C, kColumns)), me);
  for (i64 i = mine.begin; i < mine.end; i++) {
    const i64 c = i % blocks * kColumns, columns = min_i64(kColumns, a.C - c);
    i64 at = (i / blocks * a.B + (a.reverse ? a.B - 1 : 0)) * a.C + c;
    typename R::Part total[kColumns];
    for (i64 j = 0; j < columns; j++) total[j] = R::start();
    for (i64 b = 0; b < a.B; b++, at += step)
      for (i64 j = 0; j < columns; j++) {
        const typename R::Part before = total[j];
        total[j] = R::join(before, (typename R::Part)a.x[at + j]);
        a.y[at + j] = (T)(a.exclusive ? before : total[j]);
      }
  }
}

enum ScanOp { kScanSum, kScanProd };  // in the order of spec.SCAN_OPS

template <class T>
void cumulate(const void* args, const Worker& me) {
  const Cumulate<T> a = *(const Cumulate<T>*)args;
  switch (a.op) {
    case kScanSum: return scan<T, Sum<T>>(a, me);
    case kScanProd: return scan<T, Prod<T>>(a, me);
  }
}

}  // namespace
