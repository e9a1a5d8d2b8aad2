// Attention: a block computes tiles of the scores of SIDE queries and SIDE keys in shared memory, and never stores them elsewhere
// (Dao et al., arXiv 2205.14135). A warp has ROWS rows of a tile, a lane one of its columns. Rotary positions.

constexpr int SIDE = 32, ROWS = SIDE * WARP / THREADS;
constexpr int COLUMNS = 64, EACH = COLUMNS / WARP;  // columns of queries, keys or values at a time, and of a lane
constexpr int ROW = SIDE + 1;                       // of a square in shared memory
static_assert(SIDE == WARP, "a lane has one key of a tile");

enum { OUTPUTS, QUERIES, KEYS, VALUES, BIASES, MASKS };  // the rows of `places`

template <typename T>
__device__ inline T lowest() {
  return -(T)__int_as_float(0x7f800000);
}

struct Span {
  i64 begin, end;
};

// Which keys the queries of a sample may attend to.
struct Sight {
  i64 start, limit, window;
  bool causal;

  template <typename Args>
  __device__ Sight(const Args& a, i64 b) : window(a.window), causal(a.causal) {
    const i64 far = (i64)1 << 48;  // beyond every position; nothing overflows
    const i64 given = a.starts ? a.starts[b] : a.first;
    start = given > far ? far : given < -far ? -far : given;
    const i64 length = a.lengths ? a.lengths[b] : a.keys;
    limit = length < 0 ? 0 : length > a.keys ? a.keys : length;
  }
  __device__ Span of(i64 row) const {
    const i64 at = start + row;
    i64 begin = 0, end = limit;
    if (causal && at + 1 < end) end = at + 1;
    if (window) {
      if (at - window + 1 > begin) begin = at - window + 1;
      if (at + window < end) end = at + window;
    }
    if (end < 0) end = 0;
    return {begin < end ? begin : end, end};
  }
  // From the first key to the last that any of the queries [begin, end) may attend to.
  __device__ Span of(i64 begin, i64 end) const { return {of(begin).begin, of(end - 1).end}; }
};

// Shared memory of a block: two squares of scores, and parts of factors.
template <typename T>
struct Shared {
  T weights[SIDE * ROW], slopes[SIDE * ROW], parts[2 * SIDE * ROW];
};
static_assert(SIDE * COLUMNS <= 2 * SIDE * ROW, "the parts have room for columns");

template <typename T>
__device__ inline Shared<T>& shared() {
  __shared__ Shared<T> memory;
  return memory;
}

// A matrix with rows apart by a step; rows from `rows` on, and columns from `columns` on, are read as 0.
template <typename T>
struct Rows {
  const T* p;
  i64 step, rows, columns;
  __device__ T at(i64 row, i64 column) const { return row < rows && column < columns ? p[row * step + column] : (T)0; }
};
template <typename T>
__device__ inline Rows<T> rows_of(const T* p, const i64* places, int array, i64 b, i64 head, i64 row, i64 rows, i64 columns) {
  const i64* at = places + 5 * array;
  return {p + at[0] + b * at[1] + head * at[2] + row * at[3], at[3], rows, columns};
}

// The products of the rows of this warp with the row of y of this lane, over all columns.
template <typename T>
__device__ void products(T (&sum)[ROWS], Shared<T>& memory, const Rows<T>& x, const Rows<T>& y) {
  const int lane = threadIdx.x % WARP, top = threadIdx.x / WARP * ROWS;
#pragma unroll
  for (int r = 0; r < ROWS; ++r) sum[r] = 0;
  T *left = memory.parts, *right = left + SIDE * ROW;
  for (i64 c0 = 0; c0 < x.columns; c0 += SIDE) {
    __syncthreads();
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      left[(top + r) * ROW + lane] = x.at(top + r, c0 + lane);
      right[(top + r) * ROW + lane] = y.at(top + r, c0 + lane);
    }
    __syncthreads();
    for (int c = 0; c < SIDE; ++c) {
      const T value = right[lane * ROW + c];
#pragma unroll
      for (int r = 0; r < ROWS; ++r) sum[r] += left[(top + r) * ROW + c] * value;
    }
  }
}

