// Reductions over the middle dimension of (A, B, C). `of(i)` is what element i adds to its result, `join` takes two parts together,
// `start` is what changes nothing, and `write(o, part)` is called once for each of the A C results. The order in which parts are
// joined depends on the sizes alone.

// How many threads of a block share a result: so many that the device is filled, and that threads next to each other read memory
// next to each other.
__device__ inline int fold_lanes(i64 results, i64 B, i64 C) {
  constexpr i64 MANY = 264 * THREADS;
  const int most = C < 8 ? THREADS : WARP, least = C == 1 ? WARP : 1;
  int lanes = 1;
  while (lanes < most && lanes < B && (lanes < least || results * lanes < MANY)) lanes *= 2;
  return lanes;
}

template <typename Part, typename Join, typename Of, typename Write>
__device__ inline void fold_middle(i64 A, i64 B, i64 C, Part start, Join join, Of of, Write write) {
  __shared__ Part parts[THREADS];
  const i64 results = A * C;
  const int lanes = fold_lanes(results, B, C), each = THREADS / lanes;  // results of a block
  const bool together = C == 1;                                         // the lanes of a result are threads side by side
  const int lane = together ? threadIdx.x % lanes : threadIdx.x / each, apart = together ? 1 : each;
  for (i64 group = blockIdx.x; group * each < results; group += gridDim.x) {
    const i64 o = group * each + (together ? threadIdx.x / lanes : threadIdx.x % each);
    Part part = start;
    if (o < results) {
      const i64 outer = quotient(o, C), begin = outer * B * C + (o - outer * C);
#pragma unroll 4
      for (i64 b = lane; b < B; b += lanes) part = join(part, of(begin + b * C));
    }
    if (lanes > 1) {
      __syncthreads();  // the parts of the group before this one have been read
      parts[threadIdx.x] = part;
      for (int half = lanes / 2; half; half /= 2) {
        __syncthreads();
        if (lane < half) parts[threadIdx.x] = join(parts[threadIdx.x], parts[threadIdx.x + half * apart]);
      }
      part = parts[threadIdx.x];
    }
    if (lane == 0 && o < results) write(o, part);
  }
}

// The same for a single result of B elements, by all blocks; a part has eight bytes.
template <typename Part, typename Join, typename Of, typename Write>
__device__ inline void fold_all(i64 B, Part start, Join join, Of of, Write write) {
  Part part = start;
#pragma unroll 4
  for (i64 i = first(); i < B; i += stride()) part = join(part, of(i));
  const Part of_block[1] = {block_reduce(part, join)};
  Part total[1];
  if (grid_reduce(of_block, total, join, start) && threadIdx.x == 0) write((i64)0, total[0]);
}
