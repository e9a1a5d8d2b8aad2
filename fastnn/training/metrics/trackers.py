"""Metrics of values that are not predictions, such as losses in a custom train_step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd.tensor import Tensor
from .base import Array, Metric

if TYPE_CHECKING:
    from ...backends.base import Backend


class _Tracker(Metric):
    """Base of metrics that sum values and their weights."""

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Add values, a number or an array-like, with a weight for each element, or for each index of the first axis."""
        v, w = (np.asarray(a.detach() if isinstance(a, Tensor) else a, np.float64) for a in (values, _or_one(sample_weight)))
        w = np.broadcast_to(w.reshape(w.shape + (1,) * (v.ndim - w.ndim)), v.shape)
        self.total += np.array((np.where(w != 0, v * w, 0).sum(), w.sum()))

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        name = type(self).__name__
        raise TypeError(f"metric {self.name}: {name} takes values by update_state(values), not targets and predictions")


def _or_one(weight: Any) -> Any:
    return 1.0 if weight is None else weight


class Mean(_Tracker):
    """Mean of the values that are passed to `update_state`, as in Keras; for a custom ``train_step``.

    >>> m = Mean("d_loss")
    >>> m.update_state([1.0, 3.0], sample_weight=[1, 3])
    >>> m.result()
    2.5
    """

    def __init__(self, name: str = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class Sum(_Tracker):
    """Sum of the values that are passed to `update_state`.

    >>> m = Sum()
    >>> m.update_state([1.0, 3.0])
    >>> m.result()
    4.0
    """

    def __init__(self, name: str = "sum", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def result(self) -> float:
        return float(self.total[0])
