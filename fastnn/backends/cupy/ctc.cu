// Connectionist temporal classification; reference/ctc.py defines it. A block takes a sample, its threads the places of the path.
// All is computed in float64.

__device__ inline double infinite() { return __longlong_as_double(0x7ff0000000000000LL); }

__device__ inline double log_sum(double a, double b, double c) {
  if (a != a || b != b || c != c) return not_a_number<double>();
  const double top = fmax(fmax(a, b), c), from = fabs(top) == infinite() ? 0 : top;
  return log(exp(a - from) + exp(b - from) + exp(c - from)) + from;
}

template <typename T>
struct Path {
  const T* x;  // of the sample: rows are step apart
  const i64* targets;
  i64 step, C, blank, places;

  __device__ i64 class_of(i64 s) const { return s % 2 ? targets[s / 2] : blank; }
  __device__ double log_p(i64 t, i64 c) const { return (u64)c < (u64)C ? (double)x[t * step + c] : not_a_number<double>(); }
  __device__ bool skips(i64 s) const { return s % 2 && s > 2 && s < places && targets[s / 2] != targets[s / 2 - 1]; }
};

template <typename T>
__device__ inline double forward(const Path<T>& path, double* alpha, i64 P, i64 steps) {
  const double none = -infinite();
  for (i64 t = 0; t < steps; ++t) {
    const double* const before = alpha + (t - 1) * P;
    for (i64 s = threadIdx.x; s < path.places; s += THREADS) {
      const double p = path.log_p(t, path.class_of(s));
      if (t == 0)
        alpha[s] = s < 2 ? p : none;
      else
        alpha[t * P + s] = p + log_sum(before[s], s > 0 ? before[s - 1] : none, path.skips(s) ? before[s - 2] : none);
    }
    __syncthreads();
  }
  const double* const last = alpha + (steps - 1) * P + path.places;
  return log_sum(last[-1], path.places > 1 ? last[-2] : none, none);
}

template <typename T>
__device__ inline void backward(const Path<T>& path, double* alpha, T* dx, i64 P, i64 L, i64 steps, double log_p) {
  const double none = -infinite();
  for (i64 t = steps - 1; t >= 0; --t) {
    double* const beta = alpha + (L + t % 2) * P;
    const double *const after = alpha + (L + (t + 1) % 2) * P, *const own = alpha + t * P;
    for (i64 s = threadIdx.x; s < path.places; s += THREADS) {
      const double p = path.log_p(t, path.class_of(s));
      if (t == steps - 1)
        beta[s] = s >= path.places - 2 ? p : none;
      else
        beta[s] = p + log_sum(after[s], s + 1 < path.places ? after[s + 1] : none, path.skips(s + 2) ? after[s + 2] : none);
    }
    __syncthreads();
    // Each thread sums the places of its classes in order, so that the sum is the same every time.
    for (i64 c = threadIdx.x; c < path.C; c += THREADS) {
      double total = 0;
      for (i64 s = 0; s < path.places; ++s)
        if (path.class_of(s) == c && own[s] != none && beta[s] != none) total += exp(own[s] + beta[s] - path.log_p(t, c) - log_p);
      dx[t * path.step + c] = (T)-total;
    }
    __syncthreads();
  }
}

template <typename T>
__device__ void ctc_loss(const ctc_loss_args<T>& a) {
  for (i64 n = blockIdx.x; n < a.N; n += gridDim.x) {
    double* const alpha = a.alpha + n * a.R * a.P;
    for (i64 i = threadIdx.x; i < a.R * a.P; i += THREADS) alpha[i] = -infinite();
    T* const dx = a.dx ? a.dx + n * a.C : nullptr;
    if (dx)
      for (i64 i = threadIdx.x; i < a.L * a.C; i += THREADS) dx[i / a.C * a.N * a.C + i % a.C] = 0;
    __syncthreads();
    const i64 steps = min(max(a.steps[n], 0ll), a.L), labels = min(max(a.labels[n], 0ll), a.S);
    if (steps == 0) {
      if (threadIdx.x == 0) a.loss[n] = labels ? (T)infinite() : (T)0;
      continue;
    }
    const Path<T> path = {a.x + n * a.C, a.targets + n * a.S, a.N * a.C, a.C, a.blank, 2 * labels + 1};
    const double log_p = forward(path, alpha, a.P, steps);
    if (threadIdx.x == 0) a.loss[n] = (T)-log_p;
    if (dx && log_p != -infinite()) backward(path, alpha, dx, a.P, a.L, steps, log_p);
    __syncthreads();
  }
}
