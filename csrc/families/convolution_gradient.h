// The gradients of convolutions: of the filters from products of the same patches, of the image from products of the outputs with
// turned filters.
#pragma once
#include "families/convolution_columns.h"
#include "families/winograd_gradient.h"
#include "math/transpose.h"

namespace {

// Pixels that meet the same positions of the filters: with a stride, every stride-th pixel of an axis from `first` on meets every
// stride-th position from `tap` on. An axis with a stride and a dilation has one phase, in which most outputs do not exist.
struct Phase {
  i64 first[3], pixels[3], tap[3], taps[3], step[3];  // `step`: from pixel to pixel, and from position to position
  i64 before[3], dilation[3], spread[3];              // of the places of the turned filters on the outputs
  i64 rows(const Conv& s) const { return s.N * pixels[0] * pixels[1] * pixels[2]; }
  i64 positions() const { return taps[0] * taps[1] * taps[2]; }
};
FASTNN_INLINE i64 phase_step(const Conv& s, int axis) { return s.dilation[axis] == 1 ? s.stride[axis] : 1; }
FASTNN_INLINE i64 phases_of(const Conv& s, int axis) { return max_i64(1, min_i64(phase_step(s, axis), s.image[axis])); }
FASTNN_INLINE i64 phases_of(const Conv& s) { return phases_of(s, 0) * phases_of(s, 1) * phases_of(s, 2); }
FASTNN_INLINE Phase phase_at(const Conv& s, i64 number) {
  Phase f = {};
  for (int i = 2; i >= 0; i--) {
    const i64 step = phase_step(s, i), first = number % phases_of(s, i);
    number /= phases_of(s, i);
    f.first[i] = first;
    f.step[i] = step;
    f.pixels[i] = first < s.image[i] ? ceil_div(s.image[i] - first, step) : 0;
    f.tap[i] = ((first + s.before[i]) % step + step) % step;
    f.taps[i] = f.tap[i] < s.filter[i] ? ceil_div(s.filter[i] - f.tap[i], step) : 0;
    f.dilation[i] = step > 1 ? 1 : s.dilation[i];
    f.spread[i] = step > 1 ? 1 : s.stride[i];
    f.before[i] = (f.taps[i] - 1) * f.dilation[i] - (first + s.before[i] - f.tap[i]) / step;
  }
  return f;
}

// Returns all pixels as one phase.
FASTNN_INLINE Phase whole_phase(const Conv& s) {
  Phase f = {};
  for (int i = 0; i < 3; i++) {
    f.pixels[i] = s.image[i];
    f.taps[i] = s.filter[i];
    f.step[i] = 1;
    f.dilation[i] = s.dilation[i];
    f.spread[i] = s.stride[i];
    f.before[i] = (s.filter[i] - 1) * s.dilation[i] - s.before[i];
  }
  return f;
}

// The outputs that meet a pixel of a phase, from the last position of the filters to the first.
template <class T>
Patches<T> patches_of_gradient(const Conv& s, const Phase& f, const T* dz, i64 group) {
  const i64 outputs = s.outputs();
  Patches<T> p = {dz + group * outputs, outputs, s.O, 0, {}, {}, {}, {1, 1, 1}, {}, {}, {}};
  for (int i = 0; i < 3; i++) {
    p.size[i] = s.places[i];
    p.places[i] = f.pixels[i];
    p.filter[i] = f.taps[i];
    p.dilation[i] = f.dilation[i];
    p.before[i] = f.before[i];
    p.spread[i] = f.spread[i];
  }
  return p;
}

// The gradient of filters sums over all places. If it has few elements, the places are cut into pieces, one for a worker at a
// time, whose sums are added at the end.
struct Pieces {
  Cut rows;
  i64 size;     // elements of the partial sums of a piece: those of dw, then those of db
  i64 scratch;  // bytes of the products, for each worker
};
constexpr i64 kPieceRows = 2048;  // rows of a piece whose dz is in the cache when it is multiplied
FASTNN_INLINE Pieces pieces_of_dw(const Conv& s, i64 precision, int itemsize) {
  constexpr i64 kFew = 8192, kPlaces = 512, kPieces = 16;
  const i64 size = s.taps() * s.I * s.O;
  const bool cut = !s.plain() && size <= kFew;
  const Cut rows = Cut::into(s.rows(), cut ? max_i64(1, min_i64(kPieces, s.rows() / kPlaces)) : 1);
  if (rows.pieces == 1 || s.depthwise()) return {Cut::into(s.rows(), 1), 0, 0};
  i64 scratch = 0;
  const Cut some = Cut::by(rows.size + (rows.extra > 0), kPieceRows);
  for (i64 k = some.size; k <= some.size + 1; k++)  // a piece of one row less may be cut into one block less
    scratch = max_i64(scratch, product_scratch(s.taps() * s.I, s.outputs(), k, false, false, precision, itemsize, 1, true));
  return {rows, size + s.O, round_up(scratch, 64)};
}

// Computes the gradient of the filters of a group, from some of the places.
template <class T>
void conv_dw(const ConvBackward<T>& a, const Conv& s, const T* dz, i64 group, i64 first, i64 rows, T* dw, bool add,
             const Worker& me) {
  Product<T> p = {};
  Patches<T> patches = patches_of_image(s, a.x, group);
  patches.first = first;
  p.m = s.taps() * s.I;
  p.n = s.outputs();
  p.ldc = s.O;
  p.k = rows;
  p.a = {a.x + group * s.I, s.C, false};
  p.b = {dz + first * s.O + group * p.n, s.O, false};
  p.patches = s.plain() ? nullptr : &patches;
  p.c = dw + group * p.n;
  p.alpha = 1;
  p.beta = add ? 1 : 0;
  product(p, a.precision, me);
}

template <class T>
bool dw_by_winograd(const ConvBackward<T>& a, const Conv& s) {
  return winograd_wins(patches_of_image(s, a.x, 0), s.O, a.precision, s.N);
}

template <class T>
void conv_filter_gradient(const ConvBackward<T>& a, const Conv& s, const T* dz, const Worker& me) {
  const bool add = adds(a.add, 1);
  if (!s.rows()) {
    if (me.ith == 0 && !add) memset(a.dw, 0, (size_t)(s.taps() * s.I * s.O) * sizeof(T));
    return;
  }
  if (s.depthwise()) return depthwise_filter_gradient(a.dw, patches_of_image(s, a.x, 0), dz, s.N, add, me);
  if (dw_by_winograd(a, s)) {
    if (winograd_filter_gradient<T>({patches_of_image(s, a.x, 0), s.N, s.O, dz, a.dw, add}, me)) return;
    sync(me);  // what follows uses the same scratch
  }
  for (i64 group = 0; group < s.groups(); group++) {
    if (group) sync(me);
    conv_dw(a, s, dz, group, 0, s.rows(), a.dw, add, me);
  }
}

// Computes dz, db and the gradient of the filters piece by piece, so that dz is read from the cache.
template <class T>
void conv_pieces(const ConvBackward<T>& a, const Conv& s, const Pieces& cut, const Worker& me) {
  const auto& fns = activation_fns<T>(a.act.id);
  const bool linear = a.act.id == kLinear;
  const T *z = fns.saves_z ? a.aux : nullptr, *dz = linear ? a.dy : a.dz;
  T* partial = (T*)me.scratch;
  const i64 filters = cut.size - s.O;
  const Worker alone = {0, 1, nullptr, me.scratch + round_up(cut.rows.pieces * cut.size * sizeof(T), 64) + me.ith * cut.scratch};
  const Range mine = share(cut.rows.pieces, 1, me);
  for (i64 i = mine.begin; i < mine.end; i++) {
    T *dw = partial + i * cut.size, *db = dw + filters;
    const i64 first = cut.rows.begin(i);
    const Cut blocks = Cut::by(cut.rows.begin(i + 1) - first, kPieceRows);
    for (i64 block = 0; block < blocks.pieces; block++) {
      const i64 begin = first + blocks.begin(block), rows = first + blocks.begin(block + 1) - begin, at = begin * s.O;
      if (!linear) fns.backward(a.dz + at, a.dy + at, z ? z + at : nullptr, a.y + at, rows * s.O, a.act);
      if (a.db) column_sums(db, dz + at, rows, s.O, s.O, block > 0);
      for (i64 group = 0; group < s.groups(); group++) conv_dw(a, s, dz, group, begin, rows, dw, block > 0, alone);
    }
  }
  sync(me);
  const Range columns = share(cut.size, 64, me);
  const auto add_up = [&](T* to, i64 begin, i64 end, i64 offset, bool add) {
    if (begin < end) column_sums(to + begin, partial + offset + begin, cut.rows.pieces, end - begin, cut.size, add);
  };
  add_up(a.dw, columns.begin, min_i64(columns.end, filters), 0, adds(a.add, 1));
  if (a.db) add_up(a.db, max_i64(0, columns.begin - filters), columns.end - filters, filters, adds(a.add, 2));
}

// Writes the filters of all groups with inputs and outputs exchanged, from the last position of a phase to the first: (groups,
// positions, outputs of a group, I).
template <class T>
void turn_filters(const ConvBackward<T>& a, const Conv& s, const Phase& f, T* to, const Worker& me) {
  constexpr i64 L = kLanes<T>;
  const i64 positions = f.positions(), outputs = s.outputs(), size = s.I * outputs;
  const Range mine = share(s.groups() * positions, 1, me);
  for (i64 item = mine.begin; item < mine.end; item++) {
    i64 rest = positions - 1 - item % positions, tap = 0, scale = 1;
    for (int i = 2; i >= 0; i--) {
      tap += (f.tap[i] + rest % f.taps[i] * f.step[i]) * scale;
      scale *= s.filter[i];
      rest /= f.taps[i];
    }
    const T* from = a.w + tap * s.I * s.O + item / positions * outputs;
    T* out = to + item * size;
    for (i64 i = 0; i < s.I; i += L)
      for (i64 o = 0; o < outputs; o += L) {
        const i64 rows = min_i64(L, s.I - i), columns = min_i64(L, outputs - o);
        Vec<T> r[L];
#pragma GCC unroll 16
        for (int t = 0; t < L; t++) r[t] = t < rows ? load_n(from + (i + t) * s.O + o, columns) : Vec<T>{};
        transpose<T>(r);
#pragma GCC unroll 16
        for (int t = 0; t < L; t++)
          if (t < columns) store_n(out + (o + t) * s.I + i, r[t], rows);
      }
  }
}

// Writes the pixels of a phase to their places; zeros if there is no `from`.
template <class T>
void put_phase(T* dx, const T* from, const Conv& s, const Phase& f, const Worker& me) {
  const Range lines = share(s.N * f.pixels[0] * f.pixels[1], 1, me);
  for (i64 line = lines.begin; line < lines.end; line++) {
    const i64 h = line % f.pixels[1] * f.step[1] + f.first[1], rest = line / f.pixels[1];
    const i64 d = rest % f.pixels[0] * f.step[0] + f.first[0], n = rest / f.pixels[0];
    T* to = dx + (((n * s.image[0] + d) * s.image[1] + h) * s.image[2] + f.first[2]) * s.C;
    for (i64 i = 0; i < f.pixels[2]; i++, to += f.step[2] * s.C)
      for_vectors<T>({0, s.C}, [&](i64 c, auto lanes) {
        lanes.store(to + c, from ? lanes.load(from + (line * f.pixels[2] + i) * s.C + c) : Vec<T>{});
      });
  }
}

// Returns the bytes of the filters that are turned, and of the pixels of a phase unless it has all of them.
FASTNN_INLINE i64 turned_scratch(const Conv& s, int itemsize) {
  return s.plain() ? 0 : round_up(s.taps() * s.I * s.O * itemsize, 64);
}
FASTNN_INLINE i64 phase_scratch(const Conv& s, int itemsize) {
  return phases_of(s) == 1 ? 0 : round_up(phase_at(s, 0).rows(s) * s.C * itemsize, 64);  // phase 0 has the most pixels
}

template <class T>
void conv_image_gradient(const ConvBackward<T>& a, const Conv& s, const T* dz, const Worker& me) {
  if (s.depthwise()) {
    const i64 C = s.C, line = s.image[2] * C, plane = s.image[1] * line;
    const i64 place[3] = {plane, line, C}, position[3] = {s.filter[1] * s.filter[2] * C, s.filter[2] * C, C};
    for (i64 number = 0; number < phases_of(s); number++) {
      const Phase f = phase_at(s, number);
      Depthwise<T> d = {patches_of_gradient(s, f, dz, 0), a.w, {}, nullptr, a.dx, {}, s.image[0] * plane};
      for (int i = 0; i < 3; i++) {  // from the last position of the phase to the first
        d.w += (f.tap[i] + max_i64(0, f.taps[i] - 1) * f.step[i]) * position[i];
        d.next[i] = -f.step[i] * position[i];
        d.to += f.first[i] * place[i];
        d.step[i] = f.step[i] * place[i];
      }
      depthwise(d, s.N, me, [](i64) {});
    }
    return;
  }
  const Patches<T> whole = patches_of_gradient(s, whole_phase(s), dz, 0);
  if (winograd_wins(whole, s.C, a.precision)) return winograd<T>({whole, s.N, s.C, a.w, true, a.dx}, me);
  if (few_channels<T>(s)) return conv_image_gradient_by_columns(a.dx, s, dz, a.w, a.precision, me);
  const bool plain = s.plain();
  const i64 phases = phases_of(s);
  T *turned = (T*)me.scratch, *part = (T*)(me.scratch + turned_scratch(s, sizeof(T)));
  Worker rest = me;
  rest.scratch += turned_scratch(s, sizeof(T)) + phase_scratch(s, sizeof(T));
  Product<T> p = {};
  p.n = s.I;
  p.ldc = s.C;
  p.alpha = 1;
  for (i64 number = 0; number < phases; number++) {
    const Phase f = phase_at(s, number);
    const i64 size = f.positions() * s.I * s.outputs();
    if (!size) {
      put_phase<T>(a.dx, nullptr, s, f, me);
      continue;
    }
    if (number) sync(me);  // the phases use the same scratch
    if (!plain) {
      turn_filters(a, s, f, turned, me);
      sync(me);
    }
    p.m = f.rows(s);
    p.k = f.positions() * s.outputs();
    for (i64 group = 0; group < s.groups(); group++) {
      if (group) sync(me);
      const Patches<T> patches = patches_of_gradient(s, f, dz, group);
      p.a = {dz + group * s.outputs(), s.O, true};
      p.b = plain ? Operand<T>{a.w + group * s.outputs(), s.O, true} : Operand<T>{turned + group * size, s.I, false};
      p.patches = plain ? nullptr : &patches;
      p.c = (phases == 1 ? a.dx : part) + group * s.I;
      product(p, a.precision, rest);
    }
    if (phases > 1) {
      sync(me);
      put_phase(a.dx, part, s, f, me);
    }
  }
}

template <class T>
void conv_backward(const void* args, const Worker& me) {
  const auto& a = *(const ConvBackward<T>*)args;
  const Conv s(a);
  const Pieces cut = pieces_of_dw(s, a.precision, sizeof(T));
  const T* dz = a.act.id == kLinear ? a.dy : a.dz;
  if (a.dw && cut.rows.pieces > 1 && !dw_by_winograd(a, s)) {
    conv_pieces(a, s, cut, me);
    if (a.dx) sync(me);  // both use the same scratch
    if (a.dx) conv_image_gradient(a, s, dz, me);
    return;
  }
  DenseBackwardArgs<T> d = {};
  d.db = a.db;
  d.dz = a.dz;
  d.dy = a.dy;
  d.y = a.y;
  d.aux = a.aux;
  d.act = a.act;
  d.add = a.add;
  d.M = s.rows();
  d.N = s.O;
  activation_gradient(d, me);
  Worker rest = me;
  rest.scratch += db_scratch(a.db, s.rows(), s.O, sizeof(T));
  if (a.dw) conv_filter_gradient(a, s, dz, rest);
  if (a.dw && a.dx) sync(me);  // both use the same scratch
  if (a.dx) conv_image_gradient(a, s, dz, rest);
}

FASTNN_INLINE i64 conv_backward_scratch(const void* args, int itemsize, int nth) {
  const auto& a = *(const ConvBackward<float>*)args;
  const Conv s(a);
  const bool gathers = !s.plain();
  const i64 depth = s.taps() * s.I, outputs = s.outputs();
  i64 dw = 0, dx = 0;
  if (s.depthwise()) {
    dw = a.dw ? depthwise_pieces(s.N * s.places[0] * s.places[1]).pieces * depth * s.O * itemsize : 0;
    return db_scratch(a.db, s.rows(), s.O, itemsize) + dw;
  }
  if (a.dw) {
    const Pieces cut = pieces_of_dw(s, a.precision, itemsize);
    const bool fast = itemsize == 4 && dw_by_winograd(a, s);
    dw = fast || cut.rows.pieces == 1
             ? product_scratch(depth, outputs, s.rows(), false, false, a.precision, itemsize, nth, gathers)
             : round_up(cut.rows.pieces * cut.size * itemsize, 64) + nth * cut.scratch;
    if (fast) dw = max_i64(dw, winograd_gradient_scratch(patches_of_image(s, a.x, 0), s.N, s.O, nth));
  }
  const Patches<float> whole = patches_of_gradient(s, whole_phase(s), a.dy, 0);
  if (a.dx && itemsize == 4 && winograd_wins(whole, s.C, a.precision)) {
    dx = winograd_scratch(whole, s.N, s.C, false, nth);
  } else if (a.dx && (itemsize == 4 ? few_channels<float>(s) : few_channels<double>(s))) {
    dx = nth * column_scratch(s, a.precision, itemsize);
  } else if (a.dx) {
    for (i64 number = 0; number < phases_of(s); number++) {
      const Phase f = phase_at(s, number);
      const i64 k = f.positions() * outputs;
      dx = max_i64(dx, product_scratch(f.rows(s), s.I, k, true, !gathers, a.precision, itemsize, nth, gathers));
    }
    dx += turned_scratch(s, itemsize) + phase_scratch(s, itemsize);
  }
  return db_scratch(a.db, s.rows(), s.O, itemsize) + max_i64(dw, dx);
}

FASTNN_INLINE double conv_backward_work(const void* args, int itemsize) {
  const auto& a = *(const ConvBackward<float>*)args;
  const Conv s(a);
  double work = activation_work(s.rows() * s.O, itemsize, a.act);
  if (a.dw) work += (double)s.groups() * product_work(s.taps() * s.I, s.outputs(), s.rows(), itemsize);
  if (a.dx) work += (double)s.groups() * product_work(s.pixels(), s.I, s.taps() * s.outputs(), itemsize);
  return work;
}

}  // namespace
