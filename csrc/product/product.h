// Matrix products: c = alpha op(a) op(b) + beta c, then a bias and an activation.
//
// product.cpp is compiled once for each ISA and exports the products as a table. Kernels call products by this header. No other
// file includes the implementation: gemm.h, gemv.h, pack.h, ukern.h.
#pragma once
#include "core/caches.h"
#include "families/activation.h"

namespace fastnn {

// A factor of the product. i counts the rows of op(a) or the columns of op(b).
template <class T>
struct Operand {
  const T* p;
  i64 ld;
  bool along_k;  // element (i, k) is p[i * ld + k], otherwise p[k * ld + i]
  __attribute__((always_inline)) const T* at(i64 i, i64 k) const { return along_k ? p + i * ld + k : p + k * ld + i; }
};

template <class T>
struct Patches;

template <class T>
struct Product {
  i64 m, n, k;
  Operand<T> a, b;
  const Patches<T>* patches;  // what a is instead, or null (patches.h); a.along_k says whether their rows are those of op(a)
  T* c;
  T alpha, beta;                           // with beta = 0, c is only written
  const T* bias;                           // of length n, or null; only with alpha = 1
  bool relu;                               // c = max(c, 0)
  decltype(ActivationFns<T>::forward) fn;  // y = fn(c), or null
  T* y;
  Activation act;
  i64 ldc;          // row stride of c and y
  const T* packed;  // b packed by `pack`, or null
};

// `count` products c = a b + beta c, each a `step` after the one before. A b is one panel of `vectors` vectors, at most
// kGemm.vectors, with k rows; so is c, with m rows. Their rows follow each other, unless b_row or c_row is the distance of rows.
// From kOneChainRows rows on, the order of sums does not depend on their number.
template <class T>
struct PanelProducts {
  i64 count, m, k, vectors;
  const T* a;
  i64 a_row, a_col, a_step;  // distances of rows, of columns and of factors
  const T* b;
  i64 b_step;
  T* c;
  i64 c_step;
  T beta;
  i64 b_row = 0, c_row = 0;
};

template <class T>
struct ProductFns {
  void (*run)(const Product<T>& p, i64 precision, const Worker& me);
  // Returns the bytes of scratch that `run` needs for nth workers.
  i64 (*scratch)(i64 m, i64 n, i64 k, bool a_along_k, bool b_along_k, bool patches, i64 precision, int nth);
  // Writes all of b in the order in which `run` reads it, for many products with it. Returns the bytes, or 0 if b is read in
  // place. If `to` is null, it only counts.
  i64 (*pack)(const Product<T>& p, i64 precision, T* to);
  void (*panels)(const PanelProducts<T>& p);
};

struct ProductTable {
  ProductFns<float> of_float;
  ProductFns<double> of_double;
};

}  // namespace fastnn

extern "C" const fastnn::ProductTable FASTNN_TABLE(products);

namespace {
using fastnn::Operand;
using fastnn::Product;

// Type to which the factors of a product are rounded; its value is the position of its name in PRECISIONS of the spec.
enum Precision { kFullPrecision, kBfloat16 };

template <class T>
FASTNN_INLINE const fastnn::ProductFns<T>& product_fns() {
  if constexpr (sizeof(T) == 4)
    return FASTNN_TABLE(products).of_float;
  else
    return FASTNN_TABLE(products).of_double;
}

template <class T>
FASTNN_INLINE void product(const Product<T>& p, i64 precision, const Worker& me) {
  product_fns<T>().run(p, precision, me);
}

// Returns bytes.
FASTNN_INLINE i64 product_scratch(i64 m, i64 n, i64 k, bool a_along_k, bool b_along_k, i64 precision, int itemsize, int nth,
                                  bool patches = false) {
  const auto scratch = itemsize == 4 ? product_fns<float>().scratch : product_fns<double>().scratch;
  return scratch(m, n, k, a_along_k, b_along_k, patches, precision, nth);
}

#if defined(__AVX512F__)
constexpr double kFlopsPerNs = 200;  // for float32 on one core
#elif defined(__AVX2__)
constexpr double kFlopsPerNs = 100;
#elif defined(__aarch64__)
constexpr double kFlopsPerNs = 80;  // a guess, not measured: four multiply-adds of four lanes per cycle at 2.5 GHz
#else
constexpr double kFlopsPerNs = 40;
#endif

// Returns the rough nanoseconds in which one worker reads and writes so many bytes. What fills half of its second-level cache
// comes from farther away, unless nothing else is computed.
FASTNN_INLINE double memory_work(double bytes) { return bytes / (bytes > (double)fastnn::caches().l2 / 2 ? 30 : 100); }

// Returns the rough nanoseconds on one worker: the time of the multiply-adds, in whole vectors, or that of the memory if longer.
FASTNN_INLINE double product_work(i64 m, i64 n, i64 k, int itemsize) {
  const double columns = (double)round_up(n, FASTNN_VB / itemsize);
  const double arithmetic = 2.0 * (double)m * columns * (double)k / kFlopsPerNs * (itemsize / 4);
  const double memory = memory_work(((double)m * (double)k + (double)k * (double)n + (double)m * (double)n) * itemsize);
  return arithmetic > memory ? arithmetic : memory;
}

}  // namespace
