#include "../random.h"
#include "table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"dropout_forward", fields<DropoutForward<float>>(), FASTNN_T(dropout_forward), nullptr, dropout_forward_work},
    {"dropout_backward", fields<DropoutBackward<float>>(), FASTNN_T(dropout_backward), nullptr, dropout_backward_work},
};

}  // namespace

FASTNN_EXPORT(random)
