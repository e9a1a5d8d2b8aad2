// Softmax, log-softmax and sparsemax of rows.

template <typename T>
__device__ void softmax_forward(const softmax_forward_args<T>& a) {
  for_rows(a.M, a.N, [&](auto shape, i64 row) {
    using S = decltype(shape);
    const Row<T, S> x(a.x + row * a.N, a.N);
    const SoftmaxOfRow<T> of = softmax_of(x, a.N);
    const T scale = 1 / of.sum;
    S::each(a.N, [&](int k, i64 i) { a.y[row * a.N + i] = exp(x(k, i) - of.top) * scale; });
  });
}

template <typename T>
__device__ void softmax_backward(const softmax_backward_args<T>& a) {
  for_rows(a.M, a.N, [&](auto shape, i64 row) {
    using S = decltype(shape);
    const Row<T, S> dy(a.dy + row * a.N, a.N), y(a.y + row * a.N, a.N);
    T dot = 0;
    S::each(a.N, [&](int k, i64 i) { dot += dy(k, i) * y(k, i); });
    dot = S::sum(dot);
    S::each(a.N, [&](int k, i64 i) { a.dx[row * a.N + i] = y(k, i) * (dy(k, i) - dot); });
  });
}

template <typename T>
__device__ void log_softmax_forward(const log_softmax_forward_args<T>& a) {
  for_rows(a.M, a.N, [&](auto shape, i64 row) {
    using S = decltype(shape);
    const Row<T, S> x(a.x + row * a.N, a.N);
    const SoftmaxOfRow<T> of = softmax_of(x, a.N);
    const T log_sum = log(of.sum);
    S::each(a.N, [&](int k, i64 i) { a.y[row * a.N + i] = x(k, i) - of.top - log_sum; });
  });
}

template <typename T>
__device__ void log_softmax_backward(const log_softmax_backward_args<T>& a) {
  for_rows(a.M, a.N, [&](auto shape, i64 row) {
    using S = decltype(shape);
    const Row<T, S> dy(a.dy + row * a.N, a.N);
    T sum = 0;
    S::each(a.N, [&](int k, i64 i) { sum += dy(k, i); });
    sum = S::sum(sum);
    S::each(a.N, [&](int k, i64 i) { a.dx[row * a.N + i] = dy(k, i) - exp(a.y[row * a.N + i]) * sum; });
  });
}

// With z = x - max, the threshold t for which the max(z - t, 0) sum to 1 is (the sum of the z > t, less 1) / their number. From
// -1, below which it never lies, t rises to it while the z > t grow fewer.
// Source: Michelot, Journal of Optimization Theory and Applications 50, 1986.
template <typename T>
__device__ void sparsemax_forward(const sparsemax_forward_args<T>& a) {
  for_rows(a.M, a.N, [&](auto shape, i64 row) {
    using S = decltype(shape);
    const Row<T, S> x(a.x + row * a.N, a.N);
    T top = lowest<T>();
    S::each(a.N, [&](int k, i64 i) { top = Max()(x(k, i), top); });
    top = S::reduce(top, Max());
    T threshold = top - top;  // NaN where there is a NaN or infinity
    if (threshold == 0) {
      double t = -1, before = (double)a.N + 1;
      while (true) {
        double sum = 0, count = 0;
        S::each(a.N, [&](int k, i64 i) {
          const T z = x(k, i) - top;
          if (z > t) {
            sum += z;
            count += 1;
          }
        });
        sum = S::sum(sum);
        count = S::sum(count);
        if (!(count < before)) break;
        before = count;
        t = (sum - 1) / count;
      }
      threshold = (T)t;
    }
    S::each(a.N, [&](int k, i64 i) { a.y[row * a.N + i] = Max()(x(k, i) - top - threshold, T(0)); });
  });
}

template <typename T>
__device__ void sparsemax_backward(const sparsemax_backward_args<T>& a) {
  for_rows(a.M, a.N, [&](auto shape, i64 row) {
    using S = decltype(shape);
    const Row<T, S> dy(a.dy + row * a.N, a.N), y(a.y + row * a.N, a.N);
    T sum = 0, count = 0;
    S::each(a.N, [&](int k, i64 i) {
      if (y(k, i) > 0) {
        sum += dy(k, i);
        count += 1;
      }
    });
    sum = S::sum(sum);
    count = S::sum(count);
    const T mean = sum / count;
    S::each(a.N, [&](int k, i64 i) { a.dx[row * a.N + i] = y(k, i) > 0 ? dy(k, i) - mean : T(0); });
  });
}
