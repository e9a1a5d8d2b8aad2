// Macros for the table of kernels in families/<family>.cpp. Each of these files is compiled once for each ISA.
#pragma once
#include "core/kernels.h"

namespace {
using fastnn::Kernel;

// The argument struct of a kernel has one slot of eight bytes for each field, and three for a function ("act" or "fn").
constexpr bool begins(const char* c, const char* word) {
  while (*word)
    if (*c++ != *word++) return false;
  return true;
}
constexpr int slots(const char* fields) {
  int n = 1;
  for (const char* c = fields; *c; c++) n += *c == ' ' ? begins(c, " act ") || begins(c, " fn ") ? 3 : 1 : 0;
  return n;
}
template <class Args>
constexpr const char* fields() {
  static_assert(sizeof(Args) == 8 * slots(Args::fields), "the struct does not match its fields");
  return Args::fields;
}

// A column for each dtype. T: float32 and float64. N: also int64. A: also bool. S: also uint8, int32 and bfloat16. BITS: as S,
// but with an unsigned type of the element's size.
#define FASTNN_T(name) {name<float>, name<double>, nullptr, nullptr}
#define FASTNN_N(name) {name<float>, name<double>, name<i64>, nullptr}
#define FASTNN_A(name) {name<float>, name<double>, name<i64>, name<u8>}
#define FASTNN_S(name) {name<float>, name<double>, name<i64>, name<u8>, name<u8>, name<i32>, name<Bfloat16>}
#define FASTNN_BITS(name) {name<u32>, name<u64>, name<u64>, name<u8>, name<u8>, name<u32>, name<u16>}

}  // namespace

// Exports kKernels as the table of a family.
#define FASTNN_EXPORT(family)                                \
  extern "C" const fastnn::KernelTable FASTNN_TABLE(family); \
  const fastnn::KernelTable FASTNN_TABLE(family) = {kKernels, sizeof(kKernels) / sizeof(*kKernels)};
