// The sizes of this machine's caches.
#pragma once
#include "core/kernels.h"

namespace fastnn {

// Bytes of one core's first-level data cache and of its second-level cache.
struct Caches {
  i64 l1, l2;
};

// Returns what the system reports, and usual sizes for what it does not. Results of kernels do not depend on it.
const Caches& caches();
// Sets other sizes. Tests do so before any other thread runs a kernel.
void set_caches(const Caches& sizes);

}  // namespace fastnn
