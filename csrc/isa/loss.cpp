#include "../loss.h"
#include "table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"sparse_cross_entropy_forward", fields<SparseCrossEntropyForward<float>>(), FASTNN_T(sparse_cross_entropy_forward), nullptr,
     sparse_cross_entropy_forward_work},
    {"sparse_cross_entropy_backward", fields<SparseCrossEntropyBackward<float>>(), FASTNN_T(sparse_cross_entropy_backward),
     nullptr, sparse_cross_entropy_backward_work},
    {"cross_entropy_forward", fields<CrossEntropyForward<float>>(), FASTNN_T(cross_entropy_forward), nullptr,
     cross_entropy_forward_work},
    {"cross_entropy_backward", fields<CrossEntropyBackward<float>>(), FASTNN_T(cross_entropy_backward), nullptr,
     cross_entropy_backward_work},
    {"sigmoid_cross_entropy_forward", fields<SigmoidCrossEntropyForward<float>>(), FASTNN_T(sigmoid_cross_entropy_forward),
     nullptr, sigmoid_cross_entropy_forward_work},
    {"sigmoid_cross_entropy_backward", fields<SigmoidCrossEntropyBackward<float>>(), FASTNN_T(sigmoid_cross_entropy_backward),
     nullptr, sigmoid_cross_entropy_backward_work},
    {"mse_forward", fields<MseForward<float>>(), FASTNN_T(mse_forward), nullptr, mse_forward_work},
    {"mse_backward", fields<MseBackward<float>>(), FASTNN_T(mse_backward), nullptr, mse_backward_work},
    {"reduce_loss_forward", fields<ReduceLossForward<float>>(), FASTNN_T(reduce_loss_forward), reduce_loss_forward_scratch,
     reduce_loss_forward_work},
    {"reduce_loss_backward", fields<ReduceLossBackward<float>>(), FASTNN_T(reduce_loss_backward), nullptr,
     reduce_loss_backward_work},
};

}  // namespace

FASTNN_EXPORT(loss)
