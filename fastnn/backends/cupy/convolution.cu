// Convolutions: products of patches, whose numbers are loaded from the image where they lie, with the filters. Tiles of all
// groups of channels are shared out to the blocks.

// The sizes of a convolution; args is the struct of a kernel.
struct Conv {
  i64 image[3], places[3], filter[3], C, I, O;
  const i64 *strides, *dilations, *before;
  int groups, inputs, outputs, rows, pixels, depth;  // inputs and outputs of a group; rows of patches; pixels of all images

  template <typename Args>
  __device__ explicit Conv(const Args& a)
      : image{a.D, a.H, a.W},
        places{a.E, a.P, a.Q},
        filter{a.R, a.U, a.V},
        C(a.C),
        I(a.I),
        O(a.O),
        strides(a.geometry),
        dilations(a.geometry + 3),
        before(a.geometry + 6),
        groups(I ? (int)(C / I) : 0),
        inputs((int)I),
        outputs(groups ? (int)(O / groups) : 0),
        rows((int)(a.N * a.E * a.P * a.Q)),
        pixels((int)(a.N * a.D * a.H * a.W)),
        depth((int)(a.R * a.U * a.V * a.I)) {}

  // The number that row i of the patches has at step s, in the image; -1: it is outside.
  __device__ i64 pixel_of(int i, int s, int group) const {
    i64 at = s / inputs, place = i, pixel = 0, scale = 1;
    for (int axis = 2; axis >= 0; --axis) {
      const i64 x = place % places[axis] * strides[axis] + at % filter[axis] * dilations[axis] - before[axis];
      if (x < 0 || x >= image[axis]) return -1;
      pixel += x * scale;
      scale *= image[axis];
      place /= places[axis];
      at /= filter[axis];
    }
    return (place * scale + pixel) * C + group * I + s % inputs;
  }

  // The element of dz that meets pixel i at step s: a position of the filters, and an output of the group; -1: there is none.
  __device__ i64 output_of(int i, int s, int group) const {
    i64 at = s / outputs, pixel = i, row = 0, scale = 1;
    for (int axis = 2; axis >= 0; --axis) {
      const i64 x = pixel % image[axis] + before[axis] - at % filter[axis] * dilations[axis];
      if (x < 0 || x % strides[axis] || x / strides[axis] >= places[axis]) return -1;
      row += x / strides[axis] * scale;
      scale *= places[axis];
      pixel /= image[axis];
      at /= filter[axis];
    }
    return (pixel * scale + row) * O + group * outputs + s % outputs;
  }
};

template <typename T>
using ConvTile = TileOf<T, true>;

template <typename T>
__device__ inline int conv_tiles(int m, int n) {
  return ((m + ConvTile<T>::M - 1) / ConvTile<T>::M) * ((n + ConvTile<T>::N - 1) / ConvTile<T>::N);
}

template <typename T>
__device__ void conv_forward(const conv_forward_args<T>& f) {
  const Conv s(f);
  const T p0 = (T)f.act.p0, p1 = (T)f.act.p1;
  const int tiles = conv_tiles<T>(s.rows, s.outputs);
  for (i64 job = blockIdx.x; job < (i64)s.groups * tiles; job += gridDim.x) {
    const int group = (int)(job / tiles);
    product_tile<T, ConvTile<T>, true, false>(
        product_memory<T, true>(), (int)(job % tiles), s.rows, s.outputs, s.depth,
        [&](int i, int k) {
          const i64 at = s.pixel_of(i, k, group);
          return at < 0 ? (T)0 : rounded_to(f.precision, f.x[at]);
        },
        [&](int j, int k) { return rounded_to(f.precision, f.w[k * s.O + group * s.outputs + j]); },
        [&](int i, int j, T sum) {
          const i64 column = group * s.outputs + j, at = i * s.O + column;
          const T z = f.b ? sum + f.b[column] : sum;
          if (f.aux) f.aux[at] = z;
          f.y[at] = function_forward(z, p0, p1);
        });
  }
}

