// Reductions over the middle dimension of x (A, B, C).

// What values are added up in.
template <typename T>
struct Wide {
  typedef double Type;
};
template <>
struct Wide<i64> {
  typedef i64 Type;
};

// The ends of the range of a type: nothing is greater, and nothing is smaller.
template <typename T>
__device__ inline T greatest() {
  return (T)__longlong_as_double(0x7ff0000000000000LL);
}
template <>
__device__ inline i64 greatest<i64>() {
  return 0x7fffffffffffffffLL;
}
template <typename T>
__device__ inline T smallest() {
  return -greatest<T>() - (WHOLE<T> ? T(1) : T(0));
}

template <typename T, typename Part, typename Join, typename Finish>
__device__ inline void reduce(const reduce_forward_args<T>& a, Part start, Join join, Finish finish) {
  const auto of = [&](i64 i, i64) { return (Part)a.x[i]; };
  const auto write = [&](i64 o, Part part) { a.y[o] = (T)finish(part); };
  if (a.A * a.C == 1)
    fold_all(a.B, start, join, of, write);
  else
    fold_middle(a.A, a.B, a.C, start, join, of, write);
}

enum ReduceOp { SUM, MEAN, MAX, MIN, PROD };  // in the order of spec.REDUCE_OPS

template <typename T>
__device__ void reduce_forward(const reduce_forward_args<T>& a) {
  using Part = typename Wide<T>::Type;
  const auto as_is = [](Part part) { return part; };
  const i64 B = a.B;
  // Of no whole numbers at all, the mean, the maximum and the minimum are 0.
  const auto extreme = [B](Part part) { return WHOLE<T> && B == 0 ? Part(0) : part; };
  const auto mean = [B](Part part) {
    if constexpr (WHOLE<T>)
      return B == 0 ? 0 : whole((double)part / (double)B);
    else
      return (double)part / (double)B;
  };
  switch (a.op) {
    case SUM: return reduce(a, Part(0), Add(), as_is);
    case MEAN: return reduce(a, Part(0), Add(), mean);
    case MAX: return reduce(a, smallest<Part>(), Max(), extreme);
    case MIN: return reduce(a, greatest<Part>(), Min(), extreme);
    case PROD: return reduce(a, Part(1), Multiply(), as_is);
  }
}

// A value and where it is; nowhere: -1.
template <typename T>
struct Place {
  T value;
  i64 index;
};

// Whether x takes the place of the greatest value so far; a NaN is greater than any number.
template <typename T>
__device__ inline bool exceeds(T x, T top) {
  return x > top || (x != x && top == top);
}

struct FirstGreatest {
  template <typename T>
  __device__ Place<T> operator()(const Place<T>& a, const Place<T>& b) const {
    if (b.index < 0 || a.index < 0) return a.index < 0 ? b : a;
    if (exceeds(b.value, a.value)) return b;
    return exceeds(a.value, b.value) || a.index < b.index ? a : b;
  }
};

template <typename T>
__device__ void argmax_forward(const argmax_forward_args<T>& a) {
  fold_middle(
      a.A, a.B, a.C, Place<T>{0, -1}, FirstGreatest(), [&](i64 i, i64 b) { return Place<T>{a.x[i], b}; },
      [&](i64 o, const Place<T>& place) { a.index[o] = place.index < 0 ? 0 : place.index; });
}
