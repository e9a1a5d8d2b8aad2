#include "families/data.h"
#include "core/table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"gather_batch", fields<GatherBatch<float>>(), FASTNN_S(gather_batch), nullptr, gather_batch_work},
    {"take_forward", fields<TakeForward<float>>(), FASTNN_S(take_forward), nullptr, take_forward_work},
    {"take_backward", fields<TakeBackward<float>>(), FASTNN_T(take_backward), nullptr, take_backward_work},
    {"take_backward_marked", fields<TakeBackwardMarked<float>>(), FASTNN_T(take_backward_marked), nullptr,
     take_backward_marked_work},
    {"gather_forward", fields<GatherForward<float>>(), FASTNN_A(gather_forward), nullptr, gather_forward_work},
    {"gather_backward", fields<GatherBackward<float>>(), FASTNN_T(gather_backward), nullptr, gather_backward_work},
};

}  // namespace

FASTNN_EXPORT(data)
