// Running sums and products along the middle dimension of x (A, B, C).

// The threads that share a result take as many elements at a time as they are, and pass on what those come to.
template <typename T, typename Part, typename Join>
__device__ inline void scan(const cumulate_args<T>& a, Part start, Join join) {
  __shared__ Part parts[THREADS];
  const i64 results = a.A * a.C, step = a.reverse ? -a.C : a.C;
  const Lanes lanes(results, a.B, a.C);
  for (i64 group = blockIdx.x; group * lanes.each < results; group += gridDim.x) {
    const i64 o = lanes.result(group), outer = quotient(o, a.C);
    const i64 begin = (outer * a.B + (a.reverse ? a.B - 1 : 0)) * a.C + (o - outer * a.C);
    Part carry = start;
    for (i64 tile = 0; tile < a.B; tile += lanes.count) {
      const i64 b = tile + lanes.lane, i = begin + b * step;
      const bool mine = o < results && b < a.B;
      Part through = mine ? (Part)a.x[i] : start, before = start, all = through;
      if (lanes.count > 1) {
        Part* part = parts + threadIdx.x;
        *part = through;
        for (int reach = 1; reach < lanes.count; reach *= 2) {
          __syncthreads();
          if (lanes.lane >= reach) through = join(part[-reach * lanes.apart], through);
          __syncthreads();
          *part = through;
        }
        __syncthreads();
        if (lanes.lane) before = part[-lanes.apart];
        all = part[(lanes.count - 1 - lanes.lane) * lanes.apart];
        __syncthreads();
      }
      if (mine) a.y[i] = (T)join(carry, a.exclusive ? before : through);
      carry = join(carry, all);
    }
  }
}

enum ScanOp { SCAN_SUM, SCAN_PROD };  // in the order of spec.SCAN_OPS

template <typename T>
__device__ void cumulate(const cumulate_args<T>& a) {
  using Part = typename Wide<T>::Type;
  switch (a.op) {
    case SCAN_SUM: return scan(a, Part(0), Add());
    case SCAN_PROD: return scan(a, Part(1), Multiply());
  }
}
