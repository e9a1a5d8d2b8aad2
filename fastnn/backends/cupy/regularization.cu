// Penalties on weights and activations, and limits on the norms of weights.

// The weights of |x| and of x^2.
struct Penalty {
  double l1, l2;
};

template <typename T>
__device__ void penalty_forward(const penalty_forward_args<T>& a) {
  const Penalty p = once_a_block([&] { return Penalty{a.weights[0], a.weights[1]}; });
  double sum = 0, squares = 0, total;
  for_elements<4>(a.n, a.x)([&](T x) {
    sum += fabs((double)x);
    squares += (double)x * (double)x;
  });
  // A sum whose weight is 0 does not count, even if it is not finite.
  const double value = (p.l1 != 0 ? p.l1 * sum : 0) + (p.l2 != 0 ? p.l2 * squares : 0);
  if (grid_sum(block_sum(value), total) && threadIdx.x == 0) *a.value = (T)total;
}

template <typename T>
__device__ void penalty_backward(const penalty_backward_args<T>& a) {
  struct Settings {
    T one, two;
    bool l1, l2;
  };
  const Settings s = once_a_block([&] {
    const double outer = *a.dvalue, l1 = a.weights[0], l2 = a.weights[1];
    return Settings{(T)(outer * l1), (T)(2 * outer * l2), l1 != 0, l2 != 0};
  });
  const auto slope = [=](T x) {
    const T sign = x > 0 ? (T)1 : x < 0 ? (T)-1 : x;  // 0 and NaN stay what they are
    return (s.l1 ? s.one * sign : 0) + (s.l2 ? s.two * x : 0);
  };
  if (a.add)
    for_elements<4>(a.n, a.dx, a.x)([=](T& dx, T x) { dx += slope(x); });
  else
    for_elements<4>(a.n, Output<T>{a.dx}, a.x)([=](T& dx, T x) { dx = slope(x); });
}

template <typename T>
__device__ void limit_norms(const limit_norms_args<T>& a) {
  struct Limits {
    double low, high, rate;
  };
  const Limits limits = once_a_block([&] { return Limits{a.limits[0], a.limits[1], a.limits[2]}; });
  const Strip strip(a.C);
  for (i64 k = blockIdx.x; k < a.A * strip.count; k += gridDim.x) {
    const i64 c = k % strip.count * strip.width + strip.column, rows = c < a.C ? a.B : 0;
    T* const w = a.w + k / strip.count * a.B * a.C + c;
    double squares = 0;
    for (i64 b = strip.part; b < rows; b += strip.parts) squares += (double)w[b * a.C] * (double)w[b * a.C];
    const double norm = sqrt(strip.sum(squares));
    double wanted = norm < limits.low ? limits.low : norm > limits.high ? limits.high : norm;
    if (limits.rate != 1) wanted = limits.rate * wanted + (1 - limits.rate) * norm;
    const T factor = (T)(wanted / (norm + 1e-7));
    for (i64 b = strip.part; b < rows; b += strip.parts) w[b * a.C] *= factor;
  }
}
