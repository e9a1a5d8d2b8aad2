// Reductions over the middle dimension of (A, B, C). `of(i, b)` is what element i, of place b, adds to its result, `join` takes
// two parts together, `start` is what changes nothing, and `write(o, part)` is called once for each of the A C results. The order
// in which parts are joined depends on the sizes alone.

// How the threads of a block share out results: `count` lanes for each, so many that the device is filled, and that threads side
// by side read memory side by side.
struct Lanes {
  int count, each, lane, apart;  // lanes of a result, results of a block, this thread's lane, from one lane to the next
  bool together;                 // whether the lanes of a result are threads side by side

  __device__ Lanes(i64 results, i64 B, i64 C) : count(1), together(C == 1) {
    constexpr i64 MANY = 264 * THREADS;
    const int most = C < 8 ? THREADS : WARP, least = together ? WARP : 1;
    while (count < most && count < B && (count < least || results * count < MANY)) count *= 2;
    each = THREADS / count;
    lane = together ? threadIdx.x % count : threadIdx.x / each;
    apart = together ? 1 : each;
  }
  // This thread's result in a group of `each`.
  __device__ i64 result(i64 group) const { return group * each + (together ? threadIdx.x / count : threadIdx.x % each); }
};

template <typename Part, typename Join, typename Of, typename Write>
__device__ inline void fold_middle(i64 A, i64 B, i64 C, Part start, Join join, Of of, Write write) {
  __shared__ Part parts[THREADS];
  const i64 results = A * C;
  const Lanes lanes(results, B, C);
  for (i64 group = blockIdx.x; group * lanes.each < results; group += gridDim.x) {
    const i64 o = lanes.result(group);
    Part part = start;
    if (o < results) {
      const i64 outer = quotient(o, C), begin = outer * B * C + (o - outer * C);
#pragma unroll 8
      for (i64 b = lanes.lane; b < B; b += lanes.count) part = join(part, of(begin + b * C, b));
    }
    if (lanes.count > 1) {
      __syncthreads();  // the parts of the group before this one have been read
      parts[threadIdx.x] = part;
      for (int half = lanes.count / 2; half; half /= 2) {
        __syncthreads();
        if (lanes.lane < half) parts[threadIdx.x] = part = join(part, parts[threadIdx.x + half * lanes.apart]);
      }
    }
    if (lanes.lane == 0 && o < results) write(o, part);
  }
}

// The same for a single result of B elements, by all blocks; a part has eight bytes.
template <typename Part, typename Join, typename Of, typename Write>
__device__ inline void fold_all(i64 B, Part start, Join join, Of of, Write write) {
  Part part = start;
#pragma unroll 8
  for (i64 i = first(); i < B; i += stride()) part = join(part, of(i, i));
  const Part of_block[1] = {block_reduce(part, join)};
  Part total[1];
  if (grid_reduce(of_block, total, join, start) && threadIdx.x == 0) write((i64)0, total[0]);
}
