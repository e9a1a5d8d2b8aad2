// The dense layers of many nets of equal sizes. fastnn/backends/reference/dense.py defines them.
#pragma once
#include "families/dense.h"

namespace {

// Layers of G nets. An x of S = 1 belongs to all of them. For float64, the addresses are those of doubles.
struct DenseNetsForward {
  static constexpr const char* fields = "y aux x w b act precision G M N L S K";
  float* y;
  float* aux;
  const float* x;
  const float* w;
  const float* b;
  Activation act;
  i64 precision;
  i64 G, M, N, L, S, K;
};

struct DenseNetsBackward {
  static constexpr const char* fields = "dx dw db dz dy x w y aux act add precision G M K N S L";
  float* dx;
  float* dw;
  float* db;
  float* dz;
  const float* dy;
  const float* x;
  const float* w;
  const float* y;
  const float* aux;
  Activation act;
  i64 add, precision;
  i64 G, M, K, N, S, L;
};

// Returns where the part of a net begins. `size` is its number of floats.
template <class T>
FASTNN_INLINE T* of_net(T* p, i64 net, i64 size) {
  return p ? p + net * size : p;
}

// Returns the arguments of the layer of one net. `scale` is the number of floats in an element.
FASTNN_INLINE DenseForwardArgs<float> of_net(const DenseNetsForward& d, i64 net, i64 scale) {
  const i64 in = d.M * d.K * scale, out = d.M * d.N * scale;
  return {d.y + net * out,
          of_net(d.aux, net, out),
          d.x + (d.S > 1 ? net * in : 0),
          d.w + net * d.K * d.N * scale,
          of_net(d.b, net, d.N * scale),
          d.act,
          d.precision,
          d.M,
          d.N,
          d.M * d.N,
          d.K,
          nullptr};
}

FASTNN_INLINE DenseBackwardArgs<float> of_net(const DenseNetsBackward& d, i64 net, i64 scale) {
  const i64 in = d.M * d.K * scale, out = d.M * d.N * scale, weights = d.K * d.N * scale;
  return {of_net(d.dx, net, in),
          of_net(d.dw, net, weights),
          of_net(d.db, net, d.N * scale),
          of_net(d.dz, net, out),
          d.dy + net * out,
          d.x + (d.S > 1 ? net * in : 0),
          d.w + net * weights,
          d.y + net * out,
          of_net(d.aux, net, out),
          d.act,
          d.add,
          d.precision,
          d.M,
          d.K,
          d.N,
          d.M * d.N};
}

// The kernel of one net. It is called by its address: inlined code for many nets would be larger, and no faster.
template <class T>
constexpr fastnn::Kernel kForwardOfNet = {"", "", {dense_forward<T>}, dense_forward_scratch, dense_forward_work};
template <class T>
constexpr fastnn::Kernel kBackwardOfNet = {"", "", {dense_backward<T>}, dense_backward_scratch, dense_backward_work};

__attribute__((noinline)) double work_of_net(const void* net, const fastnn::Kernel& kernel, int itemsize) {
  return kernel.work(net, itemsize);
}

// All workers share a net of more nanoseconds. Smaller nets are distributed among the workers.
constexpr double kSharedNet = 20000;

__attribute__((noinline)) i64 scratch_of_net(const void* net, const fastnn::Kernel& kernel, int itemsize, int nth) {
  return round_up(kernel.scratch(net, itemsize, nth), 64);
}

template <class Args>
__attribute__((noinline)) void run_nets(const Args& d, const fastnn::Kernel& kernel, int itemsize, const Worker& me) {
  const auto first = of_net(d, 0, 1);
  const bool together = work_of_net(&first, kernel, itemsize) > kSharedNet;
  const Worker alone = {0, 1, nullptr, me.scratch + (together ? 0 : me.ith * scratch_of_net(&first, kernel, itemsize, 1))};
  const Range mine = together ? Range{0, d.G} : share(d.G, 1, me);
  for (i64 net = mine.begin; net < mine.end; net++) {
    const auto one = of_net(d, net, itemsize / 4);
    kernel.run[0](&one, together ? me : alone);
    if (together) sync(me);  // the nets use the same scratch
  }
}

template <class T>
void dense_nets_forward(const void* args, const Worker& me) {
  run_nets(*(const DenseNetsForward*)args, kForwardOfNet<T>, sizeof(T), me);
}
template <class T>
void dense_nets_backward(const void* args, const Worker& me) {
  run_nets(*(const DenseNetsBackward*)args, kBackwardOfNet<T>, sizeof(T), me);
}

template <class Args, const fastnn::Kernel& kernel>
i64 dense_nets_scratch(const void* args, int itemsize, int nth) {
  const auto first = of_net(*(const Args*)args, 0, 1);
  if (work_of_net(&first, kernel, itemsize) > kSharedNet) return scratch_of_net(&first, kernel, itemsize, nth);
  return nth * scratch_of_net(&first, kernel, itemsize, 1);
}

template <class Args, const fastnn::Kernel& kernel>
double dense_nets_work(const void* args, int itemsize) {
  const auto& d = *(const Args*)args;
  const auto first = of_net(d, 0, 1);
  return (double)d.G * work_of_net(&first, kernel, itemsize);
}

}  // namespace
