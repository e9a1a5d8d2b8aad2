// Chooses the engine of bfloat16 products once for the process: AMX, else AVX512_BF16 where it is faster than float32, else
// float32.
#include "core/engine.h"

#include <atomic>
#include <stdexcept>

#include "core/dispatch.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace fastnn {
namespace {

const char* const kNames[] = {"float32", "avx512_bf16", "amx"};
std::atomic<int> requested{-1};

// Whether the CPU has AMX for bfloat16, and the system saves its registers and permits this process to use them. Linux grants
// that on request, for the process and what it forks.
bool has_amx() {
#if defined(FASTNN_EMULATE_TILES)
  return true;
#elif defined(__x86_64__) && defined(__linux__)
  static const bool has = [] {
    constexpr unsigned kOsXsave = 1u << 27, kAmxBf16 = 1u << 22, kAmxTile = 1u << 24, kTileState = 3u << 17;
    constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & kOsXsave)) return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & kAmxBf16) || !(d & kAmxTile)) return false;
    asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (a & kTileState) == kTileState && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return has;
#else
  return false;
#endif
}

// Returns an ISA of this build that multiplies pairs of bfloat16 on this CPU, or null. AMX needs it to round the factors.
const Isa* with_pairs() {
  for (const Isa& isa : isas())
    if (isa.supported() && isa.bf16()) return &isa;
  return nullptr;
}

// Returns the multiply-adds of bfloat16 in the time of one of float32; 0 without such an ISA.
double pair_rate() {
  static const double rate = with_pairs() ? with_pairs()->bf16_rate() : 0;
  return rate;
}

int automatic() {
  // A CPU takes either twice or half the time of float32 for a pair of steps: noise cannot move the rate to the other side of 1.
  static const int engine = !with_pairs() ? kFloats : has_amx() ? kTiles : pair_rate() > 1 ? kPairs : kFloats;
  return engine;
}

std::string lacking(int engine) {
  if (engine == kFloats) return "";
  const std::string name = kNames[engine];
  if (!current_isa().bf16())
    return name + " needs a CPU with AVX512_BF16 and the avx512 kernels; " + current_isa().name + " is in use";
  if (engine == kTiles && !has_amx()) return name + " needs a CPU with AMX-BF16 and a system that permits its use";
  return "";
}

}  // namespace

extern "C" int fastnn_bf16_engine() {
  const int engine = requested.load(std::memory_order_relaxed);
  return engine < 0 ? automatic() : engine;
}

Bf16 bf16() {
  const int wanted = requested.load();
  if (wanted < 0 && !current_isa().bf16()) return {kNames[kFloats], 0, ""};
  const int engine = fastnn_bf16_engine();
  return {kNames[engine], engine == kTiles || !current_isa().bf16() ? 0 : pair_rate(), lacking(engine)};
}

std::vector<std::pair<std::string, std::string>> bf16_engines() {
  std::vector<std::pair<std::string, std::string>> list;
  for (int engine = kBf16Engines - 1; engine >= 0; engine--) list.emplace_back(kNames[engine], lacking(engine));
  return list;
}

void use_bf16(const std::string& name) {
  if (name.empty()) {
    requested = -1;
    return;
  }
  std::string known;
  for (int engine = kBf16Engines - 1; engine >= 0; engine--) {
    known += (known.empty() ? "" : ", ") + std::string(kNames[engine]);
    if (name != kNames[engine]) continue;
    if (const std::string why = lacking(engine); !why.empty()) throw std::invalid_argument(why);
    requested = engine;
    return;
  }
  throw std::invalid_argument("unknown engine '" + name + "'; there are: " + known);
}

}  // namespace fastnn
