// Convolutions whose filters see one channel each: too few numbers for a product. Channels are computed in vectors, for a few
// neighbouring places at a time, which share the loads of the filters.
#pragma once
#include "families/dense.h"
#include "product/patches.h"

namespace {

// The sums of the filters times the pixels that they meet.
template <class T>
struct Depthwise {
  Patches<T> patches;  // of one channel; `pixel` is the number of channels
  const T* w;          // of the first position
  i64 next[3];         // from one position to the next along each axis; below 0 if the filters are turned
  const T* b;
  T* to;        // the first place
  i64 step[3];  // from one place to the next along each axis
  i64 image;    // from one image to the next
};

// The lines of the image that a line of places meets, and the filters of their first positions.
template <class T>
struct MetLines {
  static constexpr i64 kMost = 16;
  i64 count;
  const T *line[kMost], *filter[kMost];
};

// Adds to `sums` for PLACES places, q and those after it. INSIDE: all of them are inside the image along the last axis. Lanes of
// channels from c on.
template <class T, int PLACES, bool INSIDE, int WIDTH, class Lanes>
FASTNN_INLINE void depthwise_places(Vec<T>* sums, const Depthwise<T>& d, const MetLines<T>& met, i64 q, i64 c, Lanes lanes) {
  const Patches<T>& g = d.patches;
  const i64 C = g.pixel, next = g.dilation[2] * C, step = g.stride[2] * C, turn = d.next[2];
  for (i64 l = 0; l < met.count; l++) {
    const T *w = met.filter[l] + c, *x = met.line[l] + c;
    if (INSIDE) {
      x += (q * g.stride[2] - g.before[2]) * C;
#pragma GCC unroll 3
      for (i64 v = 0; v < (WIDTH ? WIDTH : g.filter[2]); v++, w += turn, x += next) {
        const Vec<T> by = lanes.load(w);
#pragma GCC unroll 8
        for (int i = 0; i < PLACES; i++) sums[i] += by * lanes.load(x + i * step);
      }
    } else {
      for (i64 v = 0; v < g.filter[2]; v++, w += turn) {
        const i64 pixel = pixel_at(g, 2, q, v);
        if (pixel >= 0) sums[0] += lanes.load(w) * lanes.load(x + pixel * C);
      }
    }
  }
}

// Computes the places of a worker, and calls done(number of the line) after each line of places.
template <class T, class Done>
void depthwise(const Depthwise<T>& d, i64 images, const Worker& me, Done done) {
  constexpr int kPlaces = 8;
  const Patches<T>& g = d.patches;
  const i64 C = g.pixel, places = g.places[2], step = d.step[2];
  // Places [inside.begin, inside.end) see only pixels of the image along the last axis.
  const i64 reach = (g.filter[2] - 1) * g.dilation[2] - g.before[2];
  Range inside = {min_i64(places, ceil_div(max_i64(0, g.before[2]), g.stride[2])), 0};
  const i64 last = g.size[2] - 1 - reach;
  inside.end = g.spread[2] != 1 || last < 0 ? 0 : min_i64(places, last / g.stride[2] + 1);
  const Range lines = share(images * g.places[0] * g.places[1], max_i64(1, kGrain / max_i64(1, places * C)), me);
  for (i64 line = lines.begin; line < lines.end; line++) {
    const i64 at[2] = {line / g.places[1] % g.places[0], line % g.places[1]};
    const T* image = g.image + line / g.places[1] / g.places[0] * g.size[0] * g.size[1] * g.size[2] * C;
    T* out = d.to + line / g.places[1] / g.places[0] * d.image + at[0] * d.step[0] + at[1] * d.step[1];
    const i64 positions = g.filter[0] * g.filter[1];
    for (i64 first = 0; first == 0 || first < positions; first += MetLines<T>::kMost) {  // some lines of the filters at a time
      MetLines<T> met = {};
      for (i64 l = first; l < min_i64(positions, first + MetLines<T>::kMost); l++) {
        const i64 x = pixel_at(g, 0, at[0], l / g.filter[1]), y = pixel_at(g, 1, at[1], l % g.filter[1]);
        if (x < 0 || y < 0) continue;
        met.line[met.count] = image + (x * g.size[1] + y) * g.size[2] * C;
        met.filter[met.count++] = d.w + l / g.filter[1] * d.next[0] + l % g.filter[1] * d.next[1];
      }
      for_vectors<T>({0, C}, [&](i64 c, auto lanes) {
        const auto start = [&](i64 q) { return first ? lanes.load(out + q * step + c) : d.b ? lanes.load(d.b + c) : Vec<T>{}; };
        for (i64 q = 0; q < places;) {
          if (q >= inside.begin && q + kPlaces <= inside.end) {
            Vec<T> sums[kPlaces];
#pragma GCC unroll 8
            for (int i = 0; i < kPlaces; i++) sums[i] = start(q + i);
            if (g.filter[2] == 3)
              depthwise_places<T, kPlaces, true, 3>(sums, d, met, q, c, lanes);
            else
              depthwise_places<T, kPlaces, true, 0>(sums, d, met, q, c, lanes);
#pragma GCC unroll 8
            for (int i = 0; i < kPlaces; i++) lanes.store(out + (q + i) * step + c, sums[i]);
            q += kPlaces;
          } else {
            Vec<T> sum = start(q);
            depthwise_places<T, 1, false, 0>(&sum, d, met, q, c, lanes);
            lanes.store(out + q * step + c, sum);
            q++;
          }
        }
      });
    }
    done(line);
  }
}

// The gradient of the filters: lines of places are cut into pieces, whose sums are added at the end.
FASTNN_INLINE Cut depthwise_pieces(i64 lines) { return Cut::into(lines, max_i64(1, min_i64(32, lines / 8))); }

template <class T>
void depthwise_filter_gradient(T* dw, const Patches<T>& g, const T* dz, i64 images, bool add, const Worker& me) {
  constexpr i64 L = kLanes<T>;
  const i64 C = g.pixel, places = g.places[2], size = g.filter[0] * g.filter[1] * g.filter[2] * C;
  const Cut cut = depthwise_pieces(images * g.places[0] * g.places[1]);
  const Range mine = share(cut.pieces, 1, me);
  for (i64 piece = mine.begin; piece < mine.end; piece++) {
    T* partial = (T*)me.scratch + piece * size;
    for (i64 i = 0; i < size; i += L) store_n(partial + i, Vec<T>{}, min_i64(L, size - i));
    for (i64 line = cut.begin(piece); line < cut.begin(piece + 1); line++) {
      const i64 at[2] = {line / g.places[1] % g.places[0], line % g.places[1]};
      const T* image = g.image + line / g.places[1] / g.places[0] * g.size[0] * g.size[1] * g.size[2] * C;
      for (i64 position = 0; position < size / C; position++) {
        const i64 v = position % g.filter[2], u = position / g.filter[2] % g.filter[1], r = position / g.filter[2] / g.filter[1];
        const i64 d = pixel_at(g, 0, at[0], r), h = pixel_at(g, 1, at[1], u);
        if (d < 0 || h < 0) continue;
        const i64 first = v * g.dilation[2] - g.before[2], stride = g.stride[2];  // the pixel that place 0 meets
        const i64 begin = first < 0 ? ceil_div(-first, stride) : 0;
        const i64 end = first >= g.size[2] ? 0 : min_i64(places, (g.size[2] - 1 - first) / stride + 1);
        const T* x = image + ((d * g.size[1] + h) * g.size[2] + first) * C;
        for (i64 c = 0; c < C; c += L) {
          const i64 n = min_i64(L, C - c);
          Vec<T> sums[2] = {};
          i64 q = begin;
          for (; q + 2 <= end; q += 2)
#pragma GCC unroll 2
            for (int i = 0; i < 2; i++)
              sums[i] += load_n(x + (q + i) * stride * C + c, n) * load_n(dz + (line * places + q + i) * C + c, n);
          if (q < end) sums[0] += load_n(x + q * stride * C + c, n) * load_n(dz + (line * places + q) * C + c, n);
          T* to = partial + position * C + c;
          store_n(to, load_n(to, n) + (sums[0] + sums[1]), n);
        }
      }
    }
  }
  sync(me);
  const Range columns = share(size, 64, me);
  column_sums(dw + columns.begin, (const T*)me.scratch + columns.begin, cut.pieces, columns.end - columns.begin, size, add);
}

}  // namespace
