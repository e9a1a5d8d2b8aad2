// Attention, and rotary positions. fastnn/backends/reference/attention.py defines them.
//
// Keys are packed once for each sample and group of heads, and each block of queries runs over the blocks of its keys: scores,
// their exponentials relative to the largest so far, and the sums of values (Dao et al., arXiv 2205.14135).
#pragma once
#include "families/attention_tile.h"
#include "math/vmath.h"

namespace {

template <class T>
struct AttentionForward {
  static constexpr const char* fields =
      "y lse aux state q k v bias mask lengths starts slopes rate places groups keys depth width first window causal scale "
      "n B H M p r s t u";
  T *y, *lse;
  u64 *aux, *state;
  const T *q, *k, *v, *bias;
  const u8* mask;
  const i64 *lengths, *starts;
  const T* slopes;
  const double* rate;
  const i64* places;
  i64 groups, keys, depth, width, first, window, causal;
  double scale;
  i64 n, B, H, M, p, r, s, t, u;
};

// Whether each worker computes some pairs of a sample and a group alone. Otherwise, all of them share the queries of each pair.
// `shared` is what sharing costs in addition. Both ways give the same bits.
FASTNN_INLINE bool pairs_alone(i64 pairs, int nth, double shared) {
  return (double)(ceil_div(pairs, nth) * nth) <= shared * (double)pairs;
}

// Returns for how many pairs at a time up to nth workers hold panels: a call may get fewer workers than it asks for.
FASTNN_INLINE i64 panel_sets(i64 pairs, int nth, double shared) {
  i64 most = 1;
  for (int n = 2; n <= nth; n++)
    if (pairs_alone(pairs, n, shared)) most = n;
  return most;
}

// ---- few queries, as in generation: keys and values are read once, in place ----

constexpr i64 kFewQueries = 4, kChunk = 512;  // keys of a piece of work

// A piece's largest scores, sums of exponentials, and sums of values: arrays of all rows of queries that share keys.
template <class T>
struct Partial {
  T *top, *total, *sums;
  i64 columns;
  FASTNN_INLINE i64 size(i64 rows, i64 width) { return round_up(rows * (2 + round_up(width, kLanes<T>)), kLanes<T>); }
  Partial(T* p, i64 rows, i64 width)
      : top(p + rows * round_up(width, kLanes<T>)), total(top + rows), sums(p), columns(round_up(width, kLanes<T>)) {}
};

// Computes the products of a query with keys [keys.begin, keys.end): out[j - keys.begin], in whole vectors.
template <class T>
void dot_keys(T* out, const T* q, const T* k, i64 step, Range keys, i64 depth) {
  constexpr i64 L = kLanes<T>;
  for (i64 j = keys.begin; j < keys.end; j += L) {
    const i64 rows = min_i64(L, keys.end - j);
    Vec<T> r[L] = {};
    for_vectors<T>({0, depth}, [&](i64 c, auto lanes) __attribute__((always_inline)) {
      const Vec<T> x = lanes.load(q + c);
#pragma GCC unroll 16
      for (int t = 0; t < L; t++) r[t] += x * lanes.load(k + (j + (t < rows ? t : 0)) * step + c);
    });
    transpose<T>(r);
    Vec<T> sum = r[0];
#pragma GCC unroll 16
    for (int t = 1; t < L; t++) sum += r[t];
    store(out + (j - keys.begin), sum);
  }
}

// sums = sum over keys of p[j] v[j]
template <class T>
void average_values(T* sums, const T* p, const T* v, i64 step, i64 n, i64 width) {
  constexpr i64 L = kLanes<T>, V = 4;
  for (i64 c = 0; c < width; c += V * L) {
    const i64 left = width - c;
    Vec<T> acc[2][V] = {};
    auto add = [&](int u, i64 j) __attribute__((always_inline)) {
#pragma GCC unroll 4
      for (int w = 0; w < V; w++)
        if (w * L < left) acc[u][w] += p[j] * load_n(v + j * step + c + w * L, min_i64(L, left - w * L));
    };
    i64 j = 0;
    for (; j + 2 <= n; j += 2) {
      add(0, j);
      add(1, j + 1);
    }
    if (j < n) add(0, j);
    for (int w = 0; w < V; w++)
      if (w * L < left) store(sums + c + w * L, acc[0][w] + acc[1][w]);
  }
}

template <class T>
void few_queries(const Attending<T>& a, T* y, T* lse, const u64* aux, const Worker& me) {
  constexpr i64 L = kLanes<T>;
  const i64 heads = a.heads(), rows = heads * a.M, chunks = max_i64(1, ceil_div(a.keys, kChunk));
  const i64 items = a.B * a.groups * chunks, size = Partial<T>::size(rows, a.width);
  T* partials = (T*)me.scratch;
  T scores[kChunk];
  Dropout<T> dropout(a.rate, aux);
  const auto larger = [](Vec<T> x, Vec<T> y) { return x > y ? x : y; };
  const Range mine = share(items, 1, me);
  for (i64 item = mine.begin; item < mine.end; item++) {
    const i64 chunk = item % chunks, g = item / chunks % a.groups, b = item / chunks / a.groups;
    const Sight sight(a, b);
    const Partial<T> part(partials + item * size, rows, a.width);
    const T *k = place(a.k, a, kKeyRows, b, g), *v = place(a.v, a, kValueRows, b, g);
    for (i64 row = 0; row < rows; row++) {
      const i64 h = g * heads + row / a.M, i = row % a.M;
      const Range all = sight.of(i), seen = {max_i64(all.begin, chunk * kChunk), min_i64(all.end, (chunk + 1) * kChunk)};
      T top = -(T)__builtin_inf(), total = 0;
      if (seen.begin < seen.end) {
        const T* q = place(a.q, a, kQueryRows, b, h) + i * row_step(a, kQueryRows);
        dot_keys(scores, q, k, row_step(a, kKeyRows), seen, a.depth);
        const QueryRow r = {b, h, i, seen};
        Vec<T> most = splat(top), sum = {};
        for_scores(a, sight, r, scores, seen.begin, [&](i64 j, Vec<T> s) __attribute__((always_inline)) {
          store(scores + (j - seen.begin), s);
          most = larger(s, most);
        });
        top = fold_lanes<T>(most, larger)[0];
        const T shift = top == -(T)__builtin_inf() ? 0 : top;
        for (i64 j = seen.begin; j < seen.end; j += L) {
          Vec<T> e = vexp(load(scores + (j - seen.begin)) - shift);
          sum += e;
          store(scores + (j - seen.begin), e);
        }
        if (a.rate) {
          const i64 words = word_row(a, b, h, i);
          for (i64 j = seen.begin; j < seen.end; j++) scores[j - seen.begin] *= dropout.one(words, j);
        }
        total = hsum<T>(sum);
        average_values(part.sums + row * part.columns, scores, v + seen.begin * row_step(a, kValueRows), row_step(a, kValueRows),
                       seen.end - seen.begin, a.width);
      } else {
        for (i64 c = 0; c < part.columns; c += L) store(part.sums + row * part.columns + c, Vec<T>{});
      }
      part.top[row] = top;
      part.total[row] = total;
    }
  }
  sync(me);
  const Range outputs = share(a.B * a.H, 1, me);
  for (i64 item = outputs.begin; item < outputs.end; item++)
    for (i64 i = 0; i < a.M; i++) {
      const i64 b = item / a.H, h = item % a.H, g = h / heads, row = h % heads * a.M + i;
      const T* first = partials + (b * a.groups + g) * chunks * size;
      T top = -(T)__builtin_inf();
      for (i64 c = 0; c < chunks; c++) {
        const T own = Partial<T>((T*)first + c * size, rows, a.width).top[row];
        top = own > top ? own : top;
      }
      const T shift = top == -(T)__builtin_inf() ? 0 : top;
      T total = 0;
      T* out = place(y, a, kOutputs, b, h) + i * row_step(a, kOutputs);
      for (i64 c = 0; c < chunks; c++) {
        const Partial<T> part((T*)first + c * size, rows, a.width);
        const T factor = vexp(splat(part.top[row] - shift))[0];
        total += part.total[row] * factor;
        for_vectors<T>({0, a.width}, [&](i64 j, auto lanes) {
          const Vec<T> sum = lanes.load(part.sums + row * part.columns + j) * factor;
          lanes.store(out + j, c ? lanes.load(out + j) + sum : sum);
        });
      }
      const T inverse = total == 0 ? 0 : 1 / total;
      for_vectors<T>({0, a.width}, [&](i64 j, auto lanes) { lanes.store(out + j, lanes.load(out + j) * inverse); });
      lse[(b * a.H + h) * a.M + i] = shift + vlog(splat(total))[0];
    }
}

// ---- blocks of queries ----

// Memory of a worker: a tile of scores, the sums of values, and numbers for each query of a block.
template <class T>
struct ForwardTile {
  T *scores, *sums, *top, *factor, *total;
  FASTNN_INLINE i64 size(i64 width) { return kQueries * (kTileRow<T> + round_up(width, kLanes<T>) + 3); }
  ForwardTile(T* p, i64 width)
      : scores(p),
        sums(p + kQueries * kTileRow<T>),
        top(sums + kQueries * round_up(width, kLanes<T>)),
        factor(top + kQueries),
        total(factor + kQueries) {}
};

// Packed keys and values of a sample and a group.
template <class T>
struct PackedKeys {
  T *keys, *values;
  FASTNN_INLINE i64 size(const Attending<T>& a) {
    return round_up(a.keys, kPanel<T>) * a.depth + a.keys * round_up(a.width, kLanes<T>);
  }
  PackedKeys(T* p, const Attending<T>& a) : keys(p), values(p + round_up(a.keys, kPanel<T>) * a.depth) {}

