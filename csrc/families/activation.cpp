#include "core/table.h"
#include "families/functions.h"
#include "families/softmax.h"

namespace {

constexpr Kernel kKernels[] = {
    {"activation_forward", fields<ActivationForward<float>>(), FASTNN_T(activation_forward), nullptr, activation_forward_work},
    {"activation_backward", fields<ActivationBackward<float>>(), FASTNN_T(activation_backward), nullptr,
     activation_backward_work},
    {"glu_forward", fields<GluForward<float>>(), FASTNN_T(glu_forward), nullptr, glu_forward_work},
    {"glu_backward", fields<GluBackward<float>>(), FASTNN_T(glu_backward), nullptr, glu_backward_work},
    {"prelu_forward", fields<PreluForward<float>>(), FASTNN_T(prelu_forward), nullptr, prelu_forward_work},
    {"prelu_backward", fields<PreluBackward<float>>(), FASTNN_T(prelu_backward), prelu_backward_scratch, prelu_backward_work},
    {"softmax_forward", fields<RowsForward<float>>(), FASTNN_T(softmax_forward), nullptr, softmax_forward_work},
    {"softmax_backward", fields<RowsBackward<float>>(), FASTNN_T(softmax_backward), nullptr, softmax_backward_work},
    {"log_softmax_forward", fields<RowsForward<float>>(), FASTNN_T(log_softmax_forward), nullptr, softmax_forward_work},
    {"log_softmax_backward", fields<RowsBackward<float>>(), FASTNN_T(log_softmax_backward), nullptr, log_softmax_backward_work},
    {"sparsemax_forward", fields<RowsForward<float>>(), FASTNN_T(sparsemax_forward), sparsemax_forward_scratch,
     sparsemax_forward_work},
    {"sparsemax_backward", fields<RowsBackward<float>>(), FASTNN_T(sparsemax_backward), nullptr, softmax_backward_work},
};

}  // namespace

FASTNN_EXPORT(activation)
