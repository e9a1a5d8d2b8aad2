// Fill and cast, two kernels of the elementwise family.
#pragma once
#include "families/elementwise.h"

namespace {

template <class T>
struct Fill {
  static constexpr const char* fields = "y value n";
  T* y;
  double value;
  i64 n;
};

FASTNN_INLINE double fill_work(const void* args, int itemsize) {
  return elements_work(((const Fill<float>*)args)->n, itemsize, 0.05, 0.1);
}

// Converts a value; a bool is true if the value is not 0.
template <class To, class From>
FASTNN_INLINE To convert(From x) {
  if constexpr (sizeof(To) == 1)
    return x != 0;
  else if constexpr (sizeof(From) == 1)
    return (To)(x != 0);
  else if constexpr (kWhole<To> && !kWhole<From>)
    return whole(x);
  else
    return (To)x;
}

template <class T>
void fill(const void* args, const Worker& me) {
  const Fill<T> a = *(const Fill<T>*)args;
  const T value = convert<T>(a.value);
  const Range r = share(a.n, kGrain, me);
  for (i64 i = r.begin; i < r.end; i++) a.y[i] = value;
}

struct Cast {
  static constexpr const char* fields = "y x to n";
  void* y;
  const void* x;
  i64 to, n;
};

FASTNN_INLINE double cast_work(const void* args, int itemsize) {
  return elements_work(((const Cast*)args)->n, itemsize, 0.2, 0.3);
}

// The type of a dtype's elements in memory, and the conversions of elements to and from values. `whole` converts floats to
// integers; short integers keep the lowest bits.
template <class T>
struct Element {
  typedef T Type;
  static T value(T x) { return x; }
  template <class From>
  static T of(From x) {
    if constexpr (kWhole<T> && !kWhole<From>)
      return (T)whole(x);
    else
      return (T)x;
  }
};
struct BoolElement {
  typedef u8 Type;
  static i64 value(u8 x) { return x != 0; }
  template <class From>
  static u8 of(From x) {
    return x != 0;
  }
};
struct Bfloat16Element {
  typedef u16 Type;
  static float value(u16 x) { return bit_cast<float>((u32)x << 16); }
  // Converts to float32, then rounds to the nearest, ties to even.
  template <class From>
  static u16 of(From x) {
    const u32 bits = bit_cast<u32>((float)x);
    if ((bits & 0x7fffffff) > 0x7f800000) return (u16)(bits >> 16 | 0x40);  // NaN stays NaN
    return (u16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
};

// Usual casts of data and ids: uint8 and bfloat16 to float32, float32 to bfloat16, int32 to int64. Other casts with short
// elements are rare.
template <class T>
constexpr bool kShort = std::is_same_v<T, Element<u8>> || std::is_same_v<T, Element<i32>> || std::is_same_v<T, Bfloat16Element>;
template <class To, class From>
constexpr bool kUsual = std::is_same_v<From, Element<i32>> ? std::is_same_v<To, Element<i64>>
                        : kShort<From> ? std::is_same_v<To, Element<float>>
                                       : std::is_same_v<From, Element<float>> && std::is_same_v<To, Bfloat16Element>;
template <class To, class From>
constexpr bool kRare = (kShort<To> || kShort<From>) && !kUsual<To, From>;

template <class To, class From>
void cast_range(const Cast& a, Range r) {
  auto* y = (typename To::Type*)a.y;
  const auto* x = (const typename From::Type*)a.x;
  for (i64 i = r.begin; i < r.end; i++) {
    if constexpr (kRare<To, From>) asm volatile("");  // prevents vectors, which would be much code
    y[i] = To::of(From::value(x[i]));
  }
}

template <class From>
void cast(const void* args, const Worker& me) {
  const Cast& a = *(const Cast*)args;
  const Range r = share(a.n, kGrain, me);
  switch (a.to) {
    case fastnn::kFloat32: cast_range<Element<float>, From>(a, r); break;
    case fastnn::kFloat64: cast_range<Element<double>, From>(a, r); break;
    case fastnn::kInt64: cast_range<Element<i64>, From>(a, r); break;
    case fastnn::kBool: cast_range<BoolElement, From>(a, r); break;
    case fastnn::kUint8: cast_range<Element<u8>, From>(a, r); break;
    case fastnn::kInt32: cast_range<Element<i32>, From>(a, r); break;
    case fastnn::kBfloat16: cast_range<Bfloat16Element, From>(a, r); break;
  }
}

}  // namespace
