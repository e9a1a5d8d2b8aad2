// Choice of the next token of a sequence, by the logits of a model. reference/generation.py defines the steps.
#pragma once
#include "families/random.h"
#include "math/vmath64.h"

namespace {

template <class T>
struct SampleTokens {
  static constexpr const char* fields = "token w logits settings seed position previous count N V L";
  i64* token;
  double* w;
  const T* logits;
  const double* settings;  // temperature, top_k, top_p, min_p, repetition_penalty
  const u64* seed;
  const i64 *position, *previous, *count;  // the last two are null if absent
  i64 N, V, L;
};

// For each worker: a row of logits, and the numbers, logits and weights of the tokens that remain.
FASTNN_INLINE i64 sample_tokens_scratch(const void* args, int, int nth) {
  return nth * 4 * round_up(((const SampleTokens<float>*)args)->V, 8) * 8;
}
FASTNN_INLINE double sample_tokens_work(const void* args, int itemsize) {
  const SampleTokens<float> a = *(const SampleTokens<float>*)args;
  return elements_work(a.N * a.V, itemsize, 3, 4);
}

// Whole numbers in the order of floats.
template <class T>
FASTNN_INLINE typename Simd<T>::Int order_of(T x) {
  typedef typename Simd<T>::Int I;
  const I bits = bit_cast<I>(x);
  return bits < 0 ? (I)(bits ^ ~((I)1 << (8 * (int)sizeof(I) - 1))) : bits;
}
template <class T>
FASTNN_INLINE T of_order(typename Simd<T>::Int key) {
  typedef typename Simd<T>::Int I;
  return bit_cast<T>(key < 0 ? (I)(key ^ ~((I)1 << (8 * (int)sizeof(I) - 1))) : key);
}

// Returns the smallest number above -infinity, at most `high`, for which too_low is false. too_low(high) must be false, and
// too_low must not become true again for larger numbers.
template <class T, class F>
FASTNN_INLINE T first_above(T high, F too_low) {
  auto low = order_of<T>(-(T)__builtin_inf()), top = order_of<T>(high);
  while (low + 1 < top) {
    const auto middle = (low >> 1) + (top >> 1) + (low & top & 1);
    if (too_low(of_order<T>(middle)))
      low = middle;
    else
      top = middle;
  }
  return of_order<T>(top);
}

template <class T>
i64 count_above(const T* z, i64 n, T limit) {
  typedef IVec<T> I;
  I above = {};
  i64 i = 0, count = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) above -= (I)(load(z + i) > splat(limit));
  for (; i < n; i++) count += z[i] > limit;
  for (int lane = 0; lane < kLanes<T>; lane++) count += above[lane];
  return count;
}

FASTNN_INLINE double sum_above(const double* z, const double* weight, i64 n, double limit) {
  typedef IVec<double> I;
  Vec<double> sum = {};
  i64 i = 0;
  for (; i + kLanes<double> <= n; i += kLanes<double>)
    sum += (Vec<double>)((I)(load(z + i) > splat(limit)) & (I)load(weight + i));
  double total = hsum<double>(sum);
  for (; i < n; i++) total += z[i] > limit ? weight[i] : 0;
  return total;
}

// The largest number; NaN if there is one.
template <class T>
T largest(const T* z, i64 n) {
  T top = -(T)__builtin_inf();
  Vec<T> most = splat(top), strange = {};
  for_vectors<T>({0, n}, [&](i64 i, auto lanes) {
    const Vec<T> x = lanes.load(z + i, splat(-(T)__builtin_inf()));
    most = vmax<T>(x, most);
    strange += x != x ? splat((T)1) : Vec<T>{};
  });
  for (int lane = 0; lane < kLanes<T>; lane++) {
    if (strange[lane] != 0) return (T)__builtin_nan("");
    top = most[lane] > top ? most[lane] : top;
  }
  return top;
}

// The tokens of a row that may still be chosen, from low to high.
struct Candidates {
  i64 count;
  i64* id;
  double *z, *weight;
};

// Takes the first k in the order: the greatest, of equal ones the lowest.
template <class T>
void take_first(Candidates& c, const T* z, i64 n, i64 k, T best) {
  T limit = -(T)__builtin_inf();
  i64 equal = 0;  // number of those at the limit that remain
  if (k < n && count_above(z, n, limit) > k) {
    limit = first_above<T>(best, [&](T x) { return count_above(z, n, x) >= k; });
    equal = k - count_above(z, n, limit);
  }
  c.count = 0;
  for (i64 i = 0; i < n; i++) {
    const bool at = (z[i] == limit) & (equal > 0);
    equal -= at;
    c.id[c.count] = i;
    c.count += (z[i] > limit) | at;
  }
}

