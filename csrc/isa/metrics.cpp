#include "../metrics.h"
#include "table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"mean_metric", fields<MeanMetric<float>>(), FASTNN_T(mean_metric), nullptr, nullptr},
    {"sparse_accuracy", fields<SparseAccuracy<float>>(), FASTNN_T(sparse_accuracy), sparse_accuracy_scratch,
     sparse_accuracy_work},
    {"categorical_accuracy", fields<CategoricalAccuracy<float>>(), FASTNN_T(categorical_accuracy), categorical_accuracy_scratch,
     categorical_accuracy_work},
    {"binary_accuracy", fields<BinaryAccuracy<float>>(), FASTNN_T(binary_accuracy), binary_accuracy_scratch,
     binary_accuracy_work},
    {"error_metric", fields<ErrorMetric<float>>(), FASTNN_T(error_metric), error_metric_scratch, error_metric_work},
};

}  // namespace

FASTNN_EXPORT(metrics)
