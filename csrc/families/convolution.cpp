#include "families/convolution_gradient.h"

#include "core/table.h"

namespace {

static_assert(sizeof(ConvForward<float>) == 8 * (slots(ConvForward<float>::fields) + 1), "the fields, then packed weights");

constexpr Kernel kKernels[] = {
    {"conv_forward",
     ConvForward<float>::fields,
     {conv_forward<float>, conv_forward<double>},
     conv_forward_scratch,
     conv_forward_work,
     conv_forward_pack,
     "w"},
    {"conv_backward", fields<ConvBackward<float>>(), FASTNN_T(conv_backward), conv_backward_scratch, conv_backward_work},
};

}  // namespace

FASTNN_EXPORT(convolution)
