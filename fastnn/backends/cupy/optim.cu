// SGD, Adam and clipping over flat buffers, what steps count, and what all optimizers share.

__device__ void advance(const advance_args& a) {
  for (i64 i = first(); i < a.P; i += stride()) a.step[i] += a.by;
}

__device__ void every(const every_args& a) {
  if (first() == 0) *a.flag = *a.count % a.period == 0;
}

__device__ void scheduled(const scheduled_args& a) {
  const i64 column = once_a_block([&] { return *a.count % a.L; });
  for (i64 s = first(); s < a.S; s += stride()) a.hyper[a.slot[s]] = a.table[s * a.L + column];
}

__device__ const i64 FIRST_STEP = 1;

// The number of this step; a call without elements may have none. No branch, in which this load would be waited for before others
// begin: such numbers may lie in the host's memory, far away.
template <typename A>
__device__ inline double step_of(const A& a) {
  return (double)*(a.P ? a.step : &FIRST_STEP);
}

// Weight decay, coupled (g = dw + coupled w) or decoupled (w *= keep).
template <typename T>
struct Decay {
  T coupled, keep;
  static __device__ Decay of(double lr, double weight_decay, double decoupled) {
    if (decoupled != 0) return {(T)0, (T)(1 - lr * weight_decay)};
    return {(T)weight_decay, (T)1};
  }
  __device__ T gradient(T w, T g) const { return coupled != 0 ? g + coupled * w : g; }
};

// Averages below SMALL are stored as 0. Those of squares are at least LEAST.
template <typename T>
constexpr T SMALL = (T)(sizeof(T) == 4 ? 1e-30 : 1e-300);
template <typename T>
constexpr T LEAST = (T)(sizeof(T) == 4 ? 1e-36 : 1e-306);

// An average of gradients, steps or weights, as it is stored.
template <typename T>
__device__ inline T settled(T x) {
  return fabs(x) < SMALL<T> ? (T)0 : x;
}
// An average of squares, as it is stored.
template <typename T>
__device__ inline T held(T x) {
  return fabs(x) < LEAST<T> ? LEAST<T> : x;
}

// A running mean: beta m + (1 - beta) x.
template <typename T>
struct Mean {
  T beta, fresh;
  static __device__ Mean of(double beta) { return {(T)beta, (T)(1 - beta)}; }
  __device__ T next(T m, T x) const { return beta * m + fresh * x; }
  __device__ T operator()(T m, T x) const { return settled(next(m, x)); }
  __device__ T square(T v, T x) const { return held(beta * v + fresh * x * x); }
};

template <typename T>
__device__ void sgd_step(const sgd_step_args<T>& a) {
  struct Settings {
    T lr, momentum, fresh;
    bool nesterov, first;
    Decay<T> decay;
  };
  const Settings s = once_a_block([&] {
    const double* h = a.hyper;
    return Settings{(T)h[0], (T)h[1], (T)(1 - h[2]), h[3] != 0, step_of(a) == 1, Decay<T>::of(h[0], h[4], h[5])};
  });
  if (a.v)
    for_elements<2>(a.n, a.w, a.v, a.dw)([=](T& w, T& v, T g) {
      g = s.decay.gradient(w, g);
      v = settled(s.first ? g : s.momentum * v + s.fresh * g);
      w = s.decay.keep * w - s.lr * (s.nesterov ? g + s.momentum * v : v);
    });
  else
    for_elements<2>(a.n, a.w, a.dw)([=](T& w, T g) { w = s.decay.keep * w - s.lr * s.decay.gradient(w, g); });
}

// What the kin of Adam begin with; the corrections are 1 - beta^t of both means.
template <typename T>
struct Moments {
  Mean<T> first, second;
  T eps;
  Decay<T> decay;
  // h begins with lr, beta1, beta2, eps.
  static __device__ Moments of(const double* h, double weight_decay, double decoupled) {
    return {Mean<T>::of(h[1]), Mean<T>::of(h[2]), (T)h[3], Decay<T>::of(h[0], weight_decay, decoupled)};
  }
};

// 1 - beta^t, where rounding beta^t would cost as many digits as it is near 1.
__device__ inline double correction(double beta, double t) { return -expm1(t * log(beta)); }

// Adam's: the rate over the first correction, and one over the root of the second.
template <typename T>
struct Adam {
  Moments<T> moments;
  T lr, root;
  template <typename A>
  static __device__ Adam of(const A& a) {
    const double *h = a.hyper, t = step_of(a);
    return {Moments<T>::of(h, h[4], h[5]), (T)(h[0] / correction(h[1], t)), (T)(1 / sqrt(correction(h[2], t)))};
  }
};

template <typename T>
__device__ void adam_step(const adam_step_args<T>& a) {
  const Adam<T> s = once_a_block([&] { return Adam<T>::of(a); });
  for_elements<2>(a.n, a.w, a.m, a.v, a.dw)([=](T& w, T& m, T& v, T g) {
    g = s.moments.decay.gradient(w, g);
    m = s.moments.first(m, g);
    v = s.moments.second.square(v, g);
    w = s.moments.decay.keep * w - s.lr * m / (sqrt(v) * s.root + s.moments.eps);
  });
}

template <typename T>
__device__ void sum_squares(const sum_squares_args<T>& a) {
  double sum = 0, total;
  for_elements<4>(a.n, a.x)([&](T x) { sum += (double)x * (double)x; });
  if (grid_sum(block_sum(sum), total) && threadIdx.x == 0) *a.total += total;
}

template <typename T>
__device__ void clip_norm(const clip_norm_args<T>& a) {
  const double scale = once_a_block([&] { return *a.limit / (sqrt(*a.total) + 1e-6); });
  if (!(scale >= 1)) for_elements<4>(a.n, a.x)([=](T& x) { x *= (T)scale; });
}

template <typename T>
__device__ void unit_norm(const unit_norm_args<T>& a) {
  const T norm = once_a_block([&] { return (T)Max()(sqrt(*a.total), *a.eps); });
  for_elements<4>(a.n, a.x)([=](T& x) { x /= norm; });
}

template <typename T>
__device__ void clip_value(const clip_value_args<T>& a) {
  const T bound = once_a_block([&] { return (T)*a.limit; });
  for_elements<4>(a.n, a.x)([=](T& x) { x = Min()(Max()(x, -bound), bound); });
}
