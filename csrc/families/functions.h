// The element-wise functions and their derivatives. families/activation.cpp makes the table of activation.h from these structs,
// once for each ISA. unary.h describes the members of a struct.
//
// To add a function, add a line to spec.ACTIVATIONS, a struct here, and its name to AllFunctions.
#pragma once
#include "families/activation.h"
#include "families/unary.h"

namespace {

template <class T>
struct Linear {
  static constexpr Kind kind = {false, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return x; }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T>, T, T) { return dy; }
};

template <class T>
struct Relu {
  static constexpr Kind kind = {false, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vmax<T>(x, splat<T>(0)); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return y <= (T)0 ? splat<T>(0) : dy; }
};

template <class T>
struct LeakyRelu {
  static constexpr Kind kind = {true, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T) { return x > (T)0 ? x : p * x; }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T p, T) { return z > (T)0 ? dy : p * dy; }
};

// Saves z for the losses on logits. Its slope needs only y.
template <class T>
struct Sigmoid {
  static constexpr Kind kind = {true, 0.2, 1.2};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vsigmoid<T>(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return dy * y * ((T)1 - y); }
};

template <class T>
struct Tanh {
  static constexpr Kind kind = {false, 0.2, 1.3};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vtanh(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return dy * ((T)1 - y * y); }
};

// In both gelus, f(-inf) and the second term of the slope at +-inf are limits, because the formulas give infinity times 0.
template <class T>
struct Gelu {
  static constexpr Kind kind = {true, 0.4, 2.5};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) {
    Vec<T> e, y = x * normal_cdf(x, e);
    return x == splat<T>(-(T)__builtin_inf()) ? splat<T>(0) : y;
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) {
    Vec<T> e, cdf = normal_cdf(z, e), rest = z * e * (T)0.39894228040143267794;
    return dy * (cdf + (vabs<T>(z) == splat<T>((T)__builtin_inf()) ? splat<T>(0) : rest));
  }
};

// x s(2u), where u = sqrt(2 / pi) (x + 0.044715 x^3) and s is the sigmoid: the same as x/2 (1 + tanh u).
template <class T>
struct GeluTanh {
  static constexpr Kind kind = {true, 0.3, 1.2};
  static constexpr T k = (T)1.59576912160573071176;  // 2 sqrt(2 / pi)
  FASTNN_INLINE Vec<T> two_u(Vec<T> x) { return k * (x + (T)0.044715 * (x * x * x)); }
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) {
    Vec<T> y = x / ((T)1 + vexp(-two_u(x)));
    return x == splat<T>(-(T)__builtin_inf()) ? splat<T>(0) : y;
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) {
    z = vmin<T>(vmax<T>(z, splat<T>(-100)), splat<T>(100));  // beyond, the second term is 0; z^2 must not overflow
    Vec<T> e = vexp(-two_u(z)), g = (T)1 / ((T)1 + e);
    Vec<T> other = e > (T)1 ? (T)1 - g : g * e;  // 1 - s without cancellation, as its factor is large
    return dy * (g + z * g * other * (k * ((T)1 + (T)0.134145 * (z * z))));
  }
};

template <class T>
struct HardTanh {
  static constexpr Kind kind = {false, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T q) { return vmin<T>(vmax<T>(x, splat(p)), splat(q)); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T p, T q) {
    return ((y <= splat(p)) | (y >= splat(q))) ? splat<T>(0) : dy;
  }
};

template <class T>
struct ReluSquared {
  static constexpr Kind kind = {true, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) {
    Vec<T> y = vmax<T>(x, splat<T>(0));
    return y * y;
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) { return dy * ((T)2 * vmax<T>(z, splat<T>(0))); }
};

template <class T>
struct Elu {
  static constexpr Kind kind = {true, 0.2, 1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T) { return x > (T)0 ? x : p * vexpm1(vmin<T>(x, splat<T>(0))); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T p, T) {
    return z > (T)0 ? dy : dy * (p * vexp(vmin<T>(z, splat<T>(0))));
  }
};

template <class T>
struct Selu {
  static constexpr Kind kind = {false, 0.2, 1};
  static constexpr T scale = (T)1.05070098735548049342, scaled_alpha = (T)1.75809934084737657;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return x > (T)0 ? scale * x : scaled_alpha * vexpm1(vmin<T>(x, splat<T>(0))); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return dy * (y > (T)0 ? splat(scale) : y + scaled_alpha); }
};

template <class T>
struct Celu {
  static constexpr Kind kind = {false, 0.2, 1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T) { return x > (T)0 ? x : p * vexpm1(vmin<T>(x, splat<T>(0)) / p); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T p, T) { return y > (T)0 ? dy : dy * (y / p + (T)1); }
};

