// The order of elements along the middle dimension of x (A, B, C).

// Unsigned numbers in the order of the values: NaN is the greatest, and -0 equals 0.
__device__ inline u32 sort_key(float x) {
  const u32 bits = __float_as_uint(x == 0 ? 0.f : x), sign = 0x80000000u;
  return x != x ? ~0u : bits & sign ? ~bits : bits | sign;
}
__device__ inline u64 sort_key(double x) {
  const u64 bits = (u64)__double_as_longlong(x == 0 ? 0.0 : x), sign = 0x8000000000000000ULL;
  return x != x ? ~0ULL : bits & sign ? ~bits : bits | sign;
}
__device__ inline u64 sort_key(i64 x) { return (u64)x ^ 0x8000000000000000ULL; }

// The place of an element is the number of those that come before it, which its thread counts: any number of elements needs no
// memory but the result, and all of the device takes part.
template <typename T>
__device__ void argsort(const argsort_args<T>& a) {
  using Key = decltype(sort_key(T()));
  const Key flip = a.descending ? ~Key(0) : Key(0);
  for (i64 i = first(); i < a.A * a.B * a.C; i += stride()) {
    const i64 row = quotient(i, a.C), outer = quotient(row, a.B), b = row - outer * a.B;
    const i64 begin = outer * a.B * a.C + (i - row * a.C);
    const Key key = sort_key(a.x[i]) ^ flip;
    i64 before = 0;
#pragma unroll 4
    for (i64 j = 0; j < a.B; ++j) {
      const Key other = sort_key(a.x[begin + j * a.C]) ^ flip;
      before += other < key || (other == key && j < b);
    }
    a.index[begin + before * a.C] = b;
  }
}
