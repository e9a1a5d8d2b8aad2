// Products of many matrices that lie in larger arrays. Tiles of all of them are shared out to the blocks.

// How far apart rows and columns of a matrix are.
struct Strides {
  i64 row, column;
};

// Whether the matrices of a row of the layout lie within n elements, with rows or columns that lie together. Axes along which c
// does not move are not counted for it: the products are added up there.
__device__ inline bool within(const i64* sizes, const i64* place, i64 R, i64 rows, i64 columns, i64 n, bool result) {
  double low = (double)place[0], high = low;  // of any numbers, without overflow
  bool empty = false;
  for (i64 axis = 0; axis < R + 2; ++axis) {
    const i64 stride = place[1 + axis];
    i64 size = axis < R ? sizes[axis] : axis == R ? rows : columns;
    if (size < 0) return false;
    if (axis < R && result && stride == 0) size = 1;
    if (size == 0) {
      empty = true;
    } else {
      const double span = ((double)size - 1) * (double)stride;
      if (span < 0)
        low += span;
      else
        high += span;
    }
  }
  const bool together = columns == 1 || place[R + 2] == 1 || (!result && (rows == 1 || place[R + 1] == 1));
  return empty || (low >= 0 && high < (double)n && together);
}

template <typename T, bool A_ALONG_K, bool B_ALONG_K>
__device__ void multiply_batched(const matmul_batched_args<T>& f, i64 items, i64 each) {
  using Tiles = TileOf<T, true>;
  const i64 R = f.S - 3, *sizes = f.layout, *c = sizes + f.S, *a = c + f.S, *b = a + f.S;
  const int m = (int)sizes[R], n = (int)sizes[R + 1], k = each ? (int)sizes[R + 2] : 0;
  const Strides sc = {c[R + 1], c[R + 2]}, sa = {a[R + 1], a[R + 2]}, sb = {b[R + 1], b[R + 2]};
  const T alpha = (T)f.alpha, beta = (T)f.beta;
  const i64 tiles = (i64)((m + Tiles::M - 1) / Tiles::M) * ((n + Tiles::N - 1) / Tiles::N);
  for (i64 at = blockIdx.x; at < items * tiles; at += gridDim.x)
    for (i64 part = 0; part < (each ? each : 1); ++part) {
      i64 to = c[0], from_a = a[0], from_b = b[0], left = at / tiles, left_added = part;
      for (i64 axis = R - 1; axis >= 0; --axis) {
        const i64 size = sizes[axis];
        if (!size) continue;
        i64& rest = c[1 + axis] == 0 && size != 1 ? left_added : left;
        const i64 index = rest % size;
        rest /= size;
        to += index * c[1 + axis];
        from_a += index * a[1 + axis];
        from_b += index * b[1 + axis];
      }
      product_tile<T, Tiles, A_ALONG_K, B_ALONG_K>(
          product_memory<T, true>(), (int)(at % tiles), m, n, k,
          [&](int i, int s) { return rounded_to(f.precision, f.a[from_a + i * sa.row + s * sa.column]); },
          [&](int j, int s) { return rounded_to(f.precision, f.b[from_b + s * sb.row + j * sb.column]); },
          [&](int i, int j, T sum) {
            T* z = f.c + to + i * sc.row + j * sc.column;
            const T before = part ? (T)1 : beta;
            *z = before == 0 ? alpha * sum : alpha * sum + before * *z;
          });
    }
}

template <typename T>
__device__ void matmul_batched(const matmul_batched_args<T>& f) {
  const i64 R = f.S - 3, *sizes = f.layout, *c = sizes + f.S, *a = c + f.S, *b = a + f.S;
  bool fits = R >= 0;
  for (i64 axis = 0; fits && axis < f.S; ++axis) fits = sizes[axis] >= 0;
  fits = fits && within(sizes, c, R, sizes[R], sizes[R + 1], f.n, true) &&
         within(sizes, a, R, sizes[R], sizes[R + 2], f.p, false) && within(sizes, b, R, sizes[R + 2], sizes[R + 1], f.q, false);
  if (!fits) {
    for (i64 i = first(); i < f.n; i += stride()) f.c[i] = not_a_number<T>();
    return;
  }
  i64 items = 1, each = 1;
  for (i64 axis = 0; axis < R; ++axis) (c[1 + axis] == 0 && sizes[axis] != 1 ? each : items) *= sizes[axis];
  if (!sizes[R] || !sizes[R + 1]) return;
  const bool a_along_k = a[R + 2] == 1 || a[R + 1] != 1, b_along_k = b[R + 2] != 1 && b[R + 1] == 1;
  if (a_along_k)
    b_along_k ? multiply_batched<T, true, true>(f, items, each) : multiply_batched<T, true, false>(f, items, each);
  else
    b_along_k ? multiply_batched<T, false, true>(f, items, each) : multiply_batched<T, false, false>(f, items, each);
}
