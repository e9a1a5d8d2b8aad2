#include "families/augmentation.h"

#include "core/table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"affine_transform_forward", fields<AffineTransformForward<float>>(), FASTNN_T(affine_transform_forward), nullptr,
     affine_transform_work<AffineTransformForward<float>>},
    {"affine_transform_backward", fields<AffineTransformBackward<float>>(), FASTNN_T(affine_transform_backward), nullptr,
     affine_transform_work<AffineTransformBackward<float>>},
};

}  // namespace

FASTNN_EXPORT(augmentation)
