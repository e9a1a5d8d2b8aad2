// Convolutions with filters of 3x3 by Winograd's F(2x2, 3x3): Lavin and Gray, Fast Algorithms for Convolutional Neural Networks,
// 2016, https://arxiv.org/abs/1509.09308.
//
// The image is cut into tiles of 2x2 places, each of which sees 4x4 pixels. A tile and a filter are transformed into 16 numbers
// for each channel, which are multiplied and summed over the channels; 4 sums of the 16 are the places. So a place takes 4
// multiplications for each channel instead of 9. A worker transforms a block of tiles, multiplies the 16 matrices (tiles,
// channels) by those of the filters, a panel of outputs at a time, and transforms the products back while they are in its cache.
//
// The sums of a place depend neither on the block nor on the worker, nor on other images.
#pragma once
#include "core/caches.h"
#include "core/winograd.h"
#include "families/depthwise.h"
#include "math/transpose.h"

namespace {
using fastnn::PanelProducts;

template <class T>
struct Winograd {
  Patches<T> patches;
  i64 images, outputs;
  const T* w;   // (3, 3, channels, outputs)
  bool turned;  // they are (3, 3, outputs, channels), from the last position to the first
  T* z = nullptr;
  const T* bias = nullptr;
  bool relu = false;                                         // z = max(z, 0)
  decltype(fastnn::ActivationFns<T>::forward) fn = nullptr;  // y = fn(z), or null
  T* y = nullptr;
  Activation act = {};
  const T* packed = nullptr;  // the transformed filters, or null
};

constexpr i64 kWinograd = 16;  // numbers of a transformed tile or filter

// How the work is cut. Sizes are in elements.
struct WinogradPlan {
  i64 down, across, tiles;  // tiles along the axes of an image, and of all images
  i64 rows, least;          // most tiles of a block, and fewest that are computed
  i64 ld, a_step;           // distances of the rows and of the 16 matrices of a block
  Cut columns;              // vectors of outputs into panels
  i64 widest;               // vectors of the widest panel
  i64 b_step, c_step;       // distances of the matrices of a panel, and of its products
  i64 filters;              // all panels
  i64 scratch;              // of each worker
};

template <class T>
WinogradPlan winograd_plan(const Patches<T>& g, i64 images, i64 outputs) {
  constexpr i64 L = kLanes<T>;
  WinogradPlan p = {};
  p.down = ceil_div(g.places[1], 2);
  p.across = ceil_div(g.places[2], 2);
  p.tiles = images * p.down * p.across;
  p.columns = Cut::by(ceil_div(outputs, L), kGemm.vectors);
  p.widest = p.columns.size + (p.columns.extra > 0);
  p.ld = round_up(g.channels, L);
  // A block fills half of the second-level cache. The fewer rows, the more often the filters are read: if these are far larger,
  // reading them again takes longer than a block that is in the next cache.
  const i64 balanced = g.channels * outputs / max_i64(1, 2 * (g.channels + outputs));
  const i64 room = fastnn::caches().l2 / 2 / (kWinograd * (i64)sizeof(T) * max_i64(1, p.ld + p.widest * L));
  for (i64 v = p.columns.size; v <= p.widest; v++) p.least = max_i64(p.least, kOneChainRows.rows[v]);
  p.rows = max_i64(p.least, min_i64(max_i64(balanced, room), p.tiles));
  p.a_step = patch_stride<T>(p.rows * p.ld);
  p.b_step = patch_stride<T>(g.channels * p.widest * L);
  p.c_step = patch_stride<T>(p.rows * p.widest * L);
  p.filters = p.columns.pieces * kWinograd * p.b_step;
  p.scratch = kWinograd * (p.a_step + p.c_step) + patch_stride<T>(p.ld);
  return p;
}

// Returns whether such a convolution is possible. Those of float64 are left out: they are rare, and as much code again.
template <class T>
FASTNN_INLINE bool winograd_fits(const Patches<T>& g, i64 precision) {
  if (sizeof(T) != 4) return false;
  bool fits = precision == kFullPrecision && g.channels == g.pixel && g.size[0] == 1 && g.places[0] == 1 && g.filter[0] == 1 &&
              g.before[0] == 0;
  for (int i = 1; i < 3; i++) fits = fits && g.filter[i] == 3 && g.stride[i] == 1 && g.dilation[i] == 1 && g.spread[i] == 1;
  return fits;
}

// Returns whether it is possible and faster, by counts of multiply-adds for so many images. Images whose results must not depend
// on others in the batch count as one.
template <class T>
FASTNN_INLINE bool winograd_wins(const Patches<T>& g, i64 outputs, i64 precision, i64 images = 1) {
  const int use = fastnn::fastnn_winograd();
  if (use == fastnn::kWinogradNever || !winograd_fits(g, precision)) return false;
  if (use == fastnn::kWinogradAlways) return true;
  // The transforms of a tile take for a channel, and for an output, the time of 2.5 x 16 multiply-adds. Those of the filters,
  // whose 16 numbers are then read from farther away than the 9 were, take for each of them the time of the products with 16
  // tiles. With fewer channels or filters, products are too short for the micro-kernel.
  constexpr double kTransforms = 2.5, kFilters = 16;
  constexpr i64 kFewest = 16;
  const double tiles = (double)(images * ceil_div(g.places[1], 2) * ceil_div(g.places[2], 2));
  const double places = (double)(images * g.places[1] * g.places[2]);
  const double each = 1 + kTransforms / (double)max_i64(1, g.channels) + kTransforms / (double)max_i64(1, outputs);
  return min_i64(g.channels, outputs) >= kFewest && kWinograd * (tiles * each + kFilters) < 9 * places;
}

// Writes a vector of transformed filters, one number to each of the 16 matrices. tap(i) returns position i of the filters.
template <class T, class Tap>
FASTNN_INLINE void transform_filter(T* to, i64 step, Tap tap) {
  Vec<T> half[4][3];
#pragma GCC unroll 3
  for (int j = 0; j < 3; j++) {
    const Vec<T> first = tap(j), middle = tap(3 + j) * (T)0.5, last = tap(6 + j), ends = (first + last) * (T)0.5;
    half[0][j] = first;
    half[1][j] = ends + middle;
    half[2][j] = ends - middle;
    half[3][j] = last;
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++, to += 4 * step) {
    const Vec<T> middle = half[i][1] * (T)0.5, ends = (half[i][0] + half[i][2]) * (T)0.5;
    store(to, half[i][0]);
    store(to + step, ends + middle);
    store(to + 2 * step, ends - middle);
    store(to + 3 * step, half[i][2]);
  }
}

// Writes the transformed filters: for each panel 16 matrices (channels, width of the panel).
template <class T>
void transform_filters(T* to, const Winograd<T>& s, const WinogradPlan& p, const Worker& me) {
  constexpr i64 L = kLanes<T>;
  const i64 C = s.patches.channels, O = s.outputs, blocks = ceil_div(C, L), panels = p.columns.pieces;
  const Range mine = share(blocks * panels, 1, me);
  for (i64 item = mine.begin; item < mine.end; item++) {  // in the order of the filters in memory
    const i64 panel = s.turned ? item / blocks : item % panels, c0 = (s.turned ? item % blocks : item / panels) * L;
    const i64 rows = min_i64(L, C - c0), v0 = p.columns.begin(panel), vectors = p.columns.begin(panel + 1) - v0;
    Vec<T> turned[kGemm.vectors][9][L];
    for (i64 v = 0; v < (s.turned ? vectors : 0); v++)
      for (i64 tap = 0; tap < 9; tap++) {
        const i64 o = (v0 + v) * L;
        const T* from = s.w + ((8 - tap) * O + o) * C + c0;
        Vec<T>* r = turned[v][tap];
#pragma GCC unroll 16
        for (int t = 0; t < L; t++) r[t] = o + t < O ? load_n(from + t * C, rows) : Vec<T>{};
        transpose<T>(r);
      }
    T* out = to + panel * kWinograd * p.b_step + c0 * vectors * L;
    for (i64 c = 0; c < rows; c++)
      for (i64 v = 0; v < vectors; v++, out += L) {
        const i64 o = (v0 + v) * L, lanes = min_i64(L, O - o);
        const T* from = s.w + (c0 + c) * O + o;
        auto filter = [&](auto tap) __attribute__((always_inline)) { transform_filter<T>(out, p.b_step, tap); };
        if (s.turned)
          filter([&](int tap) __attribute__((always_inline)) { return turned[v][tap][c]; });
        else
          filter([&](int tap) __attribute__((always_inline)) { return load_n(from + tap * C * O, lanes); });
      }
  }
}

// The place of a tile: an image, and the tile's first place in it.
struct TilePlace {
  i64 image, h, w;
};
FASTNN_INLINE TilePlace tile_place(const WinogradPlan& p, i64 tile) {
  const i64 line = tile / p.across;
  return {line / p.down, line % p.down * 2, tile % p.across * 2};
}

// Sets the pixels that a tile sees, row by row; those outside of the image are `zeros`.
template <class T>
FASTNN_INLINE void tile_pixels(const T** pixels, const Patches<T>& g, const TilePlace& at, const T* zeros) {
  const i64 h = at.h - g.before[1], w = at.w - g.before[2];
  for (i64 i = 0; i < kWinograd; i++) {
    const i64 y = h + i / 4, x = w + i % 4;
    const bool inside = y >= 0 && y < g.size[1] && x >= 0 && x < g.size[2];
    pixels[i] = inside ? g.image + ((at.image * g.size[1] + y) * g.size[2] + x) * g.pixel : zeros;
  }
}

// Writes a transformed tile as a row of each matrix.
template <class T>
FASTNN_INLINE void transform_tile(T* to, i64 step, const T* const* pixels, i64 channels) {
  for_vectors<T>({0, channels}, [&](i64 c, auto lanes) __attribute__((always_inline)) {
    Vec<T> half[4][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      const Vec<T> d0 = lanes.load(pixels[j] + c), d1 = lanes.load(pixels[4 + j] + c);
      const Vec<T> d2 = lanes.load(pixels[8 + j] + c), d3 = lanes.load(pixels[12 + j] + c);
      half[0][j] = d0 - d2;
      half[1][j] = d1 + d2;
      half[2][j] = d2 - d1;
      half[3][j] = d1 - d3;
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      T* out = to + 4 * i * step + c;
      store(out, half[i][0] - half[i][2]);
      store(out + step, half[i][1] + half[i][2]);
      store(out + 2 * step, half[i][2] - half[i][1]);
      store(out + 3 * step, half[i][1] - half[i][3]);
    }
  });
}

// Computes the places of a tile from their pixels, as a convolution is defined: outputs [o, o + n).
template <class T>
void direct_tile(const Winograd<T>& s, const WinogradPlan& p, i64 tile, i64 o, i64 n, const T* zeros) {
  const Patches<T>& g = s.patches;
  const i64 C = g.channels, O = s.outputs;
  const TilePlace at = tile_place(p, tile);
  const T *pixels[kWinograd], *x[4];
  tile_pixels(pixels, g, at, zeros);
  auto for_taps = [&](auto f) {  // f(position, the pixels that the four places meet there)
    for (i64 tap = 0; tap < 9; tap++) {
      for (i64 k = 0; k < 4; k++) x[k] = pixels[(k / 2 + tap / 3) * 4 + k % 2 + tap % 3];
      f(tap);
    }
  };
  auto for_places = [&](auto f) {  // f(number of the place, its outputs)
    for (i64 k = 0; k < 4; k++)
      if (const i64 h = at.h + k / 2, w = at.w + k % 2; h < g.places[1] && w < g.places[2])
        f(k, s.z + ((at.image * g.places[1] + h) * g.places[2] + w) * O);
  };
  for (i64 i = o; s.turned && i < o + n; i++) {
    Vec<T> sums[4] = {};
    for_taps([&](i64 tap) {
      const T* by = s.w + ((8 - tap) * O + i) * C;
      for_vectors<T>({0, C}, [&](i64 c, auto lanes) {
        for (int k = 0; k < 4; k++) sums[k] += lanes.load(x[k] + c) * lanes.load(by + c);
      });
    });
    for_places([&](i64 k, T* z) { z[i] = hsum<T>(sums[k]); });
  }
  for_vectors<T>({o, s.turned ? o : o + n}, [&](i64 i, auto lanes) {
    const Vec<T> bias = s.bias ? lanes.load(s.bias + i) : Vec<T>{};
    Vec<T> sums[4] = {bias, bias, bias, bias};
    for_taps([&](i64 tap) {
      const T* by = s.w + tap * C * O + i;
      for (i64 c = 0; c < C; c++)
        for (int k = 0; k < 4; k++) sums[k] += x[k][c] * lanes.load(by + c * O);
    });
    for_places([&](i64 k, T* z) { lanes.store(z + i, s.relu ? vmax<T>(sums[k], Vec<T>{}) : sums[k]); });
  });
}

// Transforms a row of the products back and writes the places of a tile: outputs [o, o + n). Returns whether all are finite.
template <class T>
FASTNN_INLINE bool write_tile(const Winograd<T>& s, const TilePlace& at, const T* from, i64 step, i64 o, i64 n) {
  const Patches<T>& g = s.patches;
  const i64 O = s.outputs, line = g.places[2] * O;
  T* z = s.z + ((at.image * g.places[1] + at.h) * g.places[2] + at.w) * O + o;
  const bool below = at.h + 1 < g.places[1], right = at.w + 1 < g.places[2];
  Vec<T> check = {};
  for_vectors<T>({0, n}, [&](i64 i, auto lanes) __attribute__((always_inline)) {
    Vec<T> half[2][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      const T* m = from + j * step + i;
      const Vec<T> m0 = load(m), m1 = load(m + 4 * step), m2 = load(m + 8 * step), m3 = load(m + 12 * step);
      half[0][j] = m0 + m1 + m2;
      half[1][j] = m1 - m2 - m3;
    }
    const Vec<T> b = s.bias ? lanes.load(s.bias + o + i) : Vec<T>{};
#pragma GCC unroll 2
    for (int r = 0; r < 2; r++) {
      Vec<T> left = half[r][0] + half[r][1] + half[r][2] + b, next = half[r][1] - half[r][2] - half[r][3] + b;
      check += (left + next) * (T)0;  // NaN if one of them is infinite or NaN
      if (s.relu) {
        left = vmax<T>(left, Vec<T>{});
        next = vmax<T>(next, Vec<T>{});
      }
      if (r == 0 || below) {
        lanes.store(z + r * line + i, left);
        if (right) lanes.store(z + r * line + O + i, next);
      }
    }
  });
  return hsum<T>(check) == 0;
}

// Computes the activation of tiles [begin, end) and outputs [o, o + n), in runs along the lines of the images.
template <class T>
void activate_tiles(const Winograd<T>& s, const WinogradPlan& p, i64 begin, i64 end, i64 o, i64 n) {
  const Patches<T>& g = s.patches;
  for (i64 tile = begin, run; tile < end; tile += run) {
    const TilePlace at = tile_place(p, tile);
    run = min_i64(end - tile, p.across - at.w / 2);
    const i64 places = min_i64(2 * run, g.places[2] - at.w), whole = n == s.outputs ? places : 1;
    for (i64 h = at.h; h < min_i64(at.h + 2, g.places[1]); h++) {
      const i64 first = ((at.image * g.places[1] + h) * g.places[2] + at.w) * s.outputs + o;
      for (i64 i = 0; i < places; i += whole) s.fn(s.y + first + i * s.outputs, s.z + first + i * s.outputs, whole * n, s.act);
    }
  }
}

// The part of a worker: tiles of all panels, or of some if there are few tiles, so that not all of them read all filters.
struct WinogradShare {
  Range tiles, panels;
};
inline WinogradShare winograd_share(const WinogradPlan& p, const Worker& me) {
  constexpr i64 kFewTiles = 32;  // of a worker
  const int groups = p.tiles >= kFewTiles * me.nth ? 1 : (int)min_i64(me.nth, p.columns.pieces), group = me.ith % groups;
  const Worker among = {me.ith / groups, (me.nth - group + groups - 1) / groups, nullptr, nullptr};
  return {share(p.tiles, 1, among), {p.columns.pieces * group / groups, p.columns.pieces * (group + 1) / groups}};
}

template <class T>
void winograd(const Winograd<T>& s, const Worker& me) {
  constexpr i64 L = kLanes<T>;
  const Patches<T>& g = s.patches;
  const i64 C = g.channels, O = s.outputs;
  const WinogradPlan p = winograd_plan(g, s.images, O);
  T* scratch = (T*)me.scratch;
  if (!s.packed) {
    transform_filters(scratch, s, p, me);
    sync(me);
  }
  const T* filters = s.packed ? s.packed : scratch;
  T* const in = scratch + (s.packed ? 0 : p.filters) + me.ith * p.scratch;
  T *const out = in + kWinograd * p.a_step, *const zeros = out + kWinograd * p.c_step;
  memset(zeros, 0, (size_t)C * sizeof(T));
  const T* pixels[kWinograd];
  const WinogradShare mine = winograd_share(p, me);
  const Cut blocks = Cut::by(mine.tiles.end - mine.tiles.begin, p.rows);
  for (i64 block = 0; block < blocks.pieces; block++) {
    const i64 begin = mine.tiles.begin + blocks.begin(block), end = mine.tiles.begin + blocks.begin(block + 1);
    const i64 tiles = end - begin, rows = max_i64(tiles, p.least);
    if (!tiles) continue;
    for (i64 t = 0; t < tiles; t++) {
      tile_pixels(pixels, g, tile_place(p, begin + t), zeros);
      transform_tile(in + t * p.ld, p.a_step, pixels, C);
    }
    for (i64 i = 0; i < kWinograd; i++)
      for (i64 j = tiles * p.ld; j < rows * p.ld; j++) in[i * p.a_step + j] = 0;
    for (i64 panel = mine.panels.begin; panel < mine.panels.end; panel++) {
      const i64 vectors = p.columns.begin(panel + 1) - p.columns.begin(panel);
      const i64 o = p.columns.begin(panel) * L, n = min_i64(vectors * L, O - o);
      const T* b = filters + panel * kWinograd * p.b_step;
      product_fns<T>().panels({kWinograd, rows, C, vectors, in, p.ld, 1, p.a_step, b, p.b_step, out, p.c_step, 0});
      for (i64 t = 0; t < tiles; t++)
        if (!write_tile(s, tile_place(p, begin + t), out + t * vectors * L, p.c_step, o, n))
          direct_tile(s, p, begin + t, o, n, zeros);
      if (s.fn) activate_tiles(s, p, begin, end, o, n);
    }
  }
}

// Writes the transformed filters, unless `to` is null. Returns bytes.
template <class T>
i64 pack_winograd(const Winograd<T>& s, T* to) {
  const WinogradPlan p = winograd_plan(s.patches, s.images, s.outputs);
  if (to) transform_filters(to, s, p, {0, 1, nullptr, nullptr});
  return p.filters * (i64)sizeof(T);
}

// Returns bytes.
template <class T>
FASTNN_INLINE i64 winograd_scratch(const Patches<T>& g, i64 images, i64 outputs, bool packed, int nth) {
  const WinogradPlan p = winograd_plan(g, images, outputs);
  return ((packed ? 0 : p.filters) + nth * p.scratch) * (i64)sizeof(T);
}

}  // namespace
