// Steps that keep averages of the weights or gradients: schedule-free AdamW, moving averages, accumulation; and Muon's two
// passes.

// h: lr, beta1, beta2, eps, weight_decay, warmup_steps, r, weight_lr_power.
__device__ inline double schedule_free_rate(const double* h, double t) {
  return h[5] != 0 && t < h[5] ? h[0] * (t / h[5]) : h[0];
}

__device__ void schedule_free_weight(const schedule_free_weight_args& a) {
  for (i64 i = first(); i < a.P; i += stride()) {
    double* row = a.average + 3 * i;
    const double t = (double)a.step[i], rate = schedule_free_rate(a.hyper, t);
    const double top = t > 1 && row[1] > rate ? row[1] : rate;
    const double weight = pow(t, a.hyper[6]) * pow(top, a.hyper[7]), total = (t > 1 ? row[0] : 0) + weight;
    row[0] = total;
    row[1] = top;
    row[2] = total != 0 ? weight / total : 0;
  }
}

template <typename T>
__device__ void schedule_free_step(const schedule_free_step_args<T>& a) {
  struct Settings {
    Mean<T> second;
    T eps, weight_decay, share, lr, ahead, root;
    bool first;
  };
  const Settings s = once_a_block([&] {
    const double *h = a.hyper, t = step_of(a), share = a.P ? a.average[2] : 0, rate = schedule_free_rate(h, t);
    return Settings{Mean<T>::of(h[2]),
                    (T)h[3],
                    (T)h[4],
                    (T)share,
                    (T)rate,
                    (T)(rate * (1 - h[1] * (1 - share))),
                    (T)(1 / sqrt(correction(h[2], t))),
                    t == 1};
  });
  for_elements<2>(a.n, a.w, a.z, a.v, a.dw)([=](T& w, T& z, T& v, T g) {
    if (s.first) z = w;
    v = s.second.square(v, g);
    const T d = g / (sqrt(v) * s.root + s.eps) + s.weight_decay * w;
    w = w + s.share * (z - w) - s.ahead * d;
    z -= s.lr * d;
  });
}

template <typename T>
__device__ void lerp(const lerp_args<T>& a) {
  const T weight = once_a_block([&] { return (T)*a.weight; });
  for_elements<2>(a.n, a.x, a.y)([=](T& x, T y) { x = settled(x + weight * (y - x)); });
}

template <typename T>
__device__ void ema_step(const ema_step_args<T>& a) {
  struct Settings {
    Mean<T> mean;
    bool first;
  };
  const Settings s = once_a_block([&] { return Settings{Mean<T>::of(*a.momentum), step_of(a) == 1}; });
  for_elements<2>(a.n, a.average, a.w)([=](T& average, T w) { average = s.first ? settled(w) : s.mean(average, w); });
}

template <typename T>
__device__ void accumulate(const accumulate_args<T>& a) {
  const T share = once_a_block([&] { return (T)*a.share; });
  for_elements<2>(a.n, a.mean, a.x)([=](T& mean, T x) { mean += share * x; });
}

template <typename T>
__device__ void muon_momentum(const muon_momentum_args<T>& a) {
  struct Settings {
    Mean<T> mean;
    bool nesterov;
  };
  const Settings s = once_a_block([&] { return Settings{Mean<T>::of(a.hyper[1]), a.hyper[2] != 0}; });
  for_elements<2>(a.n, a.b, Output<T>{a.u}, a.dw)([=](T& b, T& u, T g) {
    b = s.mean(b, g);
    u = s.nesterov ? s.mean.next(b, g) : b;
  });
}

template <typename T>
__device__ void muon_step(const muon_step_args<T>& a) {
  struct Settings {
    T keep, rate;
  };
  const Settings s = once_a_block([&] {
    const double lr = a.hyper[0];
    return Settings{(T)(1 - lr * a.hyper[3]), (T)(lr * a.scale)};
  });
  for_elements<2>(a.n, a.w, a.u)([=](T& w, T u) { w = s.keep * w - s.rate * u; });
}
