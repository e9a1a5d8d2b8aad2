"""Networks for tables, by the names of ``model=``, and their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fastnn

from .encoder import CODES, NUMBERS, Encoder

MODELS = ("mlp", "residual", "tabm")
"""Names of the models: dense layers, `fastnn.models.TabularResidual`, and `fastnn.models.TabM`."""


@dataclass(frozen=True)
class Size:
    """Settings for a number of rows. The fewer rows, the more a network has to be kept from learning them by heart.

    With 64 units, dropout 0.2 and weight decay 1, networks are as good as linear models on the small tables of scikit-learn.
    """

    units: int
    dropout: float
    weight_decay: float
    patience: int

    @classmethod
    def of(cls, rows: int) -> Size:
        """Return the settings for a number of rows of training."""
        if rows < 2000:
            return cls(64, 0.2, 1.0, 40)
        return cls(128 if rows < 50_000 else 256, 0.1, 0.1, 15)


def numeric_of(model: Any) -> str:
    """Return what columns of numbers become for a model, if the user does not say it."""
    return "scaled"


def network(encoder: Encoder, model: Any, size: Size, layers: Sequence[int] | None = None) -> Any:
    """Return a network for the inputs of an encoder: an embedding of the codes, if there are some, and a model of the features.

    Args:
        encoder: the encoder of the table.
        model: a name of `MODELS`, or a function of the numbers of features and of outputs that returns a new model of logits, or
            of numbers.
        size: settings for the number of rows.
        layers: units of the hidden layers.
    """
    inputs, parts, n_features = [], [], len(encoder.features)
    if encoder.plain:
        inputs.append(fastnn.Input((n_features,), name=NUMBERS))
        parts.append(inputs[-1])
    if encoder.embedded:
        codes = fastnn.Input((len(encoder.embedded),), name=CODES, dtype="int64")
        most = max(c.n_codes for c in encoder.embedded)
        width = min(32, round(1.6 * most**0.56))  # the rule of fast.ai, for the largest column
        inputs.append(codes)
        parts.append(fastnn.Flatten()(fastnn.Embedding(encoder.n_codes, width)(codes)))
        n_features += width * len(encoder.embedded)
    h = fastnn.Concatenate()(parts) if len(parts) > 1 else parts[0]
    n_classes = len(encoder.target.values)
    return fastnn.Model(inputs, _body(model, n_features, n_classes, size, layers)(h))


def _body(model: Any, n_features: int, n_classes: int, size: Size, layers: Sequence[int] | None) -> Any:
    """Return a model of features that ends with probabilities of classes, or with a number if there are none."""
    n, last = n_classes or 1, "softmax" if n_classes else None
    if callable(model):
        if layers is not None:
            raise ValueError("layers are the units of the ready models; the function in model= makes its own")
        made = model(n_features, n)
        if not isinstance(made, fastnn.Module):
            raise TypeError(f"model({n_features}, {n}) returned a {type(made).__name__}, wanted a model")
        return fastnn.Sequential([made, fastnn.Activation("softmax")]) if n_classes else made
    if model not in MODELS:
        raise ValueError(f"model is {model!r}; wanted one of {', '.join(map(repr, MODELS))}, or a function")
    units = [size.units] * 2 if layers is None else list(layers)
    if model == "mlp":
        hidden: list[Any] = []
        for u in units:
            hidden += [fastnn.Dense(u, activation="relu", kernel_initializer="he_uniform"), fastnn.Dropout(size.dropout)]
        return fastnn.Sequential([*hidden, fastnn.Dense(n, activation=last)])
    if len(set(units)) != 1:
        raise ValueError(f"layers are {units}; the model {model!r} wants one size for all of its layers")
    kind = {"residual": "TabularResidual", "tabm": "TabM"}[model]
    make = getattr(fastnn.models, kind)
    return make(n_features, n, width=units[0], depth=len(units), dropout=size.dropout, output_activation=last)