// sum[r][e] += sum over i of weight(row r of this warp, i) x[i][c0 + column e of this lane].
template <typename T, typename Weight>
__device__ void add_columns(T (&sum)[ROWS][EACH], Shared<T>& memory, const Rows<T>& x, i64 c0, Weight weight) {
  const int lane = threadIdx.x % WARP, top = threadIdx.x / WARP * ROWS;
  __syncthreads();
  for (int i = threadIdx.x; i < SIDE * COLUMNS; i += THREADS) memory.parts[i] = x.at(i / COLUMNS, c0 + i % COLUMNS);
  __syncthreads();
  const int rows = x.rows < SIDE ? (int)x.rows : SIDE;  // 0 times infinity is not added for the others
  for (int i = 0; i < rows; ++i)
#pragma unroll
    for (int e = 0; e < EACH; ++e) {
      const T value = memory.parts[i * COLUMNS + e * WARP + lane];
#pragma unroll
      for (int r = 0; r < ROWS; ++r) sum[r][e] += weight(top + r, i) * value;
    }
}

// Writes the rows of this warp to an array.
template <typename T>
__device__ void write_columns(T* p, const i64* places, int array, i64 b, i64 head, i64 row, i64 rows, i64 c0, i64 columns,
                              const T (&sum)[ROWS][EACH]) {
  const int lane = threadIdx.x % WARP, top = threadIdx.x / WARP * ROWS;
  const i64* at = places + 5 * array;
  T* to = p + at[0] + b * at[1] + head * at[2] + row * at[3];
#pragma unroll
  for (int r = 0; r < ROWS; ++r)
#pragma unroll
    for (int e = 0; e < EACH; ++e)
      if (top + r < rows && c0 + e * WARP + lane < columns) to[(top + r) * at[3] + c0 + e * WARP + lane] = sum[r][e];
}

// The score of a query and a key, from their product; -infinity where the query may not attend to the key.
template <typename T, typename Args>
__device__ inline T score(const Args& a, const Sight& sight, i64 b, i64 h, i64 i, i64 j, T product) {
  if (i >= a.M) return lowest<T>();
  const Span seen = sight.of(i);
  if (j < seen.begin || j >= seen.end) return lowest<T>();
  T s = product * (T)a.scale;
  if (a.slopes) {
    const i64 apart = sight.start + i - j;
    s -= a.slopes[h] * (T)(apart < 0 ? -apart : apart);
  }
  const i64 *bias = a.places + 5 * BIASES, *mask = a.places + 5 * MASKS;
  if (a.bias) s += a.bias[bias[0] + b * bias[1] + h * bias[2] + i * bias[3] + j * bias[4]];
  return a.mask && !a.mask[mask[0] + b * mask[1] + h * mask[2] + i * mask[3] + j * mask[4]] ? lowest<T>() : s;
}

// What dropout multiplies weights by.
template <typename T>
struct Kept {
  Stream stream;
  u64 threshold;  // as long as all words at a rate of 1
  T factor;
  bool any;

  static __device__ Kept of(const double* rate, const u64* state) {
    if (!rate) return {{0, 0}, 0, (T)1, false};
    const double r = *rate;
    return {{state[0], state[1]}, (u64)(r * 4294967296.0), (T)(r < 1 ? 1 / (1 - r) : 0), true};
  }
  template <typename Args>
  __device__ T at(const Args& a, i64 b, i64 h, i64 i, i64 j) const {
    if (!any) return (T)1;
    const i64 group = ((b * a.H + h) * a.M + i) * ((a.keys + GROUP - 1) / GROUP) + j / GROUP;
    u32 words[4];
    philox(stream.seed, stream.offset + (u64)(group * COUNTERS + j % COUNTERS), words);
    return words[j % GROUP / COUNTERS] >= threshold ? factor : (T)0;
  }
};

