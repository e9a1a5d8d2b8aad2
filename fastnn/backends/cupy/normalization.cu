// Normalization: a block for each set of numbers that are normalized together. Its sums are in float64, and in a fixed order.

// f(number in x) for the numbers of a thread, of the set (a, c).
template <typename Args, typename F>
__device__ inline void each_of_set(const Args& s, i64 a, i64 c, F f) {
  for (i64 i = threadIdx.x; i < s.B * s.D; i += THREADS) f(((a * s.B + i / s.D) * s.C + c) * s.D + i % s.D, c * s.D + i % s.D);
}

template <typename T>
__device__ void norm_forward(const norm_forward_args<T>& s) {
  const double n = (double)(s.B * s.D);
  for (i64 set = blockIdx.x; set < s.A * s.C; set += gridDim.x) {
    const i64 a = set / s.C, c = set % s.C;
    double total = 0, squares = 0;
    if (s.center) each_of_set(s, a, c, [&](i64 i, i64) { total += (double)s.x[i]; });
    const double mean = block_sum(total) / n;
    each_of_set(s, a, c, [&](i64 i, i64) {
      const double off = (double)s.x[i] - mean;
      squares += off * off;
    });
    const double variance = block_sum(squares) / n, rstd = 1 / sqrt(variance + s.epsilon);
    each_of_set(s, a, c, [&](i64 i, i64 column) {
      T y = (T)(((double)s.x[i] - mean) * rstd);
      if (s.gamma) y *= s.gamma[column];
      if (s.beta) y += s.beta[column];
      s.y[i] = s.relu && y < 0 ? (T)0 : y;
    });
    if (threadIdx.x) continue;
    s.mean[set] = (T)mean;
    s.rstd[set] = (T)rstd;
    const double keep = 1 - s.momentum;
    if (s.running_mean) s.running_mean[c] = (T)(keep * (double)s.running_mean[c] + s.momentum * mean);
    if (s.running_var)
      s.running_var[c] = (T)(keep * (double)s.running_var[c] + s.momentum * variance * (s.unbiased && n > 1 ? n / (n - 1) : 1));
  }
}

// The gradient before the ReLU, if there was one.
template <typename T>
__device__ inline double norm_slope(const norm_backward_args<T>& s, i64 i) {
  return s.relu && s.y[i] <= 0 ? 0 : (double)s.dy[i];
}

template <typename T>
__device__ void norm_backward(const norm_backward_args<T>& s) {
  const double n = (double)(s.B * s.D);
  for (i64 c = blockIdx.x; c < s.C; c += gridDim.x) {
    for (i64 a = 0; s.dx && a < s.A; ++a) {
      const double mean = (double)s.mean[a * s.C + c], rstd = (double)s.rstd[a * s.C + c];
      double total = 0, products = 0;
      each_of_set(s, a, c, [&](i64 i, i64 column) {
        const double slope = norm_slope(s, i) * (s.gamma ? (double)s.gamma[column] : 1);
        total += slope;
        products += slope * ((double)s.x[i] - mean) * rstd;
      });
      total = block_sum(total) / n;
      products = block_sum(products) / n;
      if (!s.center) total = 0;
      each_of_set(s, a, c, [&](i64 i, i64 column) {
        const double slope = norm_slope(s, i) * (s.gamma ? (double)s.gamma[column] : 1);
        s.dx[i] = (T)(rstd * (slope - total - ((double)s.x[i] - mean) * rstd * products));
      });
    }
    if (!s.dgamma && !s.dbeta) continue;
    for (i64 d = 0; d < s.D; ++d) {
      double of_gamma = 0, of_beta = 0;
      for (i64 row = threadIdx.x; row < s.A * s.B; row += THREADS) {
        const i64 i = (row * s.C + c) * s.D + d, set = row / s.B * s.C + c;
        of_beta += norm_slope(s, i);
        of_gamma += norm_slope(s, i) * ((double)s.x[i] - (double)s.mean[set]) * (double)s.rstd[set];
      }
      of_gamma = block_sum(of_gamma);
      of_beta = block_sum(of_beta);
      if (threadIdx.x) continue;
      const i64 column = c * s.D + d;
      if (s.dgamma) s.dgamma[column] = (s.add & 2 ? s.dgamma[column] : (T)0) + (T)of_gamma;
      if (s.dbeta) s.dbeta[column] = (s.add & 4 ? s.dbeta[column] : (T)0) + (T)of_beta;
    }
  }
}

template <typename T>
__device__ void norm_fold(const norm_fold_args<T>& s) {
  for (i64 c = first(); c < s.C; c += stride()) {
    const double scale = (s.gamma ? (double)s.gamma[c] : 1) / sqrt((double)s.var[c] + s.epsilon);
    s.scale[c] = (T)scale;
    s.shift[c] = (T)(((s.bias ? (double)s.bias[c] : 0) - (double)s.mean[c]) * scale + (s.beta ? (double)s.beta[c] : 0));
  }
}

template <typename T>
__device__ void norm_apply(const norm_apply_args<T>& s) {
  const T p = s.act.p0, q = s.act.p1;
  for (i64 i = first(); i < s.A * s.C; i += stride()) {
    const i64 c = i % s.C;
    const T z = s.x[i] * s.scale[c];
    s.y[i] = function_forward(s.shift ? z + s.shift[c] : z, p, q);
  }
}
