#include "families/regularization.h"
#include "core/table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"penalty_forward", fields<PenaltyForward<float>>(), FASTNN_T(penalty_forward), penalty_forward_scratch,
     penalty_forward_work},
    {"penalty_backward", fields<PenaltyBackward<float>>(), FASTNN_T(penalty_backward), nullptr, penalty_backward_work},
    {"limit_norms", fields<LimitNorms<float>>(), FASTNN_T(limit_norms), nullptr, limit_norms_work},
};

}  // namespace

FASTNN_EXPORT(regularization)
