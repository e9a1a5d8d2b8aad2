// The ISAs that are compiled in, and the one that is in use.
#pragma once
#include <string>
#include <vector>

#include "core/kernels.h"

namespace fastnn {

struct Isa {
  const char* name;
  const char* needs;  // description of the CPU that is required
  bool (*supported)();
  std::vector<const KernelTable*> tables;
  const FunctionList *activations, *losses;
  double (*peak_gflops)(int dtype);
  double (*read_gbytes)(const void* data, i64 bytes);
  bool (*bf16)();  // whether the CPU multiplies bfloat16
};

// Best first.
const std::vector<Isa>& isas();
const Isa& current_isa();
// Throws std::invalid_argument for a name that is unknown or that this CPU lacks.
void use_isa(const std::string& name);
// Grows by one whenever the ISA changes.
int isa_version();
// Returns the kernel of this name for the current ISA, or null.
const Kernel* find_kernel(const char* name);

}  // namespace fastnn