// x s(u) with u = p x and the sigmoid s. The limits at -infinity are 0, where the formulas give infinity times 0.
template <class T>
struct Silu {
  static constexpr Kind kind = {true, 0.3, 1.2};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T) {
    Vec<T> u = p * x, y;
    Vec<T> below = vexp_times<T>(-vabs<T>(u), [&](Vec<T> e) { return y = x / ((T)1 + e); });
    return u < (T)0 ? below : y;
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T p, T) {
    Vec<T> u = p * z, a = vabs<T>(u), e = vexp(-a), d = (T)1 / ((T)1 + e);
    Vec<T> s = u < (T)0 ? e * d : d;
    return dy * (s + (a == splat<T>((T)__builtin_inf()) ? splat<T>(0) : u * (e * d * d)));
  }
};

template <class T>
struct HardSilu {
  static constexpr Kind kind = {true, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) {
    return x <= (T)-3 ? splat<T>(0) : (x >= (T)3 ? x : x * (x + (T)3) * (T)(1.0 / 6));
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) {
    return z <= (T)-3 ? splat<T>(0) : (z >= (T)3 ? dy : dy * (z * (T)(1.0 / 3) + (T)0.5));
  }
};

template <class T>
struct HardSigmoid {
  static constexpr Kind kind = {false, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vmin<T>(vmax<T>(x + (T)3, splat<T>(0)), splat<T>(6)) * (T)(1.0 / 6); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) {
    return ((y <= (T)0) | (y >= (T)1)) ? splat<T>(0) : dy * (T)(1.0 / 6);
  }
};

template <class T>
struct LogSigmoid {
  static constexpr Kind kind = {false, 0.4, 2.5};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vmin<T>(x, splat<T>(0)) - log1p_exp_neg<T>(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return -dy * vexpm1(y); }
};

// tanh(softplus(x)) = n / (n + 2) with n = e^x (e^x + 2). It is 1 for x >= kOne.
template <class T>
struct Mish {
  static constexpr Kind kind = {true, 0.4, 1.3};
  static constexpr T kOne = sizeof(T) == 4 ? 20 : 40;
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) {
    // e^x x (e^x + 2) / (n + 2). The quotient is 1 - e^x (e^x + 1) / (n + 2), which has a smaller rounding error for small e^x.
    return vexp_times<T>(vmin<T>(x, splat(kOne)), [&](Vec<T> e) {
      const Vec<T> d = e * (e + (T)2) + (T)2;
      return x * (x > (T)-1 ? (e + (T)2) / d : (T)1 - e * (e + (T)1) / d);
    });
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) {
    z = vmin<T>(z, splat(kOne));
    Vec<T> e = vexp(z), n = e * (e + (T)2), d = (T)1 / (n + (T)2);
    Vec<T> rest = z * ((T)4 * e * (e + (T)1) * d * d);
    return dy * (n * d + (z == splat<T>(-(T)__builtin_inf()) ? splat<T>(0) : rest));
  }
};

template <class T>
struct TanhShrink {
  static constexpr Kind kind = {true, 0.2, 1.3};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return x - vtanh(x); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) {
    Vec<T> t = vtanh(z);
    return dy * (t * t);
  }
};

template <class T>
struct HardShrink {
  static constexpr Kind kind = {false, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T) { return vabs<T>(x) <= p ? splat<T>(0) : x; }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) { return y == splat<T>(0) ? splat<T>(0) : dy; }
};

template <class T>
struct SoftShrink : HardShrink<T> {
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T) { return vabs<T>(x) <= p ? splat<T>(0) : x - with_sign<T>(splat(p), x); }
};

template <class T>
struct Softplus {
  static constexpr Kind kind = {true, 0.4, 2.5};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T q) {
    Vec<T> u = p * x;
    return u > q ? x : (vmax<T>(u, splat<T>(0)) + log1p_exp_neg<T>(u)) / p;
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T p, T q) {
    Vec<T> u = p * z;
    return u > q ? dy : dy * vsigmoid<T>(u);
  }
};

template <class T>
struct Softsign {
  static constexpr Kind kind = {true, 0.1, 0.3};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) {
    Vec<T> a = vabs<T>(x);
    return a == splat<T>((T)__builtin_inf()) ? with_sign<T>(splat<T>(1), x) : x / ((T)1 + a);
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T, T) {
    Vec<T> d = (T)1 + vabs<T>(z);
    return dy / (d * d);
  }
};

