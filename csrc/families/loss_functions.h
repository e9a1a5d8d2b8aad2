// The losses of one element, for pointwise_loss.h.
//
// To add a loss, add a line to spec.POINTWISE_LOSSES, a struct here, and its name to AllLosses.
#pragma once
#include "math/vmath.h"

namespace {

template <class T>
FASTNN_INLINE Vec<T> vsign(Vec<T> x) {
  return x > (T)0 ? splat<T>(1) : (x < (T)0 ? splat<T>(-1) : x);  // keeps 0 and NaN
}
template <class T>
FASTNN_INLINE Vec<T> vpositive(Vec<T> x) {
  return vmax<T>(x, splat<T>(0));
}

// Rough nanoseconds for an element of float32 and float64. They determine whether all workers share a call.
struct Cost {
  double four, eight;
};

// Each struct has `cost`; value(x, t, q, p, r), the loss of a prediction x and a target t; and slope(x, t, q, p, r), the
// derivative by x. p and r are the parameters, and q is the number for the column, or 1.
template <class T>
struct SquaredError {
  static constexpr Cost cost = {0.1, 0.2};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T, T) { return (x - t) * (x - t); }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T, T) { return (T)2 * (x - t); }
};

template <class T>
struct AbsoluteError {
  static constexpr Cost cost = {0.1, 0.2};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T, T) { return vabs<T>(x - t); }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T, T) { return vsign<T>(x - t); }
};

template <class T>
struct Huber {
  static constexpr Cost cost = {0.1, 0.2};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T p, T r) {
    Vec<T> a = vabs<T>(x - t), inside = (T)0.5 * a * a, outside = p * (a - (T)0.5 * p);
    return r * (a <= splat<T>(p) ? inside : outside);
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T p, T r) {
    return r * vmin<T>(vmax<T>(x - t, splat<T>(-p)), splat<T>(p));
  }
};

template <class T>
struct LogCosh {
  static constexpr Cost cost = {0.6, 4};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T, T) {
    Vec<T> a = vabs<T>(x - t), th = vtanh(a);
    Vec<T> near = (T)-0.5 * vlog1p<T>(-(th * th)), far = a + log1p_exp_neg<T>(a + a) - (T)0.69314718055994530942;
    return a < (T)1 ? near : far;  // the second form has cancellation near 0
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T, T) { return vtanh(x - t); }
};

template <class T>
struct Quantile {
  static constexpr Cost cost = {0.1, 0.2};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T> q, T p, T) {
    Vec<T> e = t - x;
    return e >= (T)0 ? p * q * e : (p * q - (T)1) * e;
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T> q, T p, T) {
    Vec<T> e = t - x;
    return e > (T)0 ? -(p * q) : (e < (T)0 ? (T)1 - p * q : e);
  }
};

template <class T>
struct PercentageError {
  static constexpr Cost cost = {0.2, 0.4};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T p, T) {
    return (T)100 * vabs<T>(x - t) / vmax<T>(vabs<T>(t), splat<T>(p));
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T p, T) {
    return (T)100 * vsign<T>(x - t) / vmax<T>(vabs<T>(t), splat<T>(p));
  }
};

template <class T>
struct SquaredLogError {
  static constexpr Cost cost = {0.8, 3};
  FASTNN_INLINE Vec<T> difference(Vec<T> x, Vec<T> t, T p) {
    return vlog1p<T>(vmax<T>(x, splat<T>(p))) - vlog1p<T>(vmax<T>(t, splat<T>(p)));
  }
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T p, T) {
    Vec<T> d = difference(x, t, p);
    return d * d;
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T p, T) {
    Vec<T> d = (T)2 * difference(x, t, p) / ((T)1 + x);
    return x <= splat<T>(p) ? splat<T>(0) : d;
  }
};

