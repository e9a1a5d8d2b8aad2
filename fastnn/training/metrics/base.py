"""What every metric is: numbers that grow batch by batch, by the backend's kernels."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from ...backends import numbers
from .. import data

Array = np.ndarray[Any, Any]


class Metric:
    """A mean over samples that grows batch by batch: ``total[0] / total[1]``, values over weights.

    Subclasses define ``update``; those that are no such mean have other ``arrays`` and define ``result`` too. Arrays stay the
    same while a model trains, so that recorded steps can add to them.
    """

    targets: Literal["labels", "values", "any"] = "values"
    """What it compares with: class labels (int64, shape (n,)), values shaped like the prediction, or either."""
    direction: Literal["min", "max"] | None = None
    """Which way is better; None where that is not known."""
    recordable = True
    """Whether update is kernel calls alone."""
    arrays: tuple[str, ...] = ("total",)
    """The attributes that hold what it knows of the batches so far; None until the first one, where shapes depend on it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = numbers([0.0, 0.0])

    def scalar(self, outputs: int) -> bool:
        """Whether the result is one number for so many outputs, as `fit` needs it."""
        return True

    def update(self, k: Any, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        """Adds a batch. k is the backend whose kernels are used.

        y_pred has shape (n, ...), y_true the labels (n,) or values like y_pred in the same dtype, sample_weight shape (n,) in
        the same dtype or size 0.
        """
        raise NotImplementedError

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of array-likes, in Keras's order; for use without fit."""
        from ...backends import current
        from ...tensor import Tensor

        op = type(self).__name__
        y_true, y_pred = (y.numpy() if isinstance(y, Tensor) else y for y in (y_true, y_pred))
        dtype = np.float64 if getattr(y_pred, "dtype", None) == np.float64 else np.float32
        p = data.as_features(y_pred, dtype, op, "y_pred")
        kind = self.targets
        if kind == "any":
            kind = "labels" if p.ndim > 1 and p.shape[-1] > 1 and np.size(y_true) == len(p) else "values"
        t = data.as_targets(y_true, kind, dtype, op, "y_true", column=False)
        data.check_same_length(op, y_pred=p, y_true=t)
        k = current()
        self.update(k, *map(k.asarray, (p, t, data.as_sample_weight(sample_weight, len(p), dtype, op))))

    def reserve(self, samples: int) -> None:
        """So many samples will come before the next reset: room for them, where all have to be kept."""

    def reset_state(self) -> None:
        """Starts anew."""
        for name in self.arrays:
            if (array := getattr(self, name)) is not None:
                array[...] = 0

    def set_aside(self) -> list[Any]:
        """Its arrays, in whose place it gets new ones: an evaluation in the middle of training."""
        kept = [getattr(self, name) for name in self.arrays]
        for name, array in zip(self.arrays, kept, strict=True):
            setattr(self, name, None if array is None else numbers(np.zeros(array.shape), array.dtype))
        return kept

    def take_back(self, kept: list[Any]) -> None:
        """What `set_aside` gave."""
        for name, array in zip(self.arrays, kept, strict=True):
            setattr(self, name, array)

    def result(self) -> Any:
        """The mean of what was added since the last reset; 0.0 for nothing."""
        values, weights = self.total
        return float(values / weights) if weights != 0 else 0.0

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}={np.array2string(np.asarray(self.result()), precision=4)}>"


def by_class(a: Array) -> Array:
    """Shape (rows, classes)."""
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1]) if a.ndim > 1 else a.reshape(len(a), 1)


def by_sample(a: Array) -> Array:
    """Shape (samples, values in each)."""
    return a.reshape(len(a), math.prod(a.shape[1:]))


def check_shapes(metric: Metric, y_pred: Array, y_true: Array, fits: bool) -> None:
    """ValueError unless the shapes go together."""
    if not fits:
        raise ValueError(f"metric {metric.name}: y_pred of shape {y_pred.shape} does not go with y_true of shape {y_true.shape}")


def check_values(metric: Metric, y_pred: Array, y_true: Array) -> None:
    """ValueError unless there is a target for each output."""
    check_shapes(metric, y_pred, y_true, y_pred.size == y_true.size and len(y_pred) == len(y_true))


def check_labels(metric: Metric, y_pred: Array, y_true: Array, sample_weight: Array) -> Array:
    """y_pred as (rows, classes); ValueError unless there is a label for each row."""
    p = by_class(y_pred)
    check_shapes(metric, y_pred, y_true, y_true.size == len(p) and sample_weight.size in (0, len(p)))
    return p


def argmax_rows(k: Any, a: Array) -> Array:
    """The place of the greatest element of each row."""
    index: Array = k.empty((len(a), 1), np.int64)
    k.argmax_forward(index, a.reshape(len(a), a.shape[1], 1))
    return index.reshape(-1)
