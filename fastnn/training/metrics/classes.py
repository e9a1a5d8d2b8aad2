"""Metrics from counts of true and predicted classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...core import arrays
from .base import Array, Metric
from .rows import argmax_rows, by_class, by_label, check_values, probabilities, row_weights

if TYPE_CHECKING:
    from ...backends.base import Backend

Average = Literal["micro", "macro", "weighted"] | None


def _is_labels(y_pred: Array, y_true: Array) -> bool:
    """Return whether the targets are class numbers, one for each row of several outputs."""
    several = y_pred.ndim > 1 and y_pred.shape[-1] > 1
    return bool(several and y_true.dtype == np.int64 and y_true.size * y_pred.shape[-1] == y_pred.size)


class ConfusionMatrix(Metric):
    """Confusion matrix: counts of each predicted class for each true class; rows are true classes, columns predicted ones.

    Targets are class labels or one-hot rows. The predicted class is that of the greatest output. Labels that are not classes are
    ignored.

    >>> m = ConfusionMatrix()
    >>> m.update_state([0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    >>> m.result().tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """

    targets = "any"
    arrays = ("matrix",)

    def __init__(self, name: str = "confusion_matrix") -> None:
        super().__init__(name)
        self.matrix: Array | None = None

    def scalar(self, outputs: int) -> bool:
        return False

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        self.matrix = add_to_matrix(self, k, self.matrix, y_pred, y_true, sample_weight)

    def result(self) -> Array:
        """Return the matrix, (classes, classes); (0, 0) before the first batch."""
        return np.zeros((0, 0)) if self.matrix is None else self.matrix.copy()


def add_to_matrix(metric: Metric, k: Backend, matrix: Array | None, y_pred: Array, y_true: Array, sample_weight: Array) -> Array:
    """Add a batch to the confusion matrix and return it; it is made at the first batch."""
    if _is_labels(y_pred, y_true):
        p, labels, weights = by_label(metric, y_pred, y_true, sample_weight)
    else:
        check_values(metric, y_pred, y_true)
        p, weights = by_class(y_pred), row_weights(metric, y_pred, sample_weight)
        labels = argmax_rows(k, by_class(y_true.reshape(y_pred.shape)))
    if matrix is None:
        matrix = k.shared_array(np.zeros((p.shape[1], p.shape[1])))
    if len(matrix) != p.shape[1]:
        raise ValueError(f"metric {metric.name}: {p.shape[1]} outputs came, earlier batches had {len(matrix)}")
    k.confusion_matrix(matrix, p, labels, weights)
    return matrix


class _ByClass(Metric):
    """Base of scores of each class from its true and false positives and negatives, and of their average.

    Args:
        thresholds: outputs above the threshold are positive; several thresholds give several results. With None, only the
            greatest output is positive, or outputs above 0.5 if there is a single output. With class labels, the greatest output
            is always the positive one.
        average: "micro" counts all classes together, "macro" is the mean over the classes, "weighted" the mean weighted by the
            number of true samples, None returns each class. With a single output there is one class. If the greatest output is
            the prediction, "macro" omits classes that were neither true nor predicted, regardless of sample weights.
        class_id: the only class to use.
    """

    targets = "any"
    direction = "max"
    arrays = ("counts", "matrix", "seen")

    def __init__(self, name: str | None, thresholds: Any, average: Average, class_id: int | None) -> None:
        super().__init__(name)
        if average not in ("micro", "macro", "weighted", None):
            raise ValueError(f"{type(self).__name__}: average is {average!r}, wanted 'micro', 'macro', 'weighted' or None")
        self.average, self.class_id = average, class_id
        self.thresholds: float | list[float] | None = (
            None
            if thresholds is None
            else [float(t) for t in thresholds]
            if isinstance(thresholds, Sequence)
            else float(thresholds)
        )
        self.counts: Array | None = None  # (thresholds, classes, 4): true and false positives, false and true negatives
        self.matrix: Array | None = None  # confusion matrix, if the greatest output is the prediction
        self.seen: Array | None = None  # confusion matrix without weights, to see classes whose samples have weight 0

    def scalar(self, outputs: int) -> bool:
        one_class = self.average is not None or self.class_id is not None or outputs == 1
        return one_class and not isinstance(self.thresholds, list)

    def of_logits(self, k: Backend, y_pred: Array, logits: str) -> Array:
        at = 0.5 if self.thresholds is None else self.thresholds
        lowest, highest = (min(at, default=0.5), max(at, default=0.5)) if isinstance(at, list) else (at, at)
        # Thresholds outside of 0..1, and a single threshold of 0, are thresholds of the logits themselves.
        return probabilities(k, y_pred, logits) if 0 <= lowest <= highest <= 1 and highest > 0 and lowest < 1 else y_pred

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        if _is_labels(y_pred, y_true) or (self.thresholds is None and by_class(y_pred).shape[1] > 1):
            self.matrix = add_to_matrix(self, k, self.matrix, y_pred, y_true, sample_weight)
            if self.average == "macro" and sample_weight.size:
                self.seen = add_to_matrix(self, k, self.seen, y_pred, y_true, k.absent)
            return
        check_values(self, y_pred, y_true)
        p = by_class(y_pred)
        given = 0.5 if self.thresholds is None else self.thresholds
        at = np.array(given if isinstance(given, list) else [given])
        if self.counts is None:
            self.counts = k.shared_array(np.zeros((len(at), p.shape[1], 4)))
        if self.counts.shape[1] != p.shape[1]:
            raise ValueError(f"metric {self.name}: {p.shape[1]} outputs came, earlier batches had {self.counts.shape[1]}")
        t = by_class(y_true.reshape(y_pred.shape))
        t = t if t.dtype == p.dtype else arrays.cast(k, t, p.dtype)
        k.threshold_counts(self.counts, p, t, row_weights(self, y_pred, sample_weight), k.constant(at))

    def _score(self, positive: Array, false_positive: Array, false_negative: Array) -> Array:
        raise NotImplementedError

    def _occurring(self) -> Any:
        """Return 1 for each class that was true or predicted, else 0; with thresholds, all classes count."""
        matrices = [matrix for matrix in (self.matrix, self.seen) if matrix is not None]
        return np.any([(m != 0).any(0) | (m != 0).any(1) for m in matrices], axis=0) if matrices else 1

    def _by_class(self) -> Array:
        """Return true positives, false positives and false negatives: (3, thresholds, classes)."""
        if self.matrix is not None:
            hits = self.matrix.diagonal()
            return np.stack([hits, self.matrix.sum(0) - hits, self.matrix.sum(1) - hits])[:, None]
        counts = np.zeros((1, 1, 4)) if self.counts is None else self.counts
        return np.moveaxis(counts[..., :3], -1, 0)

    def result(self) -> Any:
        """Return the score, or 0.0 if its divisor is 0; an array for several thresholds or classes."""
        counts = self._by_class()
        if self.class_id is not None:
            if not 0 <= self.class_id < counts.shape[2]:
                raise ValueError(f"metric {self.name}: class_id is {self.class_id}, but there are {counts.shape[2]} outputs")
            counts = counts[:, :, self.class_id, None]
        if self.average == "micro":
            counts = counts.sum(2, keepdims=True)
        scores = self._score(*counts)
        if self.average is None and scores.shape[1] > 1:
            return scores if isinstance(self.thresholds, list) else scores[0]
        if self.average == "weighted":
            weights = counts[0] + counts[2]
        elif self.average == "macro" and self.class_id is None:
            weights = self._occurring() * np.ones_like(scores)
        else:
            weights = np.ones_like(scores)
        scores = _quotient((scores * weights).sum(1), weights.sum(1))
        return scores if isinstance(self.thresholds, list) else float(scores[0])

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "thresholds": self.thresholds, "average": self.average, "class_id": self.class_id}


def _quotient(a: Array, b: Array) -> Array:
    """Return a / b, and 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)


class Precision(_ByClass):
    """Fraction of true positives among the predicted positives.

    See `Recall` for the arguments.

    >>> m = Precision()
    >>> m.update_state([1, 0, 1, 0], [0.9, 0.6, 0.7, 0.2])
    >>> round(m.result(), 4)
    0.6667
    """

    def __init__(
        self, thresholds: Any = 0.5, average: Average = "micro", class_id: int | None = None, name: str = "precision"
    ) -> None:
        super().__init__(name, 0.5 if thresholds is None else thresholds, average, class_id)

    def _score(self, positive: Array, false_positive: Array, false_negative: Array) -> Array:
        return _quotient(positive, positive + false_positive)


class Recall(_ByClass):
    """Fraction of true positives among the samples of the class.

    Args:
        thresholds: outputs above the threshold are positive; a list gives a result for each threshold. With class labels and
            several outputs, the greatest output is the positive one.
        average: "micro" counts all classes together (as in Keras). "macro" is the mean over the classes, "weighted" the mean
            weighted by the number of true samples (as in scikit-learn). None returns an array of all classes. If the greatest
            output is the prediction, "macro" omits classes that were neither true nor predicted, regardless of sample weights.
        class_id: the only class to use.

    >>> m = Recall(average="macro")
    >>> m.update_state([0, 0, 1], [[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])
    >>> m.result()
    0.75
    """

    def __init__(
        self, thresholds: Any = 0.5, average: Average = "micro", class_id: int | None = None, name: str = "recall"
    ) -> None:
        super().__init__(name, 0.5 if thresholds is None else thresholds, average, class_id)

    def _score(self, positive: Array, false_positive: Array, false_negative: Array) -> Array:
        return _quotient(positive, positive + false_negative)


class FBetaScore(_ByClass):
    """Weighted harmonic mean of precision P and recall R: (1 + beta^2) P R / (beta^2 P + R).

    Args:
        average: as for `Recall`; by default None, which returns an array of all classes.
        beta: weight of recall relative to precision.
        threshold: outputs above it are positive. With None, only the greatest output is positive, or outputs above 0.5 if there
            is a single output.
    """

    def __init__(
        self, average: Average = None, beta: float = 1.0, threshold: float | None = None, name: str = "fbeta_score"
    ) -> None:
        super().__init__(name, threshold, average, None)
        self.threshold = self.thresholds
        if not beta > 0:
            raise ValueError(f"{type(self).__name__}: beta is {beta}, wanted a number above 0")
        self.beta = float(beta)

    def _score(self, positive: Array, false_positive: Array, false_negative: Array) -> Array:
        weight = self.beta**2
        hits = (1 + weight) * positive
        return _quotient(hits, hits + weight * false_negative + false_positive)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "average": self.average, "beta": self.beta, "threshold": self.threshold}