template <typename T>
__device__ void attention_forward(const attention_forward_args<T>& a) {
  Shared<T>& memory = shared<T>();
  const auto kept = once_a_block([&] { return Kept<T>::of(a.rate, a.state); });
  const int lane = threadIdx.x % WARP, top = threadIdx.x / WARP * ROWS;
  const i64 tiles = (a.M + SIDE - 1) / SIDE, items = a.B * a.H * tiles;
  const auto larger = [](T x, T y) { return x > y || y != y ? x : y; };
  const auto weight = [&](int row, int i) { return memory.weights[row * ROW + i]; };
  for (i64 item = blockIdx.x; item < items; item += gridDim.x) {
    const i64 i0 = item % tiles * SIDE, h = item / tiles % a.H, b = item / tiles / a.H, g = h / (a.H / a.groups);
    const i64 rows = a.M - i0 < SIDE ? a.M - i0 : SIDE;
    const Sight sight(a, b);
    const Span all = sight.of(i0, i0 + rows);
    const Rows<T> q = rows_of(a.q, a.places, QUERIES, b, h, i0, rows, a.depth);
    for (i64 c0 = 0; c0 == 0 || c0 < a.width; c0 += COLUMNS) {
      T most[ROWS], total[ROWS] = {}, sum[ROWS][EACH] = {};
#pragma unroll
      for (int r = 0; r < ROWS; ++r) most[r] = lowest<T>();
      for (i64 j0 = all.begin / SIDE * SIDE; j0 < all.end; j0 += SIDE) {
        const i64 keys = sight.limit - j0 < SIDE ? sight.limit - j0 : SIDE;
        T s[ROWS];
        products(s, memory, q, rows_of(a.k, a.places, KEYS, b, g, j0, keys, a.depth));
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
          const i64 i = i0 + top + r, j = j0 + lane;
          s[r] = score(a, sight, b, h, i, j, s[r]);
          const T before = most[r];
          most[r] = larger(before, warp_reduce(s[r], larger));
          const T shift = most[r] == lowest<T>() ? (T)0 : most[r], p = exp(s[r] - shift), factor = exp(before - shift);
          total[r] = total[r] * factor + warp_reduce(p, Sum());
#pragma unroll
          for (int e = 0; e < EACH; ++e) sum[r][e] *= factor;
          memory.weights[(top + r) * ROW + lane] = i < a.M ? p * kept.at(a, b, h, i, j) : (T)0;
        }
        add_columns(sum, memory, rows_of(a.v, a.places, VALUES, b, g, j0, keys, a.width), c0, weight);
      }
#pragma unroll
      for (int r = 0; r < ROWS; ++r) {
        const T inverse = total[r] == 0 ? (T)0 : 1 / total[r];
#pragma unroll
        for (int e = 0; e < EACH; ++e) sum[r][e] *= inverse;
        if (!c0 && !lane && top + r < rows)
          a.lse[(b * a.H + h) * a.M + i0 + top + r] = (most[r] == lowest<T>() ? (T)0 : most[r]) + log(total[r]);
      }
      write_columns(a.y, a.places, OUTPUTS, b, h, i0, rows, c0, a.width, sum);
    }
  }
  if (a.rate) move_on(a.state, a.aux, kept.stream, a.B * a.H * a.M * ((a.keys + GROUP - 1) / GROUP) * GROUP);
}

// The weights of a tile with the factors of dropout, and the gradients of its scores, in shared memory.
template <typename T>
__device__ void gradient_tile(const attention_backward_args<T>& a, Shared<T>& memory, const Sight& sight, const Kept<T>& kept,
                              i64 b, i64 h, i64 g, i64 i0, i64 j0) {
  const int lane = threadIdx.x % WARP, top = threadIdx.x / WARP * ROWS;
  const i64 rows = a.M - i0 < SIDE ? a.M - i0 : SIDE, keys = sight.limit - j0 < SIDE ? sight.limit - j0 : SIDE;
  const Rows<T> dy = rows_of(a.dy, a.places, OUTPUTS, b, h, i0, rows, a.width);
  const Rows<T> y = rows_of(a.y, a.places, OUTPUTS, b, h, i0, rows, a.width);
  T s[ROWS], slope[ROWS];
  products(s, memory, rows_of(a.q, a.places, QUERIES, b, h, i0, rows, a.depth),
           rows_of(a.k, a.places, KEYS, b, g, j0, keys, a.depth));
  products(slope, memory, dy, rows_of(a.v, a.places, VALUES, b, g, j0, keys, a.width));
  __syncthreads();  // the squares of the tile before have been read
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    const i64 i = i0 + top + r, j = j0 + lane;
    T inner = 0;
    for (i64 c = lane; c < a.width; c += WARP) inner += dy.at(top + r, c) * y.at(top + r, c);
    inner = warp_reduce(inner, Sum());
    const T log_sum = i < a.M ? a.lse[(b * a.H + h) * a.M + i] : (T)0;
    const T product = score(a, sight, b, h, i, j, s[r]);
    const T p = exp(product - (log_sum == lowest<T>() ? (T)0 : log_sum)), factor = i < a.M ? kept.at(a, b, h, i, j) : (T)0;
    memory.weights[(top + r) * ROW + lane] = p * factor;
    memory.slopes[(top + r) * ROW + lane] = p * (slope[r] * factor - inner) * (T)a.scale;
  }
  __syncthreads();
}