  void pack(const Attending<T>& a, i64 b, i64 g, const Worker& me) const {
    const Range mine = share(ceil_div(a.keys, kPanel<T>), 1, me);
    const i64 key_step = row_step(a, kKeyRows), value_step = row_step(a, kValueRows);
    const T *k = place(a.k, a, kKeyRows, b, g), *v = place(a.v, a, kValueRows, b, g);
    for (i64 panel = mine.begin; panel < mine.end; panel++) {
      const i64 j = panel * kPanel<T>, n = min_i64(kPanel<T>, a.keys - j);
      pack_turned(keys + j * a.depth, k + j * key_step, key_step, n, a.depth);
      pack_columns(values, a.keys, j, v + j * value_step, value_step, n, a.width);
    }
  }
};

// Replaces the scores of a row by the exponentials of what they exceed the largest by, with dropout. Sets `factor` to the
// difference of the largest score before and after.
template <class T>
FASTNN_INLINE void exponentials(const Attending<T>& a, const Sight& sight, const QueryRow& r, T* row, i64 first, Range keys,
                                Dropout<T>& dropout, T& top, T& factor, T& total) {
  constexpr i64 L = kLanes<T>;
  const auto larger = [](Vec<T> x, Vec<T> y) { return x > y ? x : y; };
  Vec<T> most = splat(top), sum = {};
  for_scores(a, sight, r, row, first, [&](i64 j, Vec<T> s) __attribute__((always_inline)) {
    store(row + (j - first), s);
    most = larger(s, most);
  });
  const T before = top;
  top = fold_lanes<T>(most, larger)[0];
  const T shift = top == -(T)__builtin_inf() ? 0 : top;
  factor = before - shift;
  const i64 begin = r.seen.begin < r.seen.end ? first + (r.seen.begin - first) / L * L : keys.end;
  const i64 words = word_row(a, r.b, r.h, r.i);
  i64 j = keys.begin;
  for (; j < begin; j += L) store(row + (j - first), Vec<T>{});
  for (; j < r.seen.end; j += L) {
    Vec<T> e = vexp(load(row + (j - first)) - shift);
    sum += e;
    if (a.rate) e *= dropout.at(words, j);
    store(row + (j - first), e);
  }
  for (; j < keys.end; j += L) store(row + (j - first), Vec<T>{});
  total = hsum<T>(sum);
}

// Computes the outputs of a block of queries of a head.
template <class T>
void query_block(const Attending<T>& a, const Sight& sight, i64 b, i64 h, Range rows, const PackedKeys<T>& packed,
                 const ForwardTile<T>& tile, Dropout<T>& dropout, T* y, T* lse) {
  constexpr i64 L = kLanes<T>;
  const i64 m = rows.end - rows.begin, columns = round_up(a.width, L), q_step = row_step(a, kQueryRows);
  const T* q = place(a.q, a, kQueryRows, b, h);
  T totals[kQueries];
  for (i64 i = 0; i < kQueries; i += L) {
    store(tile.top + i, splat(-(T)__builtin_inf()));
    store(totals + i, Vec<T>{});
  }
  for (i64 i = 0; i < m * columns; i += L) store(tile.sums + i, Vec<T>{});
  const Range all = sight.of(rows);
  for (i64 j = all.begin / kKeys * kKeys; j < all.end; j += kKeys)
    for_strips<T>(sight, rows, {j, min_i64(a.keys, j + kKeys)}, [&](const Strip& s) {
      const i64 n = s.rows.end - s.rows.begin, at = s.rows.begin - rows.begin;
      T* scores = tile.scores + at * kTileRow<T>;
      times_keys(scores, q + s.rows.begin * q_step, q_step, packed.keys, a.depth, s, j);
      for (i64 i = 0; i < n; i++) {
        const Range seen = sight.of(s.rows.begin + i);
        const QueryRow r = {b, h, s.rows.begin + i, {max_i64(seen.begin, s.keys.begin), min_i64(seen.end, s.keys.end)}};
        exponentials(a, sight, r, scores + i * kTileRow<T>, j, s.keys, dropout, tile.top[at + i], tile.factor[at + i],
                     tile.total[at + i]);
      }
      for (i64 i = at; i < at + n; i += L) {
        const i64 lanes = min_i64(L, at + n - i);
        const Vec<T> factor = vexp(load_n(tile.factor + i, lanes));
        store_n(tile.factor + i, factor, lanes);
        store_n(totals + i, load_n(totals + i, lanes) * factor + load_n(tile.total + i, lanes), lanes);
      }
      for (i64 i = at; i < at + n; i++)
        if (tile.factor[i] != 1)
          for_panels(tile.sums, m, i, a.width, [&](i64, i64 used, T* sums) {
            for (i64 c = 0; c < used; c += L) store(sums + c, load(sums + c) * tile.factor[i]);
          });
      const i64 begin = s.keys.begin;
      add_product(tile.sums, m, at, n, scores + (begin - j), kTileRow<T>, (i64)1, packed.values, a.keys, begin,
                  s.keys.end - begin, a.width);
    });
  const i64 y_step = row_step(a, kOutputs);
  T* out = place(y, a, kOutputs, b, h) + rows.begin * y_step;
  for (i64 i = 0; i < m; i++) {
    const T inverse = totals[i] == 0 ? 0 : 1 / totals[i];
    for_panels(tile.sums, m, i, a.width, [&](i64 c, i64 used, const T* sums) {
      for_vectors<T>({0, used}, [&](i64 k, auto lanes) { lanes.store(out + i * y_step + c + k, load(sums + k) * inverse); });
    });
  }
  T* logs = lse + (b * a.H + h) * a.M + rows.begin;
  for_vectors<T>({0, m}, [&](i64 i, auto lanes) {
    const Vec<T> top = lanes.load(tile.top + i);
    lanes.store(logs + i, (top == splat(-(T)__builtin_inf()) ? Vec<T>{} : top) + vlog(lanes.load(totals + i)));
  });
}

constexpr double kForwardShared = 1.25;

template <class T>
void attention_forward(const void* args, const Worker& me) {
  const auto& g = *(const AttentionForward<T>*)args;
  const Attending<T> a(g);
  if (a.rate) take(g.state, g.aux, a.words(), me);
  if (a.M <= kFewQueries) return few_queries(a, g.y, g.lse, g.aux, me);
  const i64 pairs = a.B * a.groups, heads = a.heads(), blocks = ceil_div(a.M, kQueries);
  const bool alone = pairs_alone(pairs, me.nth, kForwardShared);
  const i64 size = round_up(PackedKeys<T>::size(a), 16), own = round_up(ForwardTile<T>::size(a.width), 16);
  T* memory = (T*)me.scratch;
  const ForwardTile<T> tile(memory + me.ith * own, a.width);
  const PackedKeys<T> packed(memory + me.nth * own + (alone ? me.ith * size : 0), a);
  Dropout<T> dropout(a.rate, g.aux);
  const Worker here = alone ? Worker{0, 1, nullptr, nullptr} : me;
  const Range mine = alone ? share(pairs, 1, me) : Range{0, pairs};
  for (i64 pair = mine.begin; pair < mine.end; pair++) {
    const i64 b = pair / a.groups, group = pair % a.groups;
    const Sight sight(a, b);
    packed.pack(a, b, group, here);
    sync(here);
    for (i64 item = here.ith; item < heads * blocks; item += here.nth) {
      const i64 first = item % blocks * kQueries;
      query_block(a, sight, b, group * heads + item / blocks, {first, min_i64(a.M, first + kQueries)}, packed, tile, dropout, g.y,
                  g.lse);
    }
    sync(here);
  }
}

template <class T>
i64 forward_scratch(const AttentionForward<T>& g, int nth) {
  const Attending<T> a(g);
  if (a.M <= kFewQueries)
    return a.B * a.groups * max_i64(1, ceil_div(a.keys, kChunk)) * Partial<T>::size(a.heads() * a.M, a.width) * (i64)sizeof(T);
  const i64 sets = panel_sets(a.B * a.groups, nth, kForwardShared);
  return (round_up(ForwardTile<T>::size(a.width), 16) * nth + round_up(PackedKeys<T>::size(a), 16) * sets) * (i64)sizeof(T);
}
FASTNN_INLINE i64 attention_forward_scratch(const void* args, int itemsize, int nth) {
  return itemsize == 4 ? forward_scratch(*(const AttentionForward<float>*)args, nth)
                       : forward_scratch(*(const AttentionForward<double>*)args, nth);
}

// Returns the nanoseconds of products with so many columns in all for each score, and of the exponentials.
template <class Args>
FASTNN_INLINE double attention_work(const Args& g, i64 columns, int itemsize) {
  const double seen = g.causal && g.M > 1 ? 0.6 : 1.0, scores = seen * (double)(g.B * g.H) * (double)g.M * (double)g.keys;
  return scores * (2.0 * (double)columns / kFlopsPerNs + 0.2) * (itemsize / 4);
}
FASTNN_INLINE double attention_forward_work(const void* args, int itemsize) {
  const auto& g = *(const AttentionForward<float>*)args;
  const double work = attention_work(g, g.depth + g.width, itemsize);
  if (g.M > kFewQueries) return work;
  const double memory = memory_work((double)(g.B * g.groups) * (double)g.keys * (double)(g.depth + g.width) * itemsize);
  return work > memory ? work : memory;
}

}  // namespace
