// Pooling: a thread for each number. In backward it takes what the windows of its pixel have for it, so that the order of a sum is
// always the same.

struct Windows {
  const i64 *size, *stride, *dilation, *before, *after;
  __device__ explicit Windows(const i64* w) : size(w), stride(w + 3), dilation(w + 6), before(w + 9), after(w + 12) {}
  // How many positions of place e are inside an axis of n pixels, or inside the image and its border.
  __device__ i64 count(int axis, i64 e, i64 n, bool border) const {
    const i64 low = border ? -before[axis] : 0, high = border ? n + after[axis] : n;
    i64 total = 0;
    for (i64 r = 0; r < size[axis]; ++r) {
      const i64 at = e * stride[axis] - before[axis] + r * dilation[axis];
      total += at >= low && at < high;
    }
    return total;
  }
};

template <typename Args>
__device__ inline i64 pool_count(const Args& a, const Windows& w, i64 e, i64 p, i64 q) {
  return w.count(0, e, a.D, a.border) * w.count(1, p, a.H, a.border) * w.count(2, q, a.W, a.border);
}

// f(position, number of the image) for the pixels of the window of a place; i is the number of the place and its channel.
template <typename Args, typename F>
__device__ inline void each_pixel(const Args& a, const Windows& w, i64 i, F f) {
  const i64 c = i % a.C, q = i / a.C % a.Q, p = i / a.C / a.Q % a.P, e = i / a.C / a.Q / a.P % a.E;
  const i64 image = i / a.C / a.Q / a.P / a.E;
  for (i64 r = 0; r < w.size[0]; ++r)
    for (i64 u = 0; u < w.size[1]; ++u)
      for (i64 v = 0; v < w.size[2]; ++v) {
        const i64 d = e * w.stride[0] - w.before[0] + r * w.dilation[0], h = p * w.stride[1] - w.before[1] + u * w.dilation[1];
        const i64 x = q * w.stride[2] - w.before[2] + v * w.dilation[2];
        if (d < 0 || d >= a.D || h < 0 || h >= a.H || x < 0 || x >= a.W) continue;
        f((r * w.size[1] + u) * w.size[2] + v, (((image * a.D + d) * a.H + h) * a.W + x) * a.C + c);
      }
}

// f(position, e, p, q, number of the place) for the windows of a pixel; i is the number of the pixel and its channel.
template <typename Args, typename F>
__device__ inline void each_window(const Args& a, const Windows& w, i64 i, F f) {
  const i64 c = i % a.C, x = i / a.C % a.W, h = i / a.C / a.W % a.H, d = i / a.C / a.W / a.H % a.D;
  const i64 image = i / a.C / a.W / a.H / a.D;
  for (i64 r = 0; r < w.size[0]; ++r)
    for (i64 u = 0; u < w.size[1]; ++u)
      for (i64 v = 0; v < w.size[2]; ++v) {
        const i64 e = d + w.before[0] - r * w.dilation[0], p = h + w.before[1] - u * w.dilation[1];
        const i64 q = x + w.before[2] - v * w.dilation[2];
        if (e < 0 || e % w.stride[0] || p < 0 || p % w.stride[1] || q < 0 || q % w.stride[2]) continue;
        const i64 E = e / w.stride[0], P = p / w.stride[1], Q = q / w.stride[2];
        if (E >= a.E || P >= a.P || Q >= a.Q) continue;
        f((r * w.size[1] + u) * w.size[2] + v, E, P, Q, (((image * a.E + E) * a.P + P) * a.Q + Q) * a.C + c);
      }
}

template <typename T>
__device__ void max_pool_forward(const max_pool_forward_args<T>& a) {
  const Windows w(a.window);
  for (i64 i = first(); i < a.N * a.E * a.P * a.Q * a.C; i += stride()) {
    T best = (T)-1e308 * 10;  // of a window without pixels
    i64 place = -1;
    each_pixel(a, w, i, [&](i64 position, i64 at) {
      const T now = a.x[at];
      if (place >= 0 && !(now > best) && now == now) return;
      best = now;
      place = position;
    });
    a.y[i] = best;
    if (a.index) a.index[i] = (u8)(place < 0 ? 0 : place);
  }
}

template <typename T>
__device__ void max_pool_backward(const max_pool_backward_args<T>& a) {
  const Windows w(a.window);
  for (i64 i = first(); i < a.N * a.D * a.H * a.W * a.C; i += stride()) {
    T sum = 0;
    each_window(a, w, i, [&](i64 position, i64, i64, i64, i64 at) {
      if (a.index[at] == position) sum += a.dy[at];
    });
    a.dx[i] = sum;
  }
}

template <typename T>
__device__ void avg_pool_forward(const avg_pool_forward_args<T>& a) {
  const Windows w(a.window);
  for (i64 i = first(); i < a.N * a.E * a.P * a.Q * a.C; i += stride()) {
    T sum = 0;
    each_pixel(a, w, i, [&](i64, i64 at) { sum += a.x[at]; });
    const i64 q = i / a.C % a.Q, p = i / a.C / a.Q % a.P, e = i / a.C / a.Q / a.P % a.E;
    a.y[i] = sum / (T)pool_count(a, w, e, p, q);
  }
}

template <typename T>
__device__ void avg_pool_backward(const avg_pool_backward_args<T>& a) {
  const Windows w(a.window);
  for (i64 i = first(); i < a.N * a.D * a.H * a.W * a.C; i += stride()) {
    T sum = 0;
    each_window(a, w, i, [&](i64, i64 e, i64 p, i64 q, i64 at) { sum += a.dy[at] / (T)pool_count(a, w, e, p, q); });
    a.dx[i] = sum;
  }
}
