#include "families/batched.h"

#include "core/table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"matmul_batched", fields<MatmulBatched<float>>(), FASTNN_T(matmul_batched), matmul_batched_scratch, matmul_batched_work},
};

}  // namespace

FASTNN_EXPORT(batched)