// Stirling's approximation of log(t!), for t > 1.
template <class T>
FASTNN_INLINE Vec<T> stirling(Vec<T> t, T full) {
  if (full == 0) return splat<T>(0);
  Vec<T> y = t * vlog(t) - t + (T)0.5 * vlog((T)6.28318530717958647693 * t);
  return t <= (T)1 ? splat<T>(0) : y;
}

template <class T>
struct Poisson {
  static constexpr Cost cost = {0.3, 1.3};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T p, T r) { return x - t * vlog(x + p) + stirling<T>(t, r); }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T p, T) { return (T)1 - t / (x + p); }
};

template <class T>
struct PoissonLog {
  static constexpr Cost cost = {0.3, 1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T, T r) { return vexp(x) - t * x + stirling<T>(t, r); }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T, T) { return vexp(x) - t; }
};

template <class T>
struct Tweedie {
  static constexpr Cost cost = {5, 20};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T p, T r) {
    Vec<T> mu = r != 0 ? vexp(x) : x;
    if (p == 0) return (mu - t) * (mu - t);
    Vec<T> log_mu = r != 0 ? x : vlog(x);
    if (p == 1) {
      Vec<T> log_ratio = t * (vlog(t) - log_mu);
      return (T)2 * ((t == splat<T>(0) ? splat<T>(0) : log_ratio) - t + mu);
    }
    if (p == 2) return (T)2 * (log_mu - vlog(t) + t * vexp(-log_mu) - (T)1);
    const T a = 1 - p, b = 2 - p;
    const Vec<T> count = vpositive<T>(t) + (T)0;  // removes the sign of -0, because a power of -0 may be -infinity
    return (T)2 * (vpow<T>(count, b) / (a * b) - t * vexp(a * log_mu) / a + vexp(b * log_mu) / b);
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T p, T r) {
    if (r != 0) return (T)2 * (vexp((2 - p) * x) - t * vexp((1 - p) * x));
    return p != 0 ? (T)2 * (x - t) * vexp(-p * vlog(x)) : (T)2 * (x - t);
  }
};

template <class T>
struct SigmoidCrossEntropy {
  static constexpr Cost cost = {0.6, 2.5};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T> q, T p, T) {
    Vec<T> u = ((T)1 - p) * t + (T)0.5 * p, one = ((T)1 - u) * vpositive<T>(x), other = q * u * vpositive<T>(-x);
    return one + other + ((T)1 + (q - (T)1) * u) * log1p_exp_neg<T>(x);
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T> q, T p, T) {
    Vec<T> u = ((T)1 - p) * t + (T)0.5 * p;
    return ((T)1 + (q - (T)1) * u) * vsigmoid<T>(x) - q * u;
  }
};

template <class T>
struct BinaryCrossEntropy {
  static constexpr Cost cost = {0.7, 2.5};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T, T) {
    const Vec<T> lowest = splat<T>(-100);
    return -t * vmax<T>(vlog(x), lowest) - ((T)1 - t) * vmax<T>(vlog1p<T>(-x), lowest);
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T, T) { return (x - t) / vmax<T>(((T)1 - x) * x, splat<T>((T)1e-12)); }
};

template <class T>
struct BinaryFocal {
  static constexpr Cost cost = {1, 6};
  FASTNN_INLINE Vec<T> power(Vec<T> x, T p) { return p == 2 ? x * x : vpow<T>(x, p); }
  FASTNN_INLINE Vec<T> weight(Vec<T> t, T r) { return r < 0 ? splat<T>(1) : t * r + ((T)1 - t) * ((T)1 - r); }
  FASTNN_INLINE Vec<T> entropy(Vec<T> x, Vec<T> t) { return SigmoidCrossEntropy<T>::value(x, t, splat<T>(1), 0, 0); }
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T p, T r) {
    Vec<T> wrong = t * vsigmoid<T>(-x) + ((T)1 - t) * vsigmoid<T>(x);
    return weight(t, r) * power(wrong, p) * entropy(x, t);
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T p, T r) {
    Vec<T> s = vsigmoid<T>(x), other = vsigmoid<T>(-x), wrong = t * other + ((T)1 - t) * s;
    Vec<T> ratio = s * other / wrong;
    ratio = wrong == splat<T>(0) ? splat<T>(1) : ratio;
    return weight(t, r) * power(wrong, p) * (p * ((T)1 - (T)2 * t) * ratio * entropy(x, t) + s - t);
  }
};

