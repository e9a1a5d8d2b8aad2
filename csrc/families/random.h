// Dropout, noise and random numbers from a counter-based stream. reference/random.py defines the stream.
#pragma once
#include "math/philox.h"
#include "math/vmath.h"

namespace {

// Calls f(i, words, lanes) for each vector of this worker's share of n elements, with the words of these elements.
template <class T, class F>
FASTNN_INLINE void for_words(i64 n, u64 seed, u64 offset, const Worker& me, F f) {
  const Range mine = share(n, kGrain, me);
  const Philox philox(seed);
  static_assert(kGrain % kDropoutGroup == 0, "pieces begin with a group");
  for (i64 begin = mine.begin; begin < mine.end; begin += kDropoutGroup) {
    u32 words[kDropoutGroup];
    philox.group(offset + (u64)(begin / kDropoutGroup * kDropoutCounters), words);
    for_vectors<T>({begin, min_i64(begin + kDropoutGroup, mine.end)},
                   [&](i64 i, auto lanes) { f(i, words + (i - begin), lanes); });
  }
}

// Sets y to keep(x) where an element is kept, and to `dropped` elsewhere.
template <class T, class F>
FASTNN_INLINE void drop(T* y, const T* x, i64 n, u64 seed, u64 offset, double rate, T dropped, const Worker& me, F keep) {
  if (rate >= 1) {
    for_vectors<T>(share(n, kGrain, me), [&](i64 i, auto lanes) { lanes.store(y + i, splat(dropped)); });
    return;
  }
  const u32 threshold = (u32)(rate * 4294967296.0);
  for_words<T>(n, seed, offset, me, [&](i64 i, const u32* words, auto lanes) {
    lanes.store(y + i, at_least(words, threshold, T{}) ? keep(lanes.load(x + i)) : splat(dropped));
  });
}

// Returns the normal quantile of (word + 1/2) / 2^32. reference/random.py names the source. Far from the middle, it is computed
// from the distance to the nearer end, which float32 represents accurately enough.
constexpr double kCentre[2][8] = {{2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
                                   13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608},
                                  {5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
                                   5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0}};
constexpr double kTail[2][8] = {
    {7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258, 3.64784832476320460504,
     5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734},
    {1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459, 0.68976733498510000455,
     1.6763848301838038494, 2.05319162663775882187, 1.0}};

template <class T>
FASTNN_INLINE Vec<T> ratio(const double (&powers)[2][8], Vec<T> x) {
  Vec<T> top = splat((T)powers[0][0]), bottom = splat((T)powers[1][0]);
  for (int i = 1; i < 8; i++) {
    top = top * x + (T)powers[0][i];
    bottom = bottom * x + (T)powers[1][i];
  }
  return top / bottom;
}

template <class T>
FASTNN_INLINE Vec<T> normal(const u32* words) {
  const T unit = (T)(1 / 4294967296.0);
  const auto bits = load_words(words, T{});
  const auto from_end = bits ^ (bits >> 31);
  const Vec<T> end = (__builtin_convertvector(from_end, Vec<T>) + (T)0.5) * unit;
  const Vec<T> middle = (__builtin_convertvector(0x7fffffff - from_end, Vec<T>) + (T)0.5) * unit;
  const Vec<T> centre = middle * ratio<T>(kCentre, (T)0.180625 - middle * middle);
  const Vec<T> tail = ratio<T>(kTail, vsqrt<T>(-vlog(end)) - (T)1.6);
  const Vec<T> z = middle <= splat((T)0.425) ? centre : tail;
  return with_sign<T>(z, __builtin_convertvector(~bits, Vec<T>));
}

// Arguments of all kinds of dropout.
template <class T>
struct DropoutForward {
  static constexpr const char* fields = "y aux state x rate n";
  T* y;
  u64 *aux, *state;
  const T* x;
  const double* rate;
  i64 n;
};
template <class T>
struct DropoutBackward {
  static constexpr const char* fields = "dx dy aux rate n";
  T* dx;
  const T* dy;
  const u64* aux;
  const double* rate;
  i64 n;
};

FASTNN_INLINE double dropout_forward_work(const void* args, int itemsize) {
  return elements_work(((const DropoutForward<float>*)args)->n, itemsize, 0.5, 0.7);
}
FASTNN_INLINE double dropout_backward_work(const void* args, int itemsize) {
  return elements_work(((const DropoutBackward<float>*)args)->n, itemsize, 0.5, 0.7);
}

template <class T>
FASTNN_INLINE void drop_plain(T* y, const T* x, i64 n, const u64* state, double rate, const Worker& me) {
  const T scale = (T)(1 / (1 - rate));
  drop<T>(y, x, n, state[0], state[1], rate, 0, me, [&](Vec<T> v) { return v * scale; });
}
template <class T>
void dropout_forward(const void* args, const Worker& me) {
  const DropoutForward<T> a = *(const DropoutForward<T>*)args;
  take(a.state, a.aux, a.n, me);
  drop_plain(a.y, a.x, a.n, a.aux, *a.rate, me);
}
template <class T>
void dropout_backward(const void* args, const Worker& me) {
  const DropoutBackward<T> a = *(const DropoutBackward<T>*)args;
  drop_plain(a.dx, a.dy, a.n, a.aux, *a.rate, me);
}

// Sets y = scale x + shift where an element is kept, so that mean 0 and variance 1 are preserved.
struct Alpha {
  static constexpr double kFloor = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946;
  double scale, shift;
  explicit Alpha(double rate) {
    scale = rate >= 1 ? 0 : 1 / __builtin_sqrt((1 - rate) * (1 + rate * kFloor * kFloor));
    shift = -scale * kFloor * rate;
  }
};

template <class T>
void alpha_dropout_forward(const void* args, const Worker& me) {
  const DropoutForward<T> a = *(const DropoutForward<T>*)args;
  const Alpha alpha(*a.rate);
  const T scale = (T)alpha.scale, shift = (T)alpha.shift, dropped = (T)(alpha.scale * Alpha::kFloor + alpha.shift);
  take(a.state, a.aux, a.n, me);
  drop<T>(a.y, a.x, a.n, a.aux[0], a.aux[1], *a.rate, dropped, me, [&](Vec<T> x) { return x * scale + shift; });
}
template <class T>
void alpha_dropout_backward(const void* args, const Worker& me) {
  const DropoutBackward<T> a = *(const DropoutBackward<T>*)args;
  const T scale = (T)Alpha(*a.rate).scale;
  drop<T>(a.dx, a.dy, a.n, a.aux[0], a.aux[1], *a.rate, 0, me, [&](Vec<T> d) { return d * scale; });
}

FASTNN_INLINE double gaussian_dropout_forward_work(const void* args, int itemsize) {
  return elements_work(((const DropoutForward<float>*)args)->n, itemsize, 3, 15);
}
FASTNN_INLINE double gaussian_dropout_backward_work(const void* args, int itemsize) {
  return elements_work(((const DropoutBackward<float>*)args)->n, itemsize, 3, 15);
}

template <class T>
FASTNN_INLINE void multiply_noise(T* y, const T* x, i64 n, const u64* state, double rate, const Worker& me) {
  const T stddev = (T)__builtin_sqrt(rate / (1 - rate));
  for_words<T>(n, state[0], state[1], me, [&](i64 i, const u32* words, auto lanes) {
    lanes.store(y + i, lanes.load(x + i) * (stddev * normal<T>(words) + (T)1));
  });
}
template <class T>
void gaussian_dropout_forward(const void* args, const Worker& me) {
  const DropoutForward<T> a = *(const DropoutForward<T>*)args;
  take(a.state, a.aux, a.n, me);
  multiply_noise(a.y, a.x, a.n, a.aux, *a.rate, me);
}
template <class T>
void gaussian_dropout_backward(const void* args, const Worker& me) {
  const DropoutBackward<T> a = *(const DropoutBackward<T>*)args;
  multiply_noise(a.dx, a.dy, a.n, a.aux, *a.rate, me);
}

template <class T>
struct GaussianNoiseForward {
  static constexpr const char* fields = "y aux state x stddev n";
  T* y;
  u64 *aux, *state;
  const T* x;
  const double* stddev;
  i64 n;
};

FASTNN_INLINE double gaussian_noise_forward_work(const void* args, int itemsize) {
  return elements_work(((const GaussianNoiseForward<float>*)args)->n, itemsize, 3, 15);
}

template <class T>
void gaussian_noise_forward(const void* args, const Worker& me) {
  const GaussianNoiseForward<T> a = *(const GaussianNoiseForward<T>*)args;
  const T stddev = (T)*a.stddev;
  take(a.state, a.aux, a.n, me);
  for_words<T>(a.n, a.aux[0], a.aux[1], me, [&](i64 i, const u32* words, auto lanes) {
    lanes.store(a.y + i, lanes.load(a.x + i) + stddev * normal<T>(words));
  });
}

template <class T>
struct RandomNumbers {
  static constexpr const char* fields = "y aux state n";
  T* y;
  u64 *aux, *state;
  i64 n;
};

// Calls f(i, words) for each element of this worker's share of n elements. An element uses EACH consecutive words.
template <int EACH, class F>
FASTNN_INLINE void for_each_words(i64 n, const u64* aux, const Worker& me, F f) {
  constexpr i64 kTogether = kDropoutGroup / EACH;
  const Range mine = share(n, kGrain, me);
  const Philox philox(aux[0]);
  for (i64 begin = mine.begin; begin < mine.end; begin += kTogether) {
    u32 words[kDropoutGroup];
    philox.group(aux[1] + (u64)(begin / kTogether * kDropoutCounters), words);
    const i64 end = min_i64(begin + kTogether, mine.end);
    for (i64 i = begin; i < end; i++) f(i, words + (i - begin) * EACH);
  }
}

FASTNN_INLINE double random_uniform_work(const void* args, int itemsize) {
  return elements_work(((const RandomNumbers<float>*)args)->n, itemsize, 0.5, 1);
}
FASTNN_INLINE double random_normal_work(const void* args, int itemsize) {
  return elements_work(((const RandomNumbers<float>*)args)->n, itemsize, 8, 15);
}

template <class T>
void random_uniform(const void* args, const Worker& me) {
  const RandomNumbers<T> a = *(const RandomNumbers<T>*)args;
  constexpr int kEach = sizeof(T) / 4;
  take(a.state, a.aux, kEach * a.n, me);
  for_each_words<kEach>(a.n, a.aux, me, [&](i64 i, const u32* words) {
    if constexpr (kEach == 1)
      a.y[i] = (float)(int32_t)(words[0] >> 8) * 0x1p-24f;
    else
      a.y[i] = ((double)(words[0] >> 5) * 0x1p26 + (double)(words[1] >> 6)) * 0x1p-53;
  });
}

// Computes in float64 for both types, so that the numbers of all backends are equal after rounding to float32.
template <class T>
void random_normal(const void* args, const Worker& me) {
  const RandomNumbers<T> a = *(const RandomNumbers<T>*)args;
  take(a.state, a.aux, a.n, me);
  for_words<double>(a.n, a.aux[0], a.aux[1], me, [&](i64 i, const u32* words, auto) {
    typedef T Rounded __attribute__((vector_size(kLanes<double> * sizeof(T))));
    const Rounded z = __builtin_convertvector(normal<double>(words), Rounded);
    __builtin_memcpy(a.y + i, &z, (size_t)min_i64(kLanes<double>, a.n - i) * sizeof(T));
  });
}

struct RandomIntegers {
  static constexpr const char* fields = "y aux state low last n";
  i64* y;
  u64 *aux, *state;
  u64 low, last;
  i64 n;
};

FASTNN_INLINE double random_integers_work(const void* args, int itemsize) {
  return elements_work(((const RandomIntegers*)args)->n, itemsize, 1, 1);
}

FASTNN_INLINE void random_integers(const void* args, const Worker& me) {
  const RandomIntegers a = *(const RandomIntegers*)args;
  take(a.state, a.aux, 2 * a.n, me);
  const u64 span = a.last - a.low + 1;  // 0: all 64-bit numbers
  for_each_words<2>(a.n, a.aux, me, [&](i64 i, const u32* words) {
    const u64 r = (u64)words[0] << 32 | words[1];
    a.y[i] = (i64)(a.low + (span ? (u64)((unsigned __int128)r * span >> 64) : r));
  });
}

}  // namespace
