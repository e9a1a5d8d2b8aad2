// A factor whose rows are patches of images: what a filter meets at each place where it is laid on an image. A convolution is the
// product of this factor and the filters. The factor itself is never in memory: workers gather the parts that they multiply.
#pragma once
#include "product/ukern.h"

namespace fastnn {

// Rows count the places (image, then three axes), columns the positions in a filter (three axes, then channels). Place e of an
// axis meets, at position r, pixel (e * stride + r * dilation - before) / spread: none if that is not whole or not inside.
template <class T>
struct Patches {
  const T* image;  // the first of `channels` channels of each pixel
  i64 channels;    // channels of a patch
  i64 pixel;       // distance of two pixels
  i64 first;       // the place that is row 0
  i64 size[3], places[3], filter[3], stride[3], dilation[3], before[3], spread[3];
};

}  // namespace fastnn

namespace {
using fastnn::Patches;

// Where masked stores are slow, up to a vector is written after the elements of a row: what follows is written later.
constexpr bool kWhole = FASTNN_VB != 64;

// Returns the row stride for rows of n elements and what is written after them. Rows that are read side by side begin in
// different sets of a cache.
template <class T>
constexpr i64 patch_stride(i64 n) {
  constexpr i64 line = 64 / (i64)sizeof(T);
  return (round_up(n + (kWhole ? kLanes<T> - 1 : 0), line) / line | 1) * line;
}

// Writes at most a vector.
template <class T>
FASTNN_INLINE void put_part(T* to, Vec<T> v, i64 n) {
  if (kWhole)
    store(to, v);
  else
    store_n(to, v, n);
}
template <class T>
FASTNN_INLINE void put(T* to, const T* from, i64 n) {
  constexpr i64 L = kLanes<T>;
  i64 i = 0;
  for (; i + L <= n; i += L) store(to + i, load(from + i));
  if (i < n) put_part(to + i, load_n(from + i, n - i), n - i);
}
template <class T>
FASTNN_INLINE void put_zeros(T* to, i64 n) {
  for (i64 i = 0; i < n; i += kLanes<T>) put_part(to + i, Vec<T>{}, min_i64(kLanes<T>, n - i));
}

// Returns the pixel that a place meets along an axis, or -1.
template <class T>
FASTNN_INLINE i64 pixel_at(const Patches<T>& g, int axis, i64 place, i64 position) {
  const i64 at = place * g.stride[axis] + position * g.dilation[axis] - g.before[axis];
  const i64 spread = g.spread[axis];
  if (at < 0) return -1;
  const i64 pixel = spread == 1 ? at : at % spread ? -1 : at / spread;
  return pixel < g.size[axis] ? pixel : -1;
}

// Writes positions [begin, end) of one line of the filter, in elements, for `places` neighbouring places from `place` on, whose
// line of the image is `line`.
template <class T>
FASTNN_INLINE void gather_line(T* to, i64 ld, const Patches<T>& g, const T* line, i64 place, i64 places, i64 begin, i64 end) {
  const i64 C = g.channels;
  if (g.dilation[2] == 1 && g.spread[2] == 1 && C == g.pixel) {  // one run of pixels, with zeros around it
    const i64 size = g.size[2] * C, step = g.stride[2] * C, n = end - begin;
    const i64 start = (place * g.stride[2] - g.before[2]) * C;  // of the first place, in the line
    auto at_border = [&](i64 i) {
      const i64 first = start + i * step;
      const i64 from = min_i64(max_i64(begin, -first), end), until = max_i64(from, min_i64(end, size - first));
      T* here = to + i * ld;
      put_zeros(here, from - begin);
      put(here + from - begin, line + first + from, until - from);
      put_zeros(here + until - begin, end - until);
    };
    const i64 left = -(start + begin), room = size - end - start;  // places [inside, outside) see only pixels of the line
    const i64 inside = left > 0 ? min_i64(places, ceil_div(left, step)) : 0;
    const i64 outside = room < 0 ? inside : max_i64(inside, min_i64(places, room / step + 1));
    for (i64 i = 0; i < inside; i++) at_border(i);
    const T* from = line + start + begin;
    if (n <= kLanes<T>)
      for (i64 i = inside; i < outside; i++) put_part(to + i * ld, load_n(from + i * step, n), n);
    else
      for (i64 i = inside; i < outside; i++) put(to + i * ld, from + i * step, n);
    for (i64 i = outside; i < places; i++) at_border(i);
    return;
  }
  for (i64 i = 0; i < places; i++, to += ld) {
    for (i64 at = begin; at < end;) {
      const i64 v = at / C, channel = at - v * C, n = min_i64(C - channel, end - at);
      const i64 pixel = pixel_at(g, 2, place + i, v);
      T* here = to + at - begin;
      if (pixel < 0)
        put_zeros(here, n);
      else
        put(here, line + pixel * g.pixel + channel, n);
      at += n;
    }
  }
}

// Gathers rows [i0, i0 + rows) and columns [k0, k0 + kc) of the factor. Each row of `to` begins `ld` elements after the one
// before.
template <class T>
void gather(T* to, i64 ld, const Patches<T>& g, i64 i0, i64 rows, i64 k0, i64 kc) {
  const i64 line = g.filter[2] * g.channels, row = g.size[2] * g.pixel;
  i64 at[3], rest = g.first + i0;
  for (int axis = 2; axis >= 0; axis--) {
    at[axis] = rest % g.places[axis];
    rest /= g.places[axis];
  }
  i64 image = rest;
  for (i64 i = 0, run; i < rows; i += run, to += run * ld) {
    run = min_i64(rows - i, g.places[2] - at[2]);        // places of one line
    for (i64 l = k0 / line, done = 0; done < kc; l++) {  // lines of the filter
      const i64 begin = k0 + done - l * line, end = min_i64(line, begin + kc - done);
      const i64 r = l / g.filter[1], d = pixel_at(g, 0, at[0], r), h = pixel_at(g, 1, at[1], l - r * g.filter[1]);
      if (d < 0 || h < 0)
        for (i64 j = 0; j < run; j++) put_zeros(to + j * ld + done, end - begin);
      else
        gather_line(to + done, ld, g, g.image + ((image * g.size[0] + d) * g.size[1] + h) * row, at[2], run, begin, end);
      done += end - begin;
    }
    at[2] = 0;
    bool carry = true;
    for (int axis = 1; axis >= 0 && carry; axis--) {
      carry = ++at[axis] == g.places[axis];
      if (carry) at[axis] = 0;
    }
    image += carry;
  }
}

}  // namespace
