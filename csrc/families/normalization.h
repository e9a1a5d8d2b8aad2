// Normalization. fastnn/backends/reference/normalization.py defines it.
//
// With D = 1, as in batch norm, channels are computed in vectors. Rows are cut into pieces, each of which is read twice while the
// caches have it: for its mean, then for the squares around it. With D > 1, as in layer norm, each (A, C) is a piece of work.
#pragma once
#include "families/dense.h"
#include "math/sums.h"

namespace {

template <class T>
struct NormForward {
  static constexpr const char* fields =
      "y mean rstd running_mean running_var x gamma beta epsilon momentum unbiased center relu A B C D";
  T *y, *mean, *rstd, *running_mean, *running_var;
  const T *x, *gamma, *beta;
  double epsilon, momentum;
  i64 unbiased, center, relu;
  i64 A, B, C, D;
};

template <class T>
struct NormBackward {
  static constexpr const char* fields = "dx dgamma dbeta dy x mean rstd gamma y center relu add A B C D";
  T *dx, *dgamma, *dbeta;
  const T *dy, *x, *mean, *rstd, *gamma, *y;
  i64 center, relu, add;
  i64 A, B, C, D;

  // Returns the gradient before the ReLU, if there was one.
  template <class Lanes>
  __attribute__((always_inline)) Vec<T> slope(i64 i, Lanes lanes) const {
    const Vec<T> d = lanes.load(dy + i);
    return relu ? (lanes.load(y + i) <= (T)0 ? Vec<T>{} : d) : d;
  }
};

// The rows of (A, B, C): pieces of those of each A, about as large as a first-level cache.
FASTNN_INLINE Cut norm_pieces(i64 B, i64 C) { return Cut::by(B, max_i64(8, 4096 / max_i64(1, C))); }
// The samples of (A, B, C, D) whose gradients of gamma are added by one worker at a time.
FASTNN_INLINE Cut norm_samples(i64 A) { return Cut::into(A, max_i64(1, min_i64(32, A))); }

// Writes what follows from the mean and the mean square around it.
template <class T>
FASTNN_INLINE void norm_done(const NormForward<T>& a, i64 at, i64 c, double mean, double variance) {
  a.mean[at] = (T)mean;
  a.rstd[at] = (T)(1 / __builtin_sqrt(variance + a.epsilon));
  const double n = (double)(a.B * a.D), keep = 1 - a.momentum;
  if (a.running_mean) a.running_mean[c] = (T)(keep * (double)a.running_mean[c] + a.momentum * mean);
  if (a.running_var) {
    const double sample = a.unbiased && n > 1 ? variance * (n / (n - 1)) : variance;
    a.running_var[c] = (T)(keep * (double)a.running_var[c] + a.momentum * sample);
  }
}

// y = x scale + shift for a row of (C).
template <class T>
void norm_forward_columns(const NormForward<T>& a, const Worker& me) {
  const i64 C = a.C;
  const Cut cut = norm_pieces(a.B, C);
  T* partial = (T*)me.scratch;  // the mean and the squares of each piece
  const Range mine = share(a.A * cut.pieces, 1, me);
  for (i64 item = mine.begin; item < mine.end; item++) {
    const i64 group = item / cut.pieces, piece = item % cut.pieces, begin = cut.begin(piece), rows = cut.begin(piece + 1) - begin;
    const T* x = a.x + (group * a.B + begin) * C;
    T *mean = partial + item * 2 * C, *squares = mean + C;
    column_sums(mean, x, rows, C, C, false);
    for_vectors<T>({0, C}, [&](i64 c, auto lanes) {
      const Vec<T> m = a.center ? lanes.load(mean + c) / (T)rows : Vec<T>{};
      Vec<T> s[2] = {};
      i64 i = 0;
      for (; i + 2 <= rows; i += 2)
#pragma GCC unroll 2
        for (int u = 0; u < 2; u++) {
          const Vec<T> d = lanes.load(x + (i + u) * C + c) - m;
          s[u] += d * d;
        }
      if (i < rows) {
        const Vec<T> d = lanes.load(x + i * C + c) - m;
        s[0] += d * d;
      }
      lanes.store(mean + c, m);
      lanes.store(squares + c, s[0] + s[1]);
    });
  }
  sync(me);
  const Range columns = share(a.A * C, 16, me);
  for (i64 at = columns.begin; at < columns.end; at++) {
    const i64 group = at / C, c = at % C;
    const T* first = partial + group * cut.pieces * 2 * C + c;
    double mean = 0, squares = 0;
    for (i64 p = 0; p < cut.pieces; p++) mean += (double)first[p * 2 * C] * (double)(cut.begin(p + 1) - cut.begin(p));
    mean /= (double)a.B;
    for (i64 p = 0; p < cut.pieces; p++) {
      const double off = (double)first[p * 2 * C] - mean;
      squares += (double)first[p * 2 * C + C] + off * off * (double)(cut.begin(p + 1) - cut.begin(p));
    }
    norm_done(a, at, c, mean, squares / (double)a.B);
  }
  sync(me);
  const Range rows = share(a.A * a.B, rows_grain(C), me);
  for (i64 row = rows.begin; row < rows.end; row++) {
    const i64 at = row / a.B * C;
    for_vectors<T>({0, C}, [&](i64 c, auto lanes) {
      Vec<T> y = (lanes.load(a.x + row * C + c) - lanes.load(a.mean + at + c)) * lanes.load(a.rstd + at + c);
      if (a.gamma) y *= lanes.load(a.gamma + c);
      if (a.beta) y += lanes.load(a.beta + c);
      lanes.store(a.y + row * C + c, a.relu ? vmax<T>(y, Vec<T>{}) : y);
    });
  }
}

template <class T>
void norm_forward(const void* args, const Worker& me) {
  const NormForward<T> a = *(const NormForward<T>*)args;
  if (a.D == 1) return norm_forward_columns(a, me);
  const i64 D = a.D, step = a.C * D;
  const Range mine = share(a.A * a.C, max_i64(1, kGrain / max_i64(1, a.B * D)), me);
  for (i64 at = mine.begin; at < mine.end; at++) {
    const i64 c = at % a.C, begin = at / a.C * a.B * step + c * D;
    double mean = 0, squares = 0;
    for (i64 b = 0; a.center && b < a.B; b++)
      mean += (double)hsum<T>(sum_vectors<T>(D, [&](i64 i, auto lanes) { return lanes.load(a.x + begin + b * step + i); }));
    mean /= (double)(a.B * D);
    const T m = (T)mean;
    for (i64 b = 0; b < a.B; b++)
      squares += (double)hsum<T>(sum_vectors<T>(D, [&](i64 i, auto lanes) {
        const Vec<T> d = lanes.load(a.x + begin + b * step + i) - m;
        return d * d;
      }));
    norm_done(a, at, c, mean, squares / (double)(a.B * D));
    const T rstd = a.rstd[at];
    for (i64 b = 0; b < a.B; b++)
      for_vectors<T>({0, D}, [&](i64 i, auto lanes) {
        Vec<T> y = (lanes.load(a.x + begin + b * step + i) - m) * rstd;
        if (a.gamma) y *= lanes.load(a.gamma + c * D + i);
        if (a.beta) y += lanes.load(a.beta + c * D + i);
        lanes.store(a.y + begin + b * step + i, a.relu ? vmax<T>(y, Vec<T>{}) : y);
      });
  }
}

FASTNN_INLINE i64 norm_forward_scratch(const void* args, int itemsize, int) {
  const auto& a = *(const NormForward<float>*)args;
  return a.D == 1 ? a.A * norm_pieces(a.B, a.C).pieces * 2 * a.C * itemsize : 0;
}
FASTNN_INLINE double norm_forward_work(const void* args, int itemsize) {
  const auto& a = *(const NormForward<float>*)args;
  return elements_work(a.A * a.B * a.C * a.D, itemsize, 0.3, 0.6);
}

// ---- gradients ----

template <class T>
void norm_backward_columns(const NormBackward<T>& a, const Worker& me) {
  const i64 C = a.C;
  const Cut cut = norm_pieces(a.B, C);
  T* partial = (T*)me.scratch;  // the sums of dy, and of dy times the normalized x, of each piece; then those of each A
  T* whole = partial + a.A * cut.pieces * 2 * C;
  const Range mine = share(a.A * cut.pieces, 1, me);
  for (i64 item = mine.begin; item < mine.end; item++) {
    const i64 group = item / cut.pieces, piece = item % cut.pieces, begin = cut.begin(piece), rows = cut.begin(piece + 1) - begin;
    const i64 from = (group * a.B + begin) * C;
    for_vectors<T>({0, C}, [&](i64 c, auto lanes) {
      const Vec<T> mean = lanes.load(a.mean + group * C + c), rstd = lanes.load(a.rstd + group * C + c);
      Vec<T> sums = {}, products = {};
      for (i64 i = 0; i < rows; i++) {
        const Vec<T> dy = a.slope(from + i * C + c, lanes);
        sums += dy;
        products += dy * ((lanes.load(a.x + from + i * C + c) - mean) * rstd);
      }
      lanes.store(partial + item * 2 * C + c, sums);
      lanes.store(partial + item * 2 * C + C + c, products);
    });
  }
  sync(me);
  const Range columns = share(2 * C, 64, me);
  for (i64 group = 0; group < a.A; group++)
    column_sums(whole + group * 2 * C + columns.begin, partial + group * cut.pieces * 2 * C + columns.begin, cut.pieces,
                columns.end - columns.begin, 2 * C, false);
  sync(me);
  for_vectors<T>(share(C, 64, me), [&](i64 c, auto lanes) {
    Vec<T> sums = {}, products = {};
    for (i64 group = 0; group < a.A; group++) {
      sums += lanes.load(whole + group * 2 * C + c);
      products += lanes.load(whole + group * 2 * C + C + c);
    }
    if (a.dbeta) lanes.store(a.dbeta + c, adds(a.add, 2) ? lanes.load(a.dbeta + c) + sums : sums);
    if (a.dgamma) lanes.store(a.dgamma + c, adds(a.add, 1) ? lanes.load(a.dgamma + c) + products : products);
  });
  if (!a.dx) return;
  const Range rows = share(a.A * a.B, rows_grain(C), me);
  for (i64 row = rows.begin; row < rows.end; row++) {
    const i64 group = row / a.B;
    const T *sums = whole + group * 2 * C, *products = sums + C;
    for_vectors<T>({0, C}, [&](i64 c, auto lanes) {
      const Vec<T> rstd = lanes.load(a.rstd + group * C + c);
      const Vec<T> normal = (lanes.load(a.x + row * C + c) - lanes.load(a.mean + group * C + c)) * rstd;
      const Vec<T> gamma = a.gamma ? lanes.load(a.gamma + c) : splat<T>(1);
      Vec<T> d = gamma * a.slope(row * C + c, lanes) - normal * (gamma * lanes.load(products + c) / (T)a.B);
      if (a.center) d -= gamma * lanes.load(sums + c) / (T)a.B;
      lanes.store(a.dx + row * C + c, rstd * d);
    });
  }
}

template <class T>
void norm_backward(const void* args, const Worker& me) {
  const NormBackward<T> a = *(const NormBackward<T>*)args;
  if (a.D == 1) return norm_backward_columns(a, me);
  const i64 D = a.D, step = a.C * D;
  const Cut cut = norm_samples(a.A);
  const bool sums = a.dgamma || a.dbeta;
  T* partial = (T*)me.scratch;
  const Range mine = share(cut.pieces, 1, me);
  for (i64 piece = mine.begin; piece < mine.end; piece++) {
    T *dgamma = partial + piece * 2 * step, *dbeta = dgamma + step;
    if (sums) for_vectors<T>({0, 2 * step}, [&](i64 i, auto lanes) { lanes.store(dgamma + i, Vec<T>{}); });
    for (i64 at = cut.begin(piece) * a.C; at < cut.begin(piece + 1) * a.C; at++) {
      const i64 c = at % a.C, begin = at / a.C * a.B * step + c * D;
      const T mean = a.mean[at], rstd = a.rstd[at];
      double total = 0, products = 0;
      for (i64 b = 0; b < a.B; b++) {
        const i64 at = begin + b * step;
        const T* x = a.x + at;
        if (a.dx) {
          const auto slope = [&](i64 i, auto lanes) {
            return a.gamma ? a.slope(at + i, lanes) * lanes.load(a.gamma + c * D + i) : a.slope(at + i, lanes);
          };
          if (a.center) total += (double)hsum<T>(sum_vectors<T>(D, slope));
          products += (double)hsum<T>(
              sum_vectors<T>(D, [&](i64 i, auto lanes) { return slope(i, lanes) * ((lanes.load(x + i) - mean) * rstd); }));
        }
        if (sums)
          for_vectors<T>({0, D}, [&](i64 i, auto lanes) {
            const Vec<T> d = a.slope(at + i, lanes);
            lanes.store(dbeta + c * D + i, lanes.load(dbeta + c * D + i) + d);
            lanes.store(dgamma + c * D + i, lanes.load(dgamma + c * D + i) + d * ((lanes.load(x + i) - mean) * rstd));
          });
      }
      if (!a.dx) continue;
      const T shift = (T)(total / (double)(a.B * D)), part = (T)(products / (double)(a.B * D));
      for (i64 b = 0; b < a.B; b++)
        for_vectors<T>({0, D}, [&](i64 i, auto lanes) {
          const i64 o = begin + b * step + i;
          const Vec<T> normal = (lanes.load(a.x + o) - mean) * rstd;
          Vec<T> d = a.slope(o, lanes);
          if (a.gamma) d *= lanes.load(a.gamma + c * D + i);
          lanes.store(a.dx + o, rstd * (d - shift - normal * part));
        });
    }
  }
  if (!sums) return;
  sync(me);
  const Range columns = share(step, 64, me);
  const i64 n = columns.end - columns.begin;
  if (a.dgamma) column_sums(a.dgamma + columns.begin, partial + columns.begin, cut.pieces, n, 2 * step, adds(a.add, 1));
  if (a.dbeta) column_sums(a.dbeta + columns.begin, partial + step + columns.begin, cut.pieces, n, 2 * step, adds(a.add, 2));
}

FASTNN_INLINE i64 norm_backward_scratch(const void* args, int itemsize, int) {
  const auto& a = *(const NormBackward<float>*)args;
  if (a.D == 1) return a.A * (norm_pieces(a.B, a.C).pieces + 1) * 2 * a.C * itemsize;
  return a.dgamma || a.dbeta ? norm_samples(a.A).pieces * 2 * a.C * a.D * itemsize : 0;
}
FASTNN_INLINE double norm_backward_work(const void* args, int itemsize) {
  const auto& a = *(const NormBackward<float>*)args;
  return elements_work(a.A * a.B * a.C * a.D, itemsize, 0.5, 1.0);
}

// ---- with a given mean and variance ----

template <class T>
struct NormFold {
  static constexpr const char* fields = "scale shift mean var gamma beta bias epsilon C";
  T *scale, *shift;
  const T *mean, *var, *gamma, *beta, *bias;
  double epsilon;
  i64 C;
};

template <class T>
void norm_fold(const void* args, const Worker& me) {
  const NormFold<T> a = *(const NormFold<T>*)args;
  const Range mine = share(a.C, 512, me);
  for (i64 c = mine.begin; c < mine.end; c++) {
    const double scale = (a.gamma ? (double)a.gamma[c] : 1) / __builtin_sqrt((double)a.var[c] + a.epsilon);
    a.scale[c] = (T)scale;
    a.shift[c] = (T)(((a.bias ? (double)a.bias[c] : 0) - (double)a.mean[c]) * scale + (a.beta ? (double)a.beta[c] : 0));
  }
}

FASTNN_INLINE double norm_fold_work(const void* args, int itemsize) {
  return elements_work(((const NormFold<float>*)args)->C, itemsize, 3, 3);
}

template <class T>
struct NormApply {
  static constexpr const char* fields = "y x scale shift act A C";
  T* y;
  const T *x, *scale, *shift;
  Activation act;
  i64 A, C;
};

template <class T>
void norm_apply(const void* args, const Worker& me) {
  const NormApply<T> a = *(const NormApply<T>*)args;
  const bool relu = a.act.id == kRelu, more = !relu && a.act.id != kLinear;
  const Range rows = share(a.A, rows_grain(a.C), me);
  const i64 some = max_i64(1, 2048 / max_i64(1, a.C));  // rows that remain in the first-level cache
  for (i64 first = rows.begin; first < rows.end; first += some) {
    const i64 end = min_i64(first + some, rows.end);
    for (i64 row = first; row < end; row++)
      for_vectors<T>({0, a.C}, [&](i64 c, auto lanes) {
        Vec<T> y = lanes.load(a.x + row * a.C + c) * lanes.load(a.scale + c);
        if (a.shift) y += lanes.load(a.shift + c);
        lanes.store(a.y + row * a.C + c, relu ? vmax<T>(y, Vec<T>{}) : y);
      });
    T* y = a.y + first * a.C;
    if (more) activation_fns<T>(a.act.id).forward(y, y, (end - first) * a.C, a.act);
  }
}

FASTNN_INLINE double norm_apply_work(const void* args, int itemsize) {
  const auto& a = *(const NormApply<float>*)args;
  return elements_work(a.A * a.C, itemsize, 0.1, 0.2) + activation_work(a.A * a.C, itemsize, a.act);
}

}  // namespace
