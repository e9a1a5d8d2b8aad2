#include "families/generation.h"
#include "core/table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"sample_tokens", fields<SampleTokens<float>>(), FASTNN_T(sample_tokens), sample_tokens_scratch, sample_tokens_work},
};

}  // namespace

FASTNN_EXPORT(generation)
