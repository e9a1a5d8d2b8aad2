"""Keras's losses as functions of y_true and y_pred, which return the loss of each sample, without a mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import losses
from ..autograd.tensor import Tensor


def _of(loss: Callable[..., losses.Loss]) -> Callable[..., Tensor]:
    """Return the function of a loss. Its other arguments are those of the class."""

    def function(y_true: Any, y_pred: Any, *args: Any, **settings: Any) -> Tensor:
        """Return the loss of each sample; the last axis of y_pred has the outputs of a sample."""
        return loss(*args, reduction="none", **settings)(y_true, y_pred)

    function.__name__ = function.__qualname__ = getattr(loss, "name", "loss")
    return function


binary_crossentropy = _of(losses.BinaryCrossentropy)
binary_focal_crossentropy = _of(losses.BinaryFocalCrossentropy)
categorical_crossentropy = _of(losses.CategoricalCrossentropy)
categorical_focal_crossentropy = _of(losses.CategoricalFocalCrossentropy)
categorical_generalized_cross_entropy = _of(losses.CategoricalGeneralizedCrossEntropy)
categorical_hinge = _of(losses.CategoricalHinge)
circle = _of(losses.Circle)
ctc = _of(losses.CTC)
cosine_similarity = _of(losses.CosineSimilarity)
dice = _of(losses.Dice)
hinge = _of(losses.Hinge)
huber = _of(losses.Huber)
kl_divergence = _of(losses.KLDivergence)
log_cosh = _of(losses.LogCosh)
mean_absolute_error = _of(losses.MeanAbsoluteError)
mean_absolute_percentage_error = _of(losses.MeanAbsolutePercentageError)
mean_squared_error = _of(losses.MeanSquaredError)
mean_squared_logarithmic_error = _of(losses.MeanSquaredLogarithmicError)
poisson = _of(losses.Poisson)
sparse_categorical_crossentropy = _of(losses.SparseCategoricalCrossentropy)
squared_hinge = _of(losses.SquaredHinge)
tversky = _of(losses.Tversky)
