#include "families/attention.h"

#include "core/table.h"
#include "families/attention_gradient.h"
#include "families/rotary.h"

namespace {

constexpr Kernel kKernels[] = {
    {"attention_forward", fields<AttentionForward<float>>(), FASTNN_T(attention_forward), attention_forward_scratch,
     attention_forward_work},
    {"attention_backward", fields<AttentionBackward<float>>(), FASTNN_T(attention_backward), attention_backward_scratch,
     attention_backward_work},
    {"rotary", fields<Rotary<float>>(), FASTNN_T(rotary), nullptr, rotary_work},
};

}  // namespace

FASTNN_EXPORT(attention)
