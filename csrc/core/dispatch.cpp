#include "core/dispatch.h"

#include "families.h"

#include <string.h>

#include <atomic>
#include <stdexcept>

// Declares what the objects of each ISA export. CMake writes FASTNN_FAMILIES(F, isa), which is F(family, isa) for each family.
#define FASTNN_DECLARE_TABLE(family, isa) extern "C" const fastnn::KernelTable fastnn_##family##_##isa;
#define FASTNN_TABLE_OF(family, isa) &fastnn_##family##_##isa,
#define FASTNN_DECLARE(isa)                                            \
  FASTNN_FAMILIES(FASTNN_DECLARE_TABLE, isa)                           \
  extern "C" const fastnn::FunctionList fastnn_activations_##isa;      \
  extern "C" const fastnn::FunctionList fastnn_pointwise_losses_##isa; \
  extern "C" double fastnn_peak_gflops_##isa(int dtype);               \
  extern "C" double fastnn_read_gbytes_##isa(const void*, i64);        \
  extern "C" bool fastnn_bf16_##isa();                                 \
  extern "C" double fastnn_bf16_rate_##isa();
#define FASTNN_ENTRY(isa, needs, supported)                                                                                     \
  Isa {                                                                                                                         \
    #isa, needs, supported, {FASTNN_FAMILIES(FASTNN_TABLE_OF, isa)}, &fastnn_activations_##isa, &fastnn_pointwise_losses_##isa, \
        fastnn_peak_gflops_##isa, fastnn_read_gbytes_##isa, fastnn_bf16_##isa, fastnn_bf16_rate_##isa                           \
  }

// CMakeLists.txt defines FASTNN_HAS_* for the ISAs that kernels are compiled for.
#ifdef FASTNN_HAS_base
FASTNN_DECLARE(base)
#endif
#ifdef FASTNN_HAS_avx2
FASTNN_DECLARE(avx2)
#endif
#ifdef FASTNN_HAS_avx512
FASTNN_DECLARE(avx512)
#endif

namespace fastnn {
namespace {

#ifdef FASTNN_HAS_base
bool always() { return true; }
#endif
// __builtin_cpu_supports also checks that the operating system saves the wide registers.
#ifdef FASTNN_HAS_avx2
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif
#ifdef FASTNN_HAS_avx512
bool has_avx512() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

std::atomic<const Isa*> current{nullptr};
std::atomic<int> version{0};

}  // namespace

const std::vector<Isa>& isas() {
  static const std::vector<Isa> list = {
#ifdef FASTNN_HAS_avx512
      FASTNN_ENTRY(avx512, "AVX-512 F, BW, DQ and VL", has_avx512),
#endif
#ifdef FASTNN_HAS_avx2
      FASTNN_ENTRY(avx2, "AVX2 and FMA", has_avx2),
#endif
#ifdef FASTNN_HAS_base
      FASTNN_ENTRY(base, "nothing special", always),
#endif
  };
  return list;
}

const Isa& current_isa() {
  const Isa* isa = current.load();
  if (!isa) {
    for (const Isa& candidate : isas())
      if (!isa && candidate.supported()) isa = &candidate;
    if (!isa) throw std::runtime_error("this CPU runs none of the kernels of this build");
    current = isa;
  }
  return *isa;
}

void use_isa(const std::string& name) {
  std::string known;
  for (const Isa& isa : isas()) {
    known += (known.empty() ? "" : ", ") + std::string(isa.name);
    if (name != isa.name) continue;
    if (!isa.supported())
      throw std::invalid_argument("ISA '" + name + "' needs a CPU with " + isa.needs + ", which this one lacks");
    current = &isa;
    version++;
    return;
  }
  throw std::invalid_argument("unknown ISA '" + name + "'; there are: " + known);
}

int isa_version() { return version.load(std::memory_order_relaxed); }

const Kernel* find_kernel(const char* name) {
  for (const KernelTable* table : current_isa().tables)
    for (int i = 0; i < table->count; i++)
      if (!strcmp(table->kernels[i].name, name)) return &table->kernels[i];
  return nullptr;
}

}  // namespace fastnn
