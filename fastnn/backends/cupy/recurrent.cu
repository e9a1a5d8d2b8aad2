// Recurrent layers: a block for each sequence, which computes its steps one after the other. Its threads share the units.

template <typename Args>
struct Sequence {
  const Args& s;
  i64 n, steps, length;
  __device__ Sequence(const Args& s, i64 n) : s(s), n(n), steps(s.R / s.N), length(steps) {
    if (s.lengths) length = s.lengths[n] < 0 ? 0 : s.lengths[n] < steps ? s.lengths[n] : steps;
  }
  __device__ i64 row(i64 step) const {
    const i64 t = s.reverse && step < length ? length - 1 - step : step;
    return s.batch_first ? n * steps + t : t * s.N + n;
  }
};

// f(i) for the numbers below n that belong to this thread, and a barrier.
template <typename F>
__device__ inline void each(i64 n, F f) {
  for (i64 i = threadIdx.x; i < n; i += THREADS) f(i);
  __syncthreads();
}

// f(i, sum) in one thread for each i < n, where the sum is that of value(i, k) for k < count, and a barrier.
template <typename T, typename V, typename F>
__device__ inline void each_sum(i64 n, i64 count, V value, F f) {
  for (i64 i = threadIdx.x / WARP; i < n; i += THREADS / WARP) {
    T sum = 0;
    for (i64 k = threadIdx.x % WARP; k < count; k += WARP) sum += value(i, k);
    sum = warp_reduce(sum, Sum());
    if (threadIdx.x % WARP == 0) f(i, sum);
  }
  __syncthreads();
}

template <typename T>
__device__ inline void set(T* to, i64 i, T value) {
  if (to) to[i] = value;
}

// The state of a sequence before the product.
template <typename T>
struct Masked {
  const T *h, *mask;
  __device__ T operator[](i64 k) const { return mask ? h[k] * mask[k] : h[k]; }
};

// The sums over k of the state times w, where w has the weights of a unit, for each gate.
template <int G, typename T>
__device__ inline void gate_sums(T (&sums)[G], const Masked<T>& state, i64 count, const T* w, i64 ld, i64 gate) {
  for (i64 k = 0; k < count; ++k) {
    const T value = state[k];
#pragma unroll
    for (int g = 0; g < G; ++g) sums[g] += value * w[k * ld + g * gate];
  }
}

template <typename T>
__device__ void rnn_forward(const rnn_forward_args<T>& s) {
  const i64 H = s.H;
  for (i64 n = blockIdx.x; n < s.N; n += gridDim.x) {
    const Sequence<rnn_forward_args<T>> sequence(s, n);
    T* h = s.h + n * H;
    const Masked<T> before = {h, s.mask ? s.mask + n * H : nullptr};
    each(H, [&](i64 j) { h[j] = s.h0 ? s.h0[n * H + j] : T(0); });
    for (i64 step = 0; step < sequence.steps; ++step) {
      const i64 row = sequence.row(step) * H;
      const bool active = step < sequence.length;
      each(H, [&](i64 j) {
        T sum[1] = {0};
        if (active) gate_sums(sum, before, H, s.u + j, H, 0);
        set(s.before, row + j, active ? before[j] : T(0));
        s.y[row + j] = active ? function_forward(s.x[row + j] + sum[0], T(s.act.p0), T(s.act.p1)) : T(0);
      });
      if (active) each(H, [&](i64 j) { h[j] = s.y[row + j]; });
    }
  }
}

template <typename T>
__device__ void rnn_backward(const rnn_backward_args<T>& s) {
  const i64 H = s.H;
  for (i64 n = blockIdx.x; n < s.N; n += gridDim.x) {
    const Sequence<rnn_backward_args<T>> sequence(s, n);
    T* dh = s.dh0 + n * H;
    each(H, [&](i64 j) { dh[j] = s.dh ? s.dh[n * H + j] : T(0); });
    for (i64 step = sequence.steps - 1; step >= 0; --step) {
      const i64 row = sequence.row(step) * H;
      const bool active = step < sequence.length;
      each(H, [&](i64 j) {
        const T d = s.dy ? dh[j] + s.dy[row + j] : dh[j], y = s.y[row + j];
        s.dx[row + j] = active ? function_backward(d, y, y, T(s.act.p0), T(s.act.p1)) : T(0);
      });
      if (active)
        each_sum<T>(
            H, H, [&](i64 j, i64 k) { return s.dx[row + k] * s.u[j * H + k]; },
            [&](i64 j, T sum) { dh[j] = s.mask ? sum * s.mask[n * H + j] : sum; });
    }
  }
}

