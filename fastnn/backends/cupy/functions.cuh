// The element-wise functions and their derivatives; fastnn/backends/reference/activation.py says what each of them is.
//
// Each struct has value(x, p, q) = f(x) and slope(dy, z, y, p, q) = dy f'(z), where y = f(z) and p and q are the parameters. A
// struct without SAVES_Z does not look at z, which then need not be there. To add one: a line in spec.ACTIVATIONS, and here a
// struct and its name in the list at the end.

template <typename T>
__device__ inline T larger(T a, T b) {
  return Max()(a, b);
}
template <typename T>
__device__ inline T smaller(T a, T b) {
  return Min()(a, b);
}
template <typename T>
__device__ inline T positive(T x) {
  return larger(x, T(0));
}
template <typename T>
__device__ inline T clipped(T x, T low, T high) {
  return smaller(larger(x, low), high);
}
// 0 and NaN stay.
template <typename T>
__device__ inline T sign_of(T x) {
  return x > 0 ? T(1) : x < 0 ? T(-1) : x;
}
// 1 / (1 + e^-x), without overflow.
template <typename T>
__device__ inline T sigmoid(T x) {
  const T e = exp(-fabs(x));
  return (x < 0 ? e : T(1)) / (1 + e);
}
// log(1 + e^-|x|): the part of softplus that is not linear.
template <typename T>
__device__ inline T log1p_exp_neg(T x) {
  return log1p(exp(-fabs(x)));
}
template <typename T>
__device__ inline T square(T x) {
  return x * x;
}
// Phi(x), the distribution function of the normal law.
template <typename T>
__device__ inline T normal_cdf(T x) {
  return T(0.5) * erfc(x * T(-0.70710678118654752440));
}

struct SavesZ {
  static constexpr bool SAVES_Z = true;
};
struct NeedsY {
  static constexpr bool SAVES_Z = false;
};
// Functions with steps, whose slope is 0.
struct Steps : NeedsY {
  template <typename T>
  __device__ static T slope(T, T, T, T, T) {
    return 0;
  }
};

#define VALUE           \
  template <typename T> \
  __device__ static T value
#define SLOPE           \
  template <typename T> \
  __device__ static T slope

struct Linear : NeedsY {
  VALUE(T x, T, T) { return x; }
  SLOPE(T dy, T, T, T, T) { return dy; }
};

struct Relu : NeedsY {
  VALUE(T x, T, T) { return positive(x); }
  SLOPE(T dy, T, T y, T, T) { return y <= 0 ? T(0) : dy; }
};

struct LeakyRelu : SavesZ {
  VALUE(T x, T p, T) { return x > 0 ? x : p * x; }
  SLOPE(T dy, T z, T, T p, T) { return z > 0 ? dy : p * dy; }
};

// Saves z for the losses on logits; its own slope needs only y.
struct Sigmoid : SavesZ {
  VALUE(T x, T, T) { return sigmoid(x); }
  SLOPE(T dy, T, T y, T, T) { return dy * y * (1 - y); }
};

struct Tanh : NeedsY {
  VALUE(T x, T, T) { return tanh(x); }
  SLOPE(T dy, T, T y, T, T) { return dy * (1 - y * y); }
};

// In both gelus, f(-inf) is a limit, and so is the second term of the slope at +-inf: the formulas give infinity times 0.
struct Gelu : SavesZ {
  VALUE(T x, T, T) { return isinf(x) && x < 0 ? T(0) : x * normal_cdf(x); }
  SLOPE(T dy, T z, T, T, T) {
    const T rest = z * exp(T(-0.5) * z * z) * T(0.39894228040143267794);
    return dy * (normal_cdf(z) + (isinf(z) ? T(0) : rest));
  }
};

