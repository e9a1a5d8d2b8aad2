// The gradient of filters of 3x3 by Winograd's algorithm: that of the transformed filters, transformed back.
//
// It is the sum over all tiles of the products of their transformed pixels with the transformed gradients of their places. Pieces
// of the tiles, one for a worker at a time, have sums of their own, which are added at the end.
#pragma once
#include "families/winograd.h"

namespace {

template <class T>
struct WinogradGradient {
  Patches<T> patches;
  i64 images, outputs;
  const T* dz;
  T* dw;  // (3, 3, channels, outputs)
  bool add;
};

// How the work is cut: a block of tiles, whose sums are added to those of its piece, always has about as many.
struct WinogradPieces {
  WinogradPlan plan;  // `filters` is the size of the sums of a piece
  Cut tiles;
  i64 flags;  // elements: whether all sums of a worker are finite
};
constexpr i64 kGradientTiles = 64;  // of a block

template <class T>
WinogradPieces winograd_pieces(const Patches<T>& g, i64 images, i64 outputs, int nth) {
  constexpr i64 kPieces = 16, kLeast = 4 * kGradientTiles, kSums = 1 << 22;  // the most elements of all pieces
  WinogradPieces w = {winograd_plan(g, images, outputs), {}, round_up(nth, 64)};
  WinogradPlan& p = w.plan;
  const i64 room = min_i64(kPieces / p.columns.pieces, kSums / max_i64(1, p.filters));
  w.tiles = Cut::into(p.tiles, max_i64(1, min_i64(room, p.tiles / kLeast)));
  p.rows = kGradientTiles;
  p.a_step = patch_stride<T>(p.rows * p.ld);
  p.c_step = patch_stride<T>(p.rows * p.widest * kLanes<T>);
  p.scratch = kWinograd * (p.a_step + p.c_step) + patch_stride<T>(max_i64(p.ld, round_up(outputs, kLanes<T>)));
  return w;
}

// Writes the transformed gradient of the places of a tile as a row of each matrix: n outputs from o on.
template <class T>
FASTNN_INLINE void transform_places(T* to, i64 step, const WinogradGradient<T>& s, const TilePlace& at, i64 o, i64 n,
                                    const T* zeros) {
  const Patches<T>& g = s.patches;
  const T* first = s.dz + ((at.image * g.places[1] + at.h) * g.places[2] + at.w) * s.outputs + o;
  const bool below = at.h + 1 < g.places[1], right = at.w + 1 < g.places[2];
  const T *next = right ? first + s.outputs : zeros, *under = below ? first + g.places[2] * s.outputs : zeros;
  const T* last = below && right ? under + s.outputs : zeros;
  for_vectors<T>({0, n}, [&](i64 i, auto lanes) __attribute__((always_inline)) {
    const Vec<T> d[2][2] = {{lanes.load(first + i), lanes.load(next + i)}, {lanes.load(under + i), lanes.load(last + i)}};
    Vec<T> half[4][2];
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      half[0][j] = d[0][j];
      half[1][j] = d[0][j] + d[1][j];
      half[2][j] = d[0][j] - d[1][j];
      half[3][j] = -d[1][j];
    }
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
      T* out = to + 4 * r * step + i;
      store(out, half[r][0]);
      store(out + step, half[r][0] + half[r][1]);
      store(out + 2 * step, half[r][0] - half[r][1]);
      store(out + 3 * step, -half[r][1]);
    }
  });
}

// Writes the gradient of a channel of the filters: n outputs from o on, of a panel. `from` has the sums of the first piece.
template <class T>
FASTNN_INLINE void write_gradient(const WinogradGradient<T>& s, const WinogradPieces& w, const T* from, i64 c, i64 o, i64 n) {
  for_vectors<T>({0, n}, [&](i64 i, auto lanes) __attribute__((always_inline)) {
    Vec<T> half[3][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      Vec<T> m[4];
#pragma GCC unroll 4
      for (int r = 0; r < 4; r++) {
        const T* sums = from + (4 * r + j) * w.plan.b_step + i;
        m[r] = load(sums);
        for (i64 piece = 1; piece < w.tiles.pieces; piece++) m[r] += load(sums + piece * w.plan.filters);
      }
      half[0][j] = m[0] + (m[1] + m[2]) * (T)0.5;
      half[1][j] = (m[1] - m[2]) * (T)0.5;
      half[2][j] = (m[1] + m[2]) * (T)0.5 + m[3];
    }
    const i64 tap = s.patches.channels * s.outputs;
    T* to = s.dw + c * s.outputs + o + i;
    auto put = [&](T* to, Vec<T> v) __attribute__((always_inline)) { lanes.store(to, s.add ? v + lanes.load(to) : v); };
#pragma GCC unroll 3
    for (int r = 0; r < 3; r++) {
      const Vec<T>* m = half[r];
      put(to + 3 * r * tap, m[0] + (m[1] + m[2]) * (T)0.5);
      put(to + (3 * r + 1) * tap, (m[1] - m[2]) * (T)0.5);
      put(to + (3 * r + 2) * tap, (m[1] + m[2]) * (T)0.5 + m[3]);
    }
  });
}

