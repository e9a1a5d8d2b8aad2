// The calls and arrays that a frozen model takes from a recording.
#pragma once
#include <pybind11/numpy.h>

#include <string>
#include <vector>

#include "core/frozen.h"
#include "python/binding.h"
#include "python/frozen_ports.h"

namespace fastnn {

inline Frozen::Extent extent(pybind11::handle array) {
  const NumpyArray* a = pybind11::detail::array_proxy(array.ptr());
  return {(u64)a->data, (u64)a->data + pybind11::cast<u64>(array.attr("nbytes"))};
}

// Returns the memory of the arguments of a call that its kernel can pack.
inline std::vector<Frozen::Extent> weights_of(const Call& call, const pybind11::tuple& args) {
  std::vector<Frozen::Extent> found((size_t)call.weights);
  int array = 0;
  for (pybind11::handle item : args) {
    if (!pybind11::isinstance<pybind11::array>(item)) continue;
    const int slot = call.array_slots[array++];
    for (int w = 0; w < call.weights; w++)
      if (slot == call.weight_slots[w]) found[(size_t)w] = extent(item);
  }
  return found;
}

// Recorded calls, the arrays that they use besides the weights, and for each call which weights its kernel may pack.
struct RecordedCalls {
  std::vector<Call> calls;
  std::vector<std::vector<bool>> packable;
  pybind11::list arrays;

  RecordedCalls(const pybind11::sequence& recorded, const std::vector<Frozen::Extent>& weights, bool pack) {
    std::vector<Frozen::Extent> written;
    std::vector<std::vector<Frozen::Extent>> packed;  // the weights of each call
    for (pybind11::handle item : recorded) {
      auto pair = pybind11::reinterpret_borrow<pybind11::tuple>(item);
      auto args = pybind11::reinterpret_borrow<pybind11::tuple>(pair[1]);
      PyObject* const* items = ((PyTupleObject*)args.ptr())->ob_item;
      Binding& binding = find_binding(pybind11::cast<std::string>(pair[0]));
      Call call;
      binding.parse(items, (Py_ssize_t)args.size(), call);
      calls.push_back(call);
      packed.push_back(weights_of(call, args));
      for (const Access& a : binding.accesses(items))
        if (a.writes) written.push_back({(u64)a.begin, (u64)a.end});
      for (pybind11::handle arg : args)
        if (pybind11::isinstance<pybind11::array>(arg)) {
          const Frozen::Extent own = extent(arg);
          bool of_weights = false;
          for (const Frozen::Extent& w : weights) of_weights |= own.begin >= w.begin && own.end <= w.end && own.begin < own.end;
          if (!of_weights) arrays.append(arg);
        }
    }
    for (const auto& of_call : packed) {
      packable.emplace_back();
      for (const Frozen::Extent& w : of_call) {
        bool constant = pack;
        for (const Frozen::Extent& by : written) constant &= !(w.begin < by.end && by.begin < w.end);
        packable.back().push_back(constant);
      }
    }
  }
};

}  // namespace fastnn
