#include "families/loss.h"
#include "core/table.h"

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
    {"pointwise_loss_forward", fields<PointwiseLossForward<float>>(), FASTNN_T(pointwise_loss_forward), nullptr,
     pointwise_loss_forward_work},
    {"pointwise_loss_backward", fields<PointwiseLossBackward<float>>(), FASTNN_T(pointwise_loss_backward), nullptr,
     pointwise_loss_backward_work},
    {"gaussian_nll_forward", fields<GaussianNllForward<float>>(), FASTNN_T(gaussian_nll_forward), nullptr,
     gaussian_nll_forward_work},
    {"gaussian_nll_backward", fields<GaussianNllBackward<float>>(), FASTNN_T(gaussian_nll_backward), nullptr,
     gaussian_nll_backward_work},
    {"reduce_loss_forward", fields<ReduceLossForward<float>>(), FASTNN_T(reduce_loss_forward), reduce_loss_forward_scratch,
     reduce_loss_forward_work},
    {"reduce_loss_backward", fields<ReduceLossBackward<float>>(), FASTNN_T(reduce_loss_backward), nullptr,
     reduce_loss_backward_work},
};

}  // namespace

FASTNN_EXPORT(loss)

extern "C" const fastnn::FunctionList FASTNN_TABLE(pointwise_losses);
const fastnn::FunctionList FASTNN_TABLE(pointwise_losses) = {PointwiseTable<float, AllLosses>::count, nullptr};
