// The type of `with` blocks in which a context variable has another value.
#pragma once
#include <pybind11/pybind11.h>

namespace fastnn {

// Adds the type Block to the module.
void add_block_type(pybind11::module_& m);

}  // namespace fastnn
