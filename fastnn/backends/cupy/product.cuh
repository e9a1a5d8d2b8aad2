// Small products of matrices, where what counts is one launch and short chains of loads: a block computes a tile of the result,
// its warps take turns along K, and their sums are added in the order of the warps. Large products are cuBLASLt's.

enum { FULL = 0, BFLOAT16 = 1, TF32 = 2 };  // the positions in spec.PRECISIONS

// To the nearest number of the precision; ties to even for bfloat16, away from zero for tf32. NaN stays NaN.
template <int P, typename T>
__device__ inline T rounded(T value) {
  if constexpr (P == FULL) {
    return value;
  } else {
    if (value != value) return value;
    u32 bits = __float_as_uint((float)value);
    if constexpr (P == BFLOAT16)
      bits = (bits + 0x7fffu + (bits >> 16 & 1)) & 0xffff0000u;
    else
      bits = (bits + 0x1000u) & 0xffffe000u;
    return (T)__uint_as_float(bits);
  }
}

template <typename T>
__device__ inline T rounded_to(i64 precision, T value) {
  return precision == BFLOAT16 ? rounded<BFLOAT16>(value) : precision == TF32 ? rounded<TF32>(value) : value;
}

// R neighbours in shared memory, loaded at once.
template <typename T, int R>
struct alignas(R * sizeof(T) < 16 ? R * sizeof(T) : 16) Few {
  T value[R];
};

constexpr int WARPS = THREADS / WARP;

// A lane computes RM x RN elements; the lanes of a warp stand in LANES_M rows. Each chunk of DEPTH steps of K lies in shared
// memory, with K the slowest dimension of both factors and rows that begin at multiples of 16 bytes.
template <typename T, int RM_, int RN_, int LANES_M, int DEPTH_>
struct Tile {
  static constexpr int RM = RM_, RN = RN_, LANES_N = WARP / LANES_M;
  static constexpr int M = RM * LANES_M, N = RN * LANES_N, DEPTH = DEPTH_ * 4 / (int)sizeof(T);
  static constexpr int PAD = 16 / sizeof(T), ROW_A = M + PAD, ROW_B = N + PAD;
  static constexpr int EACH_A = M * DEPTH / THREADS, EACH_B = N * DEPTH / THREADS;
  static constexpr int CHUNK = (ROW_A + ROW_B) * DEPTH, PARTS = WARPS * M * N;
  static constexpr int SIZE = CHUNK > PARTS ? CHUNK : PARTS;
};

// Many tiles for few elements, and fewer loads for many; their sizes are TILES in dense.py.
template <typename T>
using Narrow = Tile<T, 2, 1, 2, 256>;  // 4 x 16
template <typename T>
using Wide = Tile<T, 4, 4, 4, 64>;  // 16 x 32

// The tile's elements of the chunk that begins at step k0, in registers: some of each thread. Places in factors are ints, as a
// small product has no more, and 64 bits for each of them would take most registers.
template <int SPAN, int DEPTH, bool ALONG_K, int EACH, typename T, typename Factor>
__device__ inline void fetch(T (&to)[EACH], Factor factor, int begin, int end, int k0, int k) {
#pragma unroll
  for (int i = 0; i < EACH; ++i) {
    const int at = threadIdx.x + i * THREADS;
    const int row = begin + (ALONG_K ? at / DEPTH : at % SPAN), step = k0 + (ALONG_K ? at % DEPTH : at / SPAN);
    to[i] = row < end && step < k ? factor(row, step) : (T)0;
  }
}

template <int SPAN, int DEPTH, bool ALONG_K, int ROW, int EACH, typename T>
__device__ inline void put(T* to, const T (&from)[EACH]) {
#pragma unroll
  for (int i = 0; i < EACH; ++i) {
    const int at = threadIdx.x + i * THREADS;
    const int row = ALONG_K ? at / DEPTH : at % SPAN, step = ALONG_K ? at % DEPTH : at / SPAN;
    to[step * ROW + row] = from[i];
  }
}

// Tile number `tile` of the product of A (m, k) and B (k, n), whose elements are a(row, step) and b(column, step); store(row,
// column, sum) gets each element of the result. A_ALONG_K: the steps of a row of A are neighbours in memory; else its rows.
template <typename T, typename S, bool A_ALONG_K, bool B_ALONG_K, typename A, typename B, typename Store>
__device__ inline void product_tile(T* memory, int tile, int m, int n, int k, A a, B b, Store store) {
  const int across = (n + S::N - 1) / S::N, row0 = tile / across * S::M, column0 = tile % across * S::N;
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  const int row = lane / S::LANES_N * S::RM, column = lane % S::LANES_N * S::RN;
  T* as = memory;
  T* bs = memory + S::DEPTH * S::ROW_A;
  T next_a[S::EACH_A], next_b[S::EACH_B], sums[S::RM][S::RN] = {};
  fetch<S::M, S::DEPTH, A_ALONG_K>(next_a, a, row0, m, 0, k);
  fetch<S::N, S::DEPTH, B_ALONG_K>(next_b, b, column0, n, 0, k);
  for (int k0 = 0; k0 < k; k0 += S::DEPTH) {
    __syncthreads();  // what lay there has been read
    put<S::M, S::DEPTH, A_ALONG_K, S::ROW_A>(as, next_a);
    put<S::N, S::DEPTH, B_ALONG_K, S::ROW_B>(bs, next_b);
    __syncthreads();
    if (k0 + S::DEPTH < k) {  // on their way while this chunk is multiplied
      fetch<S::M, S::DEPTH, A_ALONG_K>(next_a, a, row0, m, k0 + S::DEPTH, k);
      fetch<S::N, S::DEPTH, B_ALONG_K>(next_b, b, column0, n, k0 + S::DEPTH, k);
    }
    const int depth = k - k0 < S::DEPTH ? k - k0 : S::DEPTH;
#pragma unroll 4
    for (int step = warp; step < depth; step += WARPS) {
      const auto x = *(const Few<T, S::RM>*)(as + step * S::ROW_A + row);
      const auto y = *(const Few<T, S::RN>*)(bs + step * S::ROW_B + column);
#pragma unroll
      for (int i = 0; i < S::RM; ++i)
#pragma unroll
        for (int j = 0; j < S::RN; ++j) sums[i][j] += x.value[i] * y.value[j];
    }
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < S::RM; ++i)
#pragma unroll
    for (int j = 0; j < S::RN; ++j) memory[(warp * S::M + row + i) * S::N + column + j] = sums[i][j];
  __syncthreads();
  for (int at = threadIdx.x; at < S::M * S::N; at += THREADS) {
    const int r = row0 + at / S::N, c = column0 + at % S::N;
    if (r >= m || c >= n) continue;
    T sum = memory[at];
#pragma unroll
    for (int w = 1; w < WARPS; ++w) sum += memory[w * S::M * S::N + at];
    store(r, c, sum);
  }
}

template <typename T, bool WIDE>
using TileOf = typename Pick<WIDE, Narrow<T>, Wide<T>>::Type;

// Where the tiles of a block lie, of one kind or the other.
template <typename T, bool WIDE, bool OTHER_WIDE = WIDE>
__device__ inline T* product_memory() {
  constexpr int one = TileOf<T, WIDE>::SIZE, other = TileOf<T, OTHER_WIDE>::SIZE, size = one > other ? one : other;
  __shared__ Pack<T> memory[(size + Pack<T>::SIZE - 1) / Pack<T>::SIZE];
  return memory[0].value;
}
