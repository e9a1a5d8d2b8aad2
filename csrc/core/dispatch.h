// The ISAs that are compiled in, and the one that is in use.
#pragma once
#include <string>
#include <utility>
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
  bool (*bf16)();         // whether the CPU and these kernels multiply pairs of bfloat16
  double (*bf16_rate)();  // measures their multiply-adds in the time of one of float32; only if bf16() is true
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

// The engine of bfloat16 products (engine.h) for the current ISA: its name, the multiply-adds of AVX512_BF16 in the time of one
// of float32 if they were measured, otherwise 0, and why the engine cannot be used after a change of the ISA.
struct Bf16 {
  std::string name;
  double rate;
  std::string lacking;
};
Bf16 bf16();
// All engines, best first, each with the reason why the CPU or the current ISA lacks it; empty if it can be used.
std::vector<std::pair<std::string, std::string>> bf16_engines();
// Requests an engine; an empty name returns to the automatic choice. Throws std::invalid_argument if the name is unknown or the
// engine cannot be used.
void use_bf16(const std::string& name);

}  // namespace fastnn
