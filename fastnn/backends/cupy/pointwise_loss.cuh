// Losses of each element; fastnn/backends/reference/pointwise_loss.py says what each of them is.
//
// Each struct has value(x, t, q, p, r), the loss of a prediction x and a target t, and slope of the same, its derivative by x; p
// and r are the parameters, q the number of the column or 1. To add one: a line in spec.POINTWISE_LOSSES, and here a struct and
// its name in the list at the end.

#define VALUE           \
  template <typename T> \
  __device__ static T value
#define SLOPE           \
  template <typename T> \
  __device__ static T slope

struct SquaredError {
  VALUE(T x, T t, T, T, T) { return square(x - t); }
  SLOPE(T x, T t, T, T, T) { return 2 * (x - t); }
};

struct AbsoluteError {
  VALUE(T x, T t, T, T, T) { return fabs(x - t); }
  SLOPE(T x, T t, T, T, T) { return sign_of(x - t); }
};

struct Huber {
  VALUE(T x, T t, T, T p, T r) {
    const T a = fabs(x - t);
    return r * (a <= p ? T(0.5) * a * a : p * (a - T(0.5) * p));
  }
  SLOPE(T x, T t, T, T p, T r) { return r * clipped(x - t, -p, p); }
};

struct LogCosh {
  VALUE(T x, T t, T, T, T) {
    const T a = fabs(x - t);  // the second form cancels near 0
    return a < 1 ? T(-0.5) * log1p(-square(tanh(a))) : a + log1p_exp_neg(a + a) - T(0.69314718055994530942);
  }
  SLOPE(T x, T t, T, T, T) { return tanh(x - t); }
};

struct Quantile {
  VALUE(T x, T t, T q, T p, T) {
    const T e = t - x;
    return e >= 0 ? p * q * e : (p * q - 1) * e;
  }
  SLOPE(T x, T t, T q, T p, T) {
    const T e = t - x;
    return e > 0 ? -(p * q) : e < 0 ? 1 - p * q : e;
  }
};

struct PercentageError {
  VALUE(T x, T t, T, T p, T) { return 100 * fabs(x - t) / larger(fabs(t), p); }
  SLOPE(T x, T t, T, T p, T) { return 100 * sign_of(x - t) / larger(fabs(t), p); }
};

struct SquaredLogError {
  template <typename T>
  __device__ static T difference(T x, T t, T p) {
    return log1p(larger(x, p)) - log1p(larger(t, p));
  }
  VALUE(T x, T t, T, T p, T) { return square(difference(x, t, p)); }
  SLOPE(T x, T t, T, T p, T) { return x <= p ? T(0) : 2 * difference(x, t, p) / (1 + x); }
};

// Stirling's log(t!), for t > 1.
template <typename T>
__device__ inline T stirling(T t, T full) {
  return full == 0 || t <= 1 ? T(0) : t * log(t) - t + T(0.5) * log(T(6.28318530717958647693) * t);
}

struct Poisson {
  VALUE(T x, T t, T, T p, T r) { return x - t * log(x + p) + stirling(t, r); }
  SLOPE(T x, T t, T, T p, T) { return 1 - t / (x + p); }
};

struct PoissonLog {
  VALUE(T x, T t, T, T, T r) { return exp(x) - t * x + stirling(t, r); }
  SLOPE(T x, T t, T, T, T) { return exp(x) - t; }
};

struct Tweedie {
  VALUE(T x, T t, T, T p, T r) {
    const T mu = r != 0 ? exp(x) : x;
    if (p == 0) return square(mu - t);
    const T log_mu = r != 0 ? x : log(x);
    if (p == 1) return 2 * ((t == 0 ? T(0) : t * (log(t) - log_mu)) - t + mu);
    if (p == 2) return 2 * (log_mu - log(t) + t * exp(-log_mu) - 1);
    const T a = 1 - p, b = 2 - p;
    const T count = positive(t) + 0;  // without the sign of -0, of which a power may be -infinity
    return 2 * (pow(count, b) / (a * b) - t * exp(a * log_mu) / a + exp(b * log_mu) / b);
  }
  SLOPE(T x, T t, T, T p, T r) {
    if (r != 0) return 2 * (exp((2 - p) * x) - t * exp((1 - p) * x));
    return p != 0 ? 2 * (x - t) * exp(-p * log(x)) : 2 * (x - t);
  }
};

struct SigmoidCrossEntropy {
  VALUE(T x, T t, T q, T p, T) {
    const T u = (1 - p) * t + T(0.5) * p;
    return (1 - u) * positive(x) + q * u * positive(-x) + (1 + (q - 1) * u) * log1p_exp_neg(x);
  }
  SLOPE(T x, T t, T q, T p, T) {
    const T u = (1 - p) * t + T(0.5) * p;
    return (1 + (q - 1) * u) * sigmoid(x) - q * u;
  }
};

struct BinaryCrossEntropy {
  VALUE(T x, T t, T, T, T) { return -t * larger(log(x), T(-100)) - (1 - t) * larger(log1p(-x), T(-100)); }
  SLOPE(T x, T t, T, T, T) { return (x - t) / larger((1 - x) * x, T(1e-12)); }
};

