"""Losses with Keras's names and meanings: called as loss(y_true, y_pred), means over the batch, on probabilities by default.

`fastnn.nn` has PyTorch's losses, which always take logits.
"""

from __future__ import annotations

from typing import Any

from ..core.near import unknown
from ..core.registered import LAYERS, named, own_config, registered_name
from .base import CustomLoss, Loss
from .keras.ctc import CTC
from .keras.overlap import Dice, Tversky
from .keras.pairs import Circle
from .keras.pointwise import (
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
from .keras.probability import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
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
        *(Huber, LogCosh, Quantile, CosineSimilarity, Hinge, SquaredHinge, CategoricalHinge, CTC),
        *(CategoricalGeneralizedCrossEntropy, Dice, Tversky, Circle),
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
    """Return the loss for training from a Keras name, a loss or its class, a loss of `fastnn.nn`, or a function.

    A function takes y_true and y_pred.

    Raises:
        ValueError: the name is unknown, or the reduction of the loss does not return one number.

    >>> import fastnn
    >>> type(fastnn.losses.get("mse")).__name__
    'MeanSquaredError'
    """
    if isinstance(identifier, str):
        if ">" in identifier:
            return get(named(identifier))
        name = _ALIASES.get(identifier, identifier)
        by_class = {c.__name__: c for c in LOSSES.values()}
        if name not in LOSSES and name not in by_class:
            raise ValueError(unknown("loss", identifier, [*LOSSES, *_ALIASES]))
        return (LOSSES.get(name) or by_class[name])()
    if isinstance(identifier, type) and (issubclass(identifier, Loss) or hasattr(identifier, "as_keras")):
        identifier = identifier()
    if hasattr(identifier, "as_keras"):  # of `fastnn.nn`
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
    """Return the name and arguments of a loss, for JSON; None for a loss that neither belongs to fastnn nor is registered."""
    if LOSSES.get(type(loss).name) is type(loss):
        return {"class_name": type(loss).name, "config": loss.get_config()}
    if isinstance(loss, CustomLoss) and (name := registered_name(loss.function)) is not None:
        return {"class_name": name, "config": {}}
    of_torch: Any = getattr(loss, "loss", None)  # of an AsKeras
    if of_torch is not None and LAYERS.get(name := f"nn.{type(of_torch).__name__}") is type(of_torch):
        return {"class_name": name, "config": of_torch.get_config()}
    own = loss if of_torch is None else of_torch
    if (registered := registered_name(type(own))) is not None:
        return {"class_name": registered, "config": own_config(own)}
    return None


def deserialize(config: dict[str, Any] | str) -> Any:
    """Make a loss from the result of `serialize`, or from its name.

    Raises:
        KeyError, TypeError, ValueError: the loss is unknown, or its arguments are wrong.

    >>> import fastnn
    >>> fastnn.losses.deserialize({"class_name": "huber", "config": {"delta": 2.0}}).delta
    2.0
    """
    if isinstance(config, str):
        return get(config)
    name = config["class_name"]
    if name in LOSSES:
        return LOSSES[name](**config["config"])
    cls = named(name) if ">" in name else _of_torch(name)
    if isinstance(cls, type) and (issubclass(cls, Loss) or not getattr(cls, "not_in_fit", "it is no loss")):
        return cls(**config["config"])
    if cls is None or isinstance(cls, type):
        raise KeyError(f"there is no loss {name!r}")
    return CustomLoss(cls)


def _of_torch(name: str) -> Any:
    """Return the class of a loss that is named "nn.NAME" in files; None if `fastnn.nn` does not have it."""
    from .. import nn

    own = name.removeprefix("nn.")
    if own == name or own not in nn.__all__:
        return None
    found = getattr(nn, own)  # which is loaded, and puts itself among these
    return found if LAYERS.get(name) is found else None


__all__ = [
    "CTC",
    "LOSSES",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "CustomLoss",
    "Dice",
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
    "Tversky",
    "Tweedie",
    "deserialize",
    "get",
    "serialize",
]


def __dir__() -> list[str]:
    return sorted(__all__)
