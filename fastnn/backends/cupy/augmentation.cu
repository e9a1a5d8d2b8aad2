// Images seen through an affine map: a thread for each number of the result; in backward, a thread for each channel of an image,
// so that the order of a sum is always the same.

enum FillMode { CONSTANT, NEAREST, REFLECT, WRAP };

// The pixel of an axis that position i shows, or -1.
__device__ inline i64 shown(i64 i, i64 n, i64 fill_mode) {
  if (i >= 0 && i < n) return i;
  if (fill_mode == CONSTANT) return -1;
  if (fill_mode == NEAREST) return i < 0 ? 0 : n - 1;
  const i64 period = fill_mode == REFLECT ? 2 * n : n;
  i %= period;
  if (i < 0) i += period;
  return fill_mode == REFLECT && period - 1 - i < i ? period - 1 - i : i;
}

// One or two pixels of an axis, and their weights.
struct Taps {
  int count;
  i64 pixel[2];
  double weight[2];
  __device__ Taps(double place, i64 n, i64 interpolation, i64 fill_mode) : count(1), pixel{0, 0}, weight{1, 0} {
    if (!(fabs(place) <= 2147483648.0)) {
      weight[0] = not_a_number<double>();
      return;
    }
    const double lower = floor(interpolation ? place : place + 0.5), upper = interpolation ? place - lower : 0;
    pixel[0] = shown((i64)lower, n, fill_mode);
    if (upper == 0) return;
    count = 2;
    pixel[1] = shown((i64)lower + 1, n, fill_mode);
    weight[0] = 1 - upper;
    weight[1] = upper;
  }
};

// f(pixel of the image or -1, weight) for the pixels that the place in line p and column q sees.
template <typename T, typename Args, typename F>
__device__ inline void each_tap(const Args& a, i64 n, i64 p, i64 q, F f) {
  const double* m = a.matrix + 6 * n;
  const Taps rows(m[3] * (double)q + (m[4] * (double)p + m[5]), a.H, a.interpolation, a.fill_mode);
  const Taps columns(m[0] * (double)q + (m[1] * (double)p + m[2]), a.W, a.interpolation, a.fill_mode);
#pragma unroll // indices that the compiler knows, so that the taps stay in registers
  for (int v = 0; v < 2; ++v)
#pragma unroll
    for (int u = 0; u < 2; ++u) {
      if (v >= rows.count || u >= columns.count) continue;
      const T weight = (T)(rows.weight[v] * columns.weight[u]);
      const bool inside = rows.pixel[v] >= 0 && columns.pixel[u] >= 0;
      if (weight != 0) f(inside ? rows.pixel[v] * a.W + columns.pixel[u] : -1, weight);
    }
}

template <typename T>
__device__ void affine_transform_forward(const affine_transform_forward_args<T>& a) {
  for (i64 i = first(); i < a.N * a.P * a.Q * a.C; i += stride()) {
    const i64 c = i % a.C, q = i / a.C % a.Q, p = i / a.C / a.Q % a.P, n = i / a.C / a.Q / a.P;
    T sum = 0;
    each_tap<T>(a, n, p, q, [&](i64 pixel, T weight) {
      sum += weight * (pixel < 0 ? (T)a.fill_value : a.x[(n * a.H * a.W + pixel) * a.C + c]);
    });
    a.y[i] = sum;
  }
}

template <typename T>
__device__ void affine_transform_backward(const affine_transform_backward_args<T>& a) {
  for (i64 i = first(); i < a.N * a.C; i += stride()) {
    const i64 c = i % a.C, n = i / a.C;
    T* dx = a.dx + n * a.H * a.W * a.C + c;
    for (i64 pixel = 0; pixel < a.H * a.W; ++pixel) dx[pixel * a.C] = 0;
    for (i64 p = 0; p < a.P; ++p)
      for (i64 q = 0; q < a.Q; ++q) {
        const T dy = a.dy[((n * a.P + p) * a.Q + q) * a.C + c];
        each_tap<T>(a, n, p, q, [&](i64 pixel, T weight) {
          if (pixel >= 0 && weight == weight) dx[pixel * a.C] += weight * dy;
        });
      }
  }
}