// x s(2u), where u = sqrt(2 / pi) (x + 0.044715 x^3) and s is the sigmoid: the same as x/2 (1 + tanh u).
struct GeluTanh : SavesZ {
  static constexpr double K = 1.59576912160573071176;  // 2 sqrt(2 / pi)
  template <typename T>
  __device__ static T two_u(T x) {
    return T(K) * (x + T(0.044715) * (x * x * x));
  }
  VALUE(T x, T, T) { return isinf(x) && x < 0 ? T(0) : x / (1 + exp(-two_u(x))); }
  SLOPE(T dy, T z, T, T, T) {
    z = clipped(z, T(-100), T(100));  // where the second term has long been 0, and z^2 does not overflow
    const T e = exp(-two_u(z)), s = 1 / (1 + e);
    const T other = e > 1 ? 1 - s : s * e;  // 1 - s without cancellation, which its large factor would show
    return dy * (s + z * s * other * (T(K) * (1 + T(0.134145) * (z * z))));
  }
};

struct Exponential : NeedsY {
  VALUE(T x, T, T) { return exp(x); }
  SLOPE(T dy, T, T y, T, T) { return dy * y; }
};

struct Log : SavesZ {
  VALUE(T x, T, T) { return log(x); }
  SLOPE(T dy, T z, T, T, T) { return dy / z; }
};

struct Sqrt : NeedsY {
  VALUE(T x, T, T) { return sqrt(x); }
  SLOPE(T dy, T, T y, T, T) { return dy / (y + y); }
};

struct Abs : SavesZ {
  VALUE(T x, T, T) { return fabs(x); }
  SLOPE(T dy, T z, T, T, T) { return dy * sign_of(z); }
};

struct Clip : SavesZ {
  VALUE(T x, T p, T q) { return clipped(x, p, q); }
  SLOPE(T dy, T z, T, T p, T q) { return z < p || z > q ? T(0) : dy; }
};

struct Affine : NeedsY {
  VALUE(T x, T p, T q) { return p * x + q; }
  SLOPE(T dy, T, T, T p, T) { return dy * p; }
};

struct Power : SavesZ {
  // The exponents that people use come without logarithms; a square root of -inf is NaN, as in NumPy.
  VALUE(T x, T p, T) {
    if (p == 2) return x * x;
    if (p == 1) return x;
    if (p == T(0.5)) return sqrt(x);
    if (p == -1) return 1 / x;
    if (p == 3) return x * x * x;
    return pow(x, p);
  }
  SLOPE(T dy, T z, T, T p, T) { return dy * (p == 0 ? 0 * z : p * value(z, p - 1, T(0))); }
};

struct Erf : SavesZ {
  VALUE(T x, T, T) { return erf(x); }
  SLOPE(T dy, T z, T, T, T) { return dy * (T(1.12837916709551257390) * exp(-z * z)); }
};

struct Sin : SavesZ {
  VALUE(T x, T p, T) { return sin(p * x); }
  SLOPE(T dy, T z, T, T p, T) { return dy * (p * cos(p * z)); }
};

struct Cos : SavesZ {
  VALUE(T x, T, T) { return cos(x); }
  SLOPE(T dy, T z, T, T, T) { return -dy * sin(z); }
};

struct Log1p : SavesZ {
  VALUE(T x, T, T) { return log1p(x); }
  SLOPE(T dy, T z, T, T, T) { return dy / (1 + z); }
};

struct Expm1 : NeedsY {
  VALUE(T x, T, T) { return expm1(x); }
  SLOPE(T dy, T, T y, T, T) { return dy * (y + 1); }
};

struct Sign : Steps {
  VALUE(T x, T, T) { return sign_of(x); }
};

struct Floor : Steps {
  VALUE(T x, T, T) { return floor(x); }
};

struct Ceil : Steps {
  VALUE(T x, T, T) { return ceil(x); }
};

struct Round : Steps {
  VALUE(T x, T, T) { return rint(x); }
};

struct HardTanh : NeedsY {
  VALUE(T x, T p, T q) { return clipped(x, p, q); }
  SLOPE(T dy, T, T y, T p, T q) { return y <= p || y >= q ? T(0) : dy; }
};