template <class T>
struct KlDivergence {
  static constexpr Cost cost = {0.4, 1.5};
  FASTNN_INLINE Vec<T> clipped(Vec<T> x, T p) { return vmin<T>(vmax<T>(x, splat<T>(p)), splat<T>(1)); }
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T p, T r) {
    Vec<T> u = clipped(t, p);
    return r * u * vlog(u / clipped(x, p));
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T p, T r) {
    return ((x < splat<T>(p)) | (x > (T)1)) ? splat<T>(0) : -r * clipped(t, p) / x;
  }
};

template <class T>
struct KlLog {
  static constexpr Cost cost = {0.3, 1.3};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T p, T) {
    if (p != 0) return vexp(t) * (t - x);
    Vec<T> y = t * (vlog(t) - x);
    return t == splat<T>(0) ? splat<T>(0) : y;
  }
  FASTNN_INLINE Vec<T> slope(Vec<T>, Vec<T> t, Vec<T>, T p, T) { return p != 0 ? -vexp(t) : -t; }
};

template <class T>
struct Hinge {
  static constexpr Cost cost = {0.1, 0.2};
  FASTNN_INLINE Vec<T> sign(Vec<T> t, T r) { return r != 0 ? (t == splat<T>(0) ? splat<T>(-1) : t) : t; }
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T p, T r) { return vpositive<T>(p - sign(t, r) * x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T p, T r) {
    Vec<T> s = sign(t, r);
    return p - s * x <= (T)0 ? splat<T>(0) : -s;
  }
};

template <class T>
struct SquaredHinge {
  static constexpr Cost cost = {0.1, 0.2};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T> q, T p, T r) {
    Vec<T> h = Hinge<T>::value(x, t, q, p, r);
    return h * h;
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T> q, T p, T r) {
    return (T)-2 * Hinge<T>::sign(t, r) * Hinge<T>::value(x, t, q, p, r);
  }
};

template <class T>
struct HingeEmbedding {
  static constexpr Cost cost = {0.1, 0.2};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T p, T) {
    Vec<T> beyond = vpositive<T>(p - x);
    return (t == splat<T>(-1) ? splat<T>(0) : x) + (t == splat<T>(1) ? splat<T>(0) : beyond);
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T p, T) {
    return (t == splat<T>(-1) ? splat<T>(0) : splat<T>(1)) -
           (((t == splat<T>(1)) | (x >= splat<T>(p))) ? splat<T>(0) : splat<T>(1));
  }
};

template <class T>
struct SoftMargin {
  static constexpr Cost cost = {0.6, 2.5};
  FASTNN_INLINE Vec<T> value(Vec<T> x, Vec<T> t, Vec<T>, T, T) {
    Vec<T> z = -t * x;
    return log1p_exp_neg<T>(z) + vpositive<T>(z);
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> x, Vec<T> t, Vec<T>, T, T) { return -t * vsigmoid<T>(-t * x); }
};

template <template <class> class... F>
struct LossList {};

// In the order of spec.POINTWISE_LOSSES.
using AllLosses = LossList<SquaredError, AbsoluteError, Huber, LogCosh, Quantile, PercentageError, SquaredLogError, Poisson,
                           PoissonLog, Tweedie, SigmoidCrossEntropy, BinaryCrossEntropy, BinaryFocal, KlDivergence, KlLog, Hinge,
                           SquaredHinge, HingeEmbedding, SoftMargin>;

}  // namespace
