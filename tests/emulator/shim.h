// The part of CUDA's language that kernels use, for a C++ compiler: what NVRTC has built in, over the fibers of runtime.cpp.
// Nothing is included: the C++ library's headers would take ten times as long as a kernel.

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)
#define __shared__ static thread_local  // found and filled with garbage by emu_launch before each block

#define warpSize 32

typedef decltype(sizeof 0) size_t;
typedef __INT8_TYPE__ int8_t;
typedef __INT16_TYPE__ int16_t;
typedef __INT32_TYPE__ int32_t;
typedef __INT64_TYPE__ int64_t;
typedef __UINT8_TYPE__ uint8_t;
typedef __UINT16_TYPE__ uint16_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __UINT64_TYPE__ uint64_t;
typedef __UINTPTR_TYPE__ uintptr_t;

struct emu_dim {
  unsigned x, y, z;
};

extern "C" {
extern emu_dim threadIdx, blockIdx, blockDim, gridDim;
int emu_syncthreads(int value, int how);
unsigned long long emu_warp(unsigned mask, unsigned long long value, long long lane, int operation);
[[noreturn]] void emu_trap();
const char* emu_launch(void (*kernel)(const void*), const void* args, unsigned blocks, unsigned size, unsigned long long seed,
                       void* (*touch_shared)());
void* memcpy(void*, const void*, size_t);
void* memset(void*, int, size_t);
}

// ---- barriers and warps

inline void __syncthreads() { emu_syncthreads(0, 0); }
inline int __syncthreads_count(int v) { return emu_syncthreads(v, 0); }
inline int __syncthreads_and(int v) { return emu_syncthreads(v, 1); }
inline int __syncthreads_or(int v) { return emu_syncthreads(v, 2); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __trap() { emu_trap(); }
inline void __nanosleep(unsigned) {}
inline long long clock64() { return 0; }

template <typename To, typename From>
inline To emu_bits(const From& from) {
  static_assert(sizeof(To) == sizeof(From), "as many bits");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

// Lanes are shuffled within segments of width; what would come from beyond the segment is the lane's own.
template <typename T>
inline T emu_shuffle(unsigned mask, T value, int lane) {
  static_assert(sizeof(T) <= 8, "a shuffle of eight bytes at most");
  unsigned long long bits = 0;
  memcpy(&bits, &value, sizeof value);
  bits = emu_warp(mask, bits, lane, 0);
  memcpy(&value, &bits, sizeof value);
  return value;
}
inline int emu_lane() { return threadIdx.x % 32; }
template <typename T>
inline T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
  return emu_shuffle(mask, value, (emu_lane() & -width) | (from & (width - 1)));
}
template <typename T>
inline T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32) {
  int from = emu_lane() ^ by;
  return emu_shuffle(mask, value, from < (emu_lane() & -width) + width ? from : emu_lane());
}
template <typename T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  int from = emu_lane() - (int)by;
  return emu_shuffle(mask, value, from >= (emu_lane() & -width) ? from : emu_lane());
}
template <typename T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  int from = emu_lane() + (int)by;
  return emu_shuffle(mask, value, from < (emu_lane() & -width) + width ? from : emu_lane());
}
inline void __syncwarp(unsigned mask = 0xffffffffu) { emu_warp(mask, 0, 0, 3); }
inline unsigned __ballot_sync(unsigned mask, int v) { return (unsigned)emu_warp(mask, v != 0, 0, 1); }
inline int __any_sync(unsigned mask, int v) { return __ballot_sync(mask, v) != 0; }
inline int __all_sync(unsigned mask, int v) { return __ballot_sync(mask, v) == mask; }
template <typename T>
inline unsigned __match_any_sync(unsigned mask, T value) {
  unsigned long long bits = 0;
  memcpy(&bits, &value, sizeof value);
  return (unsigned)emu_warp(mask, bits, 0, 2);
}
template <typename T, typename Op>
inline T emu_reduce(unsigned mask, T value, Op op) {
  T total{};
  bool any = false;
  for (int lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1) {
      T other = emu_shuffle(mask, value, lane);
      total = any ? op(total, other) : other;
      any = true;
    }
  return total;
}
template <typename T>
inline T __reduce_add_sync(unsigned mask, T v) {
  return emu_reduce(mask, v, [](T a, T b) -> T { return a + b; });
}
template <typename T>
inline T __reduce_max_sync(unsigned mask, T v) {
  return emu_reduce(mask, v, [](T a, T b) { return a > b ? a : b; });
}
template <typename T>
inline T __reduce_min_sync(unsigned mask, T v) {
  return emu_reduce(mask, v, [](T a, T b) { return a < b ? a : b; });
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned v) {
  return emu_reduce(mask, v, [](unsigned a, unsigned b) { return a | b; });
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned v) {
  return emu_reduce(mask, v, [](unsigned a, unsigned b) { return a & b; });
}

