"""Intersection over union of the classes, for segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd.tensor import Tensor, no_grad
from ...core import arrays
from ...ops import logic
from ...ops.cast import astype
from ...ops.checks import positive_int
from ...ops.data import one_hot
from .base import Array, Metric
from .rows import argmax_rows, by_class, row_weights

if TYPE_CHECKING:
    from ...backends.base import Backend


class IoU(Metric):
    """Mean over some classes of TP / (TP + FP + FN), the overlap of predicted and true areas divided by their union.

    Classes that were neither true nor predicted do not count. Labels that are no classes, and `ignore_class`, are ignored.

    Args:
        num_classes: number of classes.
        target_class_ids: the classes whose mean is the result.
        ignore_class: a label to ignore.
        sparse_y_true: whether targets are labels; else one-hot rows.
        sparse_y_pred: whether outputs are class numbers, as in Keras; False for the outputs of a model, (n, ..., classes).

    >>> m = IoU(num_classes=2, target_class_ids=[0])
    >>> m.update_state([0, 0, 1, 1], [0, 1, 0, 1])
    >>> round(m.result(), 4)
    0.3333
    """

    targets = "any"
    direction = "max"
    arrays = ("matrix",)

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
    ) -> None:
        super().__init__(name)
        op = type(self).__name__
        self.num_classes = positive_int(num_classes, f"{op}: num_classes")
        self.target_class_ids = [int(i) for i in target_class_ids]
        if not self.target_class_ids or not all(0 <= i < self.num_classes for i in self.target_class_ids):
            raise ValueError(f"{op}: target_class_ids are {self.target_class_ids}; wanted classes from 0 to {num_classes - 1}")
        self.ignore_class = ignore_class
        self.sparse_y_true, self.sparse_y_pred = bool(sparse_y_true), bool(sparse_y_pred)
        self.matrix: Array | None = None

    def _predicted(self, k: Backend, y_pred: Array) -> Tensor:
        """Return the number of the predicted class of each row."""
        if self.sparse_y_pred:
            return astype(Tensor(y_pred.reshape(-1)), np.int64)
        if y_pred.ndim < 2 or y_pred.shape[-1] != self.num_classes:
            wanted = f"(n, ..., {self.num_classes}), or sparse_y_pred=True for class numbers"
            raise ValueError(f"metric {self.name}: y_pred has shape {y_pred.shape}; wanted {wanted}")
        return Tensor(argmax_rows(k, by_class(y_pred)))

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        like = y_pred[..., None] if self.sparse_y_pred else y_pred
        with no_grad():
            predicted = self._predicted(k, y_pred)
            n = len(predicted)
            if self.sparse_y_true:
                if y_true.size != n:
                    raise ValueError(f"metric {self.name}: y_true has shape {y_true.shape}, and there are {n} predicted classes")
                labels = astype(Tensor(y_true.reshape(-1)), np.int64)
            else:
                if y_true.size != n * self.num_classes:
                    raise ValueError(f"metric {self.name}: y_true has shape {y_true.shape}; wanted one-hot rows of {n} samples")
                labels = Tensor(argmax_rows(k, y_true.reshape(n, self.num_classes)))
            known = logic.logical_and(predicted >= 0, predicted < self.num_classes)
            if self.ignore_class is not None:
                known = logic.logical_and(known, labels != self.ignore_class)
            labels = logic.where(known, labels, -1)
            rows = one_hot(logic.where(known, predicted, 0), self.num_classes)
        if self.matrix is None:
            self.matrix = k.shared_array(np.zeros((self.num_classes, self.num_classes)))
        weights = row_weights(self, like, sample_weight)
        weights = weights if weights.dtype == np.float32 or not weights.size else arrays.cast(k, weights, np.dtype(np.float32))
        k.confusion_matrix(self.matrix, rows.data, labels.data, weights)

    def result(self) -> float:
        """Return the mean over the classes that occurred; 0.0 if there are none."""
        if self.matrix is None:
            return 0.0
        hits = self.matrix.diagonal()
        union = self.matrix.sum(0) + self.matrix.sum(1) - hits
        shares = [float(hits[i] / union[i]) for i in self.target_class_ids if union[i] > 1e-9]
        return sum(shares) / len(shares) if shares else 0.0

    def get_config(self) -> dict[str, Any]:
        names = ("num_classes", "target_class_ids", "name", "ignore_class", "sparse_y_true", "sparse_y_pred")
        return {name: getattr(self, name) for name in names}


class MeanIoU(IoU):
    """Mean of `IoU` over all classes.

    >>> m = MeanIoU(num_classes=2)
    >>> m.update_state([0, 0, 1, 1], [0, 1, 0, 1])
    >>> round(m.result(), 4)
    0.3333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
    ) -> None:
        classes = range(positive_int(num_classes, "MeanIoU: num_classes"))
        super().__init__(num_classes, classes, name, ignore_class, sparse_y_true, sparse_y_pred)

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config().items() if name != "target_class_ids"}


class OneHotIoU(IoU):
    """`IoU` for one-hot targets and the outputs of a model."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, ignore_class, False, sparse_y_pred)

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config().items() if name != "sparse_y_true"}


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` for one-hot targets and the outputs of a model."""

    def __init__(
        self, num_classes: int, name: str | None = None, ignore_class: int | None = None, sparse_y_pred: bool = False
    ) -> None:
        super().__init__(num_classes, name, ignore_class, False, sparse_y_pred)

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config().items() if name != "sparse_y_true"}


class BinaryIoU(IoU):
    """`IoU` of outputs on two sides of a threshold; targets are 0 or 1.

    Args:
        target_class_ids: 0, 1, or both, whose mean is the result.
        threshold: outputs of at least this number are class 1.

    >>> m = BinaryIoU(target_class_ids=[0, 1], threshold=0.3)
    >>> m.update_state([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])
    >>> round(m.result(), 4)
    0.3333
    """

    def __init__(self, target_class_ids: Sequence[int] = (0, 1), threshold: float = 0.5, name: str | None = None) -> None:
        super().__init__(2, target_class_ids, name)
        self.threshold = float(threshold)

    def _predicted(self, k: Backend, y_pred: Array) -> Tensor:
        return astype(Tensor(y_pred.reshape(-1)) >= self.threshold, np.int64)

    def get_config(self) -> dict[str, Any]:
        return {"target_class_ids": self.target_class_ids, "threshold": self.threshold, "name": self.name}
