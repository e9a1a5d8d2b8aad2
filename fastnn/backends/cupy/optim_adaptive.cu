// Steps that divide by what a gradient has been: the kin of Adam, RMSprop, Adagrad and Adadelta; and Lion, which looks at its
// sign.

template <typename T>
__device__ void amsgrad_step(const amsgrad_step_args<T>& a) {
  const Adam<T> s = once_a_block([&] { return Adam<T>::of(a); });
  for_elements<2>(a.n, a.w, a.m, a.v, a.top, a.dw)([=](T& w, T& m, T& v, T& top, T g) {
    g = s.moments.decay.gradient(w, g);
    m = s.moments.first(m, g);
    v = s.moments.second.square(v, g);
    top = Max()(top, v);
    w = s.moments.decay.keep * w - s.lr * m / (sqrt(top) * s.root + s.moments.eps);
  });
}

template <typename T>
__device__ void radam_step(const radam_step_args<T>& a) {
  struct Settings {
    Moments<T> moments;
    T lr;
    bool adaptive;
  };
  const Settings s = once_a_block([&] {
    const double *h = a.hyper, t = step_of(a), second = correction(h[2], t);
    const double r = 2 / (1 - h[2]) - 1, rho = r - 2 * t * (1 - second) / second;
    double rate = h[0] / correction(h[1], t);
    if (rho > 5) rate *= sqrt((rho - 4) * (rho - 2) * r / ((r - 4) * (r - 2) * rho) * second);
    return Settings{Moments<T>::of(h, h[4], h[5]), (T)rate, rho > 5};
  });
  for_elements<2>(a.n, a.w, a.m, a.v, a.dw)([=](T& w, T& m, T& v, T g) {
    g = s.moments.decay.gradient(w, g);
    m = s.moments.first(m, g);
    v = s.moments.second.square(v, g);
    const T u = s.lr * m;
    w = s.moments.decay.keep * w - (s.adaptive ? u / (sqrt(v) + s.moments.eps) : u);
  });
}

template <typename T>
__device__ void adamax_step(const adamax_step_args<T>& a) {
  struct Settings {
    Moments<T> moments;
    T lr;
  };
  const Settings s = once_a_block([&] {
    const double* h = a.hyper;
    return Settings{Moments<T>::of(h, h[4], h[5]), (T)(h[0] / correction(h[1], step_of(a)))};
  });
  for_elements<2>(a.n, a.w, a.m, a.u, a.dw)([=](T& w, T& m, T& u, T g) {
    g = s.moments.decay.gradient(w, g);
    m = s.moments.first(m, g);
    u = held(Max()(s.moments.second.beta * u, fabs(g) + s.moments.eps));
    w = s.moments.decay.keep * w - s.lr * m / u;
  });
}

__device__ inline double nadam_mu(const double* h, double t) { return h[1] * (1 - 0.5 * pow(0.96, t * h[4])); }

__device__ void nadam_product(const nadam_product_args& a) {
  for (i64 i = first(); i < a.P; i += stride()) {
    const i64 t = a.step[i];
    a.product[i] = settled((t > 1 ? a.product[i] : 1) * nadam_mu(a.hyper, (double)t));
  }
}

template <typename T>
__device__ void nadam_step(const nadam_step_args<T>& a) {
  struct Settings {
    Moments<T> moments;
    T now, next, root;
  };
  const Settings s = once_a_block([&] {
    const double *h = a.hyper, t = step_of(a), product = a.P ? *a.product : 0;
    const double mu = nadam_mu(h, t), ahead = nadam_mu(h, t + 1);
    return Settings{Moments<T>::of(h, h[5], h[6]), (T)(h[0] * (1 - mu) / (1 - product)),
                    (T)(h[0] * ahead / (1 - product * ahead)), (T)(1 / sqrt(correction(h[2], t)))};
  });
  for_elements<2>(a.n, a.w, a.m, a.v, a.dw)([=](T& w, T& m, T& v, T g) {
    g = s.moments.decay.gradient(w, g);
    m = s.moments.first(m, g);
    v = s.moments.second.square(v, g);
    w = s.moments.decay.keep * w - (s.now * g + s.next * m) / (sqrt(v) * s.root + s.moments.eps);
  });
}

template <typename T>
struct Rmsprop {
  Mean<T> mean;
  T lr, momentum, inside, outside;  // of the two places where eps may stand, one has it and the other 0
  Decay<T> decay;

