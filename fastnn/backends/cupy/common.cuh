// What all kernels share: types, the loop over elements, sums within a block and over all blocks of a launch.
//
// A kernel is a __device__ function that any number of blocks of THREADS threads can run: it loops over its share by blockIdx
// and gridDim. How many blocks there are is a function of the sizes alone (fastnn/backends/cupy/launch.py), so that sums are
// taken in the same order every time. Nothing of a launch but its arrays is left for the next one.

typedef long long i64;
typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned char u8;

// The upper half of a float, as it lies in memory.
struct Bfloat16 {
  unsigned short bits;
};

struct Function {
  i64 id;
  double p0, p1;
};

constexpr int THREADS = 256;
constexpr int WARP = 32;
constexpr int MOST_BLOCKS = 1024;

// The elements of this thread: for (i64 i = first(); i < n; i += stride()).
__device__ inline i64 first() { return (i64)blockIdx.x * THREADS + threadIdx.x; }
__device__ inline i64 stride() { return (i64)gridDim.x * THREADS; }

struct Sum {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

// NaN passes through, as in NumPy.
struct Max {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
};

struct Min {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a < b || a != a ? a : b;
  }
};

// The reduction of a value of each thread of a warp, in a fixed order; every thread gets it.
template <typename T, typename Op>
__device__ inline T warp_reduce(T value, Op op) {
  for (int offset = WARP / 2; offset; offset /= 2) value = op(value, __shfl_xor_sync(0xffffffffu, value, offset));
  return value;
}

// The same for the block; every thread must come here and gets the result.
template <typename T, typename Op>
__device__ inline T block_reduce(T value, Op op) {
  __shared__ T parts[THREADS / WARP];
  value = warp_reduce(value, op);
  __syncthreads();  // the parts of the reduction before this one have been read
  if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = value;
  __syncthreads();
  T total = parts[0];
  for (int i = 1; i < THREADS / WARP; ++i) total = op(total, parts[i]);
  return total;
}

template <typename T>
__device__ inline T block_sum(T value) {
  return block_reduce(value, Sum());
}

// The reductions of N values of eight bytes of each block of the launch, in the order of the blocks; start is what changes
// nothing. True in all threads of the one block that came last, which then has the totals; the others return false. Once a
// launch.
constexpr int MOST_GRID_VALUES = 2;
__device__ u64 grid_parts[MOST_GRID_VALUES * MOST_BLOCKS];
__device__ unsigned grid_arrived;

template <int N, typename T, typename Op>
__device__ inline bool grid_reduce(const T (&of_block)[N], T (&total)[N], Op op, T start) {
  static_assert(N <= MOST_GRID_VALUES && sizeof(T) == sizeof(u64), "grid_parts is made for these");
  volatile T* parts = (volatile T*)grid_parts;
  __shared__ bool last;
  if (threadIdx.x == 0) {
    for (int k = 0; k < N; ++k) parts[k * MOST_BLOCKS + blockIdx.x] = of_block[k];
    __threadfence();
    last = atomicAdd(&grid_arrived, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (!last) return false;
  __threadfence();
  for (int k = 0; k < N; ++k) {
    T value = start;
    for (int i = threadIdx.x; i < (int)gridDim.x; i += THREADS) value = op(value, (T)parts[k * MOST_BLOCKS + i]);
    total[k] = block_reduce(value, op);
  }
  if (threadIdx.x == 0) grid_arrived = 0;
  return true;
}

// The same for one sum.
__device__ inline bool grid_sum(double block_total, double& total) {
  const double of_block[1] = {block_total};
  double totals[1] = {0};
  const bool last = grid_reduce(of_block, totals, Sum(), 0.0);
  total = totals[0];
  return last;
}

// Four float32 or two float64 at once, where all pointers allow it.
template <typename T>
struct alignas(16) Pack {
  static constexpr int SIZE = 16 / sizeof(T);
  T value[SIZE];
};

__device__ inline bool aligned16(const void* p) { return ((u64)p & 15) == 0; }

template <typename T>
__device__ inline T not_a_number() {
  return (T)0;
}
template <>
__device__ inline Bfloat16 not_a_number<Bfloat16>() {
  return {0x7fc0};
}
template <>
__device__ inline float not_a_number<float>() {
  return __int_as_float(0x7fc00000);
}
template <>
__device__ inline double not_a_number<double>() {
  return __longlong_as_double(0x7ff8000000000000LL);
}

// The type at a place of a list.
template <int I, typename First, typename... Rest>
struct Pick : Pick<I - 1, Rest...> {};
template <typename First, typename... Rest>
struct Pick<0, First, Rest...> {
  using Type = First;
};
