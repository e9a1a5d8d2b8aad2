// Passes over the elements of flat arrays, by 16 bytes where all of them are aligned; and what a block reads or computes once.

constexpr u32 ALL_LANES = 0xffffffffu;

// The result of make(), called by one thread of the block: control arrays may lie in the host's memory, far away.
template <typename F>
__device__ inline auto once_a_block(F make) {
  __shared__ decltype(make()) made;
  if (threadIdx.x == 0) made = make();
  __syncthreads();
  return made;
}

// Neighbouring columns of a matrix, a power of two of them, that a block takes; its threads share the rows out.
struct Strip {
  i64 count;          // of strips in all
  int width, column;  // the place of a thread in its strip
  int part, parts;    // its rows: part, part + parts ...

  __device__ explicit Strip(i64 columns) : width(1) {
    while (width < WARP && width < columns) width *= 2;
    count = (columns + width - 1) / width;
    column = threadIdx.x % width;
    part = threadIdx.x / width;
    parts = THREADS / width;
  }

  // The sum of the values of a column, in a fixed order; every thread must come here and gets that of its column.
  __device__ double sum(double value) const {
    __shared__ double sums[THREADS];
    __syncthreads();  // the sums before these have been read
    sums[threadIdx.x] = value;
    __syncthreads();
    for (int half = THREADS / 2; half >= width; half /= 2) {
      if ((int)threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
      __syncthreads();
    }
    return sums[column];
  }
};

// An array that a pass does not read.
template <typename T>
struct Output {
  T* at;
};

// What a pass does with an array: a const one is read, another read and written, an Output written.
template <typename P>
struct Access;
template <typename T>
struct Access<const T*> {
  typedef T Type;
  static constexpr bool READS = true, WRITES = false;
  static __device__ T* pointer(const T* array) { return const_cast<T*>(array); }
};
template <typename T>
struct Access<T*> {
  typedef T Type;
  static constexpr bool READS = true, WRITES = true;
  static __device__ T* pointer(T* array) { return array; }
};
template <typename T>
struct Access<Output<T>> {
  typedef T Type;
  static constexpr bool READS = false, WRITES = true;
  static __device__ T* pointer(Output<T> array) { return array.at; }
};

// S elements that lie together, in one access where PACKED.
template <bool PACKED, typename T, int S>
__device__ inline void load_group(T (&value)[S], const T* from) {
  if constexpr (PACKED) {
    const Pack<T> pack = *(const Pack<T>*)from;
#pragma unroll
    for (int s = 0; s < S; ++s) value[s] = pack.value[s];
  } else {
#pragma unroll
    for (int s = 0; s < S; ++s) value[s] = from[s];
  }
}

template <bool PACKED, typename T, int S>
__device__ inline void store_group(T* to, const T (&value)[S]) {
  if constexpr (PACKED) {
    Pack<T> pack;
#pragma unroll
    for (int s = 0; s < S; ++s) pack.value[s] = value[s];
    *(Pack<T>*)to = pack;
  } else {
#pragma unroll
    for (int s = 0; s < S; ++s) to[s] = value[s];
  }
}

// What a thread holds of an array: U groups of S elements.
template <typename P, int U, int S, bool PACKED>
struct Held {
  typedef typename Access<P>::Type T;
  T* at;
  T value[U][S];

  __device__ Held(P array, i64 begin) : at(Access<P>::pointer(array) + begin) {}

  __device__ void load(i64 apart) {
    if constexpr (Access<P>::READS) {
#pragma unroll
      for (int u = 0; u < U; ++u) load_group<PACKED>(value[u], at + u * apart);
    }
  }
  __device__ void store(i64 apart) const {
    if constexpr (Access<P>::WRITES) {
#pragma unroll
      for (int u = 0; u < U; ++u) store_group<PACKED>(at + u * apart, value[u]);
    }
  }
};

// All loads come first, so that they are in flight together.
template <int U, int S, typename F, typename... H>
__device__ inline void each_held(i64 apart, F& f, H... held) {
  (held.load(apart), ...);
#pragma unroll
  for (int u = 0; u < U; ++u) {
#pragma unroll
    for (int s = 0; s < S; ++s) f(held.value[u][s]...);
  }
  (held.store(apart), ...);
}

template <int U, int S, bool PACKED, typename F, typename... P>
__device__ inline void each_group(i64 groups, F& f, P... arrays) {
  const i64 apart = stride();
  i64 i = first();
  for (; i + (U - 1) * apart < groups; i += U * apart) each_held<U, S>(apart * S, f, Held<P, U, S, PACKED>(arrays, i * S)...);
  for (; i < groups; i += apart) each_held<1, S>(0, f, Held<P, 1, S, PACKED>(arrays, i * S)...);
}

// for_elements<U>(n, arrays...)(f) is f(element of each array...) for their n elements; arrays have one dtype. U times 16 bytes
// of each are in flight. Which elements a thread takes does not depend on how the arrays are aligned, so that neither do sums.
template <int U, typename... P>
__device__ inline auto for_elements(i64 n, P... arrays) {
  return [=](auto f) {
    constexpr int widths[] = {Pack<typename Access<P>::Type>::SIZE...}, S = widths[0];
    const i64 groups = n / S, rest = groups * S;
    if ((aligned16(Access<P>::pointer(arrays)) && ...))
      each_group<U, S, true>(groups, f, arrays...);
    else
      each_group<U, S, false>(groups, f, arrays...);
    if (first() < n - rest) each_held<1, 1>(0, f, Held<P, 1, 1, false>(arrays, rest + first())...);
  };
}

// True in one thread of a launch: the last to come here. One thread of each block must come; what the blocks read before they
// came may be written then.
__device__ inline bool last_to_arrive() {
  __threadfence();
  if (atomicAdd(&grid_arrived, 1u) != gridDim.x - 1) return false;
  grid_arrived = 0;
  return true;
}