// (x + s) / 2, where s = sqrt(x^2 + p). For x < 0, it is p / 2 / (s - x), which avoids cancellation. The terms are halved so that
// they do not overflow. s is |x| from kLarge on.
template <class T>
struct Squareplus {
  static constexpr Kind kind = {true, 0.15, 0.5};
  static constexpr T kLarge = sizeof(T) == 4 ? (T)1e18 : (T)1e150;
  FASTNN_INLINE Vec<T> root(Vec<T> x, T p) {
    Vec<T> a = vabs<T>(x);
    return a > kLarge ? a : vsqrt<T>(x * x + p);
  }
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T) {
    Vec<T> s = root(x, p);
    return x < (T)0 ? (p * (T)0.25) / ((T)0.5 * s - (T)0.5 * x) : (T)0.5 * x + (T)0.5 * s;
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T> y, T p, T) { return dy * (z > kLarge ? splat<T>(1) : y / root(z, p)); }
};

template <class T>
struct SparseSigmoid {
  static constexpr Kind kind = {false, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) { return vmin<T>(vmax<T>((x + (T)1) * (T)0.5, splat<T>(0)), splat<T>(1)); }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T>, Vec<T> y, T, T) {
    return ((y <= (T)0) | (y >= (T)1)) ? splat<T>(0) : dy * (T)0.5;
  }
};

template <class T>
struct SparsePlus {
  static constexpr Kind kind = {true, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T, T) {
    const Vec<T> h = (x + (T)1) * (T)0.5;
    return x <= (T)-1 ? splat<T>(0) : (x >= (T)1 ? x : h * h);
  }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T p, T q) { return dy * SparseSigmoid<T>::value(z, p, q); }
};

template <class T>
struct Threshold {
  static constexpr Kind kind = {true, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T q) { return x <= p ? splat(q) : x; }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T p, T) { return z <= p ? splat<T>(0) : dy; }
};

// Keras's relu with a slope p below a threshold q.
template <class T>
struct ShiftedRelu {
  static constexpr Kind kind = {true, 0.05, 0.1};
  FASTNN_INLINE Vec<T> value(Vec<T> x, T p, T q) { return x < q ? (p == 0 ? splat<T>(0) : p * (x - q)) : x; }
  FASTNN_INLINE Vec<T> slope(Vec<T> dy, Vec<T> z, Vec<T>, T p, T q) { return z < q ? (p == 0 ? splat<T>(0) : p * dy) : dy; }
};

// Calls step(i, lanes) for each vector of n elements. Cheap functions are compiled twice, for whole vectors and for the last one;
// other functions are compiled once.
template <class T, class F, class Step>
FASTNN_INLINE void apply(i64 n, Step step) {
  if constexpr (F::kind.cost32 > 0.1)
    for (i64 i = 0; i < n; i += kLanes<T>) step(i, SomeLanes<T>{n - i});
  else
    for_vectors<T>({0, n}, step);
}

template <class T, class F>
void apply_forward(T* y, const T* z, i64 n, Activation act) {
  const T p = (T)act.p0, q = (T)act.p1;
  apply<T, F>(n, [&](i64 i, auto lanes) { lanes.store(y + i, F::value(lanes.load(z + i), p, q)); });
}

template <class T, class F>
void apply_backward(T* dx, const T* dy, const T* z, const T* y, i64 n, Activation act) {
  const T p = (T)act.p0, q = (T)act.p1;
  if (!F::kind.saves_z) z = y;
  apply<T, F>(n, [&](i64 i, auto lanes) {
    lanes.store(dx + i, F::slope(lanes.load(dy + i), lanes.load(z + i), lanes.load(y + i), p, q));
  });
}

template <class T, template <class> class... F>
struct Functions {
  static constexpr fastnn::ActivationFns<T> list[] = {
      {apply_forward<T, F<T>>, apply_backward<T, F<T>>, F<T>::kind.saves_z, F<T>::kind.cost32, F<T>::kind.cost64}...};
  static constexpr bool saves_z[] = {F<T>::kind.saves_z...};
};

// In the order of spec.ACTIVATIONS.
template <class T>
using AllFunctions = Functions<T, Linear, Relu, LeakyRelu, Sigmoid, Tanh, Gelu, GeluTanh, Exponential, Log, Sqrt, Abs, Clip,
                               Affine, Power, Erf, Sin, Cos, Log1p, Expm1, Sign, Floor, Ceil, Round, HardTanh, ReluSquared, Elu,
                               Selu, Celu, Silu, HardSilu, HardSigmoid, LogSigmoid, Mish, TanhShrink, SoftShrink, HardShrink,
                               Softplus, Softsign, Squareplus, SparsePlus, SparseSigmoid, Threshold, ShiftedRelu>;

}  // namespace

const fastnn::ActivationTable FASTNN_TABLE(functions) = {AllFunctions<float>::list, AllFunctions<double>::list};
extern "C" const fastnn::FunctionList FASTNN_TABLE(activations);
const fastnn::FunctionList FASTNN_TABLE(activations) = {sizeof(AllFunctions<float>::saves_z), AllFunctions<float>::saves_z};
