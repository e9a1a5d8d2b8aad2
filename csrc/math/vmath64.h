// The elementary functions on float64 vectors. vmath.h includes this file, and has functions of both types made from these.
//
// Each is compiled once in an object file and called: inlined into every kernel, they would take more time to compile than all
// else. Arguments and results are in registers.
#pragma once
#include "math/simd.h"

namespace {

#define FASTNN_CALLED [[maybe_unused]] static __attribute__((noinline))

// The coefficients are of minimax polynomials: fitted by Remez's algorithm with 50 digits, rounded to float64. The comments give
// the interval and the largest error of the fit, relative to the function's value. The highest power is first.
template <class... C>
FASTNN_INLINE Vec<double> polynomial(Vec<double> x, double highest, C... rest) {
  Vec<double> p = splat(highest);
  ((p = p * x + rest), ...);
  return p;
}

constexpr double kRounder = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer

// Returns 2^n for an exponent from -1022 to 1023.
FASTNN_INLINE Vec<double> power_of_two(IVec<double> n) { return (Vec<double>)((n + 1023) << 52); }

// Reduces x = n ln 2 + r, |r| <= ln 2 / 2. Returns e^r - 1 - r, with what r loses by rounding.
FASTNN_INLINE Vec<double> exp_reduce(Vec<double> x, Vec<double>& r, IVec<double>& n) {
  const Vec<double> t = x * 1.4426950408889634 + kRounder, whole = t - kRounder;
  n = (IVec<double>)t - (IVec<double>)splat(kRounder);
  const Vec<double> high = x - whole * 0.6931471805598903;  // 42 bits: the product is exact
  r = high - whole * 5.497923018708371e-14;
  const Vec<double> lost = (high - r) - whole * 5.497923018708371e-14;
  // (e^r - 1 - r) / r^2; 3.9e-18 of e^r
  const Vec<double> p = polynomial(r, 2.502044734454287e-08, 2.7630709356277277e-07, 2.7557528151324264e-06,
                                   2.480149180632282e-05, 0.00019841269563175977, 0.0013888888944846732, 0.008333333333473024,
                                   0.0416666666665258, 0.16666666666666438, 0.5000000000000011);
  return p * (r * r) + lost;
}

// e^x is y a b. Two powers of two make overflow and denormals correct. For x < -760, y is set apart as 0.
FASTNN_INLINE Vec<double> exp_parts(Vec<double> x, Vec<double>& a, Vec<double>& b, IVec<double>& zero) {
  typedef uint64_t U __attribute__((vector_size(FASTNN_VB)));
  zero = x < -760.0;
  Vec<double> r;
  IVec<double> n;
  const Vec<double> p = exp_reduce(zero ? splat(0.0) : vmin<double>(x, splat(710.0)), r, n);
  const IVec<double> half = (IVec<double>)((U)(n + 2046) >> 1);
  a = (Vec<double>)(half << 52);
  b = (Vec<double>)((n + 2046 - half) << 52);
  return (r + p) + 1.0;
}

FASTNN_CALLED Vec<double> vexp(Vec<double> x) {
  Vec<double> a, b;
  IVec<double> zero;
  const Vec<double> y = exp_parts(x, a, b, zero) * a * b;
  return zero ? splat(0.0) : y;
}

// Returns (e^x - 1) / 2 without cancellation, for x from -700 to 710: 2^1024 is not a float64. The rounding error of the first
// sum is added again.
FASTNN_INLINE Vec<double> half_expm1(Vec<double> x) {
  Vec<double> r;
  IVec<double> n;
  const Vec<double> p = exp_reduce(x, r, n), scale = power_of_two(n - 1), less = scale - 0.5;
  const Vec<double> sum = r * scale + less;
  return sum + (((less - sum) + r * scale) + p * scale);
}

FASTNN_CALLED Vec<double> vexpm1(Vec<double> x) {
  const Vec<double> y = 2.0 * half_expm1(vmin<double>(vmax<double>(x, splat(-40.0)), splat(710.0)));
  return vabs<double>(x) < 0x1p-54 ? x : y;
}

// With h = (e^-2|x| - 1) / 2, it is -h / (1 + h), or 1 - (1 + 2h) / (1 + h), which has a smaller rounding error from 0.5 on. Both
// are better than with e^2|x|, because 1 + h is less than 1.
FASTNN_CALLED Vec<double> vtanh(Vec<double> x) {
  const Vec<double> a = vmin<double>(vabs<double>(x), splat(22.0)), h = half_expm1(a * -2.0);
  const IVec<double> small = a < 0.55;
  const Vec<double> q = (small ? -h : h + h + 1.0) / (h + 1.0);
  return with_sign<double>(small ? q : 1.0 - q, x);
}

// log(2^e (1 + f)), with f from sqrt(1/2) - 1 to sqrt(2) - 1. log(1 + f) is 2 artanh(s), s = f / (2 + f), added in the order of
// fdlibm, which makes the rounding errors small.
FASTNN_CALLED Vec<double> vlog(Vec<double> x) {
  typedef IVec<double> I;
  constexpr int64_t kRoot = 0x3fe6a09e667f3bcd, kOne = 0x3ff0000000000000;  // the bits of sqrt(1/2) and 1
  const Vec<double> input = x;
  const I tiny = x < 0x1p-1022;
  x = tiny ? x * 0x1p54 : x;
  typedef uint64_t U __attribute__((vector_size(FASTNN_VB)));
  const I top = (I)((U)x + (uint64_t)(kOne - kRoot));  // without a sign, the bits of a NaN do not overflow
  // The exponent becomes a float64 as the last bits of 2^52.
  Vec<double> e = (Vec<double>)((I)((U)top >> 52) | (I)splat(0x1p52)) - (0x1p52 + 1023);
  e = tiny ? e - 54.0 : e;
  const Vec<double> f = (Vec<double>)((top & 0x000fffffffffffff) + kRoot) - 1.0, s = f / (f + 2.0), z = s * s;
  // (2 artanh(s) / s - 2) / s^2; 2.5e-18 of 2 artanh(s)
  const Vec<double> p = polynomial(z, 0.14795807398509636, 0.15314070740386904, 0.18183563273968492, 0.22222198599334395,
                                   0.2857142874206185, 0.3999999999941658, 0.6666666666666734);
  const Vec<double> half = 0.5 * f * f;
  Vec<double> y = e * 0.6931471805598903 - ((half - (s * (half + p * z) + e * 5.497923018708371e-14)) - f);
  y = input == splat(__builtin_inf()) ? input : y;
  y = input == splat(0.0) ? splat(-__builtin_inf()) : y;
  y = input < 0.0 ? splat(__builtin_nan("")) : y;
  return input != input ? input : y;
}

// From 1 on, it is 1 - e^-x^2 q(x).
FASTNN_CALLED Vec<double> verf(Vec<double> x) {
  const Vec<double> a = vmin<double>(vabs<double>(x), splat(6.0)), e = vexp(-a * a), s = x * x;
  // erf(x) / x - 1; 1.5e-17 of erf(x)
  const Vec<double> p =
      polynomial(s, -7.617242364348587e-10, 1.3622213494153098e-08, -1.6185321172065697e-07, 1.6444323893305355e-06,
                 -1.4924479009645066e-05, 0.00012055281123742849, -0.0008548325502657893, 0.005223977597018641,
                 -0.026866170641981935, 0.11283791670937018, -0.37612638903183343, 0.12837916709551256);
  const Vec<double> t = 2.5 / (a + 2.5);
  // e^x^2 erfc(x) / t in 1 - 2t, 1 <= x <= 6; 9e-19 of erf(x)
  const Vec<double> q =
      polynomial(1.0 - 2.0 * t, -1.5179376227418585e-05, -4.900060683904246e-05, 2.216075519422309e-05, 0.0002809387902738635,
                 -0.00017566447841276583, -0.0019275054994272673, 0.00335721873829422, 0.011344620055166281, -0.06850045810693839,
                 0.1815656466586996, -0.3218607397756613, 0.4216127281222875);
  return a > 1.0 ? with_sign<double>(1.0 - e * (t * q), x) : p * x + x;
}

// Returns Phi(x), and sets e = exp(-x^2 / 2). The rounding error of x^2 would be large in e: x is split in two, and the square of
// its first 26 bits is exact.
FASTNN_CALLED Vec<double> normal_cdf(Vec<double> x, Vec<double>& e) {
  const Vec<double> a = vmin<double>(vabs<double>(x), splat(39.0));
  const Vec<double> high = (Vec<double>)((IVec<double>)a & ~(int64_t)0x7ffffff), rest = 0.5 * ((a - high) * (a + high));
  const Vec<double> first = vexp(high * high * -0.5);
  e = first - first * (rest - 0.5 * rest * rest);
  const Vec<double> t = 4.5 / (a + 4.5);
  // e^(x^2 / 2) Phi(-x) / t in 1 - 2t, 0 <= x <= 39; 7.4e-17
  const Vec<double> q = polynomial(1.0 - 2.0 * t, 1.4138838658773897e-10, -1.165164803502109e-10, -2.246903113822732e-09,
                                   -7.36937959210319e-10, 1.543038017330195e-08, 1.368452229815622e-08, -8.419686742271505e-08,
                                   -1.110604523746669e-07, 4.762023006368768e-07, 7.088595787912656e-07, -3.163552916414431e-06,
                                   -3.540656006439894e-06, 2.48983832939325e-05, 1.4180267713545875e-06, -0.00020394366752994104,
                                   0.0003886290160059342, 0.0009385807511196357, -0.007526961372767002, 0.024751688126719545,
                                   -0.05625373332243538, 0.09921167045681727, -0.14227950227835937, 0.1696067842156007);
  const Vec<double> tail = e * (t * q);
  return x < 0.0 ? tail : 1.0 - tail;
}

// Returns sin(x + shift pi/2). The C library computes it for arguments that are too large for the reduction, which are rare.
FASTNN_CALLED Vec<double> vsin(Vec<double> x, int shift = 0) {
  typedef IVec<double> I;
  const I far = ~(I)(vabs<double>(x) < 1e5);  // NaN, too
  if (fold_lanes<int64_t>(far, [](I a, I b) { return a | b; })[0]) {
    for (int i = 0; i < kLanes<double>; i++) x[i] = shift ? __builtin_cos(x[i]) : __builtin_sin(x[i]);
    return x;
  }
  const Vec<double> turns = x * 0.6366197723675814 + kRounder, n = turns - kRounder;
  const I quarter = (I)turns + shift;
  // pi/2 in three parts. The first two have 36 bits, so that their products are exact. What r loses is in `low`.
  const Vec<double> high = x - n * 1.5707963267923333, second = n * 2.5633441515839558e-12, r = high - second;
  const Vec<double> low = ((high - r) - second) - n * 1.0562999066987428e-23, s = r * r;
  // (sin(r) / r - 1) / r^2; 3.5e-18 of sin(r)
  const Vec<double> p = polynomial(s, 1.5896912302139537e-10, -2.5050760291831117e-08, 2.7557313707355213e-06,
                                   -0.00019841269829859042, 0.008333333333322491, -0.16666666666666632);
  const Vec<double> sine = x == splat(0.0) ? x : r + (r * s * p + low * (1.0 - 0.5 * s));  // keeps -0
  // (cos(r) - 1 + r^2 / 2) / r^4; 5.7e-20 of cos(r)
  const Vec<double> q = polynomial(s, -1.1358745021176127e-11, 2.08757053339427e-09, -2.7557314216743807e-07,
                                   2.4801587289001632e-05, -0.0013888888888873342, 0.041666666666666595);
  const Vec<double> half = 0.5 * s, first = 1.0 - half;
  const Vec<double> cosine = first + (((1.0 - first) - half) + (s * s * q - r * low));
  const I odd = -(quarter & 1);  // the comparison with 0 would be slow on a CPU with SSE2 alone
  return (Vec<double>)((((I)cosine & odd) | ((I)sine & ~odd)) ^ ((quarter & 2) << 62));
}
FASTNN_INLINE Vec<double> vcos(Vec<double> x) { return vsin(x, 1); }

#undef FASTNN_CALLED

}  // namespace
