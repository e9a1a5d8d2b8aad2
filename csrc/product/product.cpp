// The matrix products of an ISA, for all families; see product.h.
#include "core/engine.h"
#include "product/amx.h"
#include "product/gemv.h"
#include "product/panel.h"

namespace {

template <class T>
void run_product(const Product<T>& p, i64 precision, const Worker& me) {
  if (precision == kBfloat16) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
      const int engine = fastnn::fastnn_bf16_engine();
      if (engine == fastnn::kPairs) return gemm<Pairs>(p, me);
      if (engine == fastnn::kTiles) {
        Tiles::begin();
        gemm<Tiles>(p, me);
        return Tiles::end();
      }
    }
#endif
    return gemm<Rounded<T>>(p, me);
  }
  const Way way = p.patches ? Way::kTiles : product_way<T>(p.m, p.n, p.k, p.a.along_k, p.b.along_k);
  if (way == Way::kTiles)
    gemm<Full<T>>(p, me);
  else
    few_rows(p, way, me);
}

template <class T>
i64 scratch_of_product(i64 m, i64 n, i64 k, bool a_along_k, bool b_along_k, bool patches, i64 precision, int nth) {
  const GemmShape s = {m, n, k, a_along_k, b_along_k, patches};
  if (precision == kBfloat16) {
    i64 bytes = gemm_scratch<T, Rounded<T>>(s, nth);
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {  // for any engine: a plan may outlive a change of it
      bytes = max_i64(bytes, gemm_scratch<T, Pairs>(s, nth));
      bytes = max_i64(bytes, gemm_scratch<T, Tiles>(s, nth));
    }
#endif
    return bytes;
  }
  const bool tiles = patches || product_way<T>(m, n, k, a_along_k, b_along_k) == Way::kTiles;
  return tiles ? gemm_scratch<T, Full<T>>(s, nth) : 0;
}

template <class T>
i64 pack_product(const Product<T>& p, i64 precision, T* to) {
  if (precision != kFullPrecision) return 0;
  const Way way = p.patches ? Way::kTiles : product_way<T>(p.m, p.n, p.k, p.a.along_k, p.b.along_k);
  const i64 elements = way == Way::kTiles ? pack_whole(p, to) : way == Way::kAxpy ? pack_panels(p, to) : 0;
  return elements * (i64)sizeof(T);
}

template <class T>
constexpr fastnn::ProductFns<T> kProducts = {run_product<T>, scratch_of_product<T>, pack_product<T>, panel_products<T>};

}  // namespace

const fastnn::ProductTable FASTNN_TABLE(products) = {kProducts<float>, kProducts<double>};

extern "C" bool FASTNN_TABLE(bf16)();
bool FASTNN_TABLE(bf16)() { return has_bf16(); }