struct ReluSquared : SavesZ {
  VALUE(T x, T, T) { return square(positive(x)); }
  SLOPE(T dy, T z, T, T, T) { return dy * (2 * positive(z)); }
};

struct Elu : SavesZ {
  VALUE(T x, T p, T) { return x > 0 ? x : p * expm1(x); }
  SLOPE(T dy, T z, T, T p, T) { return z > 0 ? dy : dy * (p * exp(z)); }
};

struct Selu : NeedsY {
  static constexpr double SCALE = 1.05070098735548049342, SCALED_ALPHA = 1.75809934084737657;
  VALUE(T x, T, T) { return x > 0 ? T(SCALE) * x : T(SCALED_ALPHA) * expm1(x); }
  SLOPE(T dy, T, T y, T, T) { return dy * (y > 0 ? T(SCALE) : y + T(SCALED_ALPHA)); }
};

struct Celu : NeedsY {
  VALUE(T x, T p, T) { return x > 0 ? x : p * expm1(x / p); }
  SLOPE(T dy, T, T y, T p, T) { return y > 0 ? dy : dy * (y / p + 1); }
};

// With u = p x: x s(u), s being the sigmoid. Its limits at -infinity are 0, where the formulas give infinity times 0.
struct Silu : SavesZ {
  VALUE(T x, T p, T) {
    const T u = p * x;
    return isinf(u) && u < 0 ? T(0) : x * sigmoid(u);
  }
  SLOPE(T dy, T z, T, T p, T) {
    const T u = p * z, e = exp(-fabs(u)), d = 1 / (1 + e), s = u < 0 ? e * d : d;
    return dy * (s + (isinf(u) ? T(0) : u * (e * d * d)));
  }
};

struct HardSilu : SavesZ {
  VALUE(T x, T, T) { return x <= -3 ? T(0) : x >= 3 ? x : x * (x + 3) * T(1.0 / 6); }
  SLOPE(T dy, T z, T, T, T) { return z <= -3 ? T(0) : z >= 3 ? dy : dy * (z * T(1.0 / 3) + T(0.5)); }
};

struct HardSigmoid : NeedsY {
  VALUE(T x, T, T) { return clipped(x + 3, T(0), T(6)) * T(1.0 / 6); }
  SLOPE(T dy, T, T y, T, T) { return y <= 0 || y >= 1 ? T(0) : dy * T(1.0 / 6); }
};

struct LogSigmoid : NeedsY {
  VALUE(T x, T, T) { return smaller(x, T(0)) - log1p_exp_neg(x); }
  SLOPE(T dy, T, T y, T, T) { return -dy * expm1(y); }
};

// tanh(softplus(x)) = n / (n + 2) with n = e^x (e^x + 2); from ONE on that is 1.
struct Mish : SavesZ {
  template <typename T>
  static constexpr int ONE = sizeof(T) == 4 ? 20 : 40;
  VALUE(T x, T, T) {
    // The quotient (e + 2) / (n + 2) is also 1 - e (e + 1) / (n + 2), which rounds less where e is small.
    const T e = exp(smaller(x, T(ONE<T>))), d = e * (e + 2) + 2;
    const T quotient = x > -1 ? (e + 2) / d : 1 - e * (e + 1) / d;
    return isinf(x) && x < 0 ? T(0) : x * (e * quotient);
  }
  SLOPE(T dy, T z, T, T, T) {
    z = smaller(z, T(ONE<T>));
    const T e = exp(z), n = e * (e + 2), d = 1 / (n + 2);
    return dy * (n * d + (isinf(z) ? T(0) : z * (4 * e * (e + 1) * d * d)));
  }
};

struct TanhShrink : SavesZ {
  VALUE(T x, T, T) { return x - tanh(x); }
  SLOPE(T dy, T z, T, T, T) { return dy * square(tanh(z)); }
};

struct HardShrink : NeedsY {
  VALUE(T x, T p, T) { return fabs(x) <= p ? T(0) : x; }
  SLOPE(T dy, T, T y, T, T) { return y == 0 ? T(0) : dy; }
};

