// Dropout, noise and random numbers from a counter-based stream; reference/random.py lays the stream out.

constexpr int RUN = 4;        // counters that a thread takes, and elements that lie together

// The stream, and what how() makes of the numbers that say how it is used.
template <typename How>
struct Drawing {
  Stream stream;
  How how;
};

// Both are read by one thread of the block without a wait between them: they may lie in the host's memory, far away.
template <typename F>
__device__ inline auto drawing(const u64* state, F how) {
  return once_a_block([&] { return Drawing<decltype(how())>{{state[0], state[1]}, how()}; });
}

// y = f(x, word) for the RUN elements from i on, with the words of one place in as many counters.
template <bool PACKED, typename T, typename F>
__device__ inline void take_run(T* y, const T (&x)[RUN], const u32 (&words)[RUN][4], int place, F& f) {
  constexpr int S = PACKED ? Pack<T>::SIZE : RUN;
#pragma unroll
  for (int begin = 0; begin < RUN; begin += S) {
    T out[S];
#pragma unroll
    for (int s = 0; s < S; ++s) out[s] = f(x[begin + s], words[begin + s][place]);
    store_group<PACKED>(y + begin, out);
  }
}

template <bool PACKED, typename T>
__device__ inline void load_run(T (&x)[RUN], const T* from) {
  constexpr int S = PACKED ? Pack<T>::SIZE : RUN;
#pragma unroll
  for (int begin = 0; begin < RUN; begin += S) {
    T part[S];
    load_group<PACKED>(part, from + begin);
#pragma unroll
    for (int s = 0; s < S; ++s) x[begin + s] = part[s];
  }
}

// A thread takes RUN counters, and with them as many elements at each of four places of the group, a quarter of it apart.
template <bool PACKED, typename T, typename F>
__device__ inline void for_runs(T* y, const T* x, i64 n, Stream stream, F& f) {
  constexpr int QUARTER = GROUP / 4, RUNS = COUNTERS / RUN;
  const i64 runs = (n + GROUP - 1) / GROUP * RUNS;
  for (i64 r = first(); r < runs; r += stride()) {
    const i64 begin = r / RUNS * GROUP + r % RUNS * RUN;
    T in[4][RUN];
    const bool whole = begin + 3 * QUARTER + RUN <= n;
    if (whole) {
#pragma unroll
      for (int place = 0; place < 4; ++place) load_run<PACKED>(in[place], x + begin + place * QUARTER);
    }
    u32 words[RUN][4];
#pragma unroll
    for (int k = 0; k < RUN; ++k) philox(stream.seed, stream.offset + (u64)(r * RUN + k), words[k]);
#pragma unroll
    for (int place = 0; place < 4; ++place) {
      const i64 i = begin + place * QUARTER;
      if (whole) {
        take_run<PACKED>(y + i, in[place], words, place, f);
      } else {
#pragma unroll
        for (int k = 0; k < RUN; ++k)
          if (i + k < n) y[i + k] = f(x[i + k], words[k][place]);
      }
    }
  }
}

// y[i] = f(x[i], word of element i).
template <typename T, typename F>
__device__ inline void for_words(T* y, const T* x, i64 n, Stream stream, F f) {
  if (aligned16(y) && aligned16(x))
    for_runs<true>(y, x, n, stream, f);
  else
    for_runs<false>(y, x, n, stream, f);
}

// y = scale x + shift where an element is kept, else dropped.
template <typename T>
struct Drop {
  u64 threshold;  // as long as all words at a rate of 1
  T scale, shift, dropped;

