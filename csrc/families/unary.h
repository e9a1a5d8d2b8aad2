// The element-wise functions of Tensor arithmetic, and the common form of the structs in functions.h.
#pragma once
#include "math/vmath.h"

namespace {

// Each struct has a Kind, value(x, p, q) = f(x) and slope(dy, z, y, p, q) = dy f'(z), where y = f(z). p and q are the parameters.
// If saves_z is false, backward does not get z, and slope must not use it.
struct Kind {
  bool saves_z;
  double cost32, cost64;  // rough nanoseconds for an element of float32 and float64
};

template <class T>
struct Exponential {
  static constexpr Kind kind = {false, 0.2, 1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vexp(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return dy * y; }
};

template <class T>
struct Log {
  static constexpr Kind kind = {true, 0.3, 1.2};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vlog(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) { return dy / z; }
};

template <class T>
struct Sqrt {
  static constexpr Kind kind = {false, 0.1, 0.3};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vsqrt<T>(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return dy / (y + y); }
};

template <class T>
struct Abs {
  static constexpr Kind kind = {true, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vabs<T>(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) {
    Vec<T> sign = z > (T)0 ? splat<T>(1) : (z < (T)0 ? splat<T>(-1) : z);  // keeps 0 and NaN
    return dy * sign;
  }
};

template <class T>
struct Clip {
  static constexpr Kind kind = {true, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T q) { return vmin<T>(vmax<T>(x, splat(p)), splat(q)); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T p, T q) {
    return ((z < splat(p)) | (z > splat(q))) ? splat<T>(0) : dy;
  }
};

template <class T>
struct Affine {
  static constexpr Kind kind = {false, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T q) { return p * x + q; }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T>, T p, T) { return dy * p; }
};

template <class T>
struct Power {
  static constexpr Kind kind = {true, 1, 2};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T) { return power(x, p); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T p, T) {
    if (p == 0) return dy * ((T)0 * z);
    return dy * (p * power(z, p - 1));
  }
  // Common exponents, computed without the C library.
  FASTNN_INLINE Vec<T> power(Vec<T> x, T p) {
    if (p == 2) return x * x;
    if (p == 1) return x;
    if (p == (T)0.5) return vsqrt<T>(x);
    if (p == -1) return (T)1 / x;
    return vpow<T>(x, p);
  }
};

template <class T>
struct Erf {
  static constexpr Kind kind = {true, 0.5, 2};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return verf(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) { return dy * ((T)1.12837916709551257390 * vexp(-z * z)); }
};

template <class T>
struct Sin {
  static constexpr Kind kind = {true, 0.45, 1.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T) { return vsin(p * x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T p, T) { return dy * (p * vcos(p * z)); }
};

template <class T>
struct Cos {
  static constexpr Kind kind = {true, 0.45, 1.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vcos(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) { return -dy * vsin(z); }
};

template <class T>
struct Log1p {
  static constexpr Kind kind = {true, 0.3, 1.3};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vlog1p<T>(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) { return dy / ((T)1 + z); }
};

template <class T>
struct Expm1 {
  static constexpr Kind kind = {false, 0.2, 1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vexpm1(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return dy * (y + (T)1); }
};

// Step functions, which have slope 0.
template <class T>
struct Sign {
  static constexpr Kind kind = {false, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return x > (T)0 ? splat<T>(1) : (x < (T)0 ? splat<T>(-1) : x); }
  FASTNN_INLINE Vec<T> slope(Vec<T>, Vec<T>, Vec<T>, T, T) { return splat<T>(0); }
};

template <class T>
struct Floor : Sign<T> {
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) {
    Vec<T> y = vround<T>(x);
    return y > x ? y - (T)1 : y;
  }
};

template <class T>
struct Ceil : Sign<T> {
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) {
    Vec<T> y = vround<T>(x);
    return y < x ? y + (T)1 : y;
  }
};

template <class T>
struct Round : Sign<T> {
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vround<T>(x); }
};

}  // namespace