struct SoftShrink : HardShrink {
  VALUE(T x, T p, T) { return fabs(x) <= p ? T(0) : x - p * sign_of(x); }
};

struct Softplus : SavesZ {
  VALUE(T x, T p, T q) {
    const T u = p * x;
    return u > q ? x : (positive(u) + log1p_exp_neg(u)) / p;
  }
  SLOPE(T dy, T z, T, T p, T q) {
    const T u = p * z;
    return u > q ? dy : dy * sigmoid(u);
  }
};

struct Softsign : SavesZ {
  VALUE(T x, T, T) { return isinf(x) ? sign_of(x) : x / (1 + fabs(x)); }
  SLOPE(T dy, T z, T, T, T) { return dy / square(1 + fabs(z)); }
};

// (x + s) / 2, where s = sqrt(x^2 + p); for x < 0 as p / 2 / (s - x), which does not cancel; halved, lest it overflow. From
// LARGE on s is |x|.
struct Squareplus : SavesZ {
  template <typename T>
  static constexpr double LARGE = sizeof(T) == 4 ? 1e18 : 1e150;
  template <typename T>
  __device__ static T root(T x, T p) {
    return fabs(x) > T(LARGE<T>) ? fabs(x) : sqrt(x * x + p);
  }
  VALUE(T x, T p, T) {
    const T s = T(0.5) * root(x, p), h = T(0.5) * x;
    return x < 0 ? p * T(0.25) / (s - h) : h + s;
  }
  SLOPE(T dy, T z, T y, T p, T) { return dy * (z > T(LARGE<T>) ? T(1) : y / root(z, p)); }
};

struct SparseSigmoid : NeedsY {
  VALUE(T x, T, T) { return clipped((x + 1) * T(0.5), T(0), T(1)); }
  SLOPE(T dy, T, T y, T, T) { return y <= 0 || y >= 1 ? T(0) : dy * T(0.5); }
};

struct SparsePlus : SavesZ {
  VALUE(T x, T, T) { return x <= -1 ? T(0) : x >= 1 ? x : square((x + 1) * T(0.5)); }
  SLOPE(T dy, T z, T, T p, T q) { return dy * SparseSigmoid::value(z, p, q); }
};

struct Threshold : SavesZ {
  VALUE(T x, T p, T q) { return x <= p ? q : x; }
  SLOPE(T dy, T z, T, T p, T) { return z <= p ? T(0) : dy; }
};

// Keras's relu with a slope p below a threshold q.
struct ShiftedRelu : SavesZ {
  VALUE(T x, T p, T q) { return x < q ? (p == 0 ? T(0) : p * (x - q)) : x; }
  SLOPE(T dy, T z, T, T p, T q) { return z < q ? (p == 0 ? T(0) : p * dy) : dy; }
};

#undef VALUE
#undef SLOPE

// The function of this program, in the order of spec.ACTIVATIONS; the first where it has none.
using Activated =
    typename Pick<(FUNCTION < 0 ? 0 : FUNCTION), Linear, Relu, LeakyRelu, Sigmoid, Tanh, Gelu, GeluTanh, Exponential, Log, Sqrt,
                  Abs, Clip, Affine, Power, Erf, Sin, Cos, Log1p, Expm1, Sign, Floor, Ceil, Round, HardTanh, ReluSquared, Elu,
                  Selu, Celu, Silu, HardSilu, HardSigmoid, LogSigmoid, Mish, TanhShrink, SoftShrink, HardShrink, Softplus,
                  Softsign, Squareplus, SparsePlus, SparseSigmoid, Threshold, ShiftedRelu>::Type;

template <typename T>
__device__ inline T function_forward(T x, T p0, T p1) {
  return Activated::value(x, p0, p1);
}

// dy times the derivative. z is the input, and y the output; without Activated::SAVES_Z, z is not looked at.
template <typename T>
__device__ inline T function_backward(T dy, T z, T y, T p0, T p1) {
  return Activated::slope(dy, z, y, p0, p1);
}