// The gradients of SIDE keys and values that start at j0.
template <typename T>
__device__ void gradient_of_keys(const attention_backward_args<T>& a, Shared<T>& memory, const Kept<T>& kept, i64 b, i64 g,
                                 i64 j0) {
  const i64 heads = a.H / a.groups, keys = a.keys - j0 < SIDE ? a.keys - j0 : SIDE;
  const Sight sight(a, b);
  const auto weight = [&](int row, int i) { return memory.weights[i * ROW + row]; };
  const auto slope = [&](int row, int i) { return memory.slopes[i * ROW + row]; };
  for (i64 c0 = 0; c0 < a.depth || c0 < a.width; c0 += COLUMNS) {
    T dk[ROWS][EACH] = {}, dv[ROWS][EACH] = {};
    for (i64 h = g * heads; h < (g + 1) * heads; ++h)
      for (i64 i0 = 0; i0 < a.M; i0 += SIDE) {
        const i64 rows = a.M - i0 < SIDE ? a.M - i0 : SIDE;
        const Span seen = sight.of(i0, i0 + rows);
        if (seen.end <= j0 || seen.begin >= j0 + SIDE) continue;
        gradient_tile(a, memory, sight, kept, b, h, g, i0, j0);
        add_columns(dv, memory, rows_of(a.dy, a.places, OUTPUTS, b, h, i0, rows, a.width), c0, weight);
        add_columns(dk, memory, rows_of(a.q, a.places, QUERIES, b, h, i0, rows, a.depth), c0, slope);
      }
    write_columns(a.dk, a.places, KEYS, b, g, j0, keys, c0, a.depth, dk);
    write_columns(a.dv, a.places, VALUES, b, g, j0, keys, c0, a.width, dv);
  }
}

// The gradients of SIDE queries that start at i0.
template <typename T>
__device__ void gradient_of_queries(const attention_backward_args<T>& a, Shared<T>& memory, const Kept<T>& kept, i64 b, i64 h,
                                    i64 i0) {
  const i64 g = h / (a.H / a.groups), rows = a.M - i0 < SIDE ? a.M - i0 : SIDE;
  const Sight sight(a, b);
  const Span all = sight.of(i0, i0 + rows);
  const auto slope = [&](int row, int i) { return memory.slopes[row * ROW + i]; };
  for (i64 c0 = 0; c0 < a.depth; c0 += COLUMNS) {
    T dq[ROWS][EACH] = {};
    for (i64 j0 = all.begin / SIDE * SIDE; j0 < all.end; j0 += SIDE) {
      const i64 keys = sight.limit - j0 < SIDE ? sight.limit - j0 : SIDE;
      gradient_tile(a, memory, sight, kept, b, h, g, i0, j0);
      add_columns(dq, memory, rows_of(a.k, a.places, KEYS, b, g, j0, keys, a.depth), c0, slope);
    }
    write_columns(a.dq, a.places, QUERIES, b, h, i0, rows, c0, a.depth, dq);
  }
}

template <typename T>
__device__ void attention_backward(const attention_backward_args<T>& a) {
  Shared<T>& memory = shared<T>();
  const auto kept = once_a_block([&] { return Kept<T>::of(a.rate, a.aux); });
  const i64 of_keys = (a.keys + SIDE - 1) / SIDE, of_queries = (a.M + SIDE - 1) / SIDE;
  const i64 first = a.B * a.groups * of_keys, items = first + a.B * a.H * of_queries;
  for (i64 item = blockIdx.x; item < items; item += gridDim.x) {
    if (item < first) {
      gradient_of_keys(a, memory, kept, item / of_keys / a.groups, item / of_keys % a.groups, item % of_keys * SIDE);
    } else {
      const i64 at = item - first;
      gradient_of_queries(a, memory, kept, at / of_queries / a.H, at / of_queries % a.H, at % of_queries * SIDE);
    }
  }
}

template <typename T>
__device__ void rotary(const rotary_args<T>& a) {
  const T sign = a.inverse ? -1 : 1;
  const i64 C = a.R / 2;
  for (i64 n = first(); n < a.B * a.M * a.H * a.D; n += stride()) {
    const i64 c = n % a.D, h = n / a.D % a.H, row = n / a.D / a.H;
    if (h >= a.heads || c >= 2 * C) {
      a.y[n] = a.x[n];
      continue;
    }
    const i64 at = a.positions[a.S > 1 ? row : row % a.M];
    const bool second = a.halves ? c >= C : c % 2;
    const i64 pair = a.halves ? c % C : c / 2, apart = a.halves ? C : 1;
    a.y[n] = not_a_number<T>();
    if (at < 0 || at >= a.P) continue;
    const T cosine = a.table[at * a.R + pair], sine = sign * a.table[at * a.R + C + pair];
    a.y[n] = second ? a.x[n - apart] * sine + a.x[n] * cosine : a.x[n] * cosine - a.x[n + apart] * sine;
  }
}
