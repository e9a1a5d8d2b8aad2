// The gradient of an image with few channels. As a product with turned filters it would fill only a part of the vectors, and
// gather more than it multiplies. So the products of dz and the filters are computed for all positions of the filters, and added
// to the pixels that they met.
#pragma once
#include "families/convolution.h"

namespace {

// Returns whether images have so few channels. Groups have their own filters, which are products of their own.
template <class T>
FASTNN_INLINE bool few_channels(const Conv& s) {
  return !s.plain() && !s.depthwise() && s.groups() == 1 && s.C <= 2 * kLanes<T>;
}

// Rows of dz that are multiplied at a time: their products remain in the second-level cache. The number decides how tiles are
// cut, so it does not depend on the machine.
FASTNN_INLINE i64 column_rows(const Conv& s) {
  constexpr i64 kElements = 1 << 16;
  return max_i64(16, kElements / (s.taps() * s.I));
}

// Adds the products of a place, (taps, C), to the pixels that its window meets.
template <class T>
FASTNN_INLINE void add_window(T* image, const T* from, const Conv& s, const i64* place) {
  const i64 C = s.C, V = s.filter[2], first = place[2] * s.stride[2] - s.before[2], size = s.image[2];
  const auto add = [&](T* to, const T* from, i64 n) {
    for_vectors<T>({0, n}, [&](i64 i, auto lanes) { lanes.store(to + i, lanes.load(to + i) + lanes.load(from + i)); });
  };
  for (i64 r = 0; r < s.filter[0]; r++) {
    const i64 d = place[0] * s.stride[0] - s.before[0] + r * s.dilation[0];
    if (d < 0 || d >= s.image[0]) {
      from += s.filter[1] * V * C;
      continue;
    }
    for (i64 u = 0; u < s.filter[1]; u++, from += V * C) {
      const i64 h = place[1] * s.stride[1] - s.before[1] + u * s.dilation[1];
      if (h < 0 || h >= s.image[1]) continue;
      T* line = image + (d * s.image[1] + h) * size * C;
      if (s.dilation[2] == 1) {  // one run of pixels
        const i64 begin = max_i64(0, -first), end = min_i64(V, size - first);
        if (begin < end) add(line + (first + begin) * C, from + begin * C, (end - begin) * C);
        continue;
      }
      for (i64 v = 0; v < V; v++) {
        const i64 pixel = first + v * s.dilation[2];
        if (pixel >= 0 && pixel < size) add(line + pixel * C, from + v * C, C);
      }
    }
  }
}

FASTNN_INLINE i64 column_scratch(const Conv& s, i64 precision, int itemsize) {
  const i64 places = s.places[0] * s.places[1] * s.places[2], most = min_i64(places, column_rows(s)), n = s.taps() * s.I;
  i64 product = 0;
  const Cut cut = Cut::by(places, most);
  for (i64 m = cut.size; m <= cut.size + (cut.extra > 0); m++)
    product = max_i64(product, product_scratch(m, n, s.O, true, true, precision, itemsize, 1));
  return round_up(most * n * itemsize, 64) + round_up(product, 64);
}

template <class T>
void conv_image_gradient_by_columns(T* dx, const Conv& s, const T* dz, const T* w, i64 precision, const Worker& me) {
  const i64 places = s.places[0] * s.places[1] * s.places[2], pixels = s.image[0] * s.image[1] * s.image[2];
  const i64 n = s.taps() * s.I, most = min_i64(places, column_rows(s));
  char* scratch = me.scratch + me.ith * column_scratch(s, precision, sizeof(T));
  T* products = (T*)scratch;
  const Worker alone = {0, 1, nullptr, scratch + round_up(most * n * (i64)sizeof(T), 64)};
  const Cut cut = Cut::by(places, most);
  const Range images = share(s.N, 1, me);
  for (i64 image = images.begin; image < images.end; image++) {
    T* to = dx + image * pixels * s.C;
    memset((void*)to, 0, (size_t)(pixels * s.C) * sizeof(T));
    i64 place[3] = {};
    for (i64 i = 0; i < cut.pieces; i++) {
      const i64 first = cut.begin(i), rows = cut.begin(i + 1) - first;
      Product<T> p = {};
      p.m = rows;
      p.n = p.ldc = n;
      p.k = s.O;
      p.a = {dz + (image * places + first) * s.O, s.O, true};
      p.b = {w, s.O, true};
      p.c = products;
      p.alpha = 1;
      product(p, precision, alone);
      for (i64 row = 0; row < rows; row++) {
        add_window(to, products + row * n, s, place);
        for (int axis = 2; axis >= 0 && ++place[axis] == s.places[axis]; axis--) place[axis] = 0;
      }
    }
  }
}

}  // namespace