  static __device__ u64 least(double rate) { return (u64)(rate * 4294967296.0); }
  static __device__ Drop plain(double rate) { return {least(rate), (T)(rate < 1 ? 1 / (1 - rate) : 0), 0, 0}; }
  // Mean 0 and variance 1 stay.
  static __device__ Drop alpha(double rate) {
    constexpr double FLOOR = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946;
    const double scale = rate < 1 ? 1 / sqrt((1 - rate) * (1 + rate * FLOOR * FLOOR)) : 0, shift = -scale * FLOOR * rate;
    return {least(rate), (T)scale, (T)shift, (T)(scale * FLOOR + shift)};
  }
  __device__ T operator()(T x, u32 word) const { return word >= threshold ? x * scale + shift : dropped; }
};

template <typename T>
__device__ void dropout_forward(const dropout_forward_args<T>& a) {
  const auto d = drawing(a.state, [&] { return Drop<T>::plain(*a.rate); });
  for_words(a.y, a.x, a.n, d.stream, d.how);
  move_on(a.state, a.aux, d.stream, a.n);
}

template <typename T>
__device__ void dropout_backward(const dropout_backward_args<T>& a) {
  const auto d = drawing(a.aux, [&] { return Drop<T>::plain(*a.rate); });
  for_words(a.dx, a.dy, a.n, d.stream, d.how);
}

template <typename T>
__device__ void alpha_dropout_forward(const alpha_dropout_forward_args<T>& a) {
  const auto d = drawing(a.state, [&] { return Drop<T>::alpha(*a.rate); });
  for_words(a.y, a.x, a.n, d.stream, d.how);
  move_on(a.state, a.aux, d.stream, a.n);
}

template <typename T>
__device__ void alpha_dropout_backward(const alpha_dropout_backward_args<T>& a) {
  const auto d = drawing(a.aux, [&] {
    Drop<T> drop = Drop<T>::alpha(*a.rate);
    drop.shift = drop.dropped = 0;
    return drop;
  });
  for_words(a.dx, a.dy, a.n, d.stream, d.how);
}

// The quotient of two polynomials, highest power first.
__device__ inline double ratio(const double (&top)[8], const double (&bottom)[8], double x) {
  double above = top[0], below = bottom[0];
#pragma unroll
  for (int i = 1; i < 8; ++i) {
    above = above * x + top[i];
    below = below * x + bottom[i];
  }
  return above / below;
}

// The normal quantile of (word + 1/2) / 2^32, by algorithm AS 241 as in the reference. Inlined sixteen times it takes seconds
// to compile.
__device__ __noinline__ double normal(u32 word) {
  constexpr double CENTRE[2][8] = {{2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
                                    13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608},
                                   {5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
                                    5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0}};
  constexpr double TAIL[2][8] = {
      {7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258, 3.64784832476320460504,
       5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734},
      {1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
       0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0}};
  const double p = (word + 0.5) / 4294967296.0, q = p - 0.5;
  if (fabs(q) <= 0.425) return q * ratio(CENTRE[0], CENTRE[1], 0.180625 - q * q);
  return copysign(ratio(TAIL[0], TAIL[1], sqrt(-log(q < 0 ? p : 1 - p)) - 1.6), q);
}

// y = x (1 + sqrt(rate / (1 - rate)) z), with the stream at state, which it returns.
template <typename T>
__device__ inline Stream multiply_noise(T* y, const T* x, i64 n, const u64* state, const double* rate) {
  const auto d = drawing(state, [&] { return (T)sqrt(*rate / (1 - *rate)); });
  for_words(y, x, n, d.stream, [=](T x, u32 word) { return x * (d.how * (T)normal(word) + (T)1); });
  return d.stream;
}

template <typename T>
__device__ void gaussian_dropout_forward(const gaussian_dropout_forward_args<T>& a) {
  const Stream stream = multiply_noise(a.y, a.x, a.n, a.state, a.rate);
  move_on(a.state, a.aux, stream, a.n);
}

template <typename T>
__device__ void gaussian_dropout_backward(const gaussian_dropout_backward_args<T>& a) {
  multiply_noise(a.dx, a.dy, a.n, a.aux, a.rate);
}

