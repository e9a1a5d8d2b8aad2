// Matrix products and the dense layer, also of many nets: small ones whole, in a launch each; of large ones what cuBLASLt does not do. The structs
// are packed in dense.py. P is the precision, a position in spec.PRECISIONS; WIDE says which tiles a product has.

template <typename T>
struct Multiply {
  T* c;
  const T *a, *b;
  double alpha, beta;
  i64 m, n, k, tiles;
};

// c = alpha op(a) op(b) + beta c; TA and TB: a and b are transposed.
template <typename T, int P, bool TA, bool TB, bool WIDE>
__device__ void multiply(const Multiply<T>& f) {
  const T alpha = (T)f.alpha, beta = (T)f.beta;
  const int m = f.m, n = f.n, k = f.k;
  for (int tile = blockIdx.x; tile < f.tiles; tile += gridDim.x)
    product_tile<T, TileOf<T, WIDE>, !TA, TB>(
        product_memory<T, WIDE>(), tile, m, n, k, [&](int i, int s) { return rounded<P>(f.a[TA ? s * m + i : i * k + s]); },
        [&](int j, int s) { return rounded<P>(f.b[TB ? j * k + s : s * n + j]); },
        [&](int i, int j, T sum) {
          T* c = f.c + (i64)i * f.n + j;
          *c = beta == 0 ? alpha * sum : alpha * sum + beta * *c;
        });
}

// The layers of `nets` nets follow each other in the arrays; their inputs are x_step elements apart.
template <typename T>
struct Forward {
  T *y, *z;
  const T *x, *w, *b;
  Function act;
  i64 nets, x_step, m, n, k, tiles;
};

template <typename T, int P, bool WIDE>
__device__ void forward(const Forward<T>& f) {
  const T p0 = (T)f.act.p0, p1 = (T)f.act.p1;
  const int m = f.m, n = f.n, k = f.k;
  for (i64 job = blockIdx.x; job < f.tiles * f.nets; job += gridDim.x) {
    const i64 net = job / f.tiles, outputs = net * m * n;
    const T *x = f.x + net * f.x_step, *w = f.w + net * k * n;
    product_tile<T, TileOf<T, WIDE>, true, false>(
        product_memory<T, WIDE>(), (int)(job - net * f.tiles), m, n, k, [&](int i, int s) { return rounded<P>(x[i * k + s]); },
        [&](int j, int s) { return rounded<P>(w[s * n + j]); },
        [&](int i, int j, T z) {
          if (f.b) z += f.b[net * n + j];
          if (f.z) f.z[outputs + (i64)i * n + j] = z;
          f.y[outputs + (i64)i * n + j] = function_forward(z, p0, p1);
        });
  }
}

template <typename T>
struct Backward {
  T *dx, *dw, *db, *dz;
  const T *dy, *x, *w, *y, *z;
  Function act;
  i64 nets, x_step, m, n, k, add_dw, add_db, dx_tiles, dw_tiles, strips;
};

// dy times the slope, for the element i of the output; z is y for functions whose slope follows from it.
template <typename T, typename Args>
__device__ inline T slope_at(const Args& f, i64 i) {
  return function_backward(f.dy[i], f.z[i], f.y[i], (T)f.act.p0, (T)f.act.p1);
}

// The arguments of one of the nets.
template <typename T>
__device__ inline Backward<T> of_net(Backward<T> f, i64 net) {
  const i64 inputs = net * f.m * f.k, outputs = net * f.m * f.n, weights = net * f.k * f.n;
  f.dx += inputs;
  f.dw += weights;
  if (f.db) f.db += net * f.n;
  if (f.dz) f.dz += outputs;
  f.dy += outputs;
  f.x += net * f.x_step;
  f.w += weights;
  f.y += outputs;
  f.z += outputs;
  return f;
}

// The slopes of a strip of WARP columns, written where that is wanted, and their sums.
template <typename T>
__device__ inline void backward_strip(T* memory, const Backward<T>& f, i64 strip) {
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  const i64 column = strip * WARP + lane;
  T sum = 0;
  if (column < f.n) {
#pragma unroll 4
    for (i64 row = warp; row < f.m; row += WARPS) {
      const T value = slope_at<T>(f, row * f.n + column);
      if (f.dz) f.dz[row * f.n + column] = value;
      sum += value;
    }
  }
  if (!f.db) return;
  __syncthreads();
  memory[threadIdx.x] = sum;
  __syncthreads();
  if (warp == 0 && column < f.n) {
    for (int w = 1; w < WARPS; ++w) sum += memory[w * WARP + lane];
    f.db[column] = f.add_db ? f.db[column] + sum : sum;
  }
}

