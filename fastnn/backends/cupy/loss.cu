// Losses, a value for each row, and their reduction to one number; fastnn/backends/reference/loss.py says what each of them is.

// The target distribution of a row before the row's weight: off in all places, and on times what is given.
template <typename T>
struct Smoothed {
  T on, off;
  const T* class_weight;

  __device__ Smoothed(double smoothing, i64 N, const T* class_weight)
      : on((T)(1 - smoothing)), off((T)(smoothing / (double)N)), class_weight(class_weight) {}
  __device__ T operator()(T given, i64 i) const { return (on * given + off) * or_one(class_weight, i); }
};

// What a class adds to minus the loss; where the target is 0, that is 0 whatever the probability.
template <typename T>
__device__ inline T entropy_term(T target, T log_p) {
  return target == 0 ? T(0) : target * log_p;
}

template <typename T>
__device__ void sparse_cross_entropy_forward(const sparse_cross_entropy_forward_args<T>& a) {
  const T nan = not_a_number<T>();
  if (a.N == 0) {
    for (i64 row = first(); row < a.M; row += stride()) a.losses[row] = a.weights[row] = nan;
    return;
  }
  const Smoothed<T> target(a.smoothing, a.N, a.class_weight);
  for_rows(a.M, a.N, [&](auto shape, i64 row) {
    using S = decltype(shape);
    const i64 label = a.labels[row];
    const Row<T, S> x(a.logits + row * a.N, a.N);
    const SoftmaxOfRow<T> of = softmax_of(x, a.N);
    const T log_sum = log(of.sum), scale = 1 / of.sum;
    T sum = 0;
    S::each(a.N, [&](int k, i64 i) {
      const T shifted = x(k, i) - of.top;
      a.p[row * a.N + i] = exp(shifted) * scale;
      if (i == label || target.off != 0) sum += entropy_term(target(i == label, i), shifted - log_sum);
    });
    sum = S::sum(sum);
    if (S::rank() != 0) return;
    if (label == a.ignore_index || (u64)label >= (u64)a.N) {
      a.losses[row] = a.weights[row] = label == a.ignore_index ? T(0) : nan;
    } else {
      const T weight = or_one(a.sample_weight, row);
      a.losses[row] = weighted(weight, -sum);
      a.weights[row] = weight * or_one(a.class_weight, label);
    }
  });
}

template <typename T>
__device__ void sparse_cross_entropy_backward(const sparse_cross_entropy_backward_args<T>& a) {
  if (a.N == 0) return;
  const Smoothed<T> target(a.smoothing, a.N, a.class_weight);
  T off_sum = target.off * (T)a.N;
  if (target.off != 0 && a.class_weight) {
    T sum = 0;
    for (i64 i = threadIdx.x; i < a.N; i += THREADS) sum += a.class_weight[i];
    off_sum = target.off * block_sum(sum);
  }
  for_rows_once(a.M, a.N, [&](auto shape, i64 row) {
    const T *p = a.p + row * a.N, weight = or_one(a.sample_weight, row), dloss = a.dlosses[row];
    T* d = a.dlogits + row * a.N;
    const i64 label = a.labels[row];
    const bool ignored = label == a.ignore_index, bad = !ignored && (u64)label >= (u64)a.N;
    if (ignored || bad || weight == 0) {
      shape.each(a.N, [&](int, i64 i) { d[i] = bad ? not_a_number<T>() : T(0); });
      return;
    }
    const T sum = off_sum + target.on * or_one(a.class_weight, label);
    shape.each(a.N, [&](int, i64 i) {
      const T share = i == label || target.off != 0 ? target(i == label, i) : T(0);
      d[i] = dloss * weight * (p[i] * sum - share);
    });
  });
}

template <typename T>
__device__ void cross_entropy_forward(const cross_entropy_forward_args<T>& a) {
  const Smoothed<T> target(a.smoothing, a.N, a.class_weight);
  for_rows(a.M, a.N, [&](auto shape, i64 row) {
    using S = decltype(shape);
    const T* targets = a.targets + row * a.N;
    const Row<T, S> x(a.logits + row * a.N, a.N);
    const SoftmaxOfRow<T> of = softmax_of(x, a.N);
    const T log_sum = log(of.sum), scale = 1 / of.sum;
    T sum = 0;
    S::each(a.N, [&](int k, i64 i) {
      const T shifted = x(k, i) - of.top;
      sum += entropy_term(target(targets[i], i), shifted - log_sum);
      a.p[row * a.N + i] = exp(shifted) * scale;
    });
    sum = S::sum(sum);
    if (S::rank() == 0) a.losses[row] = weighted(or_one(a.sample_weight, row), -sum);
  });
}

