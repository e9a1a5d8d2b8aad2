#include "../functions.h"
#include "../softmax.h"
#include "table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"activation_forward", fields<ActivationForward<float>>(), FASTNN_T(activation_forward), nullptr, activation_forward_work},
    {"activation_backward", fields<ActivationBackward<float>>(), FASTNN_T(activation_backward), nullptr,
     activation_backward_work},
    {"softmax_forward", fields<RowsForward<float>>(), FASTNN_T(softmax_forward), nullptr, softmax_forward_work},
    {"softmax_backward", fields<RowsBackward<float>>(), FASTNN_T(softmax_backward), nullptr, softmax_backward_work},
    {"log_softmax_forward", fields<RowsForward<float>>(), FASTNN_T(log_softmax_forward), nullptr, softmax_forward_work},
    {"log_softmax_backward", fields<RowsBackward<float>>(), FASTNN_T(log_softmax_backward), nullptr, log_softmax_backward_work},
};

}  // namespace

FASTNN_EXPORT(activation)
