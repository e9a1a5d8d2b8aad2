// Walks of flat arrays: a shape, and the strides of K arrays. `layout` has them row by row.

constexpr int MOST_DIMS = 64;  // NumPy's limit

// Dimensions that can be taken together are merged, so that there are few, and the last one is long.
template <int K>
struct Walk {
  int dims;
  i64 shape[MOST_DIMS], stride[K][MOST_DIMS];

  __device__ void merge(const i64* layout, i64 R) {
    dims = 0;
    for (i64 d = 0; d < R; ++d) {
      if (layout[d] == 1) continue;
      bool merges = dims > 0;
      for (int k = 0; k < K; ++k) merges = merges && stride[k][dims - 1] == layout[(k + 1) * R + d] * layout[d];
      if (!merges) shape[dims++] = 1;
      shape[dims - 1] *= layout[d];
      for (int k = 0; k < K; ++k) stride[k][dims - 1] = layout[(k + 1) * R + d];
    }
    if (dims == 0) append();
  }
  // A dimension of size 1.
  __device__ void append() {
    shape[dims] = 1;
    for (int k = 0; k < K; ++k) stride[k][dims] = 0;
    ++dims;
  }
  __device__ void remove(int d) {
    for (--dims; d < dims; ++d) {
      shape[d] = shape[d + 1];
      for (int k = 0; k < K; ++k) stride[k][d] = stride[k][d + 1];
    }
  }
  __device__ i64 size() const {
    i64 n = 1;
    for (int d = 0; d < dims; ++d) n *= shape[d];
    return n;
  }
  __device__ i64 last(int k) const { return stride[k][dims - 1]; }
};

// Where an element of a walk lies in each of its arrays.
template <int K>
struct Places {
  i64 at[K];

  __device__ Places(const Walk<K>& walk, i64 i) : at{} {
#pragma unroll 1
    for (int d = walk.dims - 1; d >= 0; --d) {
      const i64 rest = d ? quotient(i, walk.shape[d]) : 0, index = i - rest * walk.shape[d];
      for (int k = 0; k < K; ++k) at[k] += index * walk.stride[k][d];
      i = rest;
    }
  }
};

// The walk of a layout, read once a block by all its threads.
template <int K>
__device__ inline Walk<K>& walk_of(const i64* layout, i64 R) {
  __shared__ i64 rows[(K + 1) * MOST_DIMS];
  __shared__ Walk<K> walk;
  for (i64 i = threadIdx.x; i < (K + 1) * R; i += THREADS) rows[i] = layout[i];
  __syncthreads();
  if (threadIdx.x == 0) walk.merge(rows, R);
  __syncthreads();
  return walk;
}

// So many elements, as a type.
template <int N>
struct Count {
  static constexpr int V = N;
};

// f(count, i, places) for runs of elements from i on, which together are the n elements of the walk; a run lies in the walk's
// last dimension.
template <int K, typename F>
__device__ inline void for_runs(const Walk<K>& walk, i64 n, F f) {
  const i64 runs = walk.dims == 1 || walk.shape[walk.dims - 1] % 4 == 0 ? n / 4 : 0;
#pragma unroll 1
  for (i64 run = first(); run < runs; run += stride()) f(Count<4>(), run * 4, Places<K>(walk, run * 4));
#pragma unroll 1
  for (i64 i = runs * 4 + first(); i < n; i += stride()) f(Count<1>(), i, Places<K>(walk, i));
}

// V elements that are a stride apart, in one access where they lie together and are aligned.
template <int V, typename T>
__device__ inline Run<T, V> load_run(const T* x, i64 stride) {
  if (stride == 1 && run_aligned<V>(x)) return run_at<T, V>(x, 0);
  Run<T, V> run;
#pragma unroll
  for (int v = 0; v < V; ++v) run.value[v] = x[v * stride];
  return run;
}
template <int V, typename T>
__device__ inline void store_run(T* y, i64 stride, const Run<T, V>& run) {
  if (stride == 1 && run_aligned<V>(y)) {
    run_at<T, V>(y, 0) = run;
    return;
  }
#pragma unroll
  for (int v = 0; v < V; ++v) y[v * stride] = run.value[v];
}