// Each block computes the slopes that it needs anew: no block waits for another, and there is one launch.
template <typename T, int P, bool DX_WIDE, bool DW_WIDE>
__device__ void backward(const Backward<T>& all) {
  const int m = all.m, n = all.n, k = all.k;
  T* memory = product_memory<T, DX_WIDE, DW_WIDE>();
  const i64 jobs = all.dx_tiles + all.dw_tiles + all.strips;
  for (i64 each = blockIdx.x; each < jobs * all.nets; each += gridDim.x) {
    const i64 net = each / jobs;
    const int job = (int)(each - net * jobs);
    const Backward<T> f = of_net(all, net);
    auto slope = [&](int row, int column) { return rounded<P>(slope_at<T>(f, row * n + column)); };
    if (job < f.dx_tiles) {
      product_tile<T, TileOf<T, DX_WIDE>, true, true>(
          memory, job, m, k, n, slope, [&](int j, int s) { return rounded<P>(f.w[j * n + s]); },
          [&](int i, int j, T sum) { f.dx[(i64)i * k + j] = sum; });
    } else if (job < f.dx_tiles + f.dw_tiles) {
      product_tile<T, TileOf<T, DW_WIDE>, false, false>(
          memory, job - f.dx_tiles, k, n, m, [&](int i, int s) { return rounded<P>(f.x[s * k + i]); },
          [&](int j, int s) { return slope(s, j); },
          [&](int i, int j, T sum) {
            T* dw = f.dw + (i64)i * n + j;
            *dw = f.add_dw ? *dw + sum : sum;
          });
    } else {
      backward_strip(memory, f, job - f.dx_tiles - f.dw_tiles);
    }
  }
}

// What a factor of a large product is stored as: bfloat16 is the upper half of a float.
template <typename T, int P>
struct Factor {
  using Type = T;
  __device__ static T of(T value) { return rounded<P>(value); }
};
template <>
struct Factor<float, BFLOAT16> {
  using Type = unsigned short;
  __device__ static Type of(float value) {
    const u32 bits = __float_as_uint(rounded<BFLOAT16>(value));
    return (Type)(value != value ? bits >> 16 | 0x40 : bits >> 16);  // a NaN whose bits are all in the lower half stays one
  }
};

template <typename T>
struct Convert {
  void* out;
  const T* in;
  i64 n;
};

template <typename T, int P>
__device__ void convert(const Convert<T>& f) {
  using Out = typename Factor<T, P>::Type;
  constexpr int SIZE = 16 / sizeof(Out), PACKS = SIZE / Pack<T>::SIZE;
  Out* out = (Out*)f.out;
  const i64 packs = aligned16(out) && aligned16(f.in) ? f.n / SIZE : 0;
  for (i64 i = first(); i < packs; i += stride()) {
    Pack<T> in[PACKS];
    Pack<Out> to;
#pragma unroll
    for (int j = 0; j < PACKS; ++j) in[j] = ((const Pack<T>*)f.in)[i * PACKS + j];
#pragma unroll
    for (int j = 0; j < SIZE; ++j) to.value[j] = Factor<T, P>::of(in[j / Pack<T>::SIZE].value[j % Pack<T>::SIZE]);
    ((Pack<Out>*)out)[i] = to;
  }
  for (i64 i = packs * SIZE + first(); i < f.n; i += stride()) out[i] = Factor<T, P>::of(f.in[i]);
}

template <typename T>
struct Activate {
  T *y, *z;
  const T *in, *b;
  Function act;
  i64 elements, n;
};

template <typename T, int V>
__device__ inline void activate_by(const Activate<T>& f) {
  struct alignas(V * sizeof(T)) Some {
    T value[V];
  };
  const T p0 = (T)f.act.p0, p1 = (T)f.act.p1;
  for (i64 i = first(); i < f.elements / V; i += stride()) {
    Some z = ((const Some*)f.in)[i], y;
    if (f.b) {
      const i64 column = i * V % f.n;
#pragma unroll
      for (int j = 0; j < V; ++j) z.value[j] += f.b[column + j];
    }
    if (f.z) ((Some*)f.z)[i] = z;
#pragma unroll
    for (int j = 0; j < V; ++j) y.value[j] = function_forward(z.value[j], p0, p1);
    ((Some*)f.y)[i] = y;
  }
}

