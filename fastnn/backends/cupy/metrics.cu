// Running metrics: sums of values in total[0] and of weights in total[1], counts, and scores. All sums are in double, in an order
// that the sizes give; one thread alone goes on from what is there, which may lie in the host's memory.

// The threads that share a row: one, or the L of a warp.
template <int L>
struct Lanes {
  static __device__ int lane() { return threadIdx.x % L; }

  // f(i) for this thread's part of the n elements of a row.
  template <typename F>
  static __device__ void each(i64 n, F f) {
    for (i64 i = lane(); i < n; i += L) f(i);
  }

  template <typename T>
  static __device__ T sum(T value) {
    if constexpr (L > 1) value = warp_reduce(value, Sum());
    return value;
  }

  // Where the first of the greatest of n values is, or the first NaN.
  template <typename T>
  static __device__ i64 argmax(const T* x, i64 n) {
    T best = 0;
    i64 at = n;  // of none so far
    each(n, [&](i64 i) { take(best, at, x[i], i, n); });
    if constexpr (L > 1)
      for (int offset = L / 2; offset; offset /= 2) {
        const T other = __shfl_xor_sync(ALL_LANES, best, offset);
        take(best, at, other, __shfl_xor_sync(ALL_LANES, at, offset), n);
      }
    return at;
  }

 private:
  // The better of two candidates; at is none as long as there is none.
  template <typename T>
  static __device__ void take(T& best, i64& at, T x, i64 i, i64 none) {
    if (i == none) return;
    const bool x_is_nan = x != x, best_is_nan = best != best;
    const bool same = x == best || (x_is_nan && best_is_nan), more = x > best || (x_is_nan && !best_is_nan);
    if (at == none || more || (same && i < at)) {
      best = x;
      at = i;
    }
  }
};

template <typename T>
__device__ inline double weight_of(const T* sample_weight, i64 row) {
  return sample_weight ? (double)sample_weight[row] : 1;
}

// By one thread, which reads both at once: they may lie in the host's memory, far away.
__device__ inline void add_to(double* total, double value, double weight) {
  const double values = total[0], weights = total[1];
  total[0] = values + value;
  total[1] = weights + weight;
}

template <int L, typename T, typename F>
__device__ inline void sum_rows(double* total, const T* sample_weight, i64 M, F value) {
  double sums[2] = {0, 0}, totals[2];
  for (i64 row = first() / L; row < M; row += stride() / L) {
    const double of_row = value(Lanes<L>(), row);
    if (Lanes<L>::lane() == 0) {
      const double weight = weight_of(sample_weight, row);
      sums[0] += weight == 0 ? 0 : weight * of_row;
      sums[1] += weight;
    }
  }
  sums[0] = block_sum(sums[0]);
  sums[1] = block_sum(sums[1]);
  if (grid_reduce(sums, totals, Sum(), 0.0) && threadIdx.x == 0) add_to(total, totals[0], totals[1]);
}

// Adds value(lanes, row) for each row of N elements, times the row's weight: a thread for each row, or a warp for long ones. A row
// of weight 0 counts for nothing, also where its value is NaN.
template <typename T, typename F>
__device__ inline void add_rows(double* total, const T* sample_weight, i64 M, i64 N, F value) {
  if (N == 0) return;
  if (N <= WARP)
    sum_rows<1>(total, sample_weight, M, value);
  else
    sum_rows<WARP>(total, sample_weight, M, value);
}

template <typename T>
__device__ void mean_metric(const mean_metric_args<T>& a) {
  if (first() == 0) add_to(a.total, (double)*a.value * a.count, a.count);
}

template <typename T>
__device__ void sparse_accuracy(const sparse_accuracy_args<T>& a) {
  add_rows(a.total, a.sample_weight, a.M, a.N,
           [&](auto lanes, i64 row) { return lanes.argmax(a.p + row * a.N, a.N) == a.labels[row] ? 1.0 : 0.0; });
}

template <typename T>
__device__ void categorical_accuracy(const categorical_accuracy_args<T>& a) {
  add_rows(a.total, a.sample_weight, a.M, a.N, [&](auto lanes, i64 row) {
    const i64 found = lanes.argmax(a.p + row * a.N, a.N);
    return found == lanes.argmax(a.targets + row * a.N, a.N) ? 1.0 : 0.0;
  });
}

template <typename T>
__device__ void binary_accuracy(const binary_accuracy_args<T>& a) {
  const T threshold = (T)a.threshold;
  add_rows(a.total, a.sample_weight, a.M, a.N, [&](auto lanes, i64 row) {
    i64 right = 0;
    lanes.each(a.N, [&](i64 i) { right += (a.p[row * a.N + i] > threshold ? (T)1 : (T)0) == a.targets[row * a.N + i]; });
    return (double)lanes.sum(right) / (double)a.N;
  });
}

template <typename T>
__device__ void error_metric(const error_metric_args<T>& a) {
  add_rows(a.total, a.sample_weight, a.M, a.N, [&](auto lanes, i64 row) {
    double sum = 0;
    lanes.each(a.N, [&](i64 i) {
      const double e = fabs((double)a.pred[row * a.N + i] - (double)a.target[row * a.N + i]);
      sum += a.power == 2 ? e * e : e;
    });
    return lanes.sum(sum) / (double)a.N;
  });
}

template <typename T>
__device__ void mean_rows(const mean_rows_args<T>& a) {
  add_rows(a.total, a.sample_weight, a.M, 1, [&](auto, i64 row) { return (double)a.values[row]; });
}

template <typename T>
__device__ void top_k_accuracy(const top_k_accuracy_args<T>& a) {
  add_rows(a.total, a.sample_weight, a.M, a.N, [&](auto lanes, i64 row) {
    const i64 label = a.labels[row];
    const T own = (u64)label < (u64)a.N ? a.p[row * a.N + label] : not_a_number<T>();
    i64 greater = 0;
    lanes.each(a.N, [&](i64 i) { greater += a.p[row * a.N + i] > own; });
    return lanes.sum(greater) < a.k && own == own ? 1.0 : 0.0;
  });
}
