#include "families/normalization.h"

#include "core/table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"norm_forward", fields<NormForward<float>>(), FASTNN_T(norm_forward), norm_forward_scratch, norm_forward_work},
    {"norm_backward", fields<NormBackward<float>>(), FASTNN_T(norm_backward), norm_backward_scratch, norm_backward_work},
    {"norm_fold", fields<NormFold<float>>(), FASTNN_T(norm_fold), nullptr, norm_fold_work},
    {"norm_apply", fields<NormApply<float>>(), FASTNN_T(norm_apply), nullptr, norm_apply_work},
};

}  // namespace

FASTNN_EXPORT(normalization)