template <typename T>
__device__ void gaussian_noise_forward(const gaussian_noise_forward_args<T>& a) {
  const auto d = drawing(a.state, [&] { return (T)*a.stddev; });
  for_words(a.y, a.x, a.n, d.stream, [=](T x, u32 word) { return x + d.how * (T)normal(word); });
  move_on(a.state, a.aux, d.stream, a.n);
}

// y[i] = f(word of element i); a thread takes a counter.
template <typename T, typename F>
__device__ inline void for_each_word(T* y, i64 n, Stream stream, F f) {
  const i64 counters = (n + GROUP - 1) / GROUP * COUNTERS;
  for (i64 r = first(); r < counters; r += stride()) {
    u32 words[4];
    philox(stream.seed, stream.offset + (u64)r, words);
#pragma unroll
    for (int place = 0; place < 4; ++place) {
      const i64 i = r / COUNTERS * GROUP + place * COUNTERS + r % COUNTERS;
      if (i < n) y[i] = f(words[place]);
    }
  }
}

// y[i] = f(first, second) with the two words of element i, which lie side by side; a thread takes two counters.
template <typename T, typename F>
__device__ inline void for_word_pairs(T* y, i64 n, Stream stream, F f) {
  const i64 pairs = (2 * n + GROUP - 1) / GROUP * (COUNTERS / 2);
  for (i64 r = first(); r < pairs; r += stride()) {
    u32 words[2][4];
    philox(stream.seed, stream.offset + (u64)(2 * r), words[0]);
    philox(stream.seed, stream.offset + (u64)(2 * r + 1), words[1]);
#pragma unroll
    for (int place = 0; place < 4; ++place) {
      const i64 i = (r / (COUNTERS / 2) * GROUP + place * COUNTERS) / 2 + r % (COUNTERS / 2);
      if (i < n) y[i] = f(words[0][place], words[1][place]);
    }
  }
}

__device__ inline Stream stream_at(const u64* state) {
  return once_a_block([&] { return Stream{state[0], state[1]}; });
}

__device__ inline void fill_uniform(float* y, i64 n, Stream stream) {
  for_each_word(y, n, stream, [](u32 word) { return (float)(word >> 8) / 16777216.0f; });
}
__device__ inline void fill_uniform(double* y, i64 n, Stream stream) {
  for_word_pairs(y, n, stream,
                 [](u32 first, u32 second) { return ((first >> 5) * 67108864.0 + (second >> 6)) / 9007199254740992.0; });
}

template <typename T>
__device__ void random_uniform(const random_uniform_args<T>& a) {
  const Stream stream = stream_at(a.state);
  fill_uniform(a.y, a.n, stream);
  move_on(a.state, a.aux, stream, (i64)(sizeof(T) / 4) * a.n);
}

template <typename T>
__device__ void random_normal(const random_normal_args<T>& a) {
  const Stream stream = stream_at(a.state);
  for_each_word(a.y, a.n, stream, [](u32 word) { return (T)normal(word); });
  move_on(a.state, a.aux, stream, a.n);
}

// The upper 64 bits of the product of high 2^32 + low with a number of 64 bits.
__device__ inline u64 upper_product(u64 high, u64 low, u64 factor) {
  const u64 f_high = factor >> 32, f_low = (u32)factor;
  const u64 across = high * f_low + (low * f_low >> 32), other = low * f_high + (u32)across;
  return high * f_high + (across >> 32) + (other >> 32);
}

__device__ void random_integers(const random_integers_args& a) {
  const Stream stream = stream_at(a.state);
  const u64 low = (u64)a.low, span = (u64)a.last - low + 1;  // 0: all numbers of 64 bits
  for_word_pairs(a.y, a.n, stream, [=](u32 high, u32 rest) {
    return (i64)(low + (span ? upper_product(high, rest, span) : (u64)high << 32 | rest));
  });
  move_on(a.state, a.aux, stream, 2 * a.n);
}
