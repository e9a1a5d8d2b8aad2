// Rows by index: batches, look-ups and their gradients. An index below 0 counts from the end. One outside the array gives NaN (0
// in whole-number arrays) where it reads, and is skipped where it adds. Gradients are summed in the order of the index, by one
// thread each.

constexpr int WARPS = THREADS / WARP;

__device__ inline i64 from_0(i64 index, i64 n) { return index < 0 ? index + n : index; }

// y[j] = x[row(j)] for J rows of C elements, in pieces of type V; outside for a row outside of x.
template <typename V, typename F>
__device__ inline void copy_rows(V* y, const V* x, i64 J, i64 B, i64 C, V outside, F row) {
  constexpr int EACH = 4;  // pieces of a row that a thread copies at once
  int lanes = 1;           // threads that share a row
  while (lanes < WARP && lanes < C) lanes *= 2;
  const int lane = threadIdx.x % lanes, span = lanes * EACH;
  const i64 spans = (C + span - 1) / span, step = stride() / lanes;
  for (i64 k = first() / lanes; k < J * spans; k += step) {
    const i64 j = spans == 1 ? k : k / spans, from = row(j), begin = (k - j * spans) * span + lane;
    const bool inside = (u64)from < (u64)B;
    V piece[EACH];
#pragma unroll
    for (int e = 0; e < EACH; ++e) {
      const i64 c = begin + e * lanes;
      piece[e] = outside;
      if (inside && c < C) piece[e] = x[from * C + c];
    }
#pragma unroll
    for (int e = 0; e < EACH; ++e) {
      const i64 c = begin + e * lanes;
      if (c < C) y[j * C + c] = piece[e];
    }
  }
}

// Sixteen bytes of any type, and those that are NaN in it, or 0.
struct alignas(16) Piece {
  u64 word[2];
};
template <typename T>
__device__ inline Piece outside_piece() {
  return {0, 0};
}
template <>
__device__ inline Piece outside_piece<float>() {
  return {0x7fc000007fc00000, 0x7fc000007fc00000};
}
template <>
__device__ inline Piece outside_piece<Bfloat16>() {
  return {0x7fc07fc07fc07fc0, 0x7fc07fc07fc07fc0};
}
template <>
__device__ inline Piece outside_piece<double>() {
  return {0x7ff8000000000000, 0x7ff8000000000000};
}

template <typename T, typename F>
__device__ inline void take_rows(T* y, const T* x, i64 J, i64 B, i64 C, F row) {
  constexpr int S = Pack<T>::SIZE;
  if (C % S == 0 && aligned16(y) && aligned16(x))
    copy_rows((Piece*)y, (const Piece*)x, J, B, C / S, outside_piece<T>(), row);
  else
    copy_rows(y, x, J, B, C, not_a_number<T>(), row);
}

template <typename T>
__device__ void gather_batch(const gather_batch_args<T>& a) {
  const i64 start = once_a_block([&] { return *a.cursor; });
  const i64 there = start < 0 || start > a.Q ? 0 : a.Q - start;  // indices from there on
  take_rows(a.y, a.x, a.J, a.B, a.C, [=](i64 j) { return j < there ? from_0(a.index[start + j], a.B) : -1; });
}

template <typename T>
__device__ void take_forward(const take_forward_args<T>& a) {
  take_rows(a.y, a.x, a.J, a.B, a.C, [=](i64 j) { return from_0(a.index[j], a.B); });
}

// The part of dx that a warp owns: some rows, or some columns of a row.
template <typename T>
struct Own {
  T* dx;
  bool* touched;  // null if this warp writes no marks
  i64 top, bottom, left, right;

  // Adds the rows of dy that belong to these rows, in their order, and marks them.
  __device__ void add(const T* from, const i64* index, i64 J, i64 B, i64 C) const {
    const int lane = threadIdx.x % WARP;
    constexpr int AHEAD = 8, EACH = 4;  // loads of the index, and of a lane's columns, in flight
    for (i64 begin = 0; begin < J; begin += AHEAD * WARP) {
      u32 found = 0;  // of lane k: which of the k-th WARP indices are this warp's
#pragma unroll
      for (int k = 0; k < AHEAD; ++k) {
        const i64 j = begin + k * WARP + lane, row = j < J ? from_0(index[j], B) : -1;
        const bool inside = row >= top && row < bottom;
        if (inside && touched) touched[row] = true;
        const u32 mine = __ballot_sync(ALL_LANES, inside);
        if (lane == k) found = mine;
      }
      for (u32 some = __ballot_sync(ALL_LANES, found != 0); some; some &= some - 1) {
        const int k = __ffs(some) - 1;
        for (u32 mine = __shfl_sync(ALL_LANES, found, k); mine; mine &= mine - 1) {
          const i64 j = begin + k * WARP + __ffs(mine) - 1;
          T* const to = dx + from_0(index[j], B) * C;
          const T* const dy = from + j * C;
          for (i64 c = left + lane; c < right; c += EACH * WARP) {
            T sum[EACH];
#pragma unroll
            for (int e = 0; e < EACH; ++e)
              if (c + e * WARP < right) sum[e] = to[c + e * WARP] + dy[c + e * WARP];
#pragma unroll
            for (int e = 0; e < EACH; ++e)
              if (c + e * WARP < right) to[c + e * WARP] = sum[e];
          }
        }
      }
    }
  }
};

