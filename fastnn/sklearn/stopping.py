"""When training ends, as in scikit-learn: a loss or a score that does not improve by `tol` for `n_iter_no_change` epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..callbacks import Callback

if TYPE_CHECKING:
    from .base import Array, Estimator

Logs = dict[str, Any] | None


class Rule(Callback):
    """Callback that keeps the books of an estimator: its counts, losses and scores.

    Args:
        estimator: the estimator that trains.
        held: X, targets and weights of the validation data, or None.
    """

    def __init__(self, estimator: Estimator, held: Any) -> None:
        super().__init__()
        self.estimator, self.held = estimator, held
        estimator.n_iter_ = 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        e = self.estimator
        self.note(self.model, {} if logs is None else logs)
        if e.n_iter_ == e.max_iter and not self.model.stop_training:
            e._ran_out()

    def note(self, model: Any, logs: dict[str, Any]) -> None:
        """Note the figures of an epoch, and stop training if they have not improved for long enough."""
        e = self.estimator
        e.n_iter_ += 1
        e.loss_ = logs["loss"]
        e.loss_curve_.append(e.loss_)
        if e.verbose:
            print(f"Iteration {e.n_iter_}, loss = {e.loss_:.8f}")
        e._no_improvement_count = e._no_improvement_count + 1 if self.stalls(logs) else 0
        e._after_epoch(self)
        if e._no_improvement_count > e.n_iter_no_change:
            if e.verbose:
                what = "Validation score" if e.early_stopping else "Training loss"
                print(f"{what} did not improve more than tol={e.tol:f} for {e.n_iter_no_change} consecutive epochs.")
            model.stop_training = e._stops(self)
            if not model.stop_training:
                e._no_improvement_count = 0

    def stalls(self, logs: dict[str, Any]) -> bool:
        """Return whether this epoch brought no improvement, and note its figures."""
        e = self.estimator
        best = np.inf if e.best_loss_ is None else e.best_loss_
        e.best_loss_ = min(best, e.loss_)
        return bool(e.loss_ > best - e.tol)

    def blind(self) -> float:
        """Return the number of the first of the next epochs after which training may stop."""
        return 1

    def restore(self) -> None:
        """Put the best weights back, if the rule has kept them."""


class LossRule(Rule):
    """Rule for the loss of training."""

    _alone = True  # it only reads numbers

    def blind(self) -> float:
        e = self.estimator
        return float(max(1, e.n_iter_no_change + 1 - e._no_improvement_count))


class ScoreRule(Rule):
    """Rule for the score of validation data; with early_stopping, the weights of the best score are kept."""

    def __init__(self, estimator: Estimator, held: Any) -> None:
        super().__init__(estimator, held)
        X, self.targets, self.weights = held
        self.X = np.ascontiguousarray(X, estimator.model_.dtype) if X.dtype.kind == "f" else X
        if estimator.validation_scores_ is None:
            estimator.validation_scores_, estimator.best_validation_score_ = [], -np.inf
        again = bool(estimator.validation_scores_)  # a warm start, from the best weights so far
        self.best: list[Array] | None = estimator.model_.get_weights() if again and estimator.early_stopping else None

    def stalls(self, logs: dict[str, Any]) -> bool:
        e = self.estimator
        assert e.validation_scores_ is not None and e.best_validation_score_ is not None
        outputs = e._forward(self.X)
        score = e._measure(outputs, self.targets, self.weights) if np.isfinite(outputs).all() else np.nan
        logs["val_score"] = score
        e.validation_scores_.append(score)
        if e.verbose:
            print(f"Validation score: {score:f}")
        idle = score < e.best_validation_score_ + e.tol
        if score > e.best_validation_score_:
            e.best_validation_score_ = score
            if e.early_stopping:
                self.best = e.model_.get_weights()
        return bool(idle) if e.early_stopping else super().stalls(logs)

    def restore(self) -> None:
        if self.best is not None:
            self.estimator.model_.set_weights(self.best)
