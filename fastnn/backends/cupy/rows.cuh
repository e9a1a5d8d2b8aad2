// Functions of whole rows: a warp for each row where rows are short, else a block. Elements stay in registers between the steps
// of a function unless a row is very long.

struct ThreadGroup {
  static constexpr int SIZE = 1;
  __device__ static int rank() { return 0; }
  template <typename T, typename Op>
  __device__ static T reduce(T value, Op) {
    return value;
  }
};

struct WarpGroup {
  static constexpr int SIZE = WARP;
  __device__ static int rank() { return threadIdx.x % WARP; }
  template <typename T, typename Op>
  __device__ static T reduce(T value, Op op) {
    return warp_reduce(value, op);
  }
};

struct BlockGroup {
  static constexpr int SIZE = THREADS;
  __device__ static int rank() { return threadIdx.x; }
  template <typename T, typename Op>
  __device__ static T reduce(T value, Op op) {
    return block_reduce(value, op);
  }
};

// How a group of threads shares out a row: K elements for each thread, which can be held, or any number.
template <typename Group, int K>
struct Shape : Group {
  static constexpr bool HELD = K > 0;
  static constexpr int COUNT = HELD ? K : 1;

  // f(k, i) for the elements i of this thread; k is where it holds them.
  template <typename F>
  __device__ static void each(i64 N, F f) {
    if constexpr (HELD) {
#pragma unroll
      for (int k = 0; k < K; ++k) {
        const i64 i = Group::rank() + k * Group::SIZE;
        if (i < N) f(k, i);
      }
    } else {
#pragma unroll 4
      for (i64 i = Group::rank(); i < N; i += Group::SIZE) f(0, i);
    }
  }

  template <typename T>
  __device__ static T sum(T value) {
    return Group::reduce(value, Sum());
  }
};

// A row of an array, held where its shape can: row(k, i) is its element i.
template <typename T, typename S>
struct Row {
  const T* x;
  T held[S::COUNT];

  __device__ Row(const T* x, i64 N) : x(x) {
    if constexpr (S::HELD) S::each(N, [&](int k, i64 i) { held[k] = x[i]; });
  }
  __device__ T operator()(int k, i64 i) const { return S::HELD ? held[k] : x[i]; }
};

template <typename S, typename F>
__device__ inline void rows_of_shape(i64 M, F f) {
  constexpr int EACH = THREADS / S::SIZE;
  for (i64 row = (i64)blockIdx.x * EACH + threadIdx.x / S::SIZE; row < M; row += (i64)gridDim.x * EACH) f(S(), row);
}

// f(shape, row) for M rows of N elements, by all threads of the group that has the row.
template <typename F>
__device__ inline void for_rows(i64 M, i64 N, F f) {
  if (N <= WARP)
    rows_of_shape<Shape<WarpGroup, 1>>(M, f);
  else if (N <= 8 * WARP)
    rows_of_shape<Shape<WarpGroup, 8>>(M, f);
  else if (N <= 8 * THREADS)
    rows_of_shape<Shape<BlockGroup, 8>>(M, f);
  else
    rows_of_shape<Shape<BlockGroup, 0>>(M, f);
}

// The same where each element is looked at once, so that nothing need be held; a thread for each row where rows are but values.
template <typename F>
__device__ inline void for_rows_once(i64 M, i64 N, F f) {
  if (N <= 4)
    rows_of_shape<Shape<ThreadGroup, 0>>(M, f);
  else if (N <= 8 * WARP)
    rows_of_shape<Shape<WarpGroup, 0>>(M, f);
  else
    rows_of_shape<Shape<BlockGroup, 0>>(M, f);
}

// The smallest finite number.
template <typename T>
__device__ inline T lowest() {
  return sizeof(T) == 4 ? T(-3.402823466e38) : T(-1.7976931348623157e308);
}

// The greatest element of a row, and the sum of exp(x - top). The sum is NaN where an element is NaN or infinity, or all are
// minus infinity, and with it is all that is computed from both.
template <typename T>
struct SoftmaxOfRow {
  T top, sum;
};

template <typename T, typename S>
__device__ inline SoftmaxOfRow<T> softmax_of(const Row<T, S>& row, i64 N) {
  T top = lowest<T>(), sum = 0;
  if constexpr (S::HELD) {
    S::each(N, [&](int k, i64 i) { top = Max()(row(k, i), top); });
    top = S::reduce(top, Max());
    S::each(N, [&](int k, i64 i) { sum += exp(row(k, i) - top); });
  } else {
    S::each(N, [&](int k, i64 i) {  // in one pass: the sum is scaled when the maximum rises
      const T x = row(k, i);
      if (x > top) {
        sum *= exp(top - x);
        top = x;
      }
      sum += exp(x - top);
    });
    const T mine = top;
    top = S::reduce(top, Max());
    sum *= exp(mine - top);
  }
  return {top, S::sum(sum)};
}
