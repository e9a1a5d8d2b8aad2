// Products of many matrices inside larger arrays. fastnn/backends/reference/batched.py defines them.
#pragma once
#include "product/product.h"

namespace {

// A layout. `sizes` has R batch axes, then M, N and K. c, a and b each have an offset, R strides, the row and the column stride.
struct BatchLayout {
  i64 R;
  const i64 *sizes, *c, *a, *b;
  i64 m, n, k;

  __attribute__((always_inline)) BatchLayout(const i64* layout, i64 S)
      : R(S - 3),
        sizes(layout),
        c(layout + S),
        a(layout + 2 * S),
        b(layout + 3 * S),
        m(sizes[R]),
        n(sizes[R + 1]),
        k(sizes[R + 2]) {}

  // Returns whether c has stride 0 along an axis, so that the products along it are added.
  __attribute__((always_inline)) bool added(i64 axis) const { return c[1 + axis] == 0 && sizes[axis] != 1; }
  // Returns the number of matrices of c, or the number of products that are added to each of them.
  __attribute__((always_inline)) i64 count(bool of_added) const {
    i64 n = 1;
    for (i64 axis = 0; axis < R; axis++)
      if (added(axis) == of_added) n *= sizes[axis];
    return n;
  }
  __attribute__((always_inline)) bool a_along_k() const { return a[R + 2] == 1 || k <= 1; }
  __attribute__((always_inline)) bool b_along_k() const { return b[R + 2] != 1 && n > 1; }
};

// Returns whether the matrices of a row of the layout are inside an array of n elements and have contiguous rows (or, for a and
// b, columns). For c, axes of added products are ignored.
bool within(const BatchLayout& s, const i64* row, i64 rows, i64 columns, i64 n) {
  i64 low = row[0], high = row[0];
  bool empty = false;
  for (i64 axis = 0; axis < s.R + 2; axis++) {
    const i64 size = axis < s.R ? (row == s.c && s.added(axis) ? 1 : s.sizes[axis]) : axis == s.R ? rows : columns;
    if (size < 0) return false;
    empty |= size == 0;
    i64 span;
    if (__builtin_mul_overflow(row[1 + axis], size ? size - 1 : 0, &span)) return false;
    i64& end = span < 0 ? low : high;
    if (__builtin_add_overflow(end, span, &end)) return false;
  }
  if (empty) return true;
  const i64 row_stride = row[s.R + 1], column_stride = row[s.R + 2];
  const bool together = columns == 1 || column_stride == 1 || (row != s.c && (rows == 1 || row_stride == 1));
  return low >= 0 && high < n && together;
}

template <class T>
struct MatmulBatched {
  static constexpr const char* fields = "c a b layout alpha beta precision n p q S";
  T* c;
  const T *a, *b;
  const i64* layout;
  double alpha, beta;
  i64 precision;
  i64 n, p, q, S;
};

template <class T>
bool layout_fits(const MatmulBatched<T>& g) {
  if (g.S < 3) return false;
  const BatchLayout s(g.layout, g.S);
  for (i64 axis = 0; axis < g.S; axis++)
    if (s.sizes[axis] < 0) return false;
  return within(s, s.c, s.m, s.n, g.n) && within(s, s.a, s.m, s.k, g.p) && within(s, s.b, s.k, s.n, g.q);
}

// Products of at least this many nanoseconds are shared by all workers. Smaller products are distributed among the workers.
constexpr double kSharedProduct = 20000;
FASTNN_INLINE bool share_products(const BatchLayout& s, int itemsize) {
  return product_work(s.m, s.n, s.k, itemsize) > kSharedProduct;
}
FASTNN_INLINE i64 one_product_scratch(const BatchLayout& s, i64 precision, int itemsize, int nth) {
  return round_up(product_scratch(s.m, s.n, s.k, s.a_along_k(), s.b_along_k(), precision, itemsize, nth), 64);
}

template <class T>
void matmul_batched(const void* args, const Worker& me) {
  const auto& g = *(const MatmulBatched<T>*)args;
  if (!layout_fits(g)) {  // gives NaN, as an index that is out of range does
    const Range mine = share(g.n, kGrain, me);
    for_vectors<T>(mine, [&](i64 i, auto lanes) { lanes.store(g.c + i, splat<T>((T)__builtin_nan(""))); });
    return;
  }
  const BatchLayout s(g.layout, g.S);
  const i64 R = s.R, items = s.count(false), each = s.count(true);
  Product<T> p = {};
  p.m = s.m;
  p.n = s.n;
  p.k = each ? s.k : 0;
  p.alpha = (T)g.alpha;
  p.ldc = s.c[R + 1];
  const bool a_along_k = s.a_along_k(), b_along_k = s.b_along_k(), together = share_products(s, sizeof(T));
  const Worker alone = {0, 1, nullptr, me.scratch + (together ? 0 : me.ith * one_product_scratch(s, g.precision, sizeof(T), 1))};
  const Range mine = together ? Range{0, items} : share(items, 1, me);
  for (i64 item = mine.begin; item < mine.end; item++)
    for (i64 part = 0; part < max_i64(each, 1); part++) {
      i64 c = s.c[0], a = s.a[0], b = s.b[0], rest[2] = {item, part};
      for (i64 axis = R - 1; axis >= 0; axis--) {
        i64& left = rest[s.added(axis)];
        if (!s.sizes[axis]) continue;
        const i64 at = left % s.sizes[axis];
        left /= s.sizes[axis];
        c += at * s.c[1 + axis];
        a += at * s.a[1 + axis];
        b += at * s.b[1 + axis];
      }
      p.c = g.c + c;
      p.a = {g.a + a, s.a[R + (a_along_k ? 1 : 2)], a_along_k};
      p.b = {g.b + b, s.b[R + (b_along_k ? 2 : 1)], b_along_k};
      p.beta = part ? (T)1 : (T)g.beta;
      product(p, g.precision, together ? me : alone);
      if (together) sync(me);
    }
}

FASTNN_INLINE i64 matmul_batched_scratch(const void* args, int itemsize, int nth) {
  const auto& g = *(const MatmulBatched<float>*)args;
  if (!layout_fits(g)) return 0;
  const BatchLayout s(g.layout, g.S);
  return share_products(s, itemsize) ? one_product_scratch(s, g.precision, itemsize, nth)
                                     : nth * one_product_scratch(s, g.precision, itemsize, 1);
}

FASTNN_INLINE double matmul_batched_work(const void* args, int itemsize) {
  const auto& g = *(const MatmulBatched<float>*)args;
  if (!layout_fits(g)) return 0;
  const BatchLayout s(g.layout, g.S);
  return (double)(s.count(false) * max_i64(s.count(true), 1)) * product_work(s.m, s.n, s.k, itemsize);
}

}  // namespace