// The slopes of WARP columns, written where that is wanted, and their sums.
template <typename T, typename Slope>
__device__ inline void conv_strip(T* memory, const conv_backward_args<T>& f, i64 rows, i64 strip, Slope slope) {
  constexpr int warps = THREADS / WARP;
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  const i64 column = strip * WARP + lane;
  T sum = 0;
  if (column < f.O)
    for (i64 row = warp; row < rows; row += warps) {
      const T value = slope(row * f.O + column);
      if (f.dz) f.dz[row * f.O + column] = value;
      sum += value;
    }
  if (!f.db) return;
  __syncthreads();
  memory[threadIdx.x] = sum;
  __syncthreads();
  if (warp == 0 && column < f.O) {
    for (int w = 1; w < warps; ++w) sum += memory[w * WARP + lane];
    f.db[column] = f.add & 4 ? f.db[column] + sum : sum;
  }
}

// Each block computes the slopes that it needs anew: no block waits for another, and there is one launch.
template <typename T>
__device__ void conv_backward(const conv_backward_args<T>& f) {
  const Conv s(f);
  const T p0 = (T)f.act.p0, p1 = (T)f.act.p1;
  const T* z = Activated::SAVES_Z ? f.aux : f.y ? f.y : f.dy;
  const T* y = f.y ? f.y : f.dy;  // a linear layer has no y, and does not look at it
  auto slope = [&](i64 at) { return function_backward(f.dy[at], z[at], y[at], p0, p1); };
  if (f.dw && !s.rows && !(f.add & 2))
    for (i64 i = first(); i < s.depth * s.O; i += stride()) f.dw[i] = 0;
  const int dx_tiles = f.dx ? conv_tiles<T>(s.pixels, s.inputs) : 0, dw_tiles = f.dw ? conv_tiles<T>(s.depth, s.outputs) : 0;
  const i64 of_dx = (i64)s.groups * dx_tiles, of_dw = s.rows ? (i64)s.groups * dw_tiles : 0;
  const i64 strips = f.db || f.dz ? (s.O + WARP - 1) / WARP : 0;
  T* memory = product_memory<T, true>();
  for (i64 job = blockIdx.x; job < of_dx + of_dw + strips; job += gridDim.x) {
    if (job < of_dx) {
      const int group = (int)(job / dx_tiles);
      product_tile<T, ConvTile<T>, true, true>(
          memory, (int)(job % dx_tiles), s.pixels, s.inputs, (int)(s.depth / s.inputs * s.outputs),
          [&](int i, int k) {
            const i64 at = s.output_of(i, k, group);
            return at < 0 ? (T)0 : rounded_to(f.precision, slope(at));
          },
          [&](int j, int k) {
            const i64 tap = k / s.outputs, output = k % s.outputs;
            return rounded_to(f.precision, f.w[(tap * s.inputs + j) * s.O + group * s.outputs + output]);
          },
          [&](int i, int j, T sum) { f.dx[i * s.C + group * s.inputs + j] = sum; });
    } else if (job < of_dx + of_dw) {
      const int group = (int)((job - of_dx) / dw_tiles);
      product_tile<T, ConvTile<T>, false, false>(
          memory, (int)((job - of_dx) % dw_tiles), s.depth, s.outputs, s.rows,
          [&](int i, int k) {
            const i64 at = s.pixel_of(k, i, group);
            return at < 0 ? (T)0 : rounded_to(f.precision, f.x[at]);
          },
          [&](int j, int k) { return rounded_to(f.precision, slope((i64)k * s.O + group * s.outputs + j)); },
          [&](int i, int j, T sum) {
            T* dw = f.dw + i * s.O + group * s.outputs + j;
            *dw = f.add & 2 ? *dw + sum : sum;
          });
    } else {
      conv_strip(memory, f, (i64)s.rows, job - of_dx - of_dw, slope);
    }
  }
}