template <typename T>
__device__ void lstm_forward(const lstm_forward_args<T>& s) {
  const i64 H = s.H, P = s.P;
  for (i64 n = blockIdx.x; n < s.N; n += gridDim.x) {
    const Sequence<lstm_forward_args<T>> sequence(s, n);
    T *h = s.h + n * P, *c = s.c + n * H;
    const Masked<T> before = {h, s.mask ? s.mask + n * P : nullptr};
    each(P, [&](i64 j) { h[j] = s.h0 ? s.h0[n * P + j] : T(0); });
    each(H, [&](i64 j) { c[j] = s.c0 ? s.c0[n * H + j] : T(0); });
    for (i64 step = 0; step < sequence.steps; ++step) {
      const i64 row = sequence.row(step);
      const bool active = step < sequence.length;
      T *y = s.y + row * P, *inside = s.projection ? s.hidden + row * H : y;
      each(P, [&](i64 j) { set(s.before, row * P + j, active ? before[j] : T(0)); });
      each(H, [&](i64 j) {
        T a[4] = {0, 0, 0, 0};
        if (active) {
          gate_sums(a, before, P, s.u + j, 4 * H, H);
#pragma unroll
          for (int g = 0; g < 4; ++g) {
            const T z = s.x[(row * 4 + g) * H + j] + a[g];
            a[g] = g == 2 ? tanh(z) : sigmoid(z);
          }
          c[j] = a[1] * c[j] + a[0] * a[2];
        }
        inside[j] = active ? a[3] * tanh(c[j]) : T(0);
#pragma unroll
        for (int g = 0; g < 4; ++g) set(s.gates, (row * 4 + g) * H + j, a[g]);
        set(s.cells, row * H + j, active ? c[j] : T(0));
      });
      if (s.projection)
        each(P, [&](i64 j) {
          T sum = 0;
          for (i64 k = 0; active && k < H; ++k) sum += inside[k] * s.projection[k * P + j];
          y[j] = sum;
        });
      if (active) each(P, [&](i64 j) { h[j] = y[j]; });
    }
  }
}

template <typename T>
__device__ void lstm_backward(const lstm_backward_args<T>& s) {
  const i64 H = s.H, P = s.P;
  for (i64 n = blockIdx.x; n < s.N; n += gridDim.x) {
    const Sequence<lstm_backward_args<T>> sequence(s, n);
    T *dh = s.dh0 + n * P, *dc = s.dc0 + n * H;
    each(P, [&](i64 j) { dh[j] = s.dh ? s.dh[n * P + j] : T(0); });
    each(H, [&](i64 j) { dc[j] = s.dc ? s.dc[n * H + j] : T(0); });
    for (i64 step = sequence.steps - 1; step >= 0; --step) {
      const i64 row = sequence.row(step);
      T *dx = s.dx + row * 4 * H, *dz = s.projection ? s.dz + row * P : nullptr;
      if (step >= sequence.length) {
        each(4 * H, [&](i64 j) { dx[j] = 0; });
        if (dz) each(P, [&](i64 j) { dz[j] = 0; });
        continue;
      }
      const T* old = step ? s.cells + sequence.row(step - 1) * H : s.c0 ? s.c0 + n * H : nullptr;
      if (s.projection) {
        each(P, [&](i64 j) { dz[j] = s.dy ? dh[j] + s.dy[row * P + j] : dh[j]; });
        each_sum<T>(
            H, P, [&](i64 j, i64 k) { return dz[k] * s.projection[j * P + k]; }, [&](i64 j, T sum) { dx[3 * H + j] = sum; });
      }
      each(H, [&](i64 j) {
        const T *gates = s.gates + row * 4 * H + j, in = gates[0], forget = gates[H], input = gates[2 * H], out = gates[3 * H];
        const T t = tanh(s.cells[row * H + j]);
        const T d = s.projection ? dx[3 * H + j] : s.dy ? dh[j] + s.dy[row * H + j] : dh[j];
        const T slope = dc[j] + d * out * (1 - t * t);
        dx[j] = slope * input * in * (1 - in);
        dx[H + j] = slope * (old ? old[j] : T(0)) * forget * (1 - forget);
        dx[2 * H + j] = slope * in * (1 - input * input);
        dx[3 * H + j] = d * t * out * (1 - out);
        dc[j] = slope * forget;
      });
      each_sum<T>(
          P, 4 * H, [&](i64 j, i64 k) { return dx[k] * s.u[j * 4 * H + k]; },
          [&](i64 j, T sum) { dh[j] = s.mask ? sum * s.mask[n * P + j] : sum; });
    }
  }
}

