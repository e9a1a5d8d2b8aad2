"""Classes and numbers as targets of a model, and its outputs as predictions."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import unique_labels

from .. import losses
from .base import Array, Estimator, fitting

WEIGHTED = "mean_with_sample_weight"
"""Reduction of scikit-learn's losses: the sum of the weighted losses, divided by the sum of the weights."""
DRAWS = 100
"""Number of passes with dropout that return_std takes the deviation of."""


class Classifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """Base of the classifiers. y has labels of any kind, or is a matrix of 0 and 1 with a column for each label."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Estimator._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    _logits = False
    """Whether the model returns logits, not probabilities."""

    # ---- targets ----

    @property
    def _several(self) -> bool:
        """Return whether there are several labels for each sample."""
        return bool(self._label_binarizer.y_type_.startswith("multilabel"))

    def _define(self, y: Any) -> None:
        """Take the classes from labels."""
        self._label_binarizer = LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_
        n = len(self.classes_)
        self.n_outputs_ = n if self._several or n > 2 else 1

    def _encode(self, y: Any, fresh: bool, same: bool = False) -> Array:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if fresh:
            self._define(y)
        else:
            found = unique_labels(y)
            if same and set(found) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {found}"
                )
            if len(np.setdiff1d(found, self.classes_, assume_unique=True)):
                raise ValueError(f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {found}.")
        codes: Array = self._label_binarizer.transform(y) if self._several else np.searchsorted(self.classes_, y)
        return codes

    def _weighted(self, y: Any, weights: Array | None) -> Array | None:
        if self.class_weight is None:
            return weights
        by_class: Array = compute_sample_weight(self.class_weight, y)
        return by_class if weights is None else weights * by_class

    def _binary(self) -> bool:
        """Return whether each output of the model is the probability of a label by itself."""
        return self._several or self._units() == 1

    def _loss(self) -> tuple[Any, float]:
        if self.loss != "log_loss":
            return losses.get(self.loss), 1.0
        if self._binary():
            return losses.BinaryCrossentropy(from_logits=self._logits, reduction=WEIGHTED), float(self._units())
        return losses.SparseCategoricalCrossentropy(from_logits=self._logits, reduction=WEIGHTED), 1.0

    def _wanted(self, targets: Array) -> Array:
        if self._binary():
            return targets.astype(self.model_.dtype)
        if self.loss == "log_loss" or getattr(self._loss()[0], "targets", "any") == "labels":
            return targets.astype(np.int64, copy=False)
        return np.eye(self._units(), dtype=self.model_.dtype)[targets]

    # ---- predictions ----

    def _probabilities(self, outputs: Array) -> Array:
        """Return the probabilities of classes (n, classes), or of labels (n, labels)."""
        if self._logits:
            outputs = expit(outputs) if self._binary() else softmax(outputs, axis=-1)
        return np.concatenate([1 - outputs, outputs], axis=-1) if outputs.shape[-1] == 1 else outputs

    def _decided(self, outputs: Array) -> Array:
        """Return the numbers of the most likely classes (n,), or 0 and 1 for each label (n, labels)."""
        half = 0.0 if self._logits else 0.5
        if self._several:
            return (outputs > half).astype(np.int64)
        return (outputs[:, 0] > half).astype(np.int64) if outputs.shape[1] == 1 else outputs.argmax(axis=1)

    def _measure(self, outputs: Array, targets: Array, weights: Array | None) -> float:
        right = self._decided(outputs) == targets
        return float(np.average(right.all(axis=1) if self._several else right, weights=weights))

    def predict(self, X: Any) -> Array:
        """Return the most likely class of each sample (n,), or 0 and 1 for each label (n, labels)."""
        decided = self._decided(self._outputs(X))
        labels: Array = decided if self._several else self.classes_.take(decided, mode="clip")
        return labels

    def predict_proba(self, X: Any, return_std: bool = False, n_draws: int = DRAWS) -> Any:
        """Return the probability of each class (n, classes) or of each label (n, labels).

        Args:
            X: samples.
            return_std: return the mean and the standard deviation of the probabilities over passes with dropout at work
                (Gal and Ghahramani, arXiv 1506.02142).
            n_draws: number of these passes.
        """
        if not return_std:
            return self._probabilities(self._outputs(X))
        drawn = self._probabilities(self._drawn(X, n_draws))
        return drawn.mean(axis=0), drawn.std(axis=0)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))

    @fitting
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """Train for one epoch on these samples, starting from the weights and the state of the optimizer of the last call.

        Args:
            X, y, sample_weight: as for fit.
            classes: all classes that y will ever have; needed in the first call.

        Returns:
            The estimator.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which does not know all of y; give a dict"
            )
        fitted = hasattr(self, "classes_")
        if classes is None and not fitted:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is not None:
            given = unique_labels(classes)
            if fitted and not np.array_equal(given, self.classes_):
                raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}")
            if not fitted:
                several = np.ndim(y) == 2 and np.shape(y)[1] > 1
                self._define(y if several else given)
        return self._go_on(X, y, sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class Regressor(RegressorMixin, Estimator):  # type: ignore[misc]
    """Base of the regressors. y has a number for each sample, or a row of numbers."""

    def _encode(self, y: Any, fresh: bool, same: bool = False) -> Array:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        rows: Array = y.reshape(len(y), -1)
        if fresh:
            self.n_outputs_ = rows.shape[1]
            self._flat = y.ndim == 1
        elif rows.shape[1] != self.n_outputs_:
            raise ValueError(f"y has {rows.shape[1]} columns, but {type(self).__name__} was fitted with {self.n_outputs_}")
        return rows

    def _wanted(self, targets: Array) -> Array:
        return targets.astype(self.model_.dtype, copy=False)

    def _units(self) -> int:
        loss = self._loss()[0]
        if isinstance(loss, losses.GaussianNLL):
            return 2 * int(self.n_outputs_)
        if not (quantiles := self._quantiles()):
            return int(self.n_outputs_)
        if self.n_outputs_ > 1:
            raise ValueError(f"y has {self.n_outputs_} columns; a loss of several quantiles wants one")
        return len(quantiles)

    def _quantiles(self) -> list[float]:
        """Return the quantiles of a loss of several quantiles; none for other losses."""
        loss = self._loss()[0]
        return loss.quantile if isinstance(loss, losses.Quantile) and isinstance(loss.quantile, list) else []

    def _loss(self) -> tuple[Any, float]:
        if self.loss == "squared_error":
            return losses.MeanSquaredError(reduction=WEIGHTED), 0.5 * self.n_outputs_
        if self.loss == "poisson":
            return losses.Tweedie(1.0, reduction=WEIGHTED), 0.5 * self.n_outputs_
        return losses.get({"absolute_error": "mae"}.get(self.loss, self.loss) if isinstance(self.loss, str) else self.loss), 1.0

    def _numbers(self, outputs: Array) -> Array:
        """Return the predictions among the outputs: all of them, or the means of a loss of means and variances."""
        loss = self._loss()[0]
        if isinstance(loss, losses.GaussianNLL):
            outputs = outputs[..., : self.n_outputs_]
        elif getattr(loss, "log_input", False):
            outputs = np.exp(outputs)
        return outputs[..., 0] if self._flat and outputs.shape[-1] == 1 else outputs

    def _point(self, numbers: Array) -> Array:
        """Return one number of several quantiles: that of the quantile next to the median."""
        quantiles = self._quantiles()
        return numbers[:, int(np.argmin(np.abs(np.subtract(quantiles, 0.5))))] if quantiles else numbers

    def _measure(self, outputs: Array, targets: Array, weights: Array | None) -> float:
        found = self._point(self._numbers(outputs)).reshape(targets.shape).astype(np.float64)
        mean = np.average(targets, axis=0, weights=weights)
        left = np.average((targets - found) ** 2, axis=0, weights=weights)
        spread = np.average((targets - mean) ** 2, axis=0, weights=weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = np.where(spread > 0, 1 - left / spread, left == 0)
        return float(scores.mean())

    def predict(self, X: Any, return_std: bool = False, n_draws: int = DRAWS) -> Any:
        """Return a number for each sample (n,), or a row of numbers (n, outputs).

        Args:
            X: samples.
            return_std: return the predictions and their standard deviations. With the loss GaussianNLL these are the model's
                own; otherwise both are taken over passes with dropout at work (Gal and Ghahramani, arXiv 1506.02142).
            n_draws: number of these passes.
        """
        loss = self._loss()[0] if hasattr(self, "n_outputs_") else None
        if return_std and isinstance(loss, losses.GaussianNLL):
            outputs = self._outputs(X)
            spread = outputs[:, self.n_outputs_ :]
            std = np.exp(spread / 2) if loss.log_variance else np.sqrt(np.maximum(spread, loss.epsilon))
            return self._numbers(outputs), std[:, 0] if self._flat else std
        if not return_std:
            return self._numbers(self._outputs(X))
        drawn = self._numbers(self._drawn(X, n_draws))
        return drawn.mean(axis=0), drawn.std(axis=0)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R2 of the predictions; for several quantiles, of the one next to the median."""
        return float(r2_score(y, self._point(self.predict(X)), sample_weight=sample_weight))

    @fitting
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train for one epoch on these samples, starting from the weights and the state of the optimizer of the last call.

        Args:
            X, y, sample_weight: as for fit.

        Returns:
            The estimator.
        """
        return self._go_on(X, y, sample_weight)
