// Metrics that count by class, threshold or output, and scores that are kept. Each number has one owner, who adds to it in an
// order that the sizes give.

// Each block owns the rows of the matrix of some labels; it finds the rows of p with that label, so many at a time, and adds
// their weights up by column.
template <typename T>
__device__ void confusion_matrix(const confusion_matrix_args<T>& a) {
  __shared__ i64 column[THREADS];
  __shared__ double weight[THREADS];
  for (i64 label = blockIdx.x; label < a.N; label += gridDim.x)
    for (i64 begin = 0; begin < a.M; begin += THREADS) {
      const i64 row = begin + threadIdx.x;
      const bool found = row < a.M && a.labels[row] == label;
      if (!__syncthreads_or(found)) continue;  // also: what the rows before these left has been read
      if (a.N <= WARP) {
        column[threadIdx.x] = found ? Lanes<1>::argmax(a.p + row * a.N, a.N) : -1;
      } else {
        column[threadIdx.x] = -1;
        for (u32 left = __ballot_sync(ALL_LANES, found); left; left &= left - 1) {
          const int from = __ffs(left) - 1;
          const i64 at = Lanes<WARP>::argmax(a.p + __shfl_sync(ALL_LANES, row, from) * a.N, a.N);
          if (Lanes<WARP>::lane() == from) column[threadIdx.x] = at;
        }
      }
      weight[threadIdx.x] = found ? weight_of(a.sample_weight, row) : 0;
      __syncthreads();
      for (i64 n = threadIdx.x; n < a.N; n += THREADS) {
        double sum = 0;
        for (int i = 0; i < THREADS; ++i)
          if (column[i] == n) sum += weight[i];
        if (sum != 0) a.matrix[label * a.N + n] += sum;
      }
    }
}

template <typename T>
__device__ void threshold_counts(const threshold_counts_args<T>& a) {
  const Strip strip(a.N);
  for (i64 k = blockIdx.x; k < a.H * strip.count; k += gridDim.x) {
    const i64 h = k / strip.count, n = k % strip.count * strip.width + strip.column, rows = n < a.N ? a.M : 0;
    const T threshold = (T)a.thresholds[h];
    double sums[4] = {0, 0, 0, 0};
    for (i64 row = strip.part; row < rows; row += strip.parts) {
      const i64 at = row * a.N + n;
      const bool positive = a.p[at] > threshold, is = a.targets[at] != 0;
      const double weight = weight_of(a.sample_weight, row);
      sums[0] += positive && is ? weight : 0;
      sums[1] += positive && !is ? weight : 0;
      sums[2] += !positive && is ? weight : 0;
      sums[3] += !positive && !is ? weight : 0;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const double sum = strip.sum(sums[i]);
      if (strip.part == 0 && rows) a.counts[(h * a.N + n) * 4 + i] += sum;
    }
  }
}

// Two sets are joined as Chan, Golub and LeVeque do.
template <typename T>
__device__ void r2_metric(const r2_metric_args<T>& a) {
  const Strip strip(a.N);
  for (i64 k = blockIdx.x; k < strip.count; k += gridDim.x) {
    const i64 n = k * strip.width + strip.column, rows = n < a.N ? a.M : 0;
    double weights = 0, mean = 0, squares = 0, errors = 0;
    i64 some = 0;  // differences from a target that counts: where all are equal, squares are exactly 0
    while (some < rows && weight_of(a.sample_weight, some) == 0) ++some;
    const double origin = some < rows ? (double)a.target[some * a.N + n] : 0;
    for (i64 row = strip.part; row < rows; row += strip.parts) {
      const double weight = weight_of(a.sample_weight, row);
      if (weight == 0) continue;
      weights += weight;
      mean += weight * ((double)a.target[row * a.N + n] - origin);
    }
    weights = strip.sum(weights);
    mean = origin + strip.sum(mean) / weights;
    for (i64 row = strip.part; row < rows; row += strip.parts) {
      const double y = (double)a.target[row * a.N + n], e = y - (double)a.pred[row * a.N + n];
      const double weight = weight_of(a.sample_weight, row);
      if (weight == 0) continue;
      squares += weight * ((y - mean) * (y - mean));
      errors += weight * (e * e);
    }
    squares = strip.sum(squares);
    errors = strip.sum(errors);
    if (strip.part || n >= a.N || weights == 0) continue;
    double *total = a.state + n, *center = total + a.N, *spread = center + a.N, *error = spread + a.N;
    const double before = *total, all = before + weights, apart = mean - *center;
    *spread += squares + apart * apart * (before * weights / all);
    *center += apart * (weights / all);
    *error += errors;
    *total = all;
  }
}

template <typename T>
__device__ void collect_scores(const collect_scores_args<T>& a) {
  const i64 begin = once_a_block([&] { return *a.count; }), n = a.M * a.N;
  const i64 room = begin < 0 || begin > a.P ? 0 : min(n, a.P - begin);
  double* const to = a.store + begin;
  for (i64 i = first(); i < room; i += stride()) {
    to[i] = (double)a.p[i];
    to[a.P + i] = (double)a.targets[i];
    to[2 * a.P + i] = weight_of(a.sample_weight, i / a.N);
  }
  if (threadIdx.x == 0 && last_to_arrive()) *a.count = begin + n;
}
