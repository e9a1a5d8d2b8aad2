// Choice of the next token of a sequence, by the logits of a model. A block takes a row. w holds its logits until the last step:
// -infinity for tokens that are dropped.

__device__ inline u64 order_of(double x) {
  const u64 bits = (u64)__double_as_longlong(x), sign = 1ULL << 63;
  return bits & sign ? ~bits : bits | sign;
}
__device__ inline double of_order(u64 key) {
  const u64 sign = 1ULL << 63;
  return __longlong_as_double((i64)(key & sign ? key ^ sign : ~key));
}
__device__ inline double no_logit() { return -__longlong_as_double(0x7ff0000000000000LL); }

// The smallest of the whole numbers above low for which too_low is false, where it is false for high. All threads of the block
// must come here.
template <typename F>
__device__ inline u64 first_above(u64 low, u64 high, F too_low) {
  while (high - low > 1) {
    const u64 middle = low + (high - low) / 2;
    if (too_low(middle))
      low = middle;
    else
      high = middle;
  }
  return high;
}

struct Tokens {
  double* w;
  i64 V;

  // The sum of f(i, logit) over all tokens.
  template <typename F>
  __device__ auto sum(F f) const {
    decltype(f(0ll, 0.0)) total = 0;
    for (i64 i = threadIdx.x; i < V; i += THREADS) total += f(i, w[i]);
    return block_sum(total);
  }

  // Drops tokens below a logit, and those at it beyond the first `equal` ones.
  __device__ void cut(double limit, i64 equal) const {
    const i64 end = (i64)first_above(
        0, (u64)V + 1, [&](u64 end) { return sum([&](i64 i, double z) { return (i64)(z == limit && i < (i64)end); }) < equal; });
    __syncthreads();
    for (i64 i = threadIdx.x; i < V; i += THREADS)
      if (w[i] < limit || (w[i] == limit && i >= end)) w[i] = no_logit();
    __syncthreads();
  }
};

// The weights of a token by its logit.
struct Weights {
  double best, temperature;
  __device__ double operator()(double z) const { return z == no_logit() ? 0 : z == best ? 1 : exp((z - best) / temperature); }
};

__device__ inline void take_first(Tokens tokens, i64 k, double best) {
  const auto above = [&](double limit) { return tokens.sum([=](i64, double z) { return (i64)(z > limit); }); };
  if (above(no_logit()) <= k) return;
  const double limit =
      of_order(first_above(order_of(no_logit()), order_of(best), [&](u64 key) { return above(of_order(key)) >= k; }));
  tokens.cut(limit, k - above(limit));
}

__device__ inline void take_heaviest(Tokens tokens, double top_p, Weights weight) {
  const auto above = [&](double limit) { return tokens.sum([=](i64, double z) { return z > limit ? weight(z) : 0.0; }); };
  const double part = top_p * above(no_logit()), share = part > 0 ? part : 2.2250738585072014e-308;
  if (above(no_logit()) < share) return;
  const double limit =
      of_order(first_above(order_of(no_logit()), order_of(weight.best), [&](u64 key) { return above(of_order(key)) >= share; }));
  const double before = above(limit), each = weight(limit);
  tokens.cut(limit, each > 0 ? (i64)min(ceil((share - before) / each), (double)tokens.V) : tokens.V);
}

__device__ inline double uniform_at(u64 seed, i64 position) {
  u32 words[4];
  philox(seed, (u64)position, words);
  return ((words[0] >> 5) * 67108864.0 + (words[1] >> 6)) / 9007199254740992.0;
}

// The first token whose weight, with those of all lower ones, exceeds u times the sum. Each thread sums a piece of the row.
__device__ inline i64 draw(const double* w, i64 V, double u) {
  __shared__ double sums[THREADS];
  __shared__ i64 last_of[THREADS];
  const i64 begin = V * threadIdx.x / THREADS, end = V * (threadIdx.x + 1) / THREADS;
  double own = 0;
  i64 last = -1, token = -1;
  for (i64 i = begin; i < end; ++i) {
    own += w[i];
    if (w[i] > 0) last = i;
  }
  __syncthreads();
  sums[threadIdx.x] = own;
  last_of[threadIdx.x] = last;
  __syncthreads();
  if (threadIdx.x) return -1;
  double total = 0, up_to = 0;
#pragma unroll 1
  for (int t = 0; t < THREADS; ++t) total += sums[t];
#pragma unroll 1
  for (int t = 0; t < THREADS; ++t) {
    if (last_of[t] < 0) continue;
    token = last_of[t];
    if (up_to + sums[t] > u * total) {
      for (i64 i = V * t / THREADS; i <= last_of[t]; ++i) {
        up_to += w[i];
        if (up_to > u * total) return i;
      }
      return token;
    }
    up_to += sums[t];
  }
  return token;
}

template <typename T>
__device__ inline i64 sample_row(Tokens tokens, const double* settings, u64 seed, i64 position) {
  double* const w = tokens.w;
  const i64 V = tokens.V;
  double best = no_logit();
  i64 strange = 0;
  for (i64 i = threadIdx.x; i < V; i += THREADS) {
    strange += w[i] != w[i];
    best = w[i] > best ? w[i] : best;
  }
  for (int i = 0; i < 5; ++i) strange += settings[i] != settings[i];
  best = block_reduce(best, Max());
  const bool none = block_sum(strange) > 0 || best == no_logit();
  const double temperature = settings[0];
  if (none || temperature == 0) {
    const i64 first = none ? -1
                           : (i64)block_reduce(
                                 [&] {
                                   double at = (double)V;
                                   for (i64 i = threadIdx.x; i < V; i += THREADS)
                                     if (w[i] == best && i < at) at = (double)i;
                                   return at;
                                 }(),
                                 Min());
    __syncthreads();
    for (i64 i = threadIdx.x; i < V; i += THREADS) w[i] = i == first ? 1 : 0;
    return first;
  }
  const Weights weight = {best, temperature};
  if (settings[1] >= 1 && settings[1] < (double)V) take_first(tokens, (i64)settings[1], best);
  if (settings[2] < 1) take_heaviest(tokens, settings[2], weight);
  const double least = settings[3] < 1 ? settings[3] : 1;
  __syncthreads();
  for (i64 i = threadIdx.x; i < V; i += THREADS) {
    const double x = weight(w[i]);
    w[i] = x >= least ? x : 0;
  }
  __syncthreads();
  return draw(w, V, uniform_at(seed, position));
}

template <typename T>
__device__ void sample_tokens(const sample_tokens_args<T>& a) {
  for (i64 n = blockIdx.x; n < a.N; n += gridDim.x) {
    const Tokens tokens = {a.w + n * a.V, a.V};
    const T* const logits = a.logits + n * a.V;
    for (i64 i = threadIdx.x; i < a.V; i += THREADS) tokens.w[i] = (double)logits[i];
    __syncthreads();
    if (a.previous && a.count) {
      const T penalty = (T)a.settings[4];
      const i64 count = min(a.count[n], a.L);
      for (i64 j = threadIdx.x; j < count; j += THREADS) {
        const i64 i = a.previous[n * a.L + j];
        if ((u64)i < (u64)a.V) tokens.w[i] = (double)(logits[i] > 0 ? logits[i] / penalty : logits[i] * penalty);
      }
      __syncthreads();
    }
    const i64 token = sample_row<T>(tokens, a.settings, a.seed[n], a.position[n]);
    if (threadIdx.x == 0) a.token[n] = token;
    __syncthreads();
  }
}
