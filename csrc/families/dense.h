// Matrix products and the dense layer. fastnn/backends/reference/dense.py defines them.
#pragma once
#include "product/product.h"

namespace {

template <class T>
struct MatmulArgs {
  static constexpr const char* fields = "c a b alpha beta precision M N K";
  T* c;
  const T* a;
  const T* b;
  double alpha, beta;
  i64 precision;
  i64 M, N, K;
};

// op(a) is a^T with TA, op(b) is b^T with TB.
template <class T, bool TA, bool TB>
void matmul(const void* args, const Worker& me) {
  const auto& g = *(const MatmulArgs<T>*)args;
  Product<T> p = {};
  p.m = g.M;
  p.n = p.ldc = g.N;
  p.k = g.K;
  p.a = {g.a, TA ? g.M : g.K, !TA};
  p.b = {g.b, TB ? g.K : g.N, TB};
  p.c = g.c;
  p.alpha = (T)g.alpha;
  p.beta = (T)g.beta;
  product(p, g.precision, me);
}

template <bool TA, bool TB>
FASTNN_INLINE i64 matmul_scratch(const void* args, int itemsize, int nth) {
  const auto& g = *(const MatmulArgs<float>*)args;
  return product_scratch(g.M, g.N, g.K, !TA, TB, g.precision, itemsize, nth);
}

FASTNN_INLINE double matmul_work(const void* args, int itemsize) {
  const auto& g = *(const MatmulArgs<float>*)args;
  return product_work(g.M, g.N, g.K, itemsize);
}

template <class T>
struct DenseForwardArgs {
  static constexpr const char* fields = "y aux x w b act precision M N L K";
  T* y;
  T* aux;
  const T* x;
  const T* w;
  const T* b;
  Activation act;
  i64 precision;
  i64 M, N, L, K;
  const T* packed;
};

template <class T>
void dense_forward(const void* args, const Worker& me) {
  const auto& d = *(const DenseForwardArgs<T>*)args;
  Product<T> p = {};
  p.m = d.M;
  p.n = p.ldc = d.N;
  p.k = d.K;
  p.a = {d.x, d.K, true};
  p.b = {d.w, d.N, false};
  p.c = d.aux ? d.aux : d.y;
  p.alpha = 1;
  p.bias = d.b;
  p.act = d.act;
  p.y = d.y;
  p.packed = d.packed;
  p.relu = d.act.id == kRelu && !d.aux;
  if (d.aux || (d.act.id != kLinear && d.act.id != kRelu)) p.fn = activation_fns<T>(d.act.id).forward;
  product(p, d.precision, me);
}

template <class T>
i64 pack_weights(const void* args, void* to) {
  const auto& d = *(const DenseForwardArgs<T>*)args;
  Product<T> p = {};
  p.m = d.M;
  p.n = d.N;
  p.k = d.K;
  p.a = {d.x, d.K, true};
  p.b = {d.w, d.N, false};
  return product_fns<T>().pack(p, d.precision, (T*)to);
}

FASTNN_INLINE i64 dense_forward_pack(const void* args, int itemsize, int, void* to) {
  return (itemsize == 4 ? pack_weights<float> : pack_weights<double>)(args, to);
}

FASTNN_INLINE i64 dense_forward_scratch(const void* args, int itemsize, int nth) {
  const auto& d = *(const DenseForwardArgs<float>*)args;
  return product_scratch(d.M, d.N, d.K, true, false, d.precision, itemsize, nth);
}

FASTNN_INLINE double dense_forward_work(const void* args, int itemsize) {
  const auto& d = *(const DenseForwardArgs<float>*)args;
  return product_work(d.M, d.N, d.K, itemsize) + activation_work(d.M * d.N, itemsize, d.act);
}

template <class T>
struct DenseBackwardArgs {
  static constexpr const char* fields = "dx dw db dz dy x w y aux act add precision M K N L";
  T* dx;
  T* dw;
  T* db;
  T* dz;
  const T* dy;
  const T* x;
  const T* w;
  const T* y;
  const T* aux;
  Activation act;
  i64 add, precision;
  i64 M, K, N, L;
};

// Pieces of dz: rows for the partial sums of db, and columns if rows are long.
constexpr i64 kDbColumns = 1024;
FASTNN_INLINE Cut db_rows(i64 M) { return Cut::by(M, max_i64(64, ceil_div(M, 64))); }

// Sets sums[j] to the sum over rows of dz[i][j], or adds it to the old values.
template <class T>
void column_sums(T* sums, const T* dz, i64 rows, i64 columns, i64 ld, bool add) {
  for_vectors<T>({0, columns}, [&](i64 j, auto lanes) {
    Vec<T> s[4] = {};
    i64 i = 0;
    for (; i + 4 <= rows; i += 4)
#pragma GCC unroll 4
      for (int u = 0; u < 4; u++) s[u] += lanes.load(dz + (i + u) * ld + j);
    for (; i < rows; i++) s[0] += lanes.load(dz + i * ld + j);
    Vec<T> sum = (s[0] + s[1]) + (s[2] + s[3]);
    lanes.store(sums + j, add ? lanes.load(sums + j) + sum : sum);
  });
}

// Computes dz = dy act'(z), and db, the column sums of dz. Returns when all workers have computed dz.
template <class T>
void activation_gradient(const DenseBackwardArgs<T>& d, const Worker& me) {
  const bool linear = d.act.id == kLinear, need_db = d.db, add = adds(d.add, 2);
  const auto& fns = activation_fns<T>(d.act.id);
  const T* z = fns.saves_z ? d.aux : nullptr;
  const T* dz = linear ? d.dy : d.dz;
  const Cut rows = db_rows(d.M);
  const i64 blocks = ceil_div(d.N, kDbColumns);
  T* partial = (T*)me.scratch;
  if (!linear || need_db) {
    const Range mine = share(rows.pieces * blocks, 1, me);
    for (i64 item = mine.begin; item < mine.end; item++) {
      const i64 r = item / blocks, j = (item - r * blocks) * kDbColumns, columns = min_i64(kDbColumns, d.N - j);
      const i64 i0 = rows.begin(r), i1 = rows.begin(r + 1);
      if (!linear) {
        // If a piece has full rows, they are one run.
        const i64 run = blocks == 1 ? (i1 - i0) * d.N : columns;
        for (i64 o = i0 * d.N + j; o < i1 * d.N; o += blocks == 1 ? run : d.N)
          fns.backward(d.dz + o, d.dy + o, z ? z + o : nullptr, d.y + o, run, d.act);
      }
      if (need_db) {
        const bool direct = rows.pieces == 1;
        column_sums(direct ? d.db + j : partial + r * d.N + j, dz + i0 * d.N + j, i1 - i0, columns, d.N, direct && add);
      }
    }
    sync(me);
  }
  if (need_db && rows.pieces > 1) {
    const Range mine = share(d.N, 64, me);
    column_sums(d.db + mine.begin, partial + mine.begin, rows.pieces, mine.end - mine.begin, d.N, add);
  }
}

// Returns the bytes for partial sums of db, which precede the scratch of the products.
FASTNN_INLINE i64 db_scratch(bool need_db, i64 M, i64 N, int itemsize) {
  const i64 pieces = db_rows(M).pieces;
  return need_db && pieces > 1 ? round_up(pieces * N * itemsize, 64) : 0;
}

template <class T>
void dense_backward(const void* args, const Worker& me) {
  const auto& d = *(const DenseBackwardArgs<T>*)args;
  activation_gradient(d, me);
  const T* dz = d.act.id == kLinear ? d.dy : d.dz;
  Worker rest = me;
  rest.scratch += db_scratch(d.db, d.M, d.N, sizeof(T));
  if (d.dw) {
    Product<T> p = {};
    p.m = d.K;
    p.n = p.ldc = d.N;
    p.k = d.M;
    p.a = {d.x, d.K, false};
    p.b = {dz, d.N, false};
    p.c = d.dw;
    p.alpha = 1;
    p.beta = adds(d.add, 1) ? 1 : 0;
    product(p, d.precision, rest);
  }
  if (d.dx) {
    if (d.dw) sync(me);  // both products use the same scratch
    Product<T> p = {};
    p.m = d.M;
    p.n = p.ldc = d.K;
    p.k = d.N;
    p.a = {dz, d.N, true};
    p.b = {d.w, d.N, true};
    p.c = d.dx;
    p.alpha = 1;
    product(p, d.precision, rest);
  }
}

FASTNN_INLINE i64 dense_backward_scratch(const void* args, int itemsize, int nth) {
  const auto& d = *(const DenseBackwardArgs<float>*)args;
  const i64 dw = d.dw ? product_scratch(d.K, d.N, d.M, false, false, d.precision, itemsize, nth) : 0;
  const i64 dx = d.dx ? product_scratch(d.M, d.K, d.N, true, true, d.precision, itemsize, nth) : 0;
  return db_scratch(d.db, d.M, d.N, itemsize) + max_i64(dw, dx);
}

FASTNN_INLINE double dense_backward_work(const void* args, int itemsize) {
  const auto& d = *(const DenseBackwardArgs<float>*)args;
  double work = activation_work(d.M * d.N, itemsize, d.act);
  if (d.dw) work += product_work(d.K, d.N, d.M, itemsize);
  if (d.dx) work += product_work(d.M, d.K, d.N, itemsize);
  return work;
}

}  // namespace
