// Measures the peak rates of this CPU with this ISA, with which benchmarks compare their rates.
#include "math/simd.h"

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <time.h>
#endif

#define FASTNN_JOIN2(a, b) a##b
#define FASTNN_JOIN(a, b) FASTNN_JOIN2(a, b)

// Keeps a vector in its register, so that the compiler cannot remove the work on it.
#if defined(__aarch64__)
#define FASTNN_KEEP(v) asm volatile("" : "+w"(v))
#else
#define FASTNN_KEEP(v) asm volatile("" : "+v"(v))
#endif

namespace {

double now() {
#if defined(_WIN32)  // std::chrono would define symbols in the object file of an ISA
  LARGE_INTEGER t, second;
  QueryPerformanceCounter(&t);
  QueryPerformanceFrequency(&second);
  return (double)t.QuadPart / (double)second.QuadPart;
#else
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
#endif
}

// Fused multiply-adds in registers only. Twelve independent chains hide the latency.
template <class T>
double peak() {
  constexpr int kChains = 12;
  double best = 0;
  for (int repeat = 0; repeat < 20; repeat++) {
    Vec<T> acc[kChains], a = splat<T>((T)0.999), b = splat<T>((T)1e-6);
#pragma GCC unroll 12  // with an index that is not constant, the sums would be in memory
    for (int j = 0; j < kChains; j++) acc[j] = splat<T>((T)j);
    constexpr int kSteps = 100000;
    double start = now();
    for (int i = 0; i < kSteps; i++) {
#pragma GCC unroll 12
      for (int j = 0; j < kChains; j++) acc[j] = acc[j] * a + b;
#pragma GCC unroll 12
      for (int j = 0; j < kChains; j++) FASTNN_KEEP(acc[j]);
    }
    double seconds = now() - start;
    double rate = 2.0 * kSteps * kChains * kLanes<T> / seconds * 1e-9;
    if (rate > best) best = rate;
  }
  return best;
}

#if defined(__AVX512F__)
// The shortest of short turns, first one kind and then the other, is not disturbed by other work. Takes about 0.1 ms.
__attribute__((target("avx512bf16"))) double bf16_rate() {
  constexpr int kChains = 12, kSteps = 1000;
  double floats = 1, pairs = 1;
  const __m512bh ones = (__m512bh)_mm512_set1_epi32(0x3f803f80);
  const Vec<float> one = splat<float>(1);
  for (int turn = 0; turn < 10; turn++) {
    Vec<float> acc[kChains];
#pragma GCC unroll 12
    for (int j = 0; j < kChains; j++) acc[j] = splat<float>((float)j);
    const double start = now();
    for (int i = 0; i < kSteps; i++) {
#pragma GCC unroll 12
      for (int j = 0; j < kChains; j++) acc[j] = acc[j] * one + one;
#pragma GCC unroll 12
      for (int j = 0; j < kChains; j++) FASTNN_KEEP(acc[j]);
    }
    const double middle = now();
    for (int i = 0; i < kSteps; i++) {
#pragma GCC unroll 12
      for (int j = 0; j < kChains; j++) acc[j] = (Vec<float>)_mm512_dpbf16_ps((__m512)acc[j], ones, ones);
#pragma GCC unroll 12
      for (int j = 0; j < kChains; j++) FASTNN_KEEP(acc[j]);
    }
    const double end = now();
    if (middle - start < floats) floats = middle - start;
    if (end - middle < pairs) pairs = end - middle;
  }
  return 2 * floats / pairs;  // an instruction has two multiply-adds for each lane
}
#else
double bf16_rate() { return 0; }
#endif

}  // namespace

extern "C" double FASTNN_JOIN(fastnn_bf16_rate_, FASTNN_ISA_NAME)() { return bf16_rate(); }

extern "C" double FASTNN_JOIN(fastnn_peak_gflops_, FASTNN_ISA_NAME)(int dtype) {
  return dtype == fastnn::kFloat64 ? peak<double>() : peak<float>();
}

extern "C" double FASTNN_JOIN(fastnn_read_gbytes_, FASTNN_ISA_NAME)(const void* data, i64 bytes) {
  constexpr int kStreams = 8;  // several streams at once reach more of the memory bandwidth than one
  const i64 part = bytes / kStreams / FASTNN_VB * FASTNN_VB;
  const char* p = (const char*)data;
  double best = 0;
  for (int repeat = 0; repeat < 10; repeat++) {
    Vec<float> acc[kStreams] = {};
    double start = now();
    for (i64 i = 0; i < part; i += FASTNN_VB)
#pragma GCC unroll 8
      for (int j = 0; j < kStreams; j++) acc[j] += load((const float*)(p + j * part + i));
#pragma GCC unroll 8
    for (int j = 0; j < kStreams; j++) FASTNN_KEEP(acc[j]);
    double rate = (double)part * kStreams / (now() - start) * 1e-9;
    if (rate > best) best = rate;
  }
  return best;
}
