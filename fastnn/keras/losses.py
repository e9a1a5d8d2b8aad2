"""Keras's losses: classes, and functions that return the loss of each sample."""

from __future__ import annotations

from ..core.lazy import lazily as _lazily

_NAMES = {
    "..losses": (
        "BinaryCrossentropy BinaryFocalCrossentropy CTC CategoricalCrossentropy CategoricalFocalCrossentropy "
        "CategoricalGeneralizedCrossEntropy CategoricalHinge Circle CosineSimilarity Dice Hinge Huber KLDivergence "
        "LogCosh Loss MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson "
        "SparseCategoricalCrossentropy SquaredHinge Tversky deserialize get serialize"
    ),
    ".loss_functions": (
        "binary_crossentropy binary_focal_crossentropy categorical_crossentropy categorical_focal_crossentropy "
        "categorical_generalized_cross_entropy circle dice tversky "
        "categorical_hinge cosine_similarity ctc hinge huber kl_divergence log_cosh mean_absolute_error "
        "mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error poisson "
        "sparse_categorical_crossentropy squared_hinge"
    ),
}

__all__, __getattr__, __dir__ = _lazily(__package__ or "", _NAMES, __name__)
