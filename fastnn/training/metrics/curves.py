"""Metrics of the order of samples by scores; they store all scores of an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...backends import shared_array
from ...core import arrays
from ...core.elements import same_elements
from ...core.versions import settings_changed
from .base import Array, Metric
from .rows import by_label, by_weight, check_shapes, probabilities

if TYPE_CHECKING:
    from ...backends.base import Backend


class AUC(Metric):
    """Exact area under the ROC curve or the precision-recall curve; all scores are stored.

    Targets are 0 or 1 for one output, or for several outputs, which are counted together. Or they are the labels 0 and 1 for two
    outputs, where the second output is the score. ROC is the fraction of pairs of a positive and a negative sample in the right
    order; pairs with equal scores count half. PR is the average precision, the mean of the precision at each positive sample.
    Both agree with scikit-learn's roc_auc_score and average_precision_score. The result is NaN if a score is NaN, or if there is
    no positive sample, or for ROC no negative sample.

    Args:
        curve: "ROC" or "PR".
        multi_label: whether the result is the mean of the areas of the outputs, instead of the area of all together.
        label_weights: with multi_label, a weight for each output in this mean.
        num_thresholds, num_labels, from_logits: Keras's; they have no effect, since the area is exact and a sigmoid changes no
            order.

    >>> m = AUC()
    >>> m.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> m.result()
    0.75
    """

    targets = "any"
    direction = "max"
    arrays = ("store", "count")

    def __init__(
        self,
        curve: Literal["ROC", "PR"] = "ROC",
        name: str = "auc",
        *,
        multi_label: bool = False,
        label_weights: Any = None,
        num_thresholds: int = 200,
        num_labels: int | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name)
        if curve not in ("ROC", "PR"):
            raise ValueError(f"AUC: curve is {curve!r}, wanted 'ROC' or 'PR'")
        if label_weights is not None and not multi_label:
            raise ValueError("AUC: label_weights came without multi_label=True")
        self.curve, self.multi_label = curve, bool(multi_label)
        self.label_weights = None if label_weights is None else [float(w) for w in label_weights]
        self.num_thresholds, self.num_labels, self.from_logits = num_thresholds, num_labels, bool(from_logits)
        self.store = shared_array(np.zeros((3, 0)))  # scores, targets and weights
        self.count = shared_array([0], np.int64)
        self._expected = 0  # number of samples until the next reset
        self._width = 0  # number of scores of a sample, after the first batch
        self._trains = True  # whether recorded steps may write into the store

    def reserve(self, samples: int) -> None:
        self._expected = samples
        needed, room = samples * self._width, self.store.shape[1]
        if needed > room:  # grow here too, since a replay cannot grow the store
            self._grow(max(needed, 2 * room))

    def _grow(self, size: int) -> None:
        store, taken = shared_array(np.zeros((3, size))), int(self.count[0])
        store[:, :taken] = self.store[:, :taken]
        if self._trains:
            settings_changed()  # recorded steps write into the old store
        self.store = store

    def set_aside(self) -> None:
        self._trains = False
        super().set_aside()

    def take_back(self, kept: Any) -> None:
        self._trains = True
        super().take_back(kept)

    def to_merge(self) -> list[Array | None]:
        n = int(self.count[0])
        return [self.store[:, :n].copy(), np.array([n]), np.array([self._width])]

    def merge_state(self, states: list[list[Array | None]]) -> None:
        """Set the state to the scores of all ranks, in the order of ranks."""
        stores = [store for store, _, _ in states if store is not None]
        self._set_array("store", np.concatenate(stores, axis=1))
        self.count[0] = self.store.shape[1]
        self._width = max(int(width[0]) for _, _, width in states if width is not None)

    def of_logits(self, k: Backend, y_pred: Array, logits: str) -> Array:
        return probabilities(k, y_pred, logits) if logits == "softmax" else y_pred  # a sigmoid changes no order

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        if y_true.dtype == y_pred.dtype:
            p, t, weights = by_weight(self, y_pred, y_true, sample_weight)
        elif same_elements(y_true.shape, y_pred.shape):
            p, t, weights = by_weight(self, y_pred, arrays.cast(k, y_true, y_pred.dtype), sample_weight)
        else:
            p, labels, weights = by_label(self, y_pred, y_true, sample_weight)
            t = arrays.cast(k, labels.reshape(-1, 1), p.dtype)
            p = _second_column(k, p) if p.shape[1] == 2 else p
            check_shapes(self, y_pred, y_true, p.shape[1] == 1)
        self._width = p.size // max(len(y_pred), 1)
        room, needed, expected = self.store.shape[1], int(self.count[0]) + p.size, self._expected * self._width
        if room < max(needed, expected):
            self._grow(max(needed, expected, 2 * room if needed > room else 0))
        k.collect_scores(self.store, self.count, p, t, weights)

    def result(self) -> float:
        n = int(self.count[0])
        if n > self.store.shape[1]:
            raise RuntimeError(f"metric {self.name}: {n} scores came, but there was memory for {self.store.shape[1]}")
        if not self.multi_label or not n:
            return self._area(*self.store[:, :n])
        areas = [self._area(*self.store[:, j : n : self._width]) for j in range(self._width)]
        if self.label_weights is not None and len(self.label_weights) != len(areas):
            raise ValueError(f"metric {self.name}: label_weights has {len(self.label_weights)} numbers for {len(areas)} outputs")
        return float(np.average(areas, weights=self.label_weights))

    def _area(self, scores: Array, targets: Array, weights: Array) -> float:
        """Compute the area from the scores, targets and weights of some outputs."""
        if not weights.all():  # scores of weight 0 may be NaN
            scores, targets, weights = (a[weights != 0] for a in (scores, targets, weights))
        if np.isnan(scores).any():
            return float("nan")
        distinct, place = np.unique(scores, return_inverse=True)
        positive, negative = (np.bincount(place, weights * is_one, len(distinct)) for is_one in (targets != 0, targets == 0))
        return _roc_auc(positive, negative) if self.curve == "ROC" else _average_precision(positive[::-1], negative[::-1])

    def get_config(self) -> dict[str, Any]:
        names = ("name", "curve", "multi_label", "label_weights", "num_thresholds", "num_labels", "from_logits")
        return {name: getattr(self, name) for name in names}


def _second_column(k: Backend, p: Array) -> Array:
    n = len(p)
    column: Array = k.empty((n, 1), p.dtype)
    arrays.copy_walk(k, column, p, (n,), (1,), (2,), xo=1)
    return column


def _roc_auc(positive: Array, negative: Array) -> float:
    """Compute the area from the weights of both kinds at each score, in ascending order."""
    pairs = positive.sum() * negative.sum()
    below = negative.cumsum() - negative
    return float((positive * (below + negative / 2)).sum() / pairs) if pairs else float("nan")


def _average_precision(positive: Array, negative: Array) -> float:
    """Compute the mean precision from the weights of both kinds at each score, in descending order."""
    found = positive.cumsum()
    if not found.size or not found[-1]:
        return float("nan")
    all_so_far = found + negative.cumsum()
    precision = np.divide(found, all_so_far, out=np.zeros_like(found), where=all_so_far != 0)
    return float((positive * precision).sum() / found[-1])
