// Sums of places along an axis. fastnn/backends/reference/resample.py defines them. Workers share the rows of y.
#pragma once
#include "math/simd.h"

namespace {

template <class T>
struct Resample {
  static constexpr const char* fields = "y x index weight value A J C I K";
  T* y;
  const T* x;
  const i64* index;
  const double* weight;
  double value;
  i64 A, J, C, I, K;
};

FASTNN_INLINE double resample_work(const void* args, int itemsize) {
  const Resample<float> a = *(const Resample<float>*)args;
  return 2.0 * (double)(a.A * a.J) + elements_work(a.A * a.J * a.C, itemsize, 0.2, 0.4);
}

// The places of the numbers j of an axis.
template <class T>
struct Places {
  const Resample<T>& a;
  i64 count(i64 j) const {
    i64 n = 0;
    while (n < a.K && (u64)a.index[j * a.K + n] < (u64)a.I) n++;
    return n;
  }
  // Returns how many numbers from j to the end are copies of places that follow each other.
  i64 copies(i64 j, i64 end) const {
    const i64 first = a.index[j * a.K];
    i64 n = 0;
    while (j + n < end && count(j + n) == 1 && a.weight[(j + n) * a.K] == 1 && a.index[(j + n) * a.K] == first + n) n++;
    return n;
  }
};

// y = the sum of the places of a row, for C numbers, which are too few for a vector.
template <class T, i64 C>
FASTNN_INLINE void few_sums(T* y, const T* x, const i64* index, const double* weight, i64 places) {
  T sums[C];
  for (i64 c = 0; c < C; c++) sums[c] = (T)weight[0] * x[index[0] * C + c];
  for (i64 k = 1; k < places; k++)
    for (i64 c = 0; c < C; c++) sums[c] += (T)weight[k] * x[index[k] * C + c];
  for (i64 c = 0; c < C; c++) y[c] = sums[c];
}

template <class T>
void resample(const void* args, const Worker& me) {
  const Resample<T> a = *(const Resample<T>*)args;
  const Places<T> places{a};
  const Range rows = share(a.A * a.J, rows_grain(a.C), me);
  for (i64 row = rows.begin; row < rows.end;) {
    const i64 j = row % a.J, end = min_i64(a.J, j + rows.end - row);  // of this row of images
    const T* x = a.x + row / a.J * a.I * a.C;
    T* y = a.y + row * a.C;
    row += end - j;
    for (i64 at = j; at < end;) {
      const i64* index = a.index + at * a.K;
      const double* weight = a.weight + at * a.K;
      const i64 n = places.count(at);
      const bool run = n == 1 && (a.C >= 4 || (at + 3 < end && index[3 * a.K] == index[0] + 3));  // worth a search
      const i64 copies = run ? places.copies(at, end) : 0, numbers = max_i64(1, copies) * a.C;
      if (n == 0)
        for_vectors<T>({0, a.C}, [&](i64 c, auto lanes) { lanes.store(y + c, splat((T)a.value)); });
      else if (numbers * (i64)sizeof(T) > 512 && copies)
        memcpy(y, x + index[0] * a.C, (size_t)numbers * sizeof(T));
      else if (copies && numbers >= 4)
        for_vectors<T>({0, numbers}, [&](i64 c, auto lanes) { lanes.store(y + c, lanes.load(x + index[0] * a.C + c)); });
      else if (a.C == 1)
        few_sums<T, 1>(y, x, index, weight, n);
      else if (a.C == 2)
        few_sums<T, 2>(y, x, index, weight, n);
      else if (a.C == 3)
        few_sums<T, 3>(y, x, index, weight, n);
      else
        for_vectors<T>({0, a.C}, [&](i64 c, auto lanes) {
          Vec<T> sum = splat((T)weight[0]) * lanes.load(x + index[0] * a.C + c);
          for (i64 k = 1; k < n; k++) sum += splat((T)weight[k]) * lanes.load(x + index[k] * a.C + c);
          lanes.store(y + c, sum);
        });
      // What is too short for a copy advances by one row: its numbers of the next rows are not written yet.
      const i64 done = copies && numbers >= 4 ? copies : 1;
      at += done;
      y += done * a.C;
    }
  }
}

}  // namespace
