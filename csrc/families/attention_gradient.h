// The gradient of attention. A tile of weights is computed again from the logarithms of their sums.
//
// Each block of keys adds up its gradients over the blocks of queries, and each block of queries over those of keys, in order: so
// the sums do not depend on who computes them. A worker that has a pair of a sample and a group alone computes each tile once and
// adds it to both. If workers share a pair, blocks of keys and blocks of queries are different pieces of work.
#pragma once
#include "families/attention.h"

namespace {

template <class T>
struct AttentionBackward {
  static constexpr const char* fields =
      "dq dk dv dy q k v bias mask lengths starts slopes rate places y lse aux groups keys depth width first window causal scale "
      "p r s n t u B H M";
  T *dq, *dk, *dv;
  const T *dy, *q, *k, *v, *bias;
  const u8* mask;
  const i64 *lengths, *starts;
  const T* slopes;
  const double* rate;
  const i64* places;
  const T *y, *lse;
  const u64* aux;
  i64 groups, keys, depth, width, first, window, causal;
  double scale;
  i64 p, r, s, n, t, u, B, H, M;
};

// What the tiles of a pair read: keys and values as rows of panels, keys as columns, and for the queries of all heads of the
// group their numbers and the gradients of their outputs; sum(dy y), and the gradients of the queries.
template <class T>
struct GradientPanels {
  T *turned_keys, *turned_values, *keys, *queries, *outputs, *inner, *dq;
  i64 M, depth, width;  // of the panels of a head

  FASTNN_INLINE i64 size(const Attending<T>& a) {
    const i64 depth = round_up(a.depth, kLanes<T>), width = round_up(a.width, kLanes<T>), rows = a.heads() * a.M;
    return round_up(a.keys, kPanel<T>) * (a.depth + a.width) + a.keys * depth + rows * (2 * depth + width + 1);
  }
  GradientPanels(T* p, const Attending<T>& a) : M(a.M), depth(round_up(a.depth, kLanes<T>)), width(round_up(a.width, kLanes<T>)) {
    const i64 padded = round_up(a.keys, kPanel<T>), rows = a.heads() * a.M;
    turned_keys = p;
    turned_values = turned_keys + padded * a.depth;
    keys = turned_values + padded * a.width;
    queries = keys + a.keys * depth;
    outputs = queries + rows * depth;
    dq = outputs + rows * width;
    inner = dq + rows * depth;
  }
};

template <class T>
FASTNN_INLINE i64 query_blocks(const Attending<T>& a) {
  return ceil_div(a.M, kQueries);
}

template <class T>
void pack_pair(const Attending<T>& a, const GradientPanels<T>& to, const T* dy, const T* y, i64 b, i64 g, const Worker& me) {
  const i64 panels = ceil_div(a.keys, kPanel<T>), blocks = query_blocks(a), heads = a.heads();
  const Range mine = share(panels + heads * blocks, 1, me);
  for (i64 item = mine.begin; item < mine.end; item++) {
    if (item < panels) {
      const i64 j = item * kPanel<T>, n = min_i64(kPanel<T>, a.keys - j);
      const i64 key_step = row_step(a, kKeyRows), value_step = row_step(a, kValueRows);
      const T *k = place(a.k, a, kKeyRows, b, g) + j * key_step, *v = place(a.v, a, kValueRows, b, g) + j * value_step;
      pack_turned(to.turned_keys + j * a.depth, k, key_step, n, a.depth);
      pack_turned(to.turned_values + j * a.width, v, value_step, n, a.width);
      pack_columns(to.keys, a.keys, j, k, key_step, n, a.depth);
      continue;
    }
    const i64 own = (item - panels) / blocks, i0 = (item - panels) % blocks * kQueries, n = min_i64(kQueries, a.M - i0);
    const i64 h = g * heads + own, q_step = row_step(a, kQueryRows), y_step = row_step(a, kOutputs);
    const T* of_dy = place(dy, a, kOutputs, b, h) + i0 * y_step;
    const T* of_y = place(y, a, kOutputs, b, h) + i0 * y_step;
    pack_columns(to.queries + own * to.M * to.depth, a.M, i0, place(a.q, a, kQueryRows, b, h) + i0 * q_step, q_step, n, a.depth);
    pack_columns(to.outputs + own * to.M * to.width, a.M, i0, of_dy, y_step, n, a.width);
    for (i64 i = 0; i < n; i++) {
      Vec<T> sum = {};
      for_vectors<T>({0, a.width},
                     [&](i64 c, auto lanes) { sum += lanes.load(of_dy + i * y_step + c) * lanes.load(of_y + i * y_step + c); });
      to.inner[own * a.M + i0 + i] = hsum<T>(sum);
    }
  }
}

// Memory of a worker: the weights of a tile and the gradients of its scores; the sums of a block of keys, or of queries.
template <class T>
struct GradientTile {
  T *weights, *slopes, *dk, *dv;
  FASTNN_INLINE i64 size(i64 depth, i64 width) {
    return 2 * kQueries * kTileRow<T> + kKeys * (round_up(depth, kLanes<T>) + round_up(width, kLanes<T>));
  }
  GradientTile(T* p, i64 depth)
      : weights(p),
        slopes(weights + kQueries * kTileRow<T>),
        dk(slopes + kQueries * kTileRow<T>),
        dv(dk + kKeys * round_up(depth, kLanes<T>)) {}
};

// One head of a pair, and what is needed to compute its tiles.
template <class T>
struct GradientHead {
  const Attending<T>& a;
  const GradientPanels<T>& panels;
  const GradientTile<T>& tile;
  const T *dy, *lse;
  i64 b, h, own;  // own: the number of the head in its group
  Sight sight;

