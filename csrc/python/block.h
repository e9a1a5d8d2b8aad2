// The types of `with` blocks that Ctrl-C cannot leave on: fastnn/core/block.py says what they are for.
#pragma once
#include <pybind11/pybind11.h>

namespace fastnn {

// Adds the types Block and Finally to the module.
void add_block_types(pybind11::module_& m);

}  // namespace fastnn
