#include "../optim.h"
#include "table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"advance", fields<Advance>(), {advance, nullptr, nullptr, nullptr}, nullptr, nullptr},
    {"sgd_step", fields<SgdStep<float>>(), FASTNN_T(sgd_step), nullptr, sgd_step_work},
    {"adam_step", fields<AdamStep<float>>(), FASTNN_T(adam_step), nullptr, adam_step_work},
    {"sum_squares", fields<SumSquares<float>>(), FASTNN_T(sum_squares), sum_squares_scratch, sum_squares_work},
    {"clip_norm", fields<ClipNorm<float>>(), FASTNN_T(clip_norm), nullptr, clip_norm_work},
    {"clip_value", fields<ClipValue<float>>(), FASTNN_T(clip_value), nullptr, clip_value_work},
};

}  // namespace

FASTNN_EXPORT(optim)