// Returns whether all sums are finite; otherwise it writes nothing.
template <class T>
bool winograd_filter_gradient(const WinogradGradient<T>& s, const Worker& me) {
  constexpr i64 L = kLanes<T>;
  const Patches<T>& g = s.patches;
  const i64 C = g.channels, O = s.outputs;
  const WinogradPieces w = winograd_pieces(g, s.images, O, me.nth);
  const WinogradPlan& p = w.plan;
  const i64 panels = p.columns.pieces;
  T *const flags = (T*)me.scratch, *const partial = flags + w.flags;
  T* const in = partial + w.tiles.pieces * p.filters + me.ith * p.scratch;
  T *const places = in + kWinograd * p.a_step, *const zeros = places + kWinograd * p.c_step;
  for (i64 i = 0; i < max_i64(C, O); i++) zeros[i] = 0;
  Vec<T> check = {};
  const Range mine = share(w.tiles.pieces * panels, 1, me);
  for (i64 item = mine.begin, next; item < mine.end; item = next) {
    const i64 piece = item / panels;
    next = min_i64((piece + 1) * panels, mine.end);  // panels of one piece share the transformed pixels
    const Cut blocks = Cut::by(w.tiles.begin(piece + 1) - w.tiles.begin(piece), kGradientTiles);
    for (i64 block = 0; block < blocks.pieces; block++) {
      const i64 begin = w.tiles.begin(piece) + blocks.begin(block), tiles = blocks.begin(block + 1) - blocks.begin(block);
      const bool last = block == blocks.pieces - 1;
      for (i64 t = 0; t < tiles; t++) {
        const T* pixels[kWinograd];
        tile_pixels(pixels, g, tile_place(p, begin + t), zeros);
        transform_tile(in + t * p.ld, p.a_step, pixels, C);
      }
      for (i64 i = item; i < next; i++) {
        const i64 panel = i % panels, vectors = p.columns.begin(panel + 1) - p.columns.begin(panel), width = vectors * L;
        const i64 o = p.columns.begin(panel) * L, n = min_i64(width, O - o);
        for (i64 t = 0; t < tiles; t++) transform_places(places + t * width, p.c_step, s, tile_place(p, begin + t), o, n, zeros);
        T* sums = partial + piece * p.filters + panel * kWinograd * p.b_step;
        const T beta = block > 0;
        product_fns<T>().panels({kWinograd, C, tiles, vectors, in, 1, p.ld, p.a_step, places, p.c_step, sums, p.b_step, beta});
        for (i64 matrix = 0; last && matrix < kWinograd; matrix++)
          for (i64 j = 0; j < C * width; j += L) check += load(sums + matrix * p.b_step + j) * (T)0;
      }
    }
  }
  flags[me.ith] = hsum<T>(check);
  sync(me);
  for (i64 i = 0; i < me.nth; i++)
    if (flags[i] != 0) return false;
  const Range rows = share(panels * C, 1, me);
  for (i64 row = rows.begin; row < rows.end; row++) {
    const i64 panel = row / C, c = row % C, o = p.columns.begin(panel) * L, width = p.columns.begin(panel + 1) * L - o;
    write_gradient(s, w, partial + panel * kWinograd * p.b_step + c * width, c, o, min_i64(width, O - o));
  }
  return true;
}

// Returns bytes.
template <class T>
FASTNN_INLINE i64 winograd_gradient_scratch(const Patches<T>& g, i64 images, i64 outputs, int nth) {
  const WinogradPieces w = winograd_pieces(g, images, outputs, nth);
  return (w.flags + w.tiles.pieces * w.plan.filters + nth * w.plan.scratch) * (i64)sizeof(T);
}

}  // namespace
