"""Metrics, which measure the quality of predictions over the batches of an epoch. The backend's kernels compute them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, cast

from ...core.near import unknown
from ...core.registered import named
from .base import Metric
from .classes import (
    ConfusionMatrix,
    F1Score,
    FalseNegatives,
    FalsePositives,
    FBetaScore,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from .crossentropy import BinaryCrossentropy, CategoricalCrossentropy, Perplexity, SparseCategoricalCrossentropy
from .curves import AUC
from .means import (
    BinaryAccuracy,
    CategoricalAccuracy,
    CosineSimilarity,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanMetricWrapper,
    MeanSquaredError,
    R2Score,
    RootMeanSquaredError,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from .of_losses import (
    Accuracy,
    CategoricalHinge,
    ConcordanceCorrelation,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanSquaredLogarithmicError,
    PearsonCorrelation,
    Poisson,
    SquaredHinge,
)
from .overlap import (
    BinaryIoU,
    IoU,
    MeanIoU,
    OneHotIoU,
    OneHotMeanIoU,
)
from .trackers import Mean, Sum
from .trade_offs import (
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)

__all__ = [
    "AUC",
    "CLASSES",
    "FITTING",
    "METRICS",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "ConfusionMatrix",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Perplexity",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "check",
    "direction",
    "get",
]

CLASSES: tuple[type[Metric], ...] = (
    AUC,
    BinaryAccuracy,
    BinaryCrossentropy,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    ConfusionMatrix,
    CosineSimilarity,
    F1Score,
    FBetaScore,
    FalseNegatives,
    FalsePositives,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    Perplexity,
    Precision,
    R2Score,
    Recall,
    RootMeanSquaredError,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    TrueNegatives,
    TruePositives,
    Accuracy,
    BinaryIoU,
    CategoricalHinge,
    ConcordanceCorrelation,
    Hinge,
    IoU,
    KLDivergence,
    LogCoshError,
    MeanIoU,
    MeanSquaredLogarithmicError,
    OneHotIoU,
    OneHotMeanIoU,
    PearsonCorrelation,
    Poisson,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    SquaredHinge,
)
"""Metrics that are defined by plain arguments, so that they can be saved with a model."""

METRICS: dict[str, Callable[..., Metric]] = {
    "categorical_hinge": CategoricalHinge,
    "concordance_correlation": ConcordanceCorrelation,
    "hinge": Hinge,
    "kl_divergence": KLDivergence,
    "kld": KLDivergence,
    "logcosh": LogCoshError,
    "mean_squared_logarithmic_error": MeanSquaredLogarithmicError,
    "msle": MeanSquaredLogarithmicError,
    "pearson_correlation": PearsonCorrelation,
    "poisson": Poisson,
    "squared_hinge": SquaredHinge,
    "auc": AUC,
    "binary_accuracy": BinaryAccuracy,
    "binary_crossentropy": BinaryCrossentropy,
    "categorical_accuracy": CategoricalAccuracy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "cosine_similarity": CosineSimilarity,
    "f1_score": partial(F1Score, average="macro"),
    "false_negatives": FalseNegatives,
    "false_positives": FalsePositives,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mean_absolute_error": MeanAbsoluteError,
    "mean_absolute_percentage_error": MeanAbsolutePercentageError,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "perplexity": Perplexity,
    "precision": Precision,
    "r2_score": R2Score,
    "recall": Recall,
    "rmse": RootMeanSquaredError,
    "root_mean_squared_error": RootMeanSquaredError,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
    "top_k_categorical_accuracy": TopKCategoricalAccuracy,
    "true_negatives": TrueNegatives,
    "true_positives": TruePositives,
}
"""Names that `get` knows, in addition to those in `FITTING`."""

FITTING: dict[str, tuple[type[Metric], type[Metric], type[Metric]]] = {
    "accuracy": (SparseCategoricalAccuracy, BinaryAccuracy, CategoricalAccuracy),
    "acc": (SparseCategoricalAccuracy, BinaryAccuracy, CategoricalAccuracy),
    "crossentropy": (SparseCategoricalCrossentropy, BinaryCrossentropy, CategoricalCrossentropy),
    "ce": (SparseCategoricalCrossentropy, BinaryCrossentropy, CategoricalCrossentropy),
    "log_loss": (SparseCategoricalCrossentropy, BinaryCrossentropy, CategoricalCrossentropy),
}
"""Names whose metric depends on the loss: the metric for class labels, for a single output, and for one-hot rows."""


def get(identifier: Any, loss_kind: Literal["labels", "values"], n_outputs: int, logits: str = "") -> Metric:
    """Return the metric with a name, or the given metric or function as a metric.

    The metric for "accuracy" and "crossentropy" depends on the loss: class labels, a single output, or one-hot rows. With a loss
    of sigmoid logits, "crossentropy" is the binary cross-entropy. Names may have any case and style (mse, MeanSquaredError); the
    name is the metric's name in the logs. Raises ValueError for an unknown name, a metric that does not fit the targets of the
    loss, or a metric with several results.

    >>> get("accuracy", "labels", 10)
    <SparseCategoricalAccuracy accuracy=0.>
    """
    metric = _resolve(identifier, loss_kind, n_outputs, logits)
    if metric.targets not in ("any", loss_kind):
        takes = {"labels": "class labels", "values": "values, one for each output"}
        raise ValueError(
            f"compile: the metric {metric.name} compares with {takes[metric.targets]}, but the loss takes {takes[loss_kind]}"
        )
    if not metric.scalar(n_outputs):
        raise ValueError(f"compile: the metric {metric.name} has several results, wanted one; pass average= or one threshold")
    return metric


def check(identifier: Any) -> None:
    """Raise ValueError or TypeError if `get` does not accept the identifier for any loss."""
    _resolve(identifier, "labels", 1)


def _resolve(identifier: Any, loss_kind: str, n_outputs: int, logits: str = "") -> Metric:
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        identifier = cast("Callable[[], Metric]", identifier)()
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str) and ">" in identifier:
        return _resolve(named(identifier), loss_kind, n_outputs, logits)
    if isinstance(identifier, str):
        if (fitting := FITTING.get(identifier.lower())) is not None:
            binary = n_outputs == 1 or (logits == "sigmoid" and BinaryCrossentropy in fitting)
            return fitting[0 if loss_kind == "labels" else 1 if binary else 2](name=identifier)
        make = _find(identifier)
        if make is None:
            known = unknown("metric", identifier, sorted([*FITTING, *METRICS]))
            raise ValueError(f"compile: {known}, or a function f(y_true, y_pred)")
        return make(name=identifier)
    if callable(identifier):
        return MeanMetricWrapper(identifier)
    raise TypeError(f"compile: a metric is {identifier!r}; wanted a name, a metric or a function f(y_true, y_pred)")


def direction(name: str) -> str | None:
    """Return whether smaller ("min") or greater ("max") values of a metric are better; None for unknown names."""
    make = FITTING[name.lower()][0] if name.lower() in FITTING else _find(name)
    return getattr(make.func if isinstance(make, partial) else make, "direction", None)


def _find(name: str) -> Callable[..., Metric] | None:
    plain = name.replace("_", "").lower()
    return next((make for known, make in METRICS.items() if known.replace("_", "") == plain), None)
