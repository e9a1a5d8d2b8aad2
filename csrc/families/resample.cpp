#include "families/resample.h"

#include "core/table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"resample", fields<Resample<float>>(), FASTNN_T(resample), nullptr, resample_work},
};

}  // namespace

FASTNN_EXPORT(resample)
