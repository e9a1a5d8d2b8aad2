// The activations as kernels of their own, gated and with learned slopes.

template <typename T>
__device__ void activation_forward(const activation_forward_args<T>& a) {
  const T p = a.act.p0, q = a.act.p1;
  map(a.n, [p, q](T x) { return function_forward(x, p, q); }, a.y, a.x);
}

template <typename T>
__device__ void activation_backward(const activation_backward_args<T>& a) {
  const T p = a.act.p0, q = a.act.p1;
  const T* z = Activated::SAVES_Z ? a.x : a.y;
  map(a.n, [p, q](T dy, T z, T y) { return function_backward(dy, z, y, p, q); }, a.dx, a.dy, z, a.y);
}

// f(i, x) for runs of V elements of y (A, C) from i on, where the first half of x (A, 2, C) has the elements from x on.
template <int V, typename F>
__device__ inline void glu_runs(i64 A, i64 C, F f) {
#pragma unroll 1
  for (i64 run = first(); run < A * C / V; run += stride()) {
    const i64 i = run * V;
    f(i, i + quotient(i, C) * C);
  }
}

template <int V, typename T>
__device__ inline void glu_forward_runs(const glu_forward_args<T>& a) {
  const T p = a.act.p0, q = a.act.p1;
  glu_runs<V>(a.A, a.C, [&](i64 i, i64 x) {
    const Run<T, V> value = run_at<T, V>(a.x + x, 0), gate = run_at<T, V>(a.x + x + a.C, 0);
    Run<T, V> y;
#pragma unroll
    for (int v = 0; v < V; ++v) y.value[v] = value.value[v] * function_forward(gate.value[v], p, q);
    run_at<T, V>(a.y + i, 0) = y;
  });
}

template <typename T>
__device__ void glu_forward(const glu_forward_args<T>& a) {
  constexpr int V = Pack<T>::SIZE;
  if (a.C % V == 0 && aligned16(a.y) && aligned16(a.x))
    glu_forward_runs<V>(a);
  else
    glu_forward_runs<1>(a);
}

template <int V, typename T>
__device__ inline void glu_backward_runs(const glu_backward_args<T>& a) {
  const T p = a.act.p0, q = a.act.p1;
  glu_runs<V>(a.A, a.C, [&](i64 i, i64 x) {
    const Run<T, V> value = run_at<T, V>(a.x + x, 0), gate = run_at<T, V>(a.x + x + a.C, 0), dy = run_at<T, V>(a.dy + i, 0);
    Run<T, V> by_value, by_gate;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const T z = gate.value[v], y = function_forward(z, p, q);
      by_value.value[v] = dy.value[v] * y;
      by_gate.value[v] = function_backward(dy.value[v] * value.value[v], z, y, p, q);
    }
    run_at<T, V>(a.dx + x, 0) = by_value;
    run_at<T, V>(a.dx + x + a.C, 0) = by_gate;
  });
}

template <typename T>
__device__ void glu_backward(const glu_backward_args<T>& a) {
  constexpr int V = Pack<T>::SIZE;
  if (a.C % V == 0 && aligned16(a.dx) && aligned16(a.dy) && aligned16(a.x))
    glu_backward_runs<V>(a);
  else
    glu_backward_runs<1>(a);
}

// The slope of element i of a row-major array with a slope for each column, or one for all.
template <typename T>
__device__ inline T slope_at(const T* slope, i64 C, i64 i) {
  return slope[i - quotient(i, C) * C];
}

template <typename T>
__device__ void prelu_forward(const prelu_forward_args<T>& a) {
  for (i64 i = first(); i < a.M * a.N; i += stride()) {
    const T x = a.x[i];
    a.y[i] = x > 0 ? x : slope_at(a.slope, a.C, i) * x;
  }
}

template <typename T>
__device__ void prelu_backward(const prelu_backward_args<T>& a) {
  const auto of = [&](i64 i, i64) {
    const T x = a.x[i], dy = a.dy[i];
    if (a.dx) a.dx[i] = x > 0 ? dy : slope_at(a.slope, a.C, i) * dy;
    return x > 0 ? 0.0 : (double)x * dy;
  };
  const auto write = [&](i64 c, double sum) {
    if (a.dslope) a.dslope[c] = (T)(a.add & 2 ? a.dslope[c] + sum : sum);
  };
  if (a.C == 1)
    fold_all(a.M * a.N, 0.0, Sum(), of, write);
  else
    fold_middle(1, a.M, a.N, 0.0, Sum(), of, write);
}
