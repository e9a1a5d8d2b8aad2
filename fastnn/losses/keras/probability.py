"""Losses of classes and of distributions, and of directions.

A loss of probabilities looks on the tape for the softmax or sigmoid that made them, and uses its logits. Value and gradient are
the same, but without loss of precision. If it finds none, it clips the probabilities and takes the logarithm, as Keras does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd.tensor import Array, Tensor
from ...backends.spec import pointwise_loss as function
from ...core.convert import as_array
from ...ops import activation, elementwise, pointwise_loss, shape
from ...ops import loss as ops
from ...ops.checks import axis_of, check_number
from ...ops.data import one_hot
from ..base import RowLoss, as_labels, two, values
from ..weights import counting, weighted
from .pointwise import EPSILON


class SparseCategoricalCrossentropy(RowLoss):
    """Cross-entropy of integer labels.

    Args:
        from_logits: whether predictions are logits, not probabilities.
        ignore_class: rows with this label are ignored; the mean is over the others.

    >>> import fastnn
    >>> loss = fastnn.losses.SparseCategoricalCrossentropy()
    >>> round(loss([1], fastnn.tensor([[0.1, 0.9]])).item(), 4)
    0.1054
    """

    targets = "labels"
    name = "sparse_categorical_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.from_logits = bool(from_logits)
        self.ignore_class = None if ignore_class is None else int(ignore_class)

    @property
    def ignored(self) -> int | None:  # type: ignore[override]
        return self.ignore_class

    @property
    def logits(self) -> str:  # type: ignore[override]
        return "softmax" if self.from_logits else ""

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        logits = two(y_pred if self.from_logits else _softmax_logits(y_pred))
        ignore = ops.NO_LABEL if self.ignore_class is None else self.ignore_class
        labels = as_labels(y_true, self.shape_of_losses(y_pred.shape), logits.shape[1], self.name, ignore)
        return ops.sparse_cross_entropy(logits, labels, sample_weight, ignore_index=ignore)[0]

    def counted(self, y_true: Any, y_pred: Tensor) -> Array | None:
        if self.ignore_class is None:
            return None
        like, classes = self.shape_of_losses(y_pred.shape), two(y_pred).shape[1]
        labels = as_labels(y_true, like, classes, self.name, self.ignore_class)
        return elementwise.astype(Tensor(labels) != self.ignore_class, y_pred.dtype).data


class CategoricalCrossentropy(RowLoss):
    """Cross-entropy of target probabilities (one-hot labels).

    Args:
        from_logits: whether predictions are logits, not probabilities.
        label_smoothing: fraction of each target that is spread over all classes.

    >>> import fastnn
    >>> loss = fastnn.losses.CategoricalCrossentropy()
    >>> round(loss([[0.0, 1.0]], fastnn.tensor([[0.1, 0.9]])).item(), 4)
    0.1054
    """

    name = "categorical_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.from_logits = bool(from_logits)
        self.label_smoothing = check_number(label_smoothing, f"{type(self).__name__}: label_smoothing", 0, 1)

    @property
    def logits(self) -> str:  # type: ignore[override]
        return "softmax" if self.from_logits else ""

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        targets = two(values(y_true, y_pred, self.name))
        pointwise_loss.no_gradient(targets, self.name)
        logits = two(y_pred if self.from_logits else _softmax_logits(y_pred))
        return ops.cross_entropy(logits, targets.data, sample_weight, smoothing=self.label_smoothing)


class BinaryCrossentropy(RowLoss):
    """Cross-entropy of yes-or-no targets, averaged over the outputs.

    Args:
        from_logits: whether predictions are logits, not probabilities.
        label_smoothing: fraction by which each target is moved towards one half.

    >>> import fastnn
    >>> round(fastnn.losses.BinaryCrossentropy()([[1.0]], fastnn.tensor([[0.9]])).item(), 4)
    0.1054
    """

    name = "binary_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.from_logits = bool(from_logits)
        self.label_smoothing = check_number(label_smoothing, f"{type(self).__name__}: label_smoothing", 0, 1)

    @property
    def logits(self) -> str:  # type: ignore[override]
        return "sigmoid" if self.from_logits else ""

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        targets = two(values(y_true, y_pred, self.name))
        logits = y_pred if self.from_logits else activation.sigmoid_logits(y_pred)
        if logits is None:  # computing logits from p would lose precision near p = 1
            p = elementwise.clip(two(y_pred), EPSILON, 1 - EPSILON)
            if self.label_smoothing:
                targets = targets * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
            return pointwise_loss.pointwise_loss(p, targets, function("binary_cross_entropy"), sample_weight)
        fn = function("sigmoid_cross_entropy", self.label_smoothing)
        return pointwise_loss.pointwise_loss(two(logits), targets, fn, sample_weight)


class BinaryFocalCrossentropy(BinaryCrossentropy):
    """Binary cross-entropy times (1 - p)^gamma, where p is the probability of the true value: easy samples count less.

    Args:
        apply_class_balancing: whether targets of 1 have the weight alpha and targets of 0 the weight 1 - alpha.
        alpha: weight of targets of 1.
        gamma: exponent of the factor; 0 is the cross-entropy.
        from_logits, label_smoothing: as in `BinaryCrossentropy`.

    Source: Lin et al., Focal loss for dense object detection, arXiv 1708.02002.

    >>> import fastnn
    >>> round(fastnn.losses.BinaryFocalCrossentropy(gamma=2.0)([[1.0]], fastnn.tensor([[0.9]])).item(), 6)
    0.001054
    """

    name = "binary_focal_crossentropy"

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, reduction=reduction, name=name)
        self.apply_class_balancing = bool(apply_class_balancing)
        self.alpha = check_number(alpha, "BinaryFocalCrossentropy: alpha", 0, 1)
        self.gamma = check_number(gamma, "BinaryFocalCrossentropy: gamma", 0)

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        targets = two(values(y_true, y_pred, self.name))
        if self.label_smoothing:
            targets = targets * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
        logits = y_pred if self.from_logits else activation.sigmoid_logits(y_pred)
        if logits is not None:
            fn = function("binary_focal", self.gamma, self.alpha if self.apply_class_balancing else -1.0)
            return pointwise_loss.pointwise_loss(two(logits), targets, fn, sample_weight)
        p = elementwise.clip(counting(two(y_pred), sample_weight), EPSILON, 1 - EPSILON)  # not by logits, as above
        entropy = -targets * elementwise.log(p) - (1 - targets) * elementwise.log1p(-p)
        losses = (targets * (1 - p) + (1 - targets) * p) ** self.gamma * entropy
        if self.apply_class_balancing:
            losses = losses * (targets * self.alpha + (1 - targets) * (1 - self.alpha))
        return weighted(losses.mean(1), sample_weight)


class CategoricalFocalCrossentropy(CategoricalCrossentropy):
    """Cross-entropy of one-hot targets times alpha (1 - p)^gamma, where p is the probability of the true class.

    Args:
        alpha: a weight for all classes, or a list with one for each.
        gamma: exponent of the factor, which lowers the weight of easy samples; 0 is the cross-entropy.
        from_logits, label_smoothing: as in `CategoricalCrossentropy`.

    Source: Lin et al., Focal loss for dense object detection, arXiv 1708.02002.

    >>> import fastnn
    >>> loss = fastnn.losses.CategoricalFocalCrossentropy(alpha=1.0)
    >>> round(loss([[0.0, 1.0]], fastnn.tensor([[0.1, 0.9]])).item(), 6)
    0.001054
    """

    name = "categorical_focal_crossentropy"

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, reduction=reduction, name=name)
        many = isinstance(alpha, Sequence | np.ndarray) and not isinstance(alpha, str)
        given: Any = alpha
        checked = [check_number(a, "CategoricalFocalCrossentropy: alpha", 0) for a in (given if many else [given])]
        self.alpha = checked if many else checked[0]
        self.gamma = check_number(gamma, "CategoricalFocalCrossentropy: gamma", 0)

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        targets, y_pred = two(values(y_true, y_pred, self.name)), counting(two(y_pred), sample_weight)
        classes = y_pred.shape[1]
        if self.label_smoothing:
            targets = targets * (1 - self.label_smoothing) + self.label_smoothing / classes
        alpha: Any = self.alpha
        if isinstance(alpha, list):
            alpha = Tensor(as_array(alpha, y_pred.dtype, (classes,), f"{self.name}: alpha"))
        p = activation.softmax(y_pred) if self.from_logits else y_pred / y_pred.sum(1, keepdims=True)
        p = elementwise.clip(p, EPSILON, 1 - EPSILON)
        return weighted(((1 - p) ** self.gamma * alpha * targets * -elementwise.log(p)).sum(1), sample_weight)


class CategoricalHinge(RowLoss):
    """max(1 + the greatest prediction of another class - that of the true class, 0), for one-hot targets.

    >>> import fastnn
    >>> fastnn.losses.CategoricalHinge()([[0.0, 1.0]], fastnn.tensor([[0.5, 1.0]])).item()
    0.5
    """

    name = "categorical_hinge"

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        targets, y_pred = two(values(y_true, y_pred, self.name)), counting(two(y_pred), sample_weight)
        other = ((1 - targets) * y_pred).max(axis=1)
        return weighted(activation.relu(other - (targets * y_pred).sum(1) + 1), sample_weight)


class KLDivergence(RowLoss):
    """The sum of y_true log(y_true / y_pred) over the row, both clipped to 1e-7 .. 1.

    >>> import fastnn
    >>> round(fastnn.losses.KLDivergence()([[0.5, 0.5]], fastnn.tensor([[0.25, 0.75]])).item(), 4)
    0.1438
    """

    name = "kl_divergence"

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        targets, pred = two(values(y_true, y_pred, self.name)), two(y_pred)
        fn = function("kl_divergence", EPSILON, pred.shape[1])  # the kernel takes the mean
        return pointwise_loss.pointwise_loss(pred, targets, fn, sample_weight)


class CosineSimilarity(RowLoss):
    """Minus the cosine of the angle between y_true and y_pred: -1 if they have the same direction.

    Args:
        axis: the axis of the vectors.

    >>> import fastnn
    >>> fastnn.losses.CosineSimilarity()([[0.0, 2.0]], fastnn.tensor([[0.0, 4.0]])).item()
    -1.0
    """

    name = "cosine_similarity"

    def __init__(self, axis: int = -1, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        super().__init__(reduction, name)
        self.axis = int(axis)

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        axis = axis_of(self.axis, y_pred.ndim, self.name)
        last = (*(i for i in range(y_pred.ndim) if i != axis), axis)
        n = y_pred.shape[axis]
        a, b = (shape.reshape(shape.transpose(t, last), (-1, n)) for t in (values(y_true, y_pred, self.name), y_pred))
        cosine = (_normalised(a) * _normalised(counting(b, sample_weight))).sum(1)
        return weighted(-cosine, sample_weight)

    def shape_of_losses(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        axis = axis_of(self.axis, len(output_shape), self.name)
        return output_shape[:axis] + output_shape[axis + 1 :]


class CategoricalGeneralizedCrossEntropy(RowLoss):
    """(1 - p^q) / q with p, the probability of the label: between cross-entropy (q near 0) and absolute error (q = 1).

    Args:
        q: a number above 0, at most 1; larger ones tolerate more wrong labels.

    Source: Zhang and Sabuncu, Generalized cross entropy loss for training with noisy labels, arXiv 1805.07836.

    >>> import fastnn
    >>> loss = fastnn.losses.CategoricalGeneralizedCrossEntropy(q=0.5)
    >>> round(loss([1], fastnn.tensor([[0.75, 0.25]])).item(), 4)
    1.0
    """

    targets = "labels"
    name = "categorical_generalized_cross_entropy"

    def __init__(self, q: float = 0.5, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        super().__init__(reduction, name)
        self.q = check_number(q, f"{type(self).__name__}: q", 0, 1)
        if not self.q:
            raise ValueError("CategoricalGeneralizedCrossEntropy: q is 0; wanted a number above 0, or CategoricalCrossentropy")

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        classes, like = y_pred.shape[-1], self.shape_of_losses(y_pred.shape)
        labels = as_labels(y_true, like, classes, self.name)
        given = counting(two(y_pred), sample_weight)
        chosen = (given * one_hot(Tensor(labels), classes, y_pred.dtype)).sum(1)
        return weighted((1 - chosen**self.q) / self.q, sample_weight)


def _normalised(x: Tensor) -> Tensor:
    return x / elementwise.clip((x * x).sum(1, keepdims=True), EPSILON**2).sqrt()


def _softmax_logits(p: Tensor) -> Tensor:
    # The logarithms of probabilities are valid logits: their softmax is the probabilities.
    logits = activation.softmax_logits(p)
    return logits if logits is not None else elementwise.log(elementwise.clip(p, EPSILON, 1 - EPSILON))
