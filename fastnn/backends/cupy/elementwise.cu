// Broadcasting arithmetic, selection, copies between layouts, filling and conversion.

template <typename T>
constexpr bool WHOLE = T(0.5) == T(0);

// Whole numbers wrap around.
struct Add {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    if constexpr (WHOLE<T>) return (T)((u64)a + (u64)b);
    return a + b;
  }
};
struct Subtract {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    if constexpr (WHOLE<T>) return (T)((u64)a - (u64)b);
    return a - b;
  }
};
struct Multiply {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    if constexpr (WHOLE<T>) return (T)((u64)a * (u64)b);
    return a * b;
  }
};
// A float as a whole number, towards zero; the least one for NaN and for what i64 does not hold.
template <typename F>
__device__ inline i64 whole(F x) {
  const F beyond = F(9223372036854775808.0);
  return x >= -beyond && x < beyond ? (i64)x : (i64)(1ull << 63);
}

// The true quotient, towards zero in whole numbers.
struct Divide {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    if constexpr (WHOLE<T>) return whole((double)a / (double)b);
    return a / b;
  }
};
struct Raise {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    if constexpr (WHOLE<T>) {
      u64 result = 1, factor = (u64)a;
      if (b < 0) return a == 1 || a == -1 ? (b & 1 ? a : 1) : 0;
      for (; b; b >>= 1, factor *= factor)
        if (b & 1) result *= factor;
      return (T)result;
    } else {
      return pow(a, b);
    }
  }
};

// f(op) for the operation of that number, in the order of spec.BINARY_OPS.
template <typename F>
__device__ inline void with_binary_op(i64 op, F f) {
  switch (op) {
    case 0: return f(Add());
    case 1: return f(Subtract());
    case 2: return f(Multiply());
    case 3: return f(Divide());
    case 4: return f(Raise());
    case 5: return f(Max());
    case 6: return f(Min());
  }
}

// In the order of spec.COMPARE_OPS.
template <typename F>
__device__ inline void with_comparison(i64 op, F f) {
  switch (op) {
    case 0: return f([](auto a, auto b) { return a == b; });
    case 1: return f([](auto a, auto b) { return a != b; });
    case 2: return f([](auto a, auto b) { return a < b; });
    case 3: return f([](auto a, auto b) { return a <= b; });
    case 4: return f([](auto a, auto b) { return a > b; });
    case 5: return f([](auto a, auto b) { return a >= b; });
  }
}

// z = op(x, y) along the walk of x and y, where with_op gives the operation: for each run anew, lest the loop be there many
// times.
template <typename Z, typename Args, typename WithOp>
__device__ inline void combine(const Args& a, WithOp with_op) {
  const Walk<2>& walk = walk_of<2>(a.layout, a.R);
  const i64 sx = walk.last(0), sy = walk.last(1);
  for_runs(walk, a.n, [&](auto count, i64 i, const Places<2>& place) {
    constexpr int V = decltype(count)::V;
    const auto x = load_run<V>(a.x + place.at[0], sx), y = load_run<V>(a.y + place.at[1], sy);
    with_op([&](auto op) {
      Run<Z, V> z;
#pragma unroll
      for (int v = 0; v < V; ++v) z.value[v] = op(x.value[v], y.value[v]);
      store_run<V>(a.z + i, 1, z);
    });
  });
}

template <typename T>
__device__ void binary_forward(const binary_forward_args<T>& a) {
  combine<T>(a, [&](auto f) { with_binary_op(a.op, f); });
}

template <typename T>
__device__ void compare_forward(const compare_forward_args<T>& a) {
  combine<bool>(a, [&](auto f) { with_comparison(a.op, f); });
}

template <typename T>
__device__ void where_forward(const where_forward_args<T>& a) {
  const Walk<3>& walk = walk_of<3>(a.layout, a.R);
  const i64 sc = walk.last(0), sx = walk.last(1), sy = walk.last(2);
  for_runs(walk, a.n, [&](auto count, i64 i, const Places<3>& place) {
    constexpr int V = decltype(count)::V;
    const Run<bool, V> c = load_run<V>(a.c + place.at[0], sc);
    const Run<T, V> x = load_run<V>(a.x + place.at[1], sx), y = load_run<V>(a.y + place.at[2], sy);
    Run<T, V> z;
#pragma unroll
    for (int v = 0; v < V; ++v) z.value[v] = c.value[v] ? x.value[v] : y.value[v];
    store_run<V>(a.z + i, 1, z);
  });
}

constexpr int TILE = WARP;

