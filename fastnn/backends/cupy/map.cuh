// Functions of single elements, 16 bytes at once where all pointers allow it.

template <typename T, int V>
struct alignas(sizeof(T) * V) Run {
  T value[V];
};

template <int V, typename T>
__device__ inline bool run_aligned(const T* p) {
  return (u64)p % (sizeof(T) * V) == 0;
}

template <typename T, int V>
__device__ inline Run<T, V>& run_at(T* p, i64 i) {
  return ((Run<T, V>*)p)[i];
}
template <typename T, int V>
__device__ inline const Run<T, V>& run_at(const T* p, i64 i) {
  return ((const Run<T, V>*)p)[i];
}

template <typename First, typename... Rest>
__device__ constexpr int largest_size() {
  int size = sizeof(First);
  ((size = sizeof(Rest) > size ? sizeof(Rest) : size), ...);
  return size;
}

// z[i] = f(x[i]...) for n elements; z may be one of x.
template <typename Z, typename F, typename... X>
__device__ inline void map(i64 n, F f, Z* z, const X*... x) {
  constexpr int V = 16 / largest_size<Z, X...>();
  i64 done = 0;
  if (run_aligned<V>(z) && (run_aligned<V>(x) && ...)) {
    done = n / V * V;
#pragma unroll 1
    for (i64 i = first(); i < n / V; i += stride()) {
      Run<Z, V> out;
      const auto each = [&](const Run<X, V>... in) {
#pragma unroll
        for (int v = 0; v < V; ++v) out.value[v] = f(in.value[v]...);
      };
      each(run_at<X, V>(x, i)...);
      run_at<Z, V>(z, i) = out;
    }
  }
#pragma unroll 1
  for (i64 i = done + first(); i < n; i += stride()) z[i] = f(x[i]...);
}

// The whole part of i / n for i >= 0; a division of 32 bits takes a third of the time of one of 64.
__device__ inline i64 quotient(i64 i, i64 n) { return (u64)(i | n) >> 32 ? i / n : (i64)((u32)i / (u32)n); }