  const T* queries() const { return panels.queries + own * panels.M * panels.depth; }
  const T* outputs() const { return panels.outputs + own * panels.M * panels.width; }
  T* dq() const { return panels.dq + own * panels.M * panels.depth; }

  // Computes the weights of a strip, with the factors of dropout, and the gradients of its scores. `first` is the tile's first
  // key.
  void strip(const Strip& s, i64 first, Dropout<T>& dropout) const {
    constexpr i64 L = kLanes<T>;
    const i64 q_step = row_step(a, kQueryRows), y_step = row_step(a, kOutputs);
    times_keys(tile.weights, place(a.q, a, kQueryRows, b, h) + s.rows.begin * q_step, q_step, panels.turned_keys, a.depth, s,
               first);
    times_keys(tile.slopes, place(dy, a, kOutputs, b, h) + s.rows.begin * y_step, y_step, panels.turned_values, a.width, s,
               first);
    const T scale = (T)a.scale;
    for (i64 i = s.rows.begin; i < s.rows.end; i++) {
      T* p = tile.weights + (i - s.rows.begin) * kTileRow<T>;
      T* d = tile.slopes + (i - s.rows.begin) * kTileRow<T>;
      const Range all = sight.of(i);
      const QueryRow r = {b, h, i, {max_i64(all.begin, s.keys.begin), min_i64(all.end, s.keys.end)}};
      const T log = lse[(b * a.H + h) * a.M + i], shift = log == -(T)__builtin_inf() ? 0 : log;
      const T inner = panels.inner[own * a.M + i];
      const i64 words = word_row(a, b, h, i);
      i64 done = s.keys.begin;
      auto zeros = [&](i64 end) __attribute__((always_inline)) {
        for (; done < end; done += L) {
          store(p + (done - first), Vec<T>{});
          store(d + (done - first), Vec<T>{});
        }
      };
      if (r.seen.begin < r.seen.end) zeros(first + (r.seen.begin - first) / L * L);
      for_scores(a, sight, r, p, first, [&](i64 j, Vec<T> score) __attribute__((always_inline)) {
        const Vec<T> w = vexp(score - shift);
        Vec<T> slope = load(d + (j - first)), used = w;
        if (a.rate) {
          const Vec<T> factor = dropout.at(words, j);
          slope *= factor;
          used *= factor;
        }
        store(p + (j - first), used);
        store(d + (j - first), w * (slope - inner) * scale);
        done = j + L;
      });
      zeros(s.keys.end);
    }
  }
};

// Writes rows of panels to the place of a gradient.
template <class T>
void write_rows(T* to, i64 step, T* panels, i64 rows, Range part, i64 columns) {
  for (i64 i = part.begin; i < part.end; i++)
    for_panels(panels, rows, i, columns, [&](i64 c, i64 used, const T* from) {
      for_vectors<T>({0, used}, [&](i64 k, auto lanes) { lanes.store(to + (i - part.begin) * step + c + k, load(from + k)); });
    });
}
template <class T>
FASTNN_INLINE void clear(T* p, i64 n) {
  for (i64 i = 0; i < n; i += kLanes<T>) store(p + i, Vec<T>{});
}

// Computes the gradients of a block of keys and values, and adds those of all queries to their sums if `all`.
template <class T>
void key_block(const AttentionBackward<T>& g, GradientHead<T> head, Range keys, bool all, Dropout<T>& dropout) {
  const auto& a = head.a;
  const auto& panels = head.panels;
  const auto& tile = head.tile;
  const i64 n = keys.end - keys.begin, group = head.h / a.heads();
  clear(tile.dk, n * panels.depth);
  clear(tile.dv, n * panels.width);
  for (head.own = 0; head.own < a.heads(); head.own++) {
    head.h = group * a.heads() + head.own;
    for (i64 i = 0; i < a.M; i += kQueries)
      for_strips<T>(head.sight, {i, min_i64(a.M, i + kQueries)}, keys, [&](const Strip& s) {
        head.strip(s, keys.begin, dropout);
        const i64 at = s.keys.begin - keys.begin, m = s.keys.end - s.keys.begin, rows = s.rows.end - s.rows.begin;
        add_product(tile.dv, n, at, m, tile.weights + at, (i64)1, kTileRow<T>, head.outputs(), a.M, s.rows.begin, rows, a.width);
        add_product(tile.dk, n, at, m, tile.slopes + at, (i64)1, kTileRow<T>, head.queries(), a.M, s.rows.begin, rows, a.depth);
        if (all)
          add_product(head.dq(), a.M, s.rows.begin, rows, tile.slopes + at, kTileRow<T>, (i64)1, panels.keys, a.keys,
                      s.keys.begin, m, a.depth);
      });
  }
  const i64 key_step = row_step(a, kKeyRows), value_step = row_step(a, kValueRows);
  write_rows(place(g.dk, a, kKeyRows, head.b, group) + keys.begin * key_step, key_step, tile.dk, n, {0, n}, a.depth);
  write_rows(place(g.dv, a, kValueRows, head.b, group) + keys.begin * value_step, value_step, tile.dv, n, {0, n}, a.width);
}

// Computes the gradients of a block of queries.
template <class T>
void query_block(const AttentionBackward<T>& g, const GradientHead<T>& head, Range rows, Dropout<T>& dropout) {
  const auto& a = head.a;
  const i64 m = rows.end - rows.begin, step = row_step(a, kQueryRows);
  T* sums = head.tile.dk;
  clear(sums, m * head.panels.depth);
  const Range seen = head.sight.of(rows);
  for (i64 j = seen.begin / kKeys * kKeys; j < seen.end; j += kKeys)
    for_strips<T>(head.sight, rows, {j, min_i64(a.keys, j + kKeys)}, [&](const Strip& s) {
      head.strip(s, j, dropout);
      add_product(sums, m, s.rows.begin - rows.begin, s.rows.end - s.rows.begin, head.tile.slopes + (s.keys.begin - j),
                  kTileRow<T>, (i64)1, head.panels.keys, a.keys, s.keys.begin, s.keys.end - s.keys.begin, a.depth);
    });
  write_rows(place(g.dq, a, kQueryRows, head.b, head.h) + rows.begin * step, step, sums, m, {0, m}, a.depth);
}

constexpr double kBackwardShared = 1.45;  // seven products in place of five

template <class T>
void attention_backward(const void* args, const Worker& me) {
  const auto& g = *(const AttentionBackward<T>*)args;
  const Attending<T> a(g);
  const i64 pairs = a.B * a.groups, heads = a.heads(), blocks = query_blocks(a), key_blocks = ceil_div(a.keys, kKeys);
  const bool alone = pairs_alone(pairs, me.nth, kBackwardShared);
  const i64 size = round_up(GradientPanels<T>::size(a), 16), own = round_up(GradientTile<T>::size(a.depth, a.width), 16);
  T* memory = (T*)me.scratch;
  const GradientTile<T> tile(memory + me.ith * own, a.depth);
  const GradientPanels<T> panels(memory + me.nth * own + (alone ? me.ith * size : 0), a);
  Dropout<T> dropout(a.rate, g.aux);
  const Worker here = alone ? Worker{0, 1, nullptr, nullptr} : me;
  const Range mine = alone ? share(pairs, 1, me) : Range{0, pairs};
  for (i64 pair = mine.begin; pair < mine.end; pair++) {
    const i64 b = pair / a.groups, group = pair % a.groups;
    GradientHead<T> head = {a, panels, tile, g.dy, g.lse, b, group * heads, 0, Sight(a, b)};
    pack_pair(a, panels, g.dy, g.y, b, group, here);
    if (alone) clear(panels.dq, heads * a.M * panels.depth);
    sync(here);
    const i64 items = key_blocks + (alone ? 0 : heads * blocks);
    for (i64 item = here.ith; item < items; item += here.nth) {
      if (item < key_blocks) {
        key_block(g, head, {item * kKeys, min_i64(a.keys, (item + 1) * kKeys)}, alone, dropout);
      } else {
        head.own = (item - key_blocks) / blocks;
        head.h = group * heads + head.own;
        const i64 i = (item - key_blocks) % blocks * kQueries;
        query_block(g, head, {i, min_i64(a.M, i + kQueries)}, dropout);
      }
    }
    const i64 step = row_step(a, kQueryRows);
    for (i64 i = 0; i < (alone ? heads : 0); i++)
      write_rows(place(g.dq, a, kQueryRows, b, group * heads + i), step, panels.dq + i * a.M * panels.depth, a.M, {0, a.M},
                 a.depth);
    sync(here);
  }
}

template <class T>
i64 backward_scratch(const AttentionBackward<T>& g, int nth) {
  const Attending<T> a(g);
  const i64 sets = panel_sets(a.B * a.groups, nth, kBackwardShared);
  return (round_up(GradientTile<T>::size(a.depth, a.width), 16) * nth + round_up(GradientPanels<T>::size(a), 16) * sets) *
         (i64)sizeof(T);
}
FASTNN_INLINE i64 attention_backward_scratch(const void* args, int itemsize, int nth) {
  return itemsize == 4 ? backward_scratch(*(const AttentionBackward<float>*)args, nth)
                       : backward_scratch(*(const AttentionBackward<double>*)args, nth);
}
FASTNN_INLINE double attention_backward_work(const void* args, int itemsize) {
  const auto& g = *(const AttentionBackward<float>*)args;
  return attention_work(g, 3 * g.depth + 2 * g.width, itemsize);
}

}  // namespace