template <typename T>
__device__ void gru_forward(const gru_forward_args<T>& s) {
  const i64 H = s.H, at_z = s.order, at_r = 1 - s.order;
  for (i64 n = blockIdx.x; n < s.N; n += gridDim.x) {
    const Sequence<gru_forward_args<T>> sequence(s, n);
    T* h = s.h + n * H;
    const Masked<T> before = {h, s.mask ? s.mask + n * H : nullptr};
    each(H, [&](i64 j) { h[j] = s.h0 ? s.h0[n * H + j] : T(0); });
    for (i64 step = 0; step < sequence.steps; ++step) {
      const i64 row = sequence.row(step);
      const bool active = step < sequence.length;
      const T* x = s.x + row * 3 * H;
      T *y = s.y + row * H, *gates = s.gates ? s.gates + row * 3 * H : nullptr;
      const auto finish = [&](i64 j, T z, T sum) {
        const T candidate = tanh(sum);
        set(gates, 2 * H + j, candidate);
        y[j] = z * h[j] + (1 - z) * candidate;
      };
      each(H, [&](i64 j) {
        set(s.before, row * H + j, active ? before[j] : T(0));
        if (!active) {
          for (int g = 0; g < 3; ++g) set(gates, g * H + j, T(0));
          set(s.inner, row * H + j, T(0));
          y[j] = 0;
          return;
        }
        T a[3] = {0, 0, 0};
        if (s.reset_after)
          gate_sums(a, before, H, s.u + j, 3 * H, H);
        else
          gate_sums((T(&)[2])a, before, H, s.u + j, 3 * H, H);
        for (int g = 0; s.bu && g < 3; ++g) a[g] += s.bu[g * H + j];
        for (int g = 0; g < 2; ++g) {
          a[g] = sigmoid(x[g * H + j] + a[g]);
          set(gates, g * H + j, a[g]);
        }
        const T r = at_r ? a[1] : a[0], part = s.reset_after ? a[2] : r * before[j];
        set(s.inner, row * H + j, part);
        if (s.reset_after) finish(j, at_z ? a[1] : a[0], x[2 * H + j] + r * part);
      });
      if (!active) continue;
      if (!s.reset_after)
        each(H, [&](i64 j) {
          T sum[1] = {0};
          gate_sums(sum, Masked<T>{s.inner + row * H, nullptr}, H, s.u + 2 * H + j, 3 * H, 0);
          finish(j, gates[at_z * H + j], x[2 * H + j] + sum[0]);
        });
      each(H, [&](i64 j) { h[j] = y[j]; });
    }
  }
}

template <typename T>
__device__ void gru_backward(const gru_backward_args<T>& s) {
  const i64 H = s.H, at_z = s.order, at_r = 1 - s.order;
  for (i64 n = blockIdx.x; n < s.N; n += gridDim.x) {
    const Sequence<gru_backward_args<T>> sequence(s, n);
    T* dh = s.dh0 + n * H;
    const T* mask = s.mask ? s.mask + n * H : nullptr;
    each(H, [&](i64 j) { dh[j] = s.dh ? s.dh[n * H + j] : T(0); });
    for (i64 step = sequence.steps - 1; step >= 0; --step) {
      const i64 row = sequence.row(step);
      T *dx = s.dx + row * 3 * H, *dv = s.reset_after ? s.dv + row * 3 * H : dx;
      if (step >= sequence.length) {
        each(3 * H, [&](i64 j) { dx[j] = dv[j] = 0; });
        continue;
      }
      const T *gates = s.gates + row * 3 * H, *old = step ? s.y + sequence.row(step - 1) * H : s.h0 ? s.h0 + n * H : nullptr;
      const auto of_reset = [&](i64 j, T d) {
        const T r = gates[at_r * H + j];
        dx[at_r * H + j] = dv[at_r * H + j] = d * r * (1 - r);
      };
      each(H, [&](i64 j) {
        const T z = gates[at_z * H + j], candidate = gates[2 * H + j];
        const T d = s.dy ? dh[j] + s.dy[row * H + j] : dh[j], d_n = d * (1 - z) * (1 - candidate * candidate);
        dx[at_z * H + j] = dv[at_z * H + j] = d * ((old ? old[j] : T(0)) - candidate) * z * (1 - z);
        dx[2 * H + j] = d_n;
        dh[j] = d * z;
        if (!s.reset_after) return;
        of_reset(j, d_n * s.inner[row * H + j]);
        dv[2 * H + j] = d_n * gates[at_r * H + j];
      });
      if (!s.reset_after)
        each_sum<T>(
            H, H, [&](i64 j, i64 k) { return dx[2 * H + k] * s.u[(j * 3 + 2) * H + k]; },
            [&](i64 j, T sum) {
              const T scale = mask ? mask[j] : T(1);
              of_reset(j, sum * (old ? old[j] : T(0)) * scale);
              dh[j] += sum * gates[at_r * H + j] * scale;
            });
      each_sum<T>(
          H, (s.reset_after ? 3 : 2) * H, [&](i64 j, i64 k) { return dv[k] * s.u[j * 3 * H + k]; },
          [&](i64 j, T sum) { dh[j] += mask ? sum * mask[j] : sum; });
    }
  }
}
