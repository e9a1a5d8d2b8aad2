"""Keras's metrics."""

from __future__ import annotations

from ..core.lazy import lazily as _lazily

_NAMES = {
    "..metrics": (
        "AUC Accuracy BinaryAccuracy BinaryCrossentropy BinaryIoU CategoricalAccuracy CategoricalCrossentropy "
        "CategoricalHinge ConcordanceCorrelation CosineSimilarity F1Score FBetaScore FalseNegatives FalsePositives Hinge "
        "IoU KLDivergence LogCoshError Mean MeanAbsoluteError MeanAbsolutePercentageError MeanIoU MeanMetricWrapper "
        "MeanSquaredError MeanSquaredLogarithmicError Metric OneHotIoU OneHotMeanIoU PearsonCorrelation Poisson Precision "
        "PrecisionAtRecall R2Score Recall RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity "
        "SparseCategoricalAccuracy SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy SpecificityAtSensitivity "
        "SquaredHinge Sum TopKCategoricalAccuracy TrueNegatives TruePositives"
    ),
    ".metric_functions": (
        "binary_accuracy categorical_accuracy concordance_correlation deserialize get pearson_correlation serialize "
        "sparse_categorical_accuracy sparse_top_k_categorical_accuracy top_k_categorical_accuracy"
    ),
    ".loss_functions": (
        "binary_crossentropy binary_focal_crossentropy categorical_crossentropy categorical_focal_crossentropy "
        "categorical_hinge hinge huber kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error "
        "mean_squared_error mean_squared_logarithmic_error poisson sparse_categorical_crossentropy squared_hinge"
    ),
}

__all__, __getattr__, __dir__ = _lazily(__package__ or "", _NAMES, __name__)
