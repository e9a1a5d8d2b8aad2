// Pooling. fastnn/backends/reference/pooling.py defines it.
//
// Windows are computed for a vector of channels at a time. Workers share the lines of places, and in backward, where windows may
// overlap, images and blocks of channels.
#pragma once
#include "math/simd.h"

namespace {

// Rows of three numbers, one for each axis.
struct Windows {
  const i64 *size, *stride, *dilation, *before, *after;
  __attribute__((always_inline)) explicit Windows(const i64* window)
      : size(window), stride(window + 3), dilation(window + 6), before(window + 9), after(window + 12) {}
  // Returns the positions of place e that are inside an axis of n pixels.
  Range positions(int axis, i64 e, i64 n) const {
    const i64 first = e * stride[axis] - before[axis], d = dilation[axis];
    i64 begin = max_i64(0, -first), end = max_i64(0, n - first);
    if (d != 1) {  // without divisions for most windows
      begin = ceil_div(begin, d);
      end = ceil_div(end, d);
    }
    return {begin, max_i64(begin, min_i64(size[axis], end))};
  }
  // Returns how many positions of place e are inside, or inside the image and its border.
  i64 count(int axis, i64 e, i64 n, bool border) const {
    if (!border) {
      const Range r = positions(axis, e, n);
      return r.end - r.begin;
    }
    const i64 first = e * stride[axis], all = n + before[axis] + after[axis];  // counted from the border's beginning
    return first >= all ? 0 : min_i64(size[axis], (all - 1 - first) / dilation[axis] + 1);
  }
};

template <class T>
struct MaxPoolForward {
  static constexpr const char* fields = "y index x window N E P Q C D H W";
  T* y;
  u8* index;
  const T* x;
  const i64* window;
  i64 N, E, P, Q, C, D, H, W;
};

template <class T>
struct MaxPoolBackward {
  static constexpr const char* fields = "dx dy index window N D H W C E P Q";
  T* dx;
  const T* dy;
  const u8* index;
  const i64* window;
  i64 N, D, H, W, C, E, P, Q;
};

template <class T>
struct AvgPoolForward {
  static constexpr const char* fields = "y x window border N E P Q C D H W";
  T* y;
  const T* x;
  const i64* window;
  i64 border;
  i64 N, E, P, Q, C, D, H, W;
};

template <class T>
struct AvgPoolBackward {
  static constexpr const char* fields = "dx dy window border N D H W C E P Q";
  T* dx;
  const T* dy;
  const i64* window;
  i64 border;
  i64 N, D, H, W, C, E, P, Q;
};

// Calls f(position, offset of the pixel in an image) for the pixels of the window of place (e, p, q).
template <class Args, class F>
FASTNN_INLINE void each_pixel(const Args& a, const Windows& w, i64 e, i64 p, i64 q, F f) {
  const Range rs = w.positions(0, e, a.D), us = w.positions(1, p, a.H), vs = w.positions(2, q, a.W);
  for (i64 r = rs.begin; r < rs.end; r++)
    for (i64 u = us.begin; u < us.end; u++) {
      const i64 d = e * w.stride[0] - w.before[0] + r * w.dilation[0], h = p * w.stride[1] - w.before[1] + u * w.dilation[1];
      const i64 line = (d * a.H + h) * a.W + q * w.stride[2] - w.before[2];
      for (i64 v = vs.begin; v < vs.end; v++) f((r * w.size[1] + u) * w.size[2] + v, (line + v * w.dilation[2]) * a.C);
    }
}

// Calls f(image, e, p, q, offset of the place) for the places of a worker.
template <class Args, class F>
FASTNN_INLINE void each_place(const Args& a, const Worker& me, F f) {
  const Range lines = share(a.N * a.E * a.P, max_i64(1, kGrain / max_i64(1, a.Q * a.C)), me);
  for (i64 line = lines.begin; line < lines.end; line++) {
    const i64 p = line % a.P, e = line / a.P % a.E, image = line / a.P / a.E;
    for (i64 q = 0; q < a.Q; q++) f(image, e, p, q, (line * a.Q + q) * a.C);
  }
}

template <class T>
FASTNN_INLINE void store_bytes(u8* to, IVec<T> from, i64 n) {
  typedef u8 Bytes __attribute__((vector_size(kLanes<T>)));
  const Bytes bytes = __builtin_convertvector(from, Bytes);
  __builtin_memcpy(to, &bytes, (size_t)n);
}
template <class T>
FASTNN_INLINE IVec<T> load_bytes(const u8* from, i64 n) {
  typedef u8 Bytes __attribute__((vector_size(kLanes<T>)));
  Bytes bytes = {};
  __builtin_memcpy(&bytes, from, (size_t)n);
  return __builtin_convertvector(bytes, IVec<T>);
}

template <class T>
void max_pool_forward(const void* args, const Worker& me) {
  constexpr i64 L = kLanes<T>;
  const auto& a = *(const MaxPoolForward<T>*)args;
  const Windows w(a.window);
  each_place(a, me, [&](i64 image, i64 e, i64 p, i64 q, i64 to) {
    const T* x = a.x + image * a.D * a.H * a.W * a.C;
    for (i64 c = 0; c < a.C; c += L) {
      const i64 n = min_i64(L, a.C - c);
      const bool whole = n == L;
      Vec<T> best = splat((T)-__builtin_inf());  // of a window without pixels
      IVec<T> index = {};
      bool first = true;
      each_pixel(a, w, e, p, q, [&](i64 position, i64 at) __attribute__((always_inline)) {
        const Vec<T> now = whole ? load(x + at + c) : load_n(x + at + c, n);
        const IVec<T> number = isplat<T>((typename Simd<T>::Int)position);
        if (first) {
          best = now;
          index = number;
          first = false;
        } else {
          const auto larger = (now > best) | (now != now);
          best = larger ? now : best;
          index = larger ? number : index;
        }
      });
      if (whole)
        store(a.y + to + c, best);
      else
        store_n(a.y + to + c, best, n);
      if (a.index) store_bytes<T>(a.index + to + c, index, n);
    }
  });
}

// Calls f(image, first channel, end) for the images and the blocks of channels of a worker.
template <class Args, class F>
FASTNN_INLINE void each_block(const Args& a, const Worker& me, F f) {
  constexpr i64 kChannels = 64;
  const i64 blocks = ceil_div(a.C, kChannels);
  const Range mine = share(a.N * blocks, 1, me);
  for (i64 item = mine.begin; item < mine.end; item++) {
    const i64 c = item % blocks * kChannels;
    f(item / blocks, c, min_i64(a.C, c + kChannels));
  }
}

// Returns whether each pixel is in one window: then nothing has to be added.
FASTNN_INLINE bool windows_tile(const Windows& w, const i64* image, const i64* places) {
  bool tile = true;
  for (int i = 0; i < 3; i++)
    tile = tile && w.size[i] == w.stride[i] && w.dilation[i] == 1 && w.before[i] == 0 && places[i] * w.size[i] == image[i];
  return tile;
}

// dx = the sums of part(position, offset of a place, channel, lanes, n) over the windows of a pixel.
template <class T, class Args, class F>
FASTNN_INLINE void pool_backward(const Args& a, const Windows& w, const Worker& me, F part) {
  constexpr i64 L = kLanes<T>;
  const i64 pixels = a.D * a.H * a.W, places = a.E * a.P * a.Q, of_image[3] = {a.D, a.H, a.W}, of_places[3] = {a.E, a.P, a.Q};
  const bool tile = windows_tile(w, of_image, of_places);
  each_block(a, me, [&](i64 image, i64 begin, i64 end) {
    T* dx = a.dx + image * pixels * a.C;
    for (i64 pixel = 0; pixel < pixels && !tile; pixel++)
      for_vectors<T>({begin, end}, [&](i64 c, auto lanes) { lanes.store(dx + pixel * a.C + c, Vec<T>{}); });
    i64 from = image * places * a.C;
    for (i64 e = 0; e < a.E; e++)
      for (i64 p = 0; p < a.P; p++)
        for (i64 q = 0; q < a.Q; q++, from += a.C)
          for (i64 c = begin; c < end; c += L) {
            const i64 n = min_i64(L, end - c);
            const auto share = part(e, p, q, from + c, n);
            each_pixel(a, w, e, p, q, [&](i64 position, i64 at) __attribute__((always_inline)) {
              T* to = dx + at + c;
              if (n == L)
                store(to, tile ? share(position) : load(to) + share(position));
              else
                store_n(to, tile ? share(position) : load_n(to, n) + share(position), n);
            });
          }
  });
}

template <class T>
FASTNN_INLINE Vec<T> load_first(const T* p, i64 n) {
  return n == kLanes<T> ? load(p) : load_n(p, n);
}

template <class T>
void max_pool_backward(const void* args, const Worker& me) {
  const auto& a = *(const MaxPoolBackward<T>*)args;
  pool_backward<T>(a, Windows(a.window), me, [&](i64, i64, i64, i64 at, i64 n) __attribute__((always_inline)) {
    const Vec<T> dy = load_first(a.dy + at, n);
    const IVec<T> index = load_bytes<T>(a.index + at, n);
    return [dy, index](i64 position)
               __attribute__((always_inline)) { return index == isplat<T>((typename Simd<T>::Int)position) ? dy : Vec<T>{}; };
  });
}

template <class Args>
FASTNN_INLINE i64 pool_count(const Args& a, const Windows& w, i64 e, i64 p, i64 q) {
  return w.count(0, e, a.D, a.border) * w.count(1, p, a.H, a.border) * w.count(2, q, a.W, a.border);
}

template <class T>
void avg_pool_forward(const void* args, const Worker& me) {
  const auto& a = *(const AvgPoolForward<T>*)args;
  const Windows w(a.window);
  each_place(a, me, [&](i64 image, i64 e, i64 p, i64 q, i64 to) {
    const T* x = a.x + image * a.D * a.H * a.W * a.C;
    const T count = (T)pool_count(a, w, e, p, q);
    for_vectors<T>({0, a.C}, [&](i64 c, auto lanes) {
      Vec<T> sum = {};
      each_pixel(a, w, e, p, q, [&](i64, i64 at) __attribute__((always_inline)) { sum += lanes.load(x + at + c); });
      lanes.store(a.y + to + c, sum / count);
    });
  });
}

template <class T>
void avg_pool_backward(const void* args, const Worker& me) {
  const auto& a = *(const AvgPoolBackward<T>*)args;
  const Windows w(a.window);
  pool_backward<T>(a, w, me, [&](i64 e, i64 p, i64 q, i64 at, i64 n) __attribute__((always_inline)) {
    const Vec<T> dy = load_first(a.dy + at, n) / (T)pool_count(a, w, e, p, q);
    return [dy](i64) __attribute__((always_inline)) { return dy; };
  });
}

// Returns the nanoseconds for the pixels of all windows.
template <class Args>
double pool_work(const void* args, int itemsize) {
  const auto& a = *(const Args*)args;
  const Windows w(a.window);
  return elements_work(a.N * a.E * a.P * a.Q * a.C * (1 + w.size[0] * w.size[1] * w.size[2]), itemsize, 0.1, 0.2);
}

}  // namespace
