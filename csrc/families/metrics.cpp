#include "families/metrics.h"
#include "core/table.h"

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
    {"mean_rows", fields<MeanRows<float>>(), FASTNN_T(mean_rows), mean_rows_scratch, mean_rows_work},
    {"top_k_accuracy", fields<TopKAccuracy<float>>(), FASTNN_T(top_k_accuracy), top_k_accuracy_scratch, top_k_accuracy_work},
    {"confusion_matrix", fields<ConfusionMatrix<float>>(), FASTNN_T(confusion_matrix), nullptr, confusion_matrix_work},
    {"threshold_counts", fields<ThresholdCounts<float>>(), FASTNN_T(threshold_counts), nullptr, threshold_counts_work},
    {"r2_metric", fields<R2Metric<float>>(), FASTNN_T(r2_metric), nullptr, r2_metric_work},
    {"collect_scores", fields<CollectScores<float>>(), FASTNN_T(collect_scores), nullptr, collect_scores_work},
};

}  // namespace

FASTNN_EXPORT(metrics)
