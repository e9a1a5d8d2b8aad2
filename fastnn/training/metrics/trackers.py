"""Metrics of values that are no predictions, such as losses in a train_step of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd.tensor import Tensor
from .base import Array, Metric

if TYPE_CHECKING:
    from ...backends.base import Backend


class _Tracker(Metric):
    """Sums of values and of their weights."""

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Add values: a number or an array-like, with a weight for each, or for each of the first dimension."""
        v, w = (np.asarray(a.detach() if isinstance(a, Tensor) else a, np.float64) for a in (values, _or_one(sample_weight)))
        w = np.broadcast_to(w.reshape(w.shape + (1,) * (v.ndim - w.ndim)), v.shape)
        self.total += np.array((np.where(w != 0, v * w, 0).sum(), w.sum()))

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        name = type(self).__name__
        raise TypeError(f"metric {self.name}: {name} takes values by update_state(values), not targets and predictions")


def _or_one(weight: Any) -> Any:
    return 1.0 if weight is None else weight


class Mean(_Tracker):
    """The mean of the values that `update_state` was given, as Keras's: for a ``train_step`` of your own.

    >>> m = Mean("d_loss")
    >>> m.update_state([1.0, 3.0], sample_weight=[1, 3])
    >>> m.result()
    2.5
    """

    def __init__(self, name: str = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class Sum(_Tracker):
    """The sum of the values that `update_state` was given.

    >>> m = Sum()
    >>> m.update_state([1.0, 3.0])
    >>> m.result()
    4.0
    """

    def __init__(self, name: str = "sum", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def result(self) -> float:
        return float(self.total[0])
