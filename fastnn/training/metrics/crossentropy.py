"""Cross-entropies as metrics; they use the kernels of the losses, on logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...backends.spec import activation, pointwise_loss
from ...core import arrays
from ...ops.loss import NO_LABEL
from .base import Array, Metric
from .rows import by_class, by_label, by_weight, check_shapes, probabilities, row_weights

if TYPE_CHECKING:
    from ...backends.base import Backend


class _Crossentropy(Metric):
    """Mean cross-entropy of logits, or of probabilities, which are clipped to eps..1 - eps (eps of their dtype)."""

    direction = "min"
    takes = "softmax"
    """Function that turns the logits of `update_from` into probabilities."""

    def __init__(self, from_logits: bool = False, name: str = "") -> None:
        super().__init__(name)
        self.from_logits = bool(from_logits)

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        self.update_from(k, y_pred, y_true, sample_weight, self.from_logits)

    def update_logits(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array, logits: str) -> None:
        if logits == self.takes or self.from_logits:
            self.update_from(k, y_pred, y_true, sample_weight, True)
        else:
            self.update_from(k, probabilities(k, y_pred, logits), y_true, sample_weight, False)

    def update_from(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array, logits: bool) -> None:
        """Add a batch of logits or of probabilities."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "from_logits": self.from_logits}


class SparseCategoricalCrossentropy(_Crossentropy):
    """Mean of -log p of the label; the probabilities p of a sample are normalized to the sum 1.

    >>> m = SparseCategoricalCrossentropy()
    >>> m.update_state([0, 1], [[0.5, 0.5], [0.75, 0.25]])
    >>> round(m.result(), 4)
    1.0397
    """

    targets = "labels"

    def __init__(self, from_logits: bool = False, name: str = "sparse_categorical_crossentropy") -> None:
        super().__init__(from_logits, name)

    def update_from(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array, logits: bool) -> None:
        p, labels, given = by_label(self, y_pred, y_true, sample_weight)
        z = p if logits else _log(k, p)
        losses, weights, p = (
            k.empty(len(z), z.dtype),
            k.empty(len(z), z.dtype),
            k.empty(z.shape, z.dtype),
        )
        k.sparse_cross_entropy_forward(losses, weights, p, z, labels, k.absent, k.absent, 0.0, NO_LABEL)
        k.mean_rows(self.total, losses, given)


class Perplexity(SparseCategoricalCrossentropy):
    """Exponential of the mean cross-entropy of class labels. For a language model, it is the effective number of next words.

    >>> m = Perplexity()
    >>> m.update_state([0, 3], [[0.25, 0.25, 0.25, 0.25]] * 2)
    >>> round(m.result(), 4)
    4.0
    """

    def __init__(self, from_logits: bool = False, name: str = "perplexity") -> None:
        super().__init__(from_logits, name)

    def result(self) -> float:
        return float(np.exp(super().result()))


class CategoricalCrossentropy(_Crossentropy):
    """Mean of -sum(y_true log p) for one-hot targets or probabilities."""

    def __init__(self, from_logits: bool = False, name: str = "categorical_crossentropy") -> None:
        super().__init__(from_logits, name)

    def update_from(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array, logits: bool) -> None:
        check_shapes(self, y_pred, y_true, y_pred.shape == y_true.shape)
        z = by_class(y_pred) if logits else _log(k, by_class(y_pred))
        losses, p = k.empty(len(z), z.dtype), k.empty(z.shape, z.dtype)
        k.cross_entropy_forward(losses, p, z, by_class(y_true), k.absent, k.absent, 0.0)
        k.mean_rows(self.total, losses, row_weights(self, y_pred, sample_weight))


class BinaryCrossentropy(_Crossentropy):
    """Mean of -(y log p + (1 - y) log(1 - p)) over outputs with targets y of 0 or 1.

    >>> m = BinaryCrossentropy()
    >>> m.update_state([1, 0], [0.5, 0.5])
    >>> round(m.result(), 4)
    0.6931
    """

    takes = "sigmoid"

    def __init__(self, from_logits: bool = False, name: str = "binary_crossentropy") -> None:
        super().__init__(from_logits, name)

    def update_from(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array, logits: bool) -> None:
        z, t, weights = by_weight(self, y_pred, y_true, sample_weight)
        if not logits:
            other = arrays.apply(k, activation("affine", -1.0, 1.0), z)
            z = arrays.binary(k, "sub", _log(k, z), _log(k, other))
        losses = k.empty(len(z), z.dtype)
        k.pointwise_loss_forward(losses, z, t, k.absent, k.absent, pointwise_loss("sigmoid_cross_entropy"))
        k.mean_rows(self.total, losses, weights)


def _log(k: Backend, p: Array) -> Array:
    """Return the logarithms of probabilities, which are logits of a softmax."""
    eps = float(np.finfo(p.dtype).eps)
    log: Array = arrays.apply(k, activation("log"), arrays.apply(k, activation("clip", eps, 1 - eps), p))
    return log