// ---- atomics: fibers change places at barriers only

template <typename T>
struct emu_same {
  typedef T type;
};
template <typename T>
using emu_of = typename emu_same<T>::type;

#define EMU_ATOMIC(name, result)                  \
  template <typename T>                           \
  inline T name(T* p, emu_of<T> v) {              \
    T old = *p;                                   \
    *p = (result);                                \
    return old;                                   \
  }                                               \
  template <typename T>                           \
  inline T name##_block(T* p, emu_of<T> v) {      \
    return name(p, v);                            \
  }                                               \
  template <typename T>                           \
  inline T name##_system(T* p, emu_of<T> v) {     \
    return name(p, v);                            \
  }
EMU_ATOMIC(atomicAdd, old + v)
EMU_ATOMIC(atomicSub, old - v)
EMU_ATOMIC(atomicExch, v)
EMU_ATOMIC(atomicMin, v < old ? v : old)
EMU_ATOMIC(atomicMax, v > old ? v : old)
EMU_ATOMIC(atomicAnd, old& v)
EMU_ATOMIC(atomicOr, old | v)
EMU_ATOMIC(atomicXor, old ^ v)
EMU_ATOMIC(atomicInc, old >= v ? 0 : old + 1)
EMU_ATOMIC(atomicDec, old == 0 || old > v ? v : old - 1)
#undef EMU_ATOMIC
template <typename T>
inline T atomicCAS(T* p, emu_of<T> compare, emu_of<T> v) {
  T old = *p;
  if (old == compare) *p = v;
  return old;
}

// ---- loads and stores with a cache hint

#define EMU_LOAD(name)          \
  template <typename T>         \
  inline T name(const T* p) {   \
    return *p;                  \
  }
EMU_LOAD(__ldg) EMU_LOAD(__ldca) EMU_LOAD(__ldcg) EMU_LOAD(__ldcs) EMU_LOAD(__ldlu) EMU_LOAD(__ldcv)
#undef EMU_LOAD
#define EMU_STORE(name)                   \
  template <typename T>                   \
  inline void name(T* p, emu_of<T> v) {   \
    *p = v;                               \
  }
EMU_STORE(__stwb) EMU_STORE(__stcg) EMU_STORE(__stcs) EMU_STORE(__stwt)
#undef EMU_STORE

// ---- vectors of the language

#define EMU_VECTOR(base, name, align2, align4)                                    \
  struct alignas(align2) name##2 {                                                \
    base x, y;                                                                    \
  };                                                                              \
  struct alignas(align4) name##4 {                                                \
    base x, y, z, w;                                                              \
  };                                                                              \
  inline name##2 make_##name##2(base x, base y) { return {x, y}; }                \
  inline name##4 make_##name##4(base x, base y, base z, base w) { return {x, y, z, w}; }
EMU_VECTOR(float, float, 8, 16)
EMU_VECTOR(double, double, 16, 16)
EMU_VECTOR(int, int, 8, 16)
EMU_VECTOR(unsigned, uint, 8, 16)
EMU_VECTOR(short, short, 4, 8)
EMU_VECTOR(unsigned short, ushort, 4, 8)
EMU_VECTOR(signed char, char, 2, 4)
EMU_VECTOR(unsigned char, uchar, 2, 4)
EMU_VECTOR(long long, longlong, 16, 16)
EMU_VECTOR(unsigned long long, ulonglong, 16, 16)
#undef EMU_VECTOR

