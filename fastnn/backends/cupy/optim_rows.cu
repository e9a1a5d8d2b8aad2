// Adam for tables in which few rows have a gradient. A block takes a row at a time.

template <typename T>
__device__ void adam_rows_step(const adam_rows_step_args<T>& a) {
  if (a.B == 0) return;
  const Adam<T> s = once_a_block([&] { return Adam<T>::of(a); });
  const bool later = step_of(a) > 1;
  const T keep = s.moments.decay.keep;
  for (i64 b = blockIdx.x; b < a.B; b += gridDim.x) {
    const bool touched = a.touched[b], seen = a.seen[b];
    __syncthreads();
    if (!seen && !touched && s.moments.decay.coupled == 0) {
      if (keep != 1)
        for (i64 i = b * a.C + threadIdx.x; i < (b + 1) * a.C; i += THREADS) a.w[i] *= keep;
      continue;
    }
    if (threadIdx.x == 0) a.seen[b] = true;
    for (i64 i = b * a.C + threadIdx.x; i < (b + 1) * a.C; i += THREADS) {
      const T w = a.w[i], v = a.v[i], g = s.moments.decay.gradient(w, touched ? a.dw[i] : (T)0);
      const T m = s.moments.first(a.m[i], g), next = s.moments.second.square(!seen && later ? held(v) : v, g);
      a.m[i] = m;
      a.v[i] = next;
      a.w[i] = keep * w - s.lr * m / (sqrt(next) * s.root + s.moments.eps);
    }
  }
}

template <typename T>
__device__ void sparse_adam_step(const sparse_adam_step_args<T>& a) {
  struct Settings {
    T fresh1, fresh2, eps, lr;
  };
  if (a.B == 0) return;
  const Settings s = once_a_block([&] {
    const double *h = a.hyper, t = step_of(a);
    const double lr = h[0] * sqrt(correction(h[2], t)) / correction(h[1], t);
    return Settings{(T)(1 - h[1]), (T)(1 - h[2]), (T)h[3], (T)lr};
  });
  for (i64 b = blockIdx.x; b < a.B; b += gridDim.x) {
    if (!a.touched[b]) continue;
    for (i64 i = b * a.C + threadIdx.x; i < (b + 1) * a.C; i += THREADS) {
      const T g = a.dw[i], m0 = a.m[i], v0 = a.v[i];
      const T m = settled(m0 + s.fresh1 * (g - m0)), v = held(v0 + s.fresh2 * (g * g - v0));
      a.m[i] = m;
      a.v[i] = v;
      a.w[i] -= s.lr * m / (sqrt(v) + s.eps);
    }
  }
}
