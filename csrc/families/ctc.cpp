#include "families/ctc.h"
#include "core/table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"ctc_loss", fields<CtcLoss<float>>(), FASTNN_T(ctc_loss), ctc_loss_scratch, ctc_loss_work},
};

}  // namespace

FASTNN_EXPORT(ctc)
