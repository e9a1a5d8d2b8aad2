// What attention's kernels share: which keys a query may attend to, panels, and rows of scores.
//
// Scores are computed in tiles of kQueries queries and kKeys keys, which stay in the second-level cache. Tiles in which no query
// may attend to a key are left out; tiles in which some may not are computed in strips of fewer queries.
#pragma once
#include "math/philox.h"
#include "math/transpose.h"
#include "product/product.h"

namespace {

constexpr i64 kQueries = 64, kKeys = 256, kStrip = 32;
constexpr i64 kPanelVectors = FASTNN_VB == 64 ? 4 : 2;
template <class T>
constexpr i64 kPanel = kPanelVectors * kLanes<T>;  // columns of a panel
// Distance of a tile's rows. One that is a power of two would put the elements of a column into a few sets of the cache.
template <class T>
constexpr i64 kTileRow = kKeys + kLanes<T>;

// The arguments of a call, which forward and backward have in common.
template <class T>
struct Attending {
  const T *q, *k, *v, *bias;
  const u8* mask;
  const i64 *lengths, *starts;
  const T* slopes;
  const double* rate;
  const i64* places;
  i64 groups, keys, depth, width, first, window, causal;
  double scale;
  i64 B, H, M;

  template <class Args>
  explicit Attending(const Args& g)
      : q(g.q),
        k(g.k),
        v(g.v),
        bias(g.bias),
        mask(g.mask),
        lengths(g.lengths),
        starts(g.starts),
        slopes(g.slopes),
        rate(g.rate),
        places(g.places),
        groups(g.groups),
        keys(g.keys),
        depth(g.depth),
        width(g.width),
        first(g.first),
        window(g.window),
        causal(g.causal),
        scale(g.scale),
        B(g.B),
        H(g.H),
        M(g.M) {}

  i64 heads() const { return groups ? H / groups : 0; }  // that share keys and values
  bool decorated() const { return bias || mask || slopes; }
  i64 word_groups() const { return ceil_div(keys, kDropoutGroup); }  // of a row
  i64 words() const { return B * H * M * word_groups() * kDropoutGroup; }
};

// The rows of `places`.
enum AttentionArray { kOutputs, kQueryRows, kKeyRows, kValueRows, kBiases, kMasks };

// Returns the place of a matrix in an array.
template <class T, class X>
FASTNN_INLINE X* place(X* p, const Attending<T>& a, AttentionArray array, i64 b, i64 head) {
  const i64* at = a.places + 5 * array;
  return p + at[0] + b * at[1] + head * at[2];
}
template <class T>
FASTNN_INLINE i64 row_step(const Attending<T>& a, AttentionArray array) {
  return a.places[5 * array + 3];
}

// Which keys the queries of a sample may attend to, by their positions.
struct Sight {
  i64 first, limit, window;
  bool causal;

