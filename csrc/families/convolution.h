// Convolutions. fastnn/backends/reference/convolution.py defines them.
//
// A convolution is a product: rows of patches, gathered by the workers that multiply them, with the filters. Its gradients are
// such products, too. Filters of one channel each are in depthwise.h, and a faster way for filters of 3x3 in winograd.h.
#pragma once
#include "families/winograd.h"

namespace {

template <class T>
struct ConvForward {
  static constexpr const char* fields = "y aux x w b geometry act precision N E P Q O D H W C R U V I";
  T *y, *aux;
  const T *x, *w, *b;
  const i64* geometry;
  Activation act;
  i64 precision;
  i64 N, E, P, Q, O, D, H, W, C, R, U, V, I;
  const T* packed;
};

template <class T>
struct ConvBackward {
  static constexpr const char* fields = "dx dw db dz dy x w y aux geometry act add precision N D H W C R U V I O E P Q";
  T *dx, *dw, *db, *dz;
  const T *dy, *x, *w, *y, *aux;
  const i64* geometry;
  Activation act;
  i64 add, precision;
  i64 N, D, H, W, C, R, U, V, I, O, E, P, Q;
};

// The sizes of a convolution.
struct Conv {
  i64 N, image[3], C, filter[3], I, O, places[3], precision;
  const i64 *stride, *dilation, *before;

  template <class Args>
  __attribute__((always_inline)) explicit Conv(const Args& a)
      : N(a.N),
        image{a.D, a.H, a.W},
        C(a.C),
        filter{a.R, a.U, a.V},
        I(a.I),
        O(a.O),
        places{a.E, a.P, a.Q},
        precision(a.precision),
        stride(a.geometry),
        dilation(a.geometry + 3),
        before(a.geometry + 6) {}