struct BinaryFocal {
  template <typename T>
  __device__ static T power(T x, T p) {
    return p == 2 ? x * x : pow(x, p);
  }
  template <typename T>
  __device__ static T weight(T t, T r) {
    return r < 0 ? T(1) : t * r + (1 - t) * (1 - r);
  }
  template <typename T>
  __device__ static T entropy(T x, T t) {
    return SigmoidCrossEntropy::value(x, t, T(1), T(0), T(0));
  }
  VALUE(T x, T t, T, T p, T r) {
    const T wrong = t * sigmoid(-x) + (1 - t) * sigmoid(x);
    return weight(t, r) * power(wrong, p) * entropy(x, t);
  }
  SLOPE(T x, T t, T, T p, T r) {
    const T s = sigmoid(x), other = sigmoid(-x), wrong = t * other + (1 - t) * s;
    const T ratio = wrong == 0 ? T(1) : s * other / wrong;  // where wrong is 0, the other factor is 1
    return weight(t, r) * power(wrong, p) * (p * (1 - 2 * t) * ratio * entropy(x, t) + s - t);
  }
};

struct KlDivergence {
  VALUE(T x, T t, T, T p, T r) {
    const T u = clipped(t, p, T(1));
    return r * u * log(u / clipped(x, p, T(1)));
  }
  SLOPE(T x, T t, T, T p, T r) { return x < p || x > 1 ? T(0) : -r * clipped(t, p, T(1)) / x; }
};

struct KlLog {
  VALUE(T x, T t, T, T p, T) {
    if (p != 0) return exp(t) * (t - x);
    return t == 0 ? T(0) : t * (log(t) - x);
  }
  SLOPE(T, T t, T, T p, T) { return p != 0 ? -exp(t) : -t; }
};

struct Hinge {
  template <typename T>
  __device__ static T sign(T t, T r) {
    return r != 0 && t == 0 ? T(-1) : t;
  }
  VALUE(T x, T t, T, T p, T r) { return positive(p - sign(t, r) * x); }
  SLOPE(T x, T t, T, T p, T r) {
    const T s = sign(t, r);
    return p - s * x <= 0 ? T(0) : -s;
  }
};

struct SquaredHinge {
  VALUE(T x, T t, T q, T p, T r) { return square(Hinge::value(x, t, q, p, r)); }
  SLOPE(T x, T t, T q, T p, T r) { return -2 * Hinge::sign(t, r) * Hinge::value(x, t, q, p, r); }
};

struct HingeEmbedding {
  VALUE(T x, T t, T, T p, T) { return (t == -1 ? T(0) : x) + (t == 1 ? T(0) : positive(p - x)); }
  SLOPE(T x, T t, T, T p, T) { return (t == -1 ? T(0) : T(1)) - (t == 1 || x >= p ? T(0) : T(1)); }
};

struct SoftMargin {
  VALUE(T x, T t, T, T, T) { return log1p_exp_neg(t * x) + positive(-t * x); }
  SLOPE(T x, T t, T, T, T) { return -t * sigmoid(-t * x); }
};

#undef VALUE
#undef SLOPE

// The loss of this program, in the order of spec.POINTWISE_LOSSES; the first where it has none.
using Lost = typename Pick<(FUNCTION < 0 ? 0 : FUNCTION), SquaredError, AbsoluteError, Huber, LogCosh, Quantile, PercentageError,
                           SquaredLogError, Poisson, PoissonLog, Tweedie, SigmoidCrossEntropy, BinaryCrossEntropy, BinaryFocal,
                           KlDivergence, KlLog, Hinge, SquaredHinge, HingeEmbedding, SoftMargin>::Type;

// A row of weight 0 counts for nothing, even where its loss is infinite.
template <typename T>
__device__ inline T weighted(T weight, T value) {
  return weight == 0 ? T(0) : weight * value;
}

// The weight of a row, or the number of a column, where there are some.
template <typename T>
__device__ inline T or_one(const T* array, i64 i) {
  return array ? array[i] : T(1);
}

template <typename T>
__device__ void pointwise_loss_forward(const pointwise_loss_forward_args<T>& a) {
  const T p = a.fn.p0, r = a.fn.p1;
  for_rows_once(a.M, a.N, [&](auto shape, i64 row) {
    using S = decltype(shape);
    const T *x = a.pred + row * a.N, *t = a.target + row * a.N;
    T sum = 0;
    S::each(a.N, [&](int, i64 i) { sum += Lost::value(x[i], t[i], or_one(a.column, i), p, r); });
    sum = S::sum(sum);
    if (S::rank() == 0) a.losses[row] = weighted(or_one(a.sample_weight, row), sum / (T)a.N);
  });
}

template <typename T>
__device__ void pointwise_loss_backward(const pointwise_loss_backward_args<T>& a) {
  const T p = a.fn.p0, r = a.fn.p1;
  for_rows_once(a.M, a.N, [&](auto shape, i64 row) {
    const T *x = a.pred + row * a.N, *t = a.target + row * a.N;
    const T w = or_one(a.sample_weight, row), d = a.dlosses[row] / (T)a.N;
    shape.each(a.N,
               [&](int, i64 i) { a.dpred[row * a.N + i] = weighted(w, d * Lost::slope(x[i], t[i], or_one(a.column, i), p, r)); });
  });
}
