// Types of `with` blocks that are undone in spite of Ctrl-C. fastnn/core/block.py describes their use.
#pragma once
#include <pybind11/pybind11.h>

namespace fastnn {

// Adds the types Block and Finally to the module.
void add_block_types(pybind11::module_& m);

}  // namespace fastnn
