#pragma once
#include <pybind11/pybind11.h>

namespace fastnn {

// Adds the type FrozenModel to the module.
void add_frozen_type(pybind11::module_& m);

}  // namespace fastnn