  template <class T>
  Sight(const Attending<T>& a, i64 b) : window(a.window), causal(a.causal) {
    constexpr i64 kFar = (i64)1 << 48;  // beyond every position; nothing overflows
    first = a.starts ? max_i64(-kFar, min_i64(kFar, a.starts[b])) : a.first;
    limit = a.lengths ? max_i64(0, min_i64(a.keys, a.lengths[b])) : a.keys;
  }
  Range of(i64 row) const {
    const i64 at = first + row;
    i64 begin = 0, end = limit;
    if (causal) end = min_i64(end, at + 1);
    if (window) {
      begin = max_i64(begin, at - window + 1);
      end = min_i64(end, at + window);
    }
    end = max_i64(0, end);
    return {min_i64(begin, end), end};
  }
  // Returns the keys from the first to the last that any of these queries may attend to.
  Range of(Range rows) const { return {of(rows.begin).begin, of(rows.end - 1).end}; }
};

// A part of a tile: some queries, and some keys.
struct Strip {
  Range rows, keys;
};
// Calls f(strip) for the parts of a tile in which queries may attend to keys, in order.
template <class T, class F>
FASTNN_INLINE void for_strips(const Sight& sight, Range rows, Range keys, F f) {
  const Range all = sight.of(rows);
  if (all.end <= keys.begin || all.begin >= keys.end) return;
  const bool whole = sight.of(rows.begin).end >= keys.end && sight.of(rows.end - 1).begin <= keys.begin;
  const i64 step = whole ? kQueries : kStrip;
  for (i64 i = rows.begin; i < rows.end; i += step) {
    const Range part = {i, min_i64(rows.end, i + step)};
    const Range seen = sight.of(part);
    const i64 begin = max_i64(seen.begin, keys.begin), end = min_i64(seen.end, keys.end);
    // Panels begin at multiples of their width.
    if (begin < end) f(Strip{part, {keys.begin + (begin - keys.begin) / kPanel<T> * kPanel<T>, end}});
  }
}

// ---- panels ----

// Copies n rows of `columns` numbers to panels of columns, the last of which is padded with zeros to whole vectors. A panel has
// `rows` rows, and these begin at row `at`.
template <class T>
void pack_columns(T* to, i64 rows, i64 at, const T* from, i64 step, i64 n, i64 columns) {
  for (i64 c = 0; c < columns; c += kPanel<T>) {
    const i64 used = min_i64(kPanel<T>, columns - c), width = round_up(used, kLanes<T>);
    T* panel = to + c * rows + at * width;
    for (i64 i = 0; i < n; i++)
      for_vectors<T>({0, used}, [&](i64 j, auto lanes) { store(panel + i * width + j, lanes.load(from + i * step + c + j)); });
  }
}

// Writes n rows as the columns of one panel, with zeros for the others.
template <class T>
void pack_turned(T* to, const T* from, i64 step, i64 n, i64 columns) {
  constexpr i64 L = kLanes<T>;
  for (i64 i = 0; i < kPanel<T>; i += L)
    for (i64 c = 0; c < columns; c += L) {
      const i64 lanes = min_i64(L, columns - c);
      Vec<T> r[L];
#pragma GCC unroll 16
      for (int t = 0; t < L; t++) r[t] = i + t < n ? load_n(from + (i + t) * step + c, lanes) : Vec<T>{};
      transpose<T>(r);
#pragma GCC unroll 16
      for (int t = 0; t < L; t++)
        if (t < lanes) store(to + (c + t) * kPanel<T> + i, r[t]);
    }
}

// Computes a tile's scores for the rows and keys of a strip: c = a b. `a` has their first row, b the panels of all keys.
template <class T>
void times_keys(T* c, const T* a, i64 a_row, const T* b, i64 depth, const Strip& s, i64 first_key) {
  const i64 columns = s.keys.end - s.keys.begin, whole = columns / kPanel<T>, rest = columns % kPanel<T>;
  fastnn::PanelProducts<T> p = {};
  p.m = s.rows.end - s.rows.begin;
  p.k = depth;
  p.a = a;
  p.a_row = a_row;
  p.a_col = 1;
  p.b = b + s.keys.begin * depth;
  p.b_step = depth * kPanel<T>;
  p.c = c + (s.keys.begin - first_key);
  p.c_step = kPanel<T>;
  p.c_row = kTileRow<T>;
  p.count = whole;
  p.vectors = kPanelVectors;
  if (whole) product_fns<T>().panels(p);
  if (!rest) return;
  p.count = 1;
  p.vectors = ceil_div(rest, kLanes<T>);
  p.b += whole * p.b_step;
  p.b_row = kPanel<T>;
  p.c += whole * kPanel<T>;
  product_fns<T>().panels(p);
}

// Adds products to panels of columns: c[to + i] += sum over k of a(i, k) b[from + k]. c and b have c_rows and b_rows rows.
template <class T>
void add_product(T* c, i64 c_rows, i64 to, i64 m, const T* a, i64 a_row, i64 a_col, const T* b, i64 b_rows, i64 from, i64 k,
                 i64 columns) {
  fastnn::PanelProducts<T> p = {};
  p.count = 1;
  p.m = m;
  p.k = k;
  p.a = a;
  p.a_row = a_row;
  p.a_col = a_col;
  p.beta = 1;
  for (i64 f = 0; f < columns; f += kPanel<T>) {
    p.vectors = ceil_div(min_i64(kPanel<T>, columns - f), kLanes<T>);
    p.b = b + f * b_rows + from * p.vectors * kLanes<T>;
    p.c = c + f * c_rows + to * p.vectors * kLanes<T>;
    product_fns<T>().panels(p);
  }
}

// Calls f(c, numbers) for each panel of columns, with the row's numbers in it from column c on.
template <class T, class F>
FASTNN_INLINE void for_panels(T* panels, i64 rows, i64 row, i64 columns, F f) {
  for (i64 c = 0; c < columns; c += kPanel<T>) {
    const i64 used = min_i64(kPanel<T>, columns - c);
    f(c, used, panels + c * rows + row * round_up(used, kLanes<T>));
  }
}

// ---- rows of scores ----

// One query, and the keys of a row of scores.
struct QueryRow {
  i64 b, h, i;
  Range seen;  // keys that it may attend to
};

template <class T>
FASTNN_INLINE Vec<T> lane_numbers() {
  Vec<T> v;
  for (int t = 0; t < kLanes<T>; t++) v[t] = (T)t;
  return v;
}

// Returns a mask of the lanes whose bytes are not 0. `step` is 0 or 1.
template <class T>
FASTNN_INLINE IVec<T> true_lanes(const u8* p, i64 step, i64 n) {
  constexpr int L = kLanes<T>;
  typedef u8 Bytes __attribute__((vector_size(L)));
  if (!step) return isplat<T>(*p ? -1 : 0);
  Bytes bytes = {};
  memcpy(&bytes, p, n);
  return __builtin_convertvector(bytes, IVec<T>) != 0;
}

// Scales a row of products, adds to them what belongs to the scores, and masks them.
template <class T>
__attribute__((noinline)) void decorate(const Attending<T>& a, const Sight& sight, const QueryRow& r, T* row, i64 first) {
  constexpr i64 L = kLanes<T>;
  const Vec<T> lowest = splat(-(T)__builtin_inf()), numbers = lane_numbers<T>();
  const T* bias = a.bias ? place(a.bias, a, kBiases, r.b, r.h) + r.i * row_step(a, kBiases) : nullptr;
  const u8* mask = a.mask ? place(a.mask, a, kMasks, r.b, r.h) + r.i * row_step(a, kMasks) : nullptr;
  const i64 bias_step = a.places[5 * kBiases + 4], mask_step = a.places[5 * kMasks + 4];
  const T scale = (T)a.scale, slope = a.slopes ? a.slopes[r.h] : 0;
  for (i64 j = first + (r.seen.begin - first) / L * L; j < r.seen.end; j += L) {
    const i64 n = min_i64(L, r.seen.end - j);
    Vec<T> s = load(row + (j - first)) * scale;
    if (a.slopes) s -= slope * vabs<T>((T)(sight.first + r.i - j) - numbers);
    if (bias) s += bias_step ? load_n(bias + j, n) : splat(*bias);
    if (mask) s = true_lanes<T>(mask + j * mask_step, mask_step, n) ? s : lowest;
    store(row + (j - first), s);
  }
}

// Calls f(j, scores) for each vector of keys of a row, where j is a key, and scores are -infinity where the query may not attend
// to a key. `row` has the products of key `first` and those after it.
template <class T, class F>
FASTNN_INLINE void for_scores(const Attending<T>& a, const Sight& sight, const QueryRow& r, T* row, i64 first, F f) {
  constexpr i64 L = kLanes<T>;
  if (r.seen.begin >= r.seen.end) return;
  const Vec<T> lowest = splat(-(T)__builtin_inf()), numbers = lane_numbers<T>();
  const bool decorated = a.decorated();
  if (decorated) decorate(a, sight, r, row, first);
  const T scale = decorated ? (T)1 : (T)a.scale;
  for (i64 j = first + (r.seen.begin - first) / L * L; j < r.seen.end; j += L) {
    Vec<T> s = load(row + (j - first)) * scale;
    if (j < r.seen.begin) s = numbers < splat((T)(r.seen.begin - j)) ? lowest : s;
    if (r.seen.end - j < L) s = select_n<T>(s, r.seen.end - j, lowest);
    f(j, s);
  }
}

// Returns the factors of dropout for a vector of keys: 0 for dropped weights.
template <class T>
struct Dropout {
  const Philox philox;
  u64 offset;
  u32 threshold;
  T factor;
  i64 held = -1;
  u32 words[kDropoutGroup];

  Dropout(const double* rate, const u64* aux)
      : philox(rate ? aux[0] : 0),
        offset(rate ? aux[1] : 0),
        threshold(rate && *rate < 1 ? (u32)(*rate * 4294967296.0) : 0),
        factor(rate && *rate < 1 ? (T)(1 / (1 - *rate)) : 0) {}

  // `row` is the number of the first group of the query's words.
  __attribute__((always_inline)) Vec<T> at(i64 row, i64 key) {
    take_group(row + key / kDropoutGroup);
    return at_least(words + key % kDropoutGroup, threshold, T{}) ? splat(factor) : Vec<T>{};
  }
  T one(i64 row, i64 key) {
    take_group(row + key / kDropoutGroup);
    return words[key % kDropoutGroup] >= threshold ? factor : 0;
  }

  __attribute__((noinline)) void take_group(i64 group) {
    if (group == held) return;
    philox.group(offset + (u64)(group * kDropoutCounters), words);
    held = group;
  }
};
template <class T>
FASTNN_INLINE i64 word_row(const Attending<T>& a, i64 b, i64 h, i64 i) {
  return ((b * a.H + h) * a.M + i) * a.word_groups();
}

}  // namespace