// Keeps those for which stays(j) is true.
template <class F>
FASTNN_INLINE void keep(Candidates& c, F stays) {
  i64 kept = 0;
  for (i64 j = 0; j < c.count; j++) {
    const bool here = stays(j);
    c.id[kept] = c.id[j];
    c.z[kept] = c.z[j];
    c.weight[kept] = c.weight[j];
    kept += here;
  }
  c.count = kept;
}

// Keeps a token if those before it in the order have less than this share of all weight. Those with too little weight go first:
// all together they have less than the rest, so the others are no more than they would be in a sorted list.
template <class T>
void take_heaviest(Candidates& c, double top_p, T best) {
  double total = 0;
  for (i64 j = 0; j < c.count; j++) total += c.weight[j];
  const double share = (top_p * total > 0 ? top_p * total : 0x1p-1022), floor = (1 - top_p) * total / (double)c.count;
  keep(c, [&](i64 j) { return (c.weight[j] >= floor) | (c.z[j] == (double)best); });
  const auto heavy_enough = [&](T x) { return sum_above(c.z, c.weight, c.count, (double)x) >= share; };
  if (!heavy_enough(-(T)__builtin_inf())) return;
  const double limit = (double)first_above<T>(best, heavy_enough);
  double before = sum_above(c.z, c.weight, c.count, limit);
  keep(c, [&](i64 j) {
    const bool at = (c.z[j] == limit) & (before < share);
    const bool stays = (c.z[j] > limit) | at;
    before += at ? c.weight[j] : 0;
    return stays;
  });
}

FASTNN_INLINE double uniform_at(u64 seed, i64 position) {
  u32 words[kDropoutGroup];
  Philox(seed).group((u64)position, words);
  return ((double)(words[0] >> 5) * 0x1p26 + (double)(words[kDropoutCounters] >> 6)) * 0x1p-53;
}

// Fills w, which is 0, and returns the token.
template <class T>
i64 sample_row(double* w, const T* z, i64 V, const double* settings, u64 seed, i64 position, Candidates c) {
  const double temperature = settings[0], top_k = settings[1], top_p = settings[2], min_p = settings[3] < 1 ? settings[3] : 1;
  for (int i = 0; i < 5; i++)
    if (settings[i] != settings[i]) return -1;
  const T best = largest(z, V);
  if (!(best > -(T)__builtin_inf())) return -1;
  if (temperature == 0) {
    i64 i = 0;
    while (z[i] != best) i++;
    w[i] = 1;
    return i;
  }
  take_first(c, z, V, top_k >= 1 && top_k < (double)V ? (i64)top_k : V, best);
  for (i64 j = 0; j < c.count; j++) {
    const T x = z[c.id[j]];
    c.z[j] = (double)x;
    c.weight[j] = x == best ? 0 : ((double)x - (double)best) / temperature;
  }
  for_vectors<double>({0, c.count}, [&](i64 j, auto lanes) { lanes.store(c.weight + j, vexp(lanes.load(c.weight + j))); });
  if (top_p < 1) take_heaviest(c, top_p, best);
  double total = 0, up_to = 0;
  for (i64 j = 0; j < c.count; j++) {
    const double x = c.weight[j] >= min_p ? c.weight[j] : 0;
    w[c.id[j]] = c.weight[j] = x;
    total += x;
  }
  const double limit = uniform_at(seed, position) * total;
  i64 token = -1;
  for (i64 j = 0; j < c.count && !(up_to > limit); j++) {
    up_to += c.weight[j];
    token = c.weight[j] > 0 ? c.id[j] : token;
  }
  return token;
}

template <class T>
void sample_tokens(const void* args, const Worker& me) {
  const SampleTokens<T> a = *(const SampleTokens<T>*)args;
  const i64 room = round_up(a.V, 8);
  double* const own = (double*)me.scratch + me.ith * 4 * room;
  T* const copy = (T*)own;
  const Range mine = share(a.N, 1, me);
  for (i64 n = mine.begin; n < mine.end; n++) {
    const T* z = a.logits + n * a.V;
    if (a.previous && a.count) {
      memcpy(copy, z, (size_t)a.V * sizeof(T));
      const T penalty = (T)a.settings[4];
      for (i64 j = 0; j < min_i64(a.count[n], a.L); j++) {
        const i64 i = a.previous[n * a.L + j];
        if ((u64)i < (u64)a.V) copy[i] = z[i] > 0 ? z[i] / penalty : z[i] * penalty;
      }
      z = copy;
    }
    memset(a.w + n * a.V, 0, (size_t)a.V * sizeof(double));
    const Candidates c = {0, (i64*)own + room, own + 2 * room, own + 3 * room};
    a.token[n] = sample_row(a.w + n * a.V, z, a.V, a.settings, a.seed[n], a.position[n], c);
  }
}

}  // namespace