class F1Score(FBetaScore):
    """Harmonic mean of precision and recall.

    >>> m = F1Score(average="macro")
    >>> m.update_state([0, 1, 2, 2], [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.6, 0.3], [0.1, 0.2, 0.7]])
    >>> round(m.result(), 4)
    0.7778
    """

    def __init__(self, average: Average = None, threshold: float | None = None, name: str = "f1_score") -> None:
        super().__init__(average, 1.0, threshold, name)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "average": self.average, "threshold": self.threshold}


class _Counted(_ByClass):
    """Base of counts of outputs that are above or below a threshold, over all classes.

    Args:
        thresholds: outputs above the threshold are positive, by default 0.5; several thresholds give several counts.
    """

    direction: Literal["max"] | None = None  # type: ignore[assignment]
    which = 0
    """Number of the count among those of a class."""
    default = ""
    """Name of the metric, if none is given."""

    def __init__(self, thresholds: float | Sequence[float] | None = None, name: str | None = None) -> None:
        super().__init__(name or self.default, 0.5 if thresholds is None else thresholds, None, None)

    def scalar(self, outputs: int) -> bool:
        return not isinstance(self.thresholds, list)

    def result(self) -> Any:
        """Return the number, or those of several thresholds."""
        n = len(self.thresholds) if isinstance(self.thresholds, list) else 1
        found = np.zeros(n) if self.counts is None else self.counts[:, :, self.which].sum(1)
        return found if isinstance(self.thresholds, list) else float(found[0])

    def get_config(self) -> dict[str, Any]:
        return {"thresholds": self.thresholds, "name": self.name}


class TruePositives(_Counted):
    """Number of true samples with an output above the threshold.

    >>> m = TruePositives()
    >>> m.update_state([1, 1, 0], [0.9, 0.2, 0.7])
    >>> m.result()
    1.0
    """

    default, which = "true_positives", 0


class FalsePositives(_Counted):
    """Number of other samples with an output above the threshold."""

    default, which = "false_positives", 1


class FalseNegatives(_Counted):
    """Number of true samples with an output not above the threshold."""

    default, which = "false_negatives", 2


class TrueNegatives(_Counted):
    """Number of other samples with an output not above the threshold."""

    default, which = "true_negatives", 3