template <typename T>
__device__ void cross_entropy_backward(const cross_entropy_backward_args<T>& a) {
  const Smoothed<T> target(a.smoothing, a.N, a.class_weight);
  for_rows(a.M, a.N, [&](auto shape, i64 row) {
    using S = decltype(shape);
    const Row<T, S> targets(a.targets + row * a.N, a.N);
    const T *p = a.p + row * a.N, weight = or_one(a.sample_weight, row), dloss = a.dlosses[row];
    T sum = 0;
    S::each(a.N, [&](int k, i64 i) { sum += target(targets(k, i), i); });
    sum = S::sum(sum);
    S::each(a.N,
            [&](int k, i64 i) { a.dlogits[row * a.N + i] = weighted(weight, dloss * (p[i] * sum - target(targets(k, i), i))); });
  });
}

template <typename T>
__device__ void gaussian_nll_forward(const gaussian_nll_forward_args<T>& a) {
  const T floor = a.floor;
  for_rows_once(a.M, a.N, [&](auto shape, i64 row) {
    using S = decltype(shape);
    const T *mean = a.pred + 2 * row * a.N, *variance = mean + a.N, *target = a.target + row * a.N;
    T sum = 0;
    S::each(a.N, [&](int, i64 i) {
      const T e = target[i] - mean[i], s = variance[i], v = larger(s, floor);
      sum += a.log_variance ? s + e * e * exp(-s) : log(v) + e * e / v;
    });
    sum = S::sum(sum);
    if (S::rank() == 0) a.losses[row] = weighted(or_one(a.sample_weight, row), T(0.5) * sum / (T)a.N);
  });
}

template <typename T>
__device__ void gaussian_nll_backward(const gaussian_nll_backward_args<T>& a) {
  const T floor = a.floor;
  for_rows_once(a.M, a.N, [&](auto shape, i64 row) {
    const T *mean = a.pred + 2 * row * a.N, *variance = mean + a.N, *target = a.target + row * a.N;
    T *dmean = a.dpred + 2 * row * a.N, *dvariance = dmean + a.N;
    const T weight = or_one(a.sample_weight, row), d = a.dlosses[row] / (T)a.N;
    shape.each(a.N, [&](int, i64 i) {
      const T e = target[i] - mean[i], s = variance[i], v = a.log_variance ? exp(s) : larger(s, floor);
      const T by_variance = T(0.5) * (1 - e * e / v);
      dmean[i] = weighted(weight, d * (-e / v));
      dvariance[i] = weighted(weight, d * (a.log_variance ? by_variance : by_variance / v));
    });
  });
}

enum ReduceLossMode { BATCH, WEIGHTS, TOTAL, WEIGHTS_OR_ONE };  // in the order of spec.REDUCE_LOSS_MODES

template <typename T>
__device__ void reduce_loss_forward(const reduce_loss_forward_args<T>& a) {
  const bool by_weights = a.mode == WEIGHTS || a.mode == WEIGHTS_OR_ONE;
  double loss = 0, weight = 0;
#pragma unroll 4
  for (i64 i = first(); i < a.M; i += stride()) {
    loss += a.losses[i];
    if (by_weights) weight += a.weights[i];
  }
  const double of_block[2] = {block_sum(loss), block_sum(weight)};
  double total[2];
  if (!grid_reduce(of_block, total, Sum(), 0.0) || threadIdx.x != 0) return;
  const bool weighted = a.mode == WEIGHTS || (a.mode == WEIGHTS_OR_ONE && total[1] != 0);
  *a.normaliser = (T)(weighted ? total[1] : a.mode == BATCH ? (double)a.M : 1.0);
  *a.loss = (T)(total[0] / (double)*a.normaliser);
}

template <typename T>
__device__ void reduce_loss_backward(const reduce_loss_backward_args<T>& a) {
  __shared__ T d;
  if (threadIdx.x == 0) d = *a.dloss / *a.normaliser;
  __syncthreads();
  const T value = d;
  map(a.M, [value]() { return value; }, a.dlosses);
}
