// Sums of places along an axis: a thread for each number of y.

template <typename T>
__device__ void resample(const resample_args<T>& a) {
  for (i64 i = first(); i < a.A * a.J * a.C; i += stride()) {
    const i64 c = i % a.C, j = i / a.C % a.J;
    const T* const x = a.x + i / a.C / a.J * a.I * a.C + c;
    const i64* const index = a.index + j * a.K;
    const double* const weight = a.weight + j * a.K;
    T sum = (T)a.value;
    for (i64 k = 0; k < a.K && (u64)index[k] < (u64)a.I; ++k) {
      const T part = (T)weight[k] * x[index[k] * a.C];
      sum = k ? sum + part : part;
    }
    a.y[i] = sum;
  }
}