  // The gradient after weight decay, which v takes in.
  __device__ T gradient(T w, T g, T& v) const {
    g = decay.gradient(w, g);
    v = mean.square(v, g);
    return g;
  }
  // The gradient over the root of such a square.
  __device__ T scaled(T g, T square) const { return g / (sqrt(square + inside) + outside); }
  __device__ T centered(T g, T v, T& average) const {
    average = mean(average, g);
    return scaled(g, Max()(v - average * average, (T)0));
  }
  __device__ void step(T& w, T u) const { w = decay.keep * w - lr * u; }
  __device__ void step(T& w, T u, T& b) const {
    b = settled(momentum * b + u);
    step(w, b);
  }
};

template <typename T>
__device__ void rmsprop_step(const rmsprop_step_args<T>& a) {
  const Rmsprop<T> s = once_a_block([&] {
    const double* h = a.hyper;
    const bool inside = h[4] != 0;
    const T eps = (T)h[2];
    return Rmsprop<T>{Mean<T>::of(h[1]), (T)h[0], (T)h[3], inside ? eps : 0, inside ? 0 : eps, Decay<T>::of(h[0], h[5], h[6])};
  });
  // Several arrays at once are enough in flight; more of each would take four times as long to compile.
  if (a.mean && a.b)
    for_elements<1>(a.n, a.w, a.v, a.mean, a.b, a.dw)([=](T& w, T& v, T& mean, T& b, T g) {
      g = s.gradient(w, g, v);
      s.step(w, s.centered(g, v, mean), b);
    });
  else if (a.mean)
    for_elements<1>(a.n, a.w, a.v, a.mean, a.dw)([=](T& w, T& v, T& mean, T g) {
      g = s.gradient(w, g, v);
      s.step(w, s.centered(g, v, mean));
    });
  else if (a.b)
    for_elements<1>(a.n, a.w, a.v, a.b, a.dw)([=](T& w, T& v, T& b, T g) {
      g = s.gradient(w, g, v);
      s.step(w, s.scaled(g, v), b);
    });
  else
    for_elements<1>(a.n, a.w, a.v, a.dw)([=](T& w, T& v, T g) {
      g = s.gradient(w, g, v);
      s.step(w, s.scaled(g, v));
    });
}

template <typename T>
__device__ void adagrad_step(const adagrad_step_args<T>& a) {
  struct Settings {
    T lr, eps;
    Decay<T> decay;
  };
  const Settings s = once_a_block([&] {
    const double* h = a.hyper;
    return Settings{(T)(h[0] / (1 + (step_of(a) - 1) * h[1])), (T)h[2], Decay<T>::of(h[0], h[3], h[4])};
  });
  for_elements<2>(a.n, a.w, a.s, a.dw)([=](T& w, T& sum, T g) {
    g = s.decay.gradient(w, g);
    sum = held(sum + g * g);
    w = s.decay.keep * w - s.lr * g / (sqrt(sum) + s.eps);
  });
}

template <typename T>
__device__ void adadelta_step(const adadelta_step_args<T>& a) {
  struct Settings {
    Mean<T> mean;
    T lr, eps;
    Decay<T> decay;
  };
  const Settings s = once_a_block([&] {
    const double* h = a.hyper;
    return Settings{Mean<T>::of(h[1]), (T)h[0], (T)h[2], Decay<T>::of(h[0], h[3], h[4])};
  });
  for_elements<2>(a.n, a.w, a.v, a.u, a.dw)([=](T& w, T& v, T& u, T g) {
    g = s.decay.gradient(w, g);
    v = s.mean.square(v, g);
    const T d = sqrt(u + s.eps) / sqrt(v + s.eps) * g;
    u = s.mean.square(u, d);
    w = s.decay.keep * w - s.lr * d;
  });
}

template <typename T>
__device__ void lion_step(const lion_step_args<T>& a) {
  struct Settings {
    Mean<T> direction, mean;
    T lr;
    Decay<T> decay;
  };
  const Settings s = once_a_block([&] {
    const double* h = a.hyper;
    return Settings{Mean<T>::of(h[1]), Mean<T>::of(h[2]), (T)h[0], Decay<T>::of(h[0], h[3], h[4])};
  });
  for_elements<2>(a.n, a.w, a.m, a.dw)([=](T& w, T& m, T g) {
    g = s.decay.gradient(w, g);
    const T d = s.direction.next(m, g);
    w = s.decay.keep * w - s.lr * (d > 0 ? (T)1 : d < 0 ? (T)-1 : d);  // 0 and NaN stay what they are
    m = s.mean.next(m, g);
    if (m != 0) m = copysign(held(m), m);
  });
}