// What cuBLASLt left of a layer: the bias where b is there, and the function. in may be y or z.
template <typename T>
__device__ void activate(const Activate<T>& f) {
  constexpr int V = Pack<T>::SIZE;
  if (f.n % V == 0 && aligned16(f.y) && aligned16(f.z) && aligned16(f.in))
    activate_by<T, V>(f);
  else
    activate_by<T, 1>(f);
}

template <typename T>
struct Slopes {
  void* dz;
  T* partial;
  const T *dy, *y, *z;
  Function act;
  i64 m, n, slabs;
};

// V neighbouring columns of each lane, a slab of rows of each block.
template <typename T, int P, int V>
__device__ inline void slopes_by(const Slopes<T>& f) {
  using Out = typename Factor<T, P>::Type;
  struct alignas(V * sizeof(T)) Some {
    T value[V];
  };
  struct alignas(V * sizeof(Out)) SomeOut {
    Out value[V];
  };
  __shared__ T parts[WARPS][WARP * V];
  const T* __restrict__ dys = f.dy;
  const T* __restrict__ ys = f.y;
  const T* __restrict__ zs = f.z;
  Out* __restrict__ dz = (Out*)f.dz;
  const T p0 = (T)f.act.p0, p1 = (T)f.act.p1;
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  const i64 strips = (f.n + WARP * V - 1) / (WARP * V);
  for (i64 job = blockIdx.x; job < strips * f.slabs; job += gridDim.x) {
    const i64 slab = job / strips, begin = slab * f.m / f.slabs, end = (slab + 1) * f.m / f.slabs;
    const i64 column0 = job % strips * WARP * V, column = column0 + lane * V;
    T sums[V] = {};
    if (column < f.n) {
#pragma unroll 4
      for (i64 row = begin + warp; row < end; row += WARPS) {
        const i64 at = row * f.n + column;
        const Some dy = *(const Some*)(dys + at), y = *(const Some*)(ys + at), z = *(const Some*)(zs + at);
        SomeOut out;
#pragma unroll
        for (int j = 0; j < V; ++j) {
          const T value = function_backward(dy.value[j], z.value[j], y.value[j], p0, p1);
          sums[j] += value;
          // Only bfloat16 is rounded here: tf32 is by cuBLASLt, and of float64 it is a copy that is rounded.
          out.value[j] = sizeof(Out) == sizeof(T) ? (Out)value : Factor<T, P>::of(value);
        }
        if (dz) *(SomeOut*)(dz + at) = out;
      }
    }
    if (!f.partial) continue;
    __syncthreads();
#pragma unroll
    for (int j = 0; j < V; ++j) parts[warp][lane * V + j] = sums[j];
    __syncthreads();
    for (int c = threadIdx.x; c < WARP * V && column0 + c < f.n; c += THREADS) {
      T sum = parts[0][c];
      for (int w = 1; w < WARPS; ++w) sum += parts[w][c];
      f.partial[slab * f.n + column0 + c] = sum;
    }
  }
}

// dz = dy act'(z), as a factor of products, and its column sums by slabs of rows; either may be absent.
template <typename T, int P>
__device__ void slopes(const Slopes<T>& f) {
  constexpr int V = Pack<T>::SIZE;
  if (f.n % V == 0 && aligned16(f.dz) && aligned16(f.dy) && aligned16(f.y) && aligned16(f.z))
    slopes_by<T, P, V>(f);
  else
    slopes_by<T, P, 1>(f);
}

template <typename T>
struct Columns {
  T* db;
  const T* partial;
  i64 n, slabs, add;
};

// The column sums of all slabs, in their order.
template <typename T>
__device__ void columns(const Columns<T>& f) {
  for (i64 column = first(); column < f.n; column += stride()) {
    T sum = f.partial[column];
#pragma unroll 16
    for (i64 slab = 1; slab < f.slabs; ++slab) sum += f.partial[slab * f.n + column];
    f.db[column] = f.add ? f.db[column] + sum : sum;
  }
}