// ---- bits and whole numbers

inline int __float_as_int(float x) { return emu_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return emu_bits<unsigned>(x); }
inline float __int_as_float(int x) { return emu_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return emu_bits<float>(x); }
inline long long __double_as_longlong(double x) { return emu_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emu_bits<double>(x); }
inline int __double2hiint(double x) { return (int)(emu_bits<unsigned long long>(x) >> 32); }
inline int __double2loint(double x) { return (int)emu_bits<unsigned long long>(x); }
inline double __hiloint2double(int hi, int lo) {
  return emu_bits<double>((unsigned long long)(unsigned)hi << 32 | (unsigned)lo);
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
  unsigned r = 0;
  for (int i = 0; i < 32; ++i) r |= (x >> i & 1) << (31 - i);
  return r;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
inline int __mulhi(int a, int b) { return (int)((long long)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline long long __mul64hi(long long a, long long b) { return (long long)((__int128)a * b >> 64); }
inline int __mul24(int a, int b) { return (int)((long long)(a << 8 >> 8) * (b << 8 >> 8)); }
inline unsigned __umul24(unsigned a, unsigned b) { return (a & 0xffffff) * (b & 0xffffff); }
inline unsigned __funnelshift_l(unsigned lo, unsigned hi, unsigned by) {
  return (unsigned)(((unsigned long long)hi << 32 | lo) << (by & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned lo, unsigned hi, unsigned by) {
  return (unsigned)(((unsigned long long)hi << 32 | lo) >> (by & 31));
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned s) {
  unsigned long long all = (unsigned long long)b << 32 | a;
  unsigned r = 0;
  for (int i = 0; i < 4; ++i) r |= (unsigned)(all >> (s >> 4 * i & 7) * 8 & 255) << 8 * i;
  return r;
}

// ---- mathematics: the C library's functions under CUDA's names, and those of the language for both types

#define EMU_F1(name)                                                 \
  extern "C" double name(double) noexcept;                           \
  extern "C" float name##f(float) noexcept;                          \
  inline float name(float x) { return name##f(x); }
#define EMU_F2(name)                                                 \
  extern "C" double name(double, double) noexcept;                   \
  extern "C" float name##f(float, float) noexcept;                   \
  inline float name(float x, float y) { return name##f(x, y); }
EMU_F1(exp) EMU_F1(exp2) EMU_F1(expm1) EMU_F1(log) EMU_F1(log2) EMU_F1(log10) EMU_F1(log1p) EMU_F1(logb)
EMU_F1(sin) EMU_F1(cos) EMU_F1(tan) EMU_F1(asin) EMU_F1(acos) EMU_F1(atan)
EMU_F1(sinh) EMU_F1(cosh) EMU_F1(tanh) EMU_F1(asinh) EMU_F1(acosh) EMU_F1(atanh)
EMU_F1(sqrt) EMU_F1(cbrt) EMU_F1(erf) EMU_F1(erfc) EMU_F1(lgamma) EMU_F1(tgamma)
EMU_F1(floor) EMU_F1(ceil) EMU_F1(trunc) EMU_F1(round) EMU_F1(rint) EMU_F1(nearbyint) EMU_F1(fabs)
EMU_F2(pow) EMU_F2(fmod) EMU_F2(remainder) EMU_F2(atan2) EMU_F2(hypot) EMU_F2(fmin) EMU_F2(fmax) EMU_F2(fdim)
EMU_F2(copysign) EMU_F2(nextafter)
#undef EMU_F1
#undef EMU_F2
extern "C" double fma(double, double, double) noexcept;
extern "C" float fmaf(float, float, float) noexcept;
inline float fma(float x, float y, float z) { return fmaf(x, y, z); }
extern "C" double ldexp(double, int) noexcept;
extern "C" float ldexpf(float, int) noexcept;
inline float ldexp(float x, int n) { return ldexpf(x, n); }
extern "C" double scalbn(double, int) noexcept;
extern "C" float scalbnf(float, int) noexcept;
extern "C" double frexp(double, int*) noexcept;
extern "C" float frexpf(float, int*) noexcept;
inline float frexp(float x, int* n) { return frexpf(x, n); }
extern "C" double modf(double, double*) noexcept;
extern "C" float modff(float, float*) noexcept;
extern "C" int ilogb(double) noexcept;
extern "C" int ilogbf(float) noexcept;
extern "C" long long llrint(double) noexcept;
extern "C" long long llrintf(float) noexcept;
extern "C" long lrint(double) noexcept;
extern "C" long lrintf(float) noexcept;
extern "C" void sincos(double, double*, double*) noexcept;
extern "C" void sincosf(float, float*, float*) noexcept;
inline void sincos(float x, float* s, float* c) { sincosf(x, s, c); }
extern "C" int abs(int) noexcept;
extern "C" long long llabs(long long) noexcept;
inline float abs(float x) { return fabsf(x); }
inline double abs(double x) { return fabs(x); }
inline long long abs(long long x) { return llabs(x); }

inline double rsqrt(double x) { return 1 / sqrt(x); }
inline float rsqrtf(float x) { return (float)(1 / sqrt((double)x)); }
inline float rsqrt(float x) { return rsqrtf(x); }
inline double rcbrt(double x) { return 1 / cbrt(x); }
inline float rcbrtf(float x) { return (float)(1 / cbrt((double)x)); }
inline double exp10(double x) { return pow(10.0, x); }
inline float exp10f(float x) { return (float)pow(10.0, (double)x); }
inline double sinpi(double x) { return sin(3.14159265358979323846 * fmod(x, 2.0)); }
inline double cospi(double x) { return cos(3.14159265358979323846 * fmod(x, 2.0)); }
inline float sinpif(float x) { return (float)sinpi((double)x); }
inline float cospif(float x) { return (float)cospi((double)x); }
inline void sincospi(double x, double* s, double* c) { *s = sinpi(x), *c = cospi(x); }
inline void sincospif(float x, float* s, float* c) { *s = sinpif(x), *c = cospif(x); }
inline double normcdf(double x) { return erfc(-x * 0.70710678118654752440) / 2; }
inline float normcdff(float x) { return (float)normcdf((double)x); }
inline double normcdfinv(double p) {  // by Newton's method on the smaller tail
  if (!(p >= 0 && p <= 1)) return __builtin_nan("");
  if (p == 0 || p == 1) return p == 0 ? -__builtin_inf() : __builtin_inf();
  double tail = p < 0.5 ? p : 1 - p, x = -sqrt(-2 * log(tail));
  for (int i = 0; i < 60; ++i) {
    double step = (normcdf(x) - tail) / (0.39894228040143267794 * exp(-x * x / 2));
    x -= step;
    if (fabs(step) < 1e-15 * (1 + fabs(x))) break;
  }
  return p < 0.5 ? x : -x;
}
inline float normcdfinvf(float p) { return (float)normcdfinv((double)p); }
inline double erfinv(double x) { return normcdfinv((x + 1) / 2) * 0.70710678118654752440; }
inline float erfinvf(float x) { return (float)erfinv((double)x); }
inline double erfcinv(double x) { return -normcdfinv(x / 2) * 0.70710678118654752440; }
inline float erfcinvf(float x) { return (float)erfcinv((double)x); }
inline float norm3df(float a, float b, float c) { return sqrtf(a * a + b * b + c * c); }

inline bool isnan(float x) { return x != x; }
inline bool isnan(double x) { return x != x; }
inline bool isinf(float x) { return __builtin_isinf(x); }
inline bool isinf(double x) { return __builtin_isinf(x); }
inline bool isfinite(float x) { return __builtin_isfinite(x); }
inline bool isfinite(double x) { return __builtin_isfinite(x); }
inline bool signbit(float x) { return __builtin_signbit(x); }
inline bool signbit(double x) { return __builtin_signbit(x); }

// The two of the same type only: CUDA has overloads for mixed ones, in which a mistake may hide.
#define EMU_MINMAX(T)                                    \
  inline T min(T a, T b) { return b < a ? b : a; }       \
  inline T max(T a, T b) { return a < b ? b : a; }
EMU_MINMAX(int) EMU_MINMAX(unsigned) EMU_MINMAX(long) EMU_MINMAX(unsigned long) EMU_MINMAX(long long)
EMU_MINMAX(unsigned long long)
#undef EMU_MINMAX
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

// ---- arithmetic with a rounding: to the nearest, which is the CPU's

#define EMU_ROUNDED(prefix, T)                                                  \
  inline T prefix##add_rn(T a, T b) { volatile T r = a + b; return r; }         \
  inline T prefix##sub_rn(T a, T b) { volatile T r = a - b; return r; }         \
  inline T prefix##mul_rn(T a, T b) { volatile T r = a * b; return r; }         \
  inline T prefix##div_rn(T a, T b) { return a / b; }                           \
  inline T prefix##rcp_rn(T a) { return 1 / a; }                                \
  inline T prefix##sqrt_rn(T a) { return sqrt(a); }
EMU_ROUNDED(__f, float)
EMU_ROUNDED(__d, double)
#undef EMU_ROUNDED
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline float __frsqrt_rn(float a) { return rsqrtf(a); }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return exp10f(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __powf(float x, float y) { return powf(x, y); }

// Conversions saturate and turn NaN into 0 (the 64-bit ones from a NaN into the smallest number), as the hardware does.
template <typename To>
inline To emu_whole(double x, double low, double high, To smallest, To largest, To nan) {
  return x != x ? nan : x < low ? smallest : x >= high ? largest : (To)x;
}
inline int emu_int(double x) { return emu_whole<int>(x, -0x1p31, 0x1p31, -2147483647 - 1, 2147483647, 0); }
inline unsigned emu_uint(double x) { return emu_whole<unsigned>(x, 0, 0x1p32, 0, 4294967295u, 0); }
inline long long emu_ll(double x) {
  return emu_whole<long long>(x, -0x1p63, 0x1p63, -9223372036854775807LL - 1, 9223372036854775807LL,
                              -9223372036854775807LL - 1);
}
inline unsigned long long emu_ull(double x) {
  return emu_whole<unsigned long long>(x, 0, 0x1p64, 0, 18446744073709551615ull, 1ull << 63);
}
#define EMU_TO(from, T, to, R, f)                              \
  inline R __##from##2##to##_rn(T x) { return f(rint((double)x)); }   \
  inline R __##from##2##to##_rz(T x) { return f(trunc((double)x)); }  \
  inline R __##from##2##to##_rd(T x) { return f(floor((double)x)); }  \
  inline R __##from##2##to##_ru(T x) { return f(ceil((double)x)); }
EMU_TO(float, float, int, int, emu_int)
EMU_TO(float, float, uint, unsigned, emu_uint)
EMU_TO(float, float, ll, long long, emu_ll)
EMU_TO(float, float, ull, unsigned long long, emu_ull)
EMU_TO(double, double, int, int, emu_int)
EMU_TO(double, double, uint, unsigned, emu_uint)
EMU_TO(double, double, ll, long long, emu_ll)
EMU_TO(double, double, ull, unsigned long long, emu_ull)
#undef EMU_TO
inline float __int2float_rn(int x) { return (float)x; }
inline float __uint2float_rn(unsigned x) { return (float)x; }
inline float __ll2float_rn(long long x) { return (float)x; }
inline float __ull2float_rn(unsigned long long x) { return (float)x; }
inline double __int2double_rn(int x) { return x; }
inline double __uint2double_rn(unsigned x) { return x; }
inline double __ll2double_rn(long long x) { return (double)x; }
inline double __ull2double_rn(unsigned long long x) { return (double)x; }
inline float __double2float_rn(double x) { return (float)x; }

// ---- how emu_launch calls a kernel

template <typename Args>
inline void emu_call(void (*kernel)(Args), const void* args) {
  kernel(*(const Args*)args);
}
template <typename Args>
inline unsigned emu_size_of(void (*)(Args)) {
  return sizeof(Args);
}

// CUDA takes alignas after __shared__, C++ an attribute of GNU there.
#define alignas(n) __attribute__((aligned(n)))