// Each warp owns some rows of dx, or some columns of a row where there are more warps than rows, and goes through the whole
// index for them.
template <typename T>
__device__ void take_backward(const take_backward_args<T>& a) {
  if (a.B == 0) return;
  const i64 warps = (i64)gridDim.x * WARPS, me = (i64)blockIdx.x * WARPS + threadIdx.x / WARP;
  const int lane = threadIdx.x % WARP;
  const i64 owners = min(warps, a.B), parts = min(warps / owners, max((a.C + 4 * WARP - 1) / (4 * WARP), 1ll));
  const i64 owner = me / parts, part = me % parts;
  if (owner >= owners) return;
  const i64 top = a.B * owner / owners, bottom = a.B * (owner + 1) / owners;
  const i64 left = a.C * part / parts, right = a.C * (part + 1) / parts;
  bool* const marks = part == 0 ? a.touched : nullptr;  // the first part of a row has its mark
  if (!(a.add & 1))
    for (i64 b = top; b < bottom; ++b)
      for (i64 c = left + lane; c < right; c += WARP) a.dx[b * a.C + c] = 0;
  if (!(a.add & 2) && marks)
    for (i64 b = top + lane; b < bottom; b += WARP) marks[b] = false;
  __syncwarp();
  Own<T>{a.dx, marks, top, bottom, left, right}.add(a.dy, a.index, a.J, a.B, a.C);
}

// A row belongs to one warp alone, which clears its mark after it has read it.
template <typename T>
__device__ void take_backward_marked(const take_backward_marked_args<T>& a) {
  const i64 warps = (i64)gridDim.x * WARPS, me = (i64)blockIdx.x * WARPS + threadIdx.x / WARP;
  const int lane = threadIdx.x % WARP;
  const i64 top = a.B * me / warps, bottom = a.B * (me + 1) / warps;
  for (i64 b = top; b < bottom; ++b)
    if (a.touched[b])
      for (i64 c = lane; c < a.C; c += WARP) a.dx[b * a.C + c] = 0;
  __syncwarp();
  for (i64 b = top + lane; b < bottom; b += WARP) a.touched[b] = false;
  __syncwarp();
  Own<T>{a.dx, a.touched, top, bottom, 0, a.C}.add(a.dy, a.index, a.J, a.B, a.C);
}

// The row i = r / J of x belongs to the row r of y.
template <typename T>
__device__ void gather_forward(const gather_forward_args<T>& a) {
  int lanes = 1;  // threads that share a row
  while (lanes < WARP && lanes < a.L) lanes *= 2;
  const i64 step = stride() / lanes;
  const T outside = not_a_number<T>();
  for (i64 r = first() / lanes; r < a.I * a.J; r += step) {
    const T* const x = a.x + r / a.J * a.K * a.L;
    for (i64 l = threadIdx.x % lanes; l < a.L; l += lanes) {
      const i64 k = from_0(a.index[r * a.L + l], a.K);
      a.y[r * a.L + l] = (u64)k < (u64)a.K ? x[k * a.L + l] : outside;
    }
  }
}

// Each thread owns a column (i, l) of dx, or a part of it where there are more threads than columns, and goes through the index
// of that column for it.
template <typename T>
__device__ void gather_backward(const gather_backward_args<T>& a) {
  const i64 columns = a.I * a.L;
  if (columns == 0 || a.K == 0) return;
  const i64 parts = min(max(stride() / columns, 1ll), a.K);
  for (i64 n = first(); n < columns * parts; n += stride()) {
    const i64 part = n / columns, column = n % columns, i = column / a.L, l = column % a.L;
    const i64 top = a.K * part / parts, bottom = a.K * (part + 1) / parts;
    T* const dx = a.dx + i * a.K * a.L + l;
    const T* const dy = a.dy + i * a.J * a.L + l;
    const i64* const index = a.index + i * a.J * a.L + l;
    for (i64 k = top; k < bottom; ++k) dx[k * a.L] = 0;
    constexpr int AHEAD = 8;  // loads of the index in flight
    for (i64 begin = 0; begin < a.J; begin += AHEAD) {
      i64 at[AHEAD];
#pragma unroll
      for (int e = 0; e < AHEAD; ++e) at[e] = begin + e < a.J ? from_0(index[(begin + e) * a.L], a.K) : -1;
#pragma unroll
      for (int e = 0; e < AHEAD; ++e)
        if (at[e] >= top && at[e] < bottom) dx[at[e] * a.L] += dy[(begin + e) * a.L];
    }
  }
}
