"""Keras's metrics."""

from __future__ import annotations

from ..core.lazy import lazily as _lazily

_NAMES = {
    "..metrics": (
        "AUC BinaryAccuracy BinaryCrossentropy CategoricalAccuracy CategoricalCrossentropy CosineSimilarity F1Score "
        "FBetaScore FalseNegatives FalsePositives Mean MeanAbsoluteError MeanAbsolutePercentageError MeanMetricWrapper "
        "MeanSquaredError Metric Precision R2Score Recall RootMeanSquaredError SparseCategoricalAccuracy "
        "SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy Sum TopKCategoricalAccuracy TrueNegatives "
        "TruePositives"
    ),
    ".loss_functions": (
        "binary_crossentropy binary_focal_crossentropy categorical_crossentropy categorical_focal_crossentropy "
        "categorical_hinge hinge huber kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error "
        "mean_squared_error mean_squared_logarithmic_error poisson sparse_categorical_crossentropy squared_hinge"
    ),
}

__all__, __getattr__, __dir__ = _lazily(__package__ or "", _NAMES, __name__)
