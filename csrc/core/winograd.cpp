#include "core/winograd.h"

#include <atomic>

namespace fastnn {

static std::atomic<int> chosen{kWinogradWhereFaster};

extern "C" int fastnn_winograd() { return chosen.load(std::memory_order_relaxed); }

void use_winograd(int use) { chosen = use; }

}  // namespace fastnn
