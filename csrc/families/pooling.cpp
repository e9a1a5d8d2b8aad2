#include "families/pooling.h"

#include "core/table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"max_pool_forward", fields<MaxPoolForward<float>>(), FASTNN_T(max_pool_forward), nullptr, pool_work<MaxPoolForward<float>>},
    {"max_pool_backward", fields<MaxPoolBackward<float>>(), FASTNN_T(max_pool_backward), nullptr,
     pool_work<MaxPoolBackward<float>>},
    {"avg_pool_forward", fields<AvgPoolForward<float>>(), FASTNN_T(avg_pool_forward), nullptr, pool_work<AvgPoolForward<float>>},
    {"avg_pool_backward", fields<AvgPoolBackward<float>>(), FASTNN_T(avg_pool_backward), nullptr,
     pool_work<AvgPoolBackward<float>>},
};

}  // namespace

FASTNN_EXPORT(pooling)
