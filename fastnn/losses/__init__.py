"""Losses with Keras's names and meanings: called as loss(y_true, y_pred), means over the batch, on probabilities by default.

`fastnn.nn` has PyTorch's losses, which always take logits.
"""

from __future__ import annotations

from typing import Any

from .base import CustomLoss, Loss
from .pointwise import (
    Gamma,
    GaussianNLL,
    Hinge,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    Quantile,
    SquaredHinge,
    Tweedie,
)
from .probability import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    KLDivergence,
    SparseCategoricalCrossentropy,
)

LOSSES: dict[str, type[Loss]] = {
    c.name: c
    for c in (
        *(SparseCategoricalCrossentropy, CategoricalCrossentropy, BinaryCrossentropy),
        *(BinaryFocalCrossentropy, CategoricalFocalCrossentropy, KLDivergence, Poisson, Gamma, Tweedie, GaussianNLL),
        *(MeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError),
        *(Huber, LogCosh, Quantile, CosineSimilarity, Hinge, SquaredHinge, CategoricalHinge),
    )
}
_ALIASES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
}
_ALIASES |= {alias.upper(): name for alias, name in _ALIASES.items()} | {"pinball": "quantile"}


def get(identifier: Any) -> Any:
    """The loss that training takes: from its Keras name, an instance or class of a loss, a loss of `fastnn.nn`, or a function
    of y_true and y_pred.

    Raises:
        ValueError: the name is not known, or the loss's reduction leaves no single number.

    >>> import fastnn
    >>> type(fastnn.losses.get("mse")).__name__
    'MeanSquaredError'
    """
    if isinstance(identifier, str):
        name = _ALIASES.get(identifier, identifier)
        by_class = {c.__name__: c for c in LOSSES.values()}
        if name not in LOSSES and name not in by_class:
            raise ValueError(f"unknown loss {identifier!r}; there are: {', '.join([*LOSSES, *_ALIASES])}")
        return (LOSSES.get(name) or by_class[name])()
    from ..nn.loss import TorchLoss

    if isinstance(identifier, type) and issubclass(identifier, Loss | TorchLoss):
        identifier = identifier()  # type: ignore[call-arg]
    if isinstance(identifier, TorchLoss):
        identifier = identifier.as_keras()
    if isinstance(identifier, Loss):
        if identifier.reduction in (None, "none"):
            raise ValueError(
                f"compile: {type(identifier).__name__} has reduction={identifier.reduction!r}; training needs one number: "
                "'sum_over_batch_size', 'mean' or 'sum'"
            )
        return identifier
    if callable(identifier):
        return CustomLoss(identifier)
    raise TypeError(f"loss: {type(identifier).__name__} came, wanted a name, a loss or a function of y_true and y_pred")


def serialize(loss: Loss) -> dict[str, Any] | None:
    """A loss as JSON, its name and its arguments; None for one that is not fastnn's own."""
    if LOSSES.get(type(loss).name) is type(loss):
        return {"class_name": type(loss).name, "config": loss.get_config()}
    from ..nn.loss import AsKeras

    if isinstance(loss, AsKeras) and _of_torch().get(type(loss.loss).__name__) is type(loss.loss):
        return {"class_name": f"nn.{type(loss.loss).__name__}", "config": loss.loss.get_config()}
    return None


def deserialize(config: dict[str, Any]) -> Any:
    """Makes the loss again that `serialize` wrote down.

    Raises:
        KeyError, TypeError, ValueError: there is no such loss, or its arguments are wrong.

    >>> import fastnn
    >>> fastnn.losses.deserialize({"class_name": "huber", "config": {"delta": 2.0}}).delta
    2.0
    """
    name = config["class_name"]
    if name in LOSSES:
        return LOSSES[name](**config["config"])
    return _of_torch()[name.removeprefix("nn.")](**config["config"])


def _of_torch() -> dict[str, Any]:
    """The losses of `fastnn.nn` that fit takes, by name."""
    from .. import nn
    from ..nn.loss import TorchLoss

    classes = (getattr(nn, name) for name in nn.__all__)
    return {c.__name__: c for c in classes if isinstance(c, type) and issubclass(c, TorchLoss) and not c.not_in_fit}


__all__ = [
    "LOSSES",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "CustomLoss",
    "Gamma",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "Quantile",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tweedie",
    "deserialize",
    "get",
    "serialize",
]