  i64 groups() const { return I ? C / I : 0; }
  i64 outputs() const { return O / max_i64(1, groups()); }  // of a group
  i64 taps() const { return filter[0] * filter[1] * filter[2]; }
  i64 pixels() const { return N * image[0] * image[1] * image[2]; }
  i64 rows() const { return N * places[0] * places[1] * places[2]; }
  // Returns whether each output meets just its own pixel, so that the image is the factor.
  bool plain() const {
    bool plain = taps() == 1;
    for (int i = 0; i < 3; i++) plain = plain && stride[i] == 1 && before[i] == 0 && places[i] == image[i];
    return plain;
  }
  // Returns whether depthwise.h computes it, without rounding.
  bool depthwise() const { return I == 1 && C > 1 && O == C && precision != kBfloat16; }
};

// The places of the filters on the image.
template <class T>
Patches<T> patches_of_image(const Conv& s, const T* image, i64 group) {
  Patches<T> p = {image + group * s.I, s.I, s.C, 0, {}, {}, {}, {}, {}, {}, {1, 1, 1}};
  for (int i = 0; i < 3; i++) {
    p.size[i] = s.image[i];
    p.places[i] = s.places[i];
    p.filter[i] = s.filter[i];
    p.stride[i] = s.stride[i];
    p.dilation[i] = s.dilation[i];
    p.before[i] = s.before[i];
  }
  return p;
}

template <class T>
Product<T> conv_product(const ConvForward<T>& a, const Conv& s) {
  Product<T> p = {};
  p.m = s.rows();
  p.n = s.outputs();
  p.ldc = s.O;
  p.k = s.taps() * s.I;
  p.a = {a.x, s.C, true};
  p.b = {a.w, s.O, false};
  p.alpha = 1;
  return p;
}

// Filters packed for a convolution that winograd.h can compute begin with the way for which they were packed.
constexpr i64 kPackedWay = 64;

template <class T>
bool by_winograd(const ConvForward<T>& a, const Patches<T>& patches, i64 outputs) {
  if (!winograd_fits(patches, a.precision)) return false;
  return a.packed ? *(const i64*)a.packed : winograd_wins(patches, outputs, a.precision);
}

template <class T>
void conv_forward(const void* args, const Worker& me) {
  const auto& a = *(const ConvForward<T>*)args;
  const Conv s(a);
  T* z = a.aux ? a.aux : a.y;
  const bool relu = a.act.id == kRelu && !a.aux;
  const auto fn = a.aux || (a.act.id != kLinear && a.act.id != kRelu) ? activation_fns<T>(a.act.id).forward : nullptr;
  if (s.depthwise()) {
    const i64 C = s.C, line = s.places[2] * C, plane = s.places[1] * line;
    const Depthwise<T> d = {
        patches_of_image(s, a.x, 0), a.w, {s.filter[1] * s.filter[2] * C, s.filter[2] * C, C}, a.b, z, {plane, line, C},
        s.places[0] * plane};
    const bool linear = a.act.id == kLinear && !a.aux;
    depthwise(d, s.N, me, [&](i64 at) {
      if (!linear) activation_fns<T>(a.act.id).forward(a.y + at * line, z + at * line, line, a.act);
    });
    return;
  }
  const Patches<T> whole = patches_of_image(s, a.x, 0);
  const T* packed = a.packed && winograd_fits(whole, a.precision) ? (const T*)((const char*)a.packed + kPackedWay) : a.packed;
  if (by_winograd(a, whole, s.O)) return winograd<T>({whole, s.N, s.O, a.w, false, z, a.b, relu, fn, a.y, a.act, packed}, me);
  Product<T> p = conv_product(a, s);
  p.act = a.act;
  p.relu = relu;
  p.fn = fn;
  p.packed = packed;
  for (i64 group = 0; group < s.groups(); group++) {
    if (group) sync(me);  // the products use the same scratch
    const Patches<T> patches = patches_of_image(s, a.x, group);
    p.patches = s.plain() ? nullptr : &patches;
    p.a.p = a.x + group * s.I;
    p.b.p = a.w + group * p.n;
    p.bias = a.b ? a.b + group * p.n : nullptr;
    p.c = z + group * p.n;
    p.y = a.y + group * p.n;
    product(p, a.precision, me);
  }
}

FASTNN_INLINE i64 conv_forward_pack(const void* args, int itemsize, int, void* to) {
  auto pack = [&](auto zero) -> i64 {
    typedef decltype(zero) T;
    const auto& a = *(const ConvForward<T>*)args;
    const Conv s(a);
    if (s.groups() != 1 || s.depthwise()) return 0;
    const Patches<T> patches = patches_of_image(s, a.x, 0);
    const bool fits = winograd_fits(patches, a.precision), wins = winograd_wins(patches, s.O, a.precision);
    T* const packed = to && fits ? (T*)((char*)to + kPackedWay) : (T*)to;
    if (to && fits) *(i64*)to = wins;
    if (wins) return kPackedWay + pack_winograd<T>({patches, s.N, s.O, a.w, false}, packed);
    Product<T> p = conv_product(a, s);
    p.patches = s.plain() ? nullptr : &patches;
    const i64 bytes = product_fns<T>().pack(p, a.precision, packed);
    return bytes && fits ? kPackedWay + bytes : bytes;
  };
  return itemsize == 4 ? pack(0.f) : pack(0.0);
}

FASTNN_INLINE i64 conv_forward_scratch(const void* args, int itemsize, int nth) {
  const auto& a = *(const ConvForward<float>*)args;
  const Conv s(a);
  if (s.depthwise()) return 0;
  const Patches<float> patches = patches_of_image(s, a.x, 0);
  if (itemsize == 4 && by_winograd(a, patches, s.O)) return winograd_scratch(patches, s.N, s.O, a.packed, nth);
  return product_scratch(s.rows(), s.outputs(), s.taps() * s.I, true, false, a.precision, itemsize, nth, !s.plain());
}

FASTNN_INLINE double conv_forward_work(const void* args, int itemsize) {
  const auto& a = *(const ConvForward<float>*)args;
  const Conv s(a);
  return (double)s.groups() * product_work(s.rows(), s.outputs(), s.taps() * s.I, itemsize) +
         activation_work(s.rows() * s.O, itemsize, a.act);
}

}  // namespace