// Copies where y lies together along the walk's last dimension and x along the dimension `across`, tile by tile.
template <typename T>
__device__ inline void transpose(Walk<2>& walk, int across, T* y, const T* x) {
  __shared__ T tile[TILE][TILE + 1];  // one more, so that a column is spread over all banks
  const int last = walk.dims - 1, lane = threadIdx.x % TILE, line = threadIdx.x / TILE;
  const i64 rows = walk.shape[across], columns = walk.shape[last], y_row = walk.stride[0][across],
            x_column = walk.stride[1][last];
  __syncthreads();
  if (threadIdx.x == 0) {  // what is left of the walk has a tile in each place
    walk.remove(last);
    walk.remove(across);
    walk.append();
  }
  __syncthreads();
  const i64 high = (rows + TILE - 1) / TILE, wide = (columns + TILE - 1) / TILE, tiles = walk.size() * high * wide;
  for (i64 i = blockIdx.x; i < tiles; i += gridDim.x) {
    const i64 outer = quotient(i, high * wide), inner = i - outer * high * wide, down = quotient(inner, wide);
    const i64 row = down * TILE, column = (inner - down * wide) * TILE;
    const Places<2> place(walk, outer);
    for (int j = line; j < TILE; j += THREADS / TILE)
      if (row + lane < rows && column + j < columns) tile[j][lane] = x[place.at[1] + row + lane + (column + j) * x_column];
    __syncthreads();
    for (int j = line; j < TILE; j += THREADS / TILE)
      if (row + j < rows && column + lane < columns) y[place.at[0] + (row + j) * y_row + column + lane] = tile[lane][j];
    __syncthreads();
  }
}

template <typename T>
__device__ void strided_copy(const strided_copy_args<T>& a) {
  __shared__ i64 offsets[2];
  if (threadIdx.x < 2) offsets[threadIdx.x] = a.layout[3 * a.R + threadIdx.x];
  Walk<2>& walk = walk_of<2>(a.layout, a.R);
  T* y = a.y + offsets[0];
  const T* x = a.x + offsets[1];
  const i64 n = walk.size(), sy = walk.last(0), sx = walk.last(1);
  if (n == 0) return;
  int across = -1;
  for (int d = 0; d < walk.dims - 1; ++d)
    if (walk.stride[1][d] == 1 && walk.shape[d] >= TILE / 2) across = d;
  if (across >= 0 && sy == 1 && sx != 1 && walk.shape[walk.dims - 1] >= TILE / 2) {
    transpose(walk, across, y, x);
    return;
  }
  for_runs(walk, n, [&](auto count, i64, const Places<2>& place) {
    constexpr int V = decltype(count)::V;
    store_run<V>(y + place.at[0], sy, load_run<V>(x + place.at[1], sx));
  });
}

// A bool is whether the value is other than 0.
template <typename To>
struct Convert {
  template <typename From>
  __device__ To operator()(From x) const {
    return (To)x;
  }
};
template <>
struct Convert<bool> {
  template <typename From>
  __device__ bool operator()(From x) const {
    return x != 0;
  }
};

template <>
struct Convert<i64> {
  __device__ i64 operator()(float x) const { return whole(x); }
  __device__ i64 operator()(double x) const { return whole(x); }
  template <typename From>
  __device__ i64 operator()(From x) const {
    return (i64)x;
  }
};

// Short whole numbers keep the last bits of the long ones.
template <>
struct Convert<int> {
  template <typename From>
  __device__ int operator()(From x) const {
    return (int)Convert<i64>()(x);
  }
};
template <>
struct Convert<u8> {
  template <typename From>
  __device__ u8 operator()(From x) const {
    return (u8)Convert<i64>()(x);
  }
};
// To the nearest, of two the even one; through float.
template <>
struct Convert<Bfloat16> {
  template <typename From>
  __device__ Bfloat16 operator()(From x) const {
    const u32 bits = __float_as_uint((float)x);
    if ((bits & 0x7fffffff) > 0x7f800000) return {(unsigned short)(bits >> 16 | 0x40)};  // NaN stays one
    return {(unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
  }
};

template <typename T>
__device__ inline T value(T x) {
  return x;
}
__device__ inline float value(Bfloat16 x) { return __uint_as_float((u32)x.bits << 16); }

template <typename X>
struct Cast {
  template <typename T>
  __device__ X operator()(T x) const {
    return Convert<X>()(value(x));
  }
};

template <typename T>
__device__ void fill(const fill_args<T>& a) {
  const T value = Convert<T>()(a.value);
  map(a.n, [value]() { return value; }, a.y);
}

template <typename T, typename X>
__device__ void cast(const cast_args<T, X>& a) {
  map(a.n, Cast<X>(), a.y, a.x);
}
