"""What all estimators share: checks of data, random numbers, fit, partial_fit and the raw outputs of the model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

import numpy as np

from ..backends import use_backend
from ..callbacks import Callback
from ..core.seeding import seeded
from ..core.structure import own_code
from ..losses import Loss
from ..nn import Module
from ..optim import Optimizer
from ..training.data.frames import numbers_of
from .frames import encoded
from .steps import Steps
from .stopping import LossRule, Rule, ScoreRule

try:
    from sklearn.base import BaseEstimator, _fit_context, is_classifier
except ImportError as error:
    raise ImportError(
        f"fastnn.sklearn needs scikit-learn 1.6 or newer: install it with pip install 'fastnn[sklearn]' ({error})"
    ) from error
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, check_X_y, validate_data

Array = np.ndarray[Any, Any]

F = TypeVar("F")
fitting: Callable[[F], F] = _fit_context(prefer_skip_nested_validation=True)
"""Decorator of scikit-learn that checks the parameters before a method which fits."""

ABSENT = object()
"""y of calls that take none."""
AUTO_BATCH = 200
"""Largest batch with batch_size="auto", as in scikit-learn."""


class Estimator(BaseEstimator):  # type: ignore[misc]
    """Base class of the estimators.

    Subclasses define `_make`, which makes the model, `_optimizer`, and what `targets.py` adds for classes or numbers.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "loss": [str, Loss, callable],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "optimizer": [str, type, Optimizer, None],
        "callbacks": [list, tuple, Callback, None],
        "backend": [str, None],
        "dtype": [StrOptions({"float32", "float64"})],
    }

    _nd: ClassVar[bool] = False
    """Whether X may have more than two dimensions."""
    loss_: float

    # ---- what subclasses define ----

    def _make(self, shape: tuple[int, ...], n_outputs: int) -> Module:
        """Make the model for samples of this shape."""
        raise NotImplementedError

    def _new_optimizer(self) -> Any:
        """Return a new optimizer, or its name."""
        raise NotImplementedError

    def _encode(self, y: Any, fresh: bool, same: bool = False) -> Array:
        """Check y, and return numbers of classes (n,) or a matrix of numbers.

        fresh: whether y defines the classes and the number of outputs.
        same: whether y has to have all classes of the fit before.
        """
        raise NotImplementedError

    def _wanted(self, targets: Array) -> Array:
        """Return what `_encode` returned in the form that the loss wants."""
        return targets

    def _weighted(self, y: Any, weights: Array | None) -> Array | None:
        """Return the sample weights with the weights of the classes."""
        return weights

    def _loss(self) -> tuple[Any, float]:
        """Return the loss to compile and its factor."""
        raise NotImplementedError

    def _measure(self, outputs: Array, targets: Array, weights: Array | None) -> float:
        """Return the score of outputs: the accuracy or R2."""
        raise NotImplementedError

    def _prepare_step(self, batch: int, weights: Array | None) -> None:
        """Set what depends on the size of a batch, such as penalties."""

    def _solve(self, X: Array, targets: Array, weights: Array | None) -> bool:
        """Train by a solver of its own. Return False to train by steps on batches."""
        return False

    def _after_epoch(self, rule: Rule) -> None:
        """Set what changes after each epoch, such as learning rates."""

    def _changes_rates(self) -> bool:
        """Return whether `_after_epoch` changes what the next steps do."""
        return False

    def _stops(self, rule: Rule) -> bool:
        """Return whether training ends, now that the loss or the score has stopped improving."""
        return True

    def _ran_out(self) -> None:
        """Say that max_iter came before the loss or the score stopped improving."""

    def _is_all_ours(self) -> bool:
        """Return whether fit runs no code of the user, so that several may run at the same time."""
        given = self.get_params(deep=False).values()
        parts = [part for v in given for part in (v.modules() if isinstance(v, Module) else [v])]
        own = all(own_code(str(v.__module__)) for v in parts if callable(v) or isinstance(v, Optimizer))
        return own and self.callbacks is None and not self.verbose

    # ---- data ----

    def _validated(self, X: Any, reset: bool, y: Any = ABSENT) -> Any:
        """Check X, and y if it is given, as scikit-learn does. A sparse matrix becomes a dense one, and a frame an array."""
        kinds: dict[str, Any] = {"dtype": "numeric", "allow_nd": True} if self._nd else {"dtype": (np.float64, np.float32)}
        numbers = encoded(self, X, reset)
        if y is ABSENT and numbers is not None:
            return numbers
        if y is ABSENT:
            return self._dense(self._checked(X, reset=reset, **kinds))
        kinds |= {} if is_classifier(self) else {"y_numeric": True}
        if numbers is not None:
            return check_X_y(numbers, y, multi_output=True, **kinds)
        X, y = self._checked(X, y, reset=reset, multi_output=True, **kinds)
        return self._dense(X), y

    def _checked(self, X: Any, *y: Any, **kinds: Any) -> Any:
        """Check X and y as scikit-learn does; an error about a frame names its column."""
        try:
            return validate_data(self, X, *y, accept_sparse=self._sparse(), **kinds)
        except (TypeError, ValueError) as error:
            try:
                numbers_of(X, type(self).__name__, "X")
            except TypeError as named:
                raise ValueError(str(named)) from error
            raise

    def _sparse(self) -> Any:
        return False if self._nd else ["csr", "csc"]

    @staticmethod
    def _dense(X: Any) -> Array:
        dense: Array = X if isinstance(X, np.ndarray) else X.toarray()
        return dense

    @contextmanager
    def _at_work(self, seed: int | None = None) -> Iterator[None]:
        """Compute on the estimator's backend, with random numbers of its own if there is a seed."""
        with ExitStack() as stack:
            if self.backend is not None:
                stack.enter_context(use_backend(self.backend))
            if seed is not None:
                stack.enter_context(seeded(seed))
            yield

    # ---- fit ----

    @fitting
    def fit(self, X: Any, y: Any, sample_weight: Any = None, validation_data: Any = None) -> Any:
        """Train the model.

        Args:
            X: samples (n, features), an array, a frame or, for the MLPs, a sparse matrix.
            y: targets (n,), or (n, outputs) for several labels or numbers.
            sample_weight: a weight for each sample, (n,).
            validation_data: (X, y) or (X, y, sample_weight), scored after each epoch. With early_stopping, they take the place of
                the part of the samples that is held back.

        Returns:
            The estimator.
        """
        first = not (self.warm_start and hasattr(self, "model_"))
        X, targets, weights = self._taken(X, y, sample_weight, first, same=not first)
        self._random_state = check_random_state(self.random_state)
        seed = self._random_state.randint(np.iinfo(np.int32).max)
        with self._at_work(seed):
            if first:
                self._begin(X)
            held = None if validation_data is None else self._held(*validation_data)
            if not self._solve(X, targets, weights):
                if self.early_stopping and held is None:
                    X, targets, weights, *held = self._split(X, targets, weights)
                self._train(X, targets, weights, held)
        self._check_finite()
        return self

    def _go_on(self, X: Any, y: Any, sample_weight: Any) -> Any:
        """Train for one epoch; the work of partial_fit."""
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "model_")
        X, targets, weights = self._taken(X, y, sample_weight, first, defined=hasattr(self, "classes_"))
        if first or not hasattr(self, "_random_state"):
            self._random_state = check_random_state(self.random_state)
        with self._at_work(self._random_state.randint(np.iinfo(np.int32).max)):
            if first:
                self._begin(X)
            self._epoch(X, targets, weights, first)
        self._check_finite()
        return self

    def _taken(
        self, X: Any, y: Any, sample_weight: Any, first: bool, same: bool = False, defined: bool = False
    ) -> tuple[Array, Array, Array | None]:
        """Check the arguments of fit, and return the samples, the targets, and the weights."""
        X, y = self._validated(X, first, y)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        targets = self._encode(y, first and not defined, same)
        return X, targets, self._weighted(y, weights)

    def _begin(self, X: Array) -> None:
        """Make the model, and start to count."""
        self.n_iter_ = self.t_ = 0
        self.model_ = self._make(X.shape[1:], self._units())
        self.model_.set_dtype(self._precision())
        self._settle(X)
        self._no_improvement_count = 0
        self.loss_curve_: list[float] = []
        self.best_loss_: float | None = None if self.early_stopping else np.inf
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.best_validation_score_: float | None = -np.inf if self.early_stopping else None

    def _precision(self) -> str:
        """Return the dtype of the model."""
        return str(self.dtype)

    def _units(self) -> int:
        """Return the number of outputs of the model."""
        return int(self.n_outputs_)

    def _settle(self, X: Array) -> None:
        """Look at the model that was made, with some of the samples."""

    def _held(self, X: Any, y: Any, sample_weight: Any = None) -> list[Any]:
        """Check validation data."""
        X, y = self._validated(X, False, y)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        return [X, self._encode(y, False), weights]

    def _split(self, X: Array, targets: Array, weights: Array | None) -> list[Any]:
        """Hold samples back for validation. Return X, targets and weights for training, then those for validation."""
        binary = is_classifier(self) and self.n_outputs_ == 1
        given = (X, targets) if weights is None else (X, targets, weights)
        parts = train_test_split(
            *given,
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=targets if binary else None,
        )
        if len(parts[1]) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset, "
                "or pass validation_data to fit."
            )
        train, held = parts[::2], parts[1::2]
        return [*train, *[None] * (3 - len(train)), *held, *[None] * (3 - len(held))]

    def _batch(self, n: int) -> int:
        if self.batch_size == "auto":
            return min(AUTO_BATCH, n)
        if self.batch_size > n:
            warnings.warn(f"batch_size is {self.batch_size}, but there are {n} samples; it is set to {n}", stacklevel=4)
        return int(min(self.batch_size, n))

    def _compile(self) -> None:
        loss, factor = self._loss()
        self.model_.compile(self._new_optimizer(), loss, loss_weights=None if factor == 1 else [factor])

    def _train(self, X: Array, targets: Array, weights: Array | None, held: Any) -> None:
        """Train for max_iter epochs, or until the loss or the score stops improving."""
        n = self._n_trained = len(X)
        batch = self._batch(n)
        self._prepare_step(batch, weights)
        self._compile()
        rule = (LossRule if held is None else ScoreRule)(self, held)
        try:
            if self.callbacks is None:
                self._run(Steps(self.model_, X, self._wanted(targets), weights, batch, self.shuffle), rule)
            else:
                self._run_with_callbacks(X, targets, weights, batch, held, rule)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        rule.restore()

    def _run(self, steps: Steps, rule: Rule) -> None:
        """Train epoch by epoch, without the work that callbacks need."""
        model = self.model_
        rule.set_model(model)
        model.stop_training = False
        epoch = 0
        while epoch < self.max_iter and not model.stop_training:
            most = 1 if self.verbose or self._changes_rates() else rule.blind()
            for logs in steps.epochs(self.max_iter - epoch, rule._alone, most):
                rule.on_epoch_end(epoch, logs)
                epoch += 1
        steps.finish()

    def _run_with_callbacks(self, X: Array, targets: Array, weights: Array | None, batch: int, held: Any, rule: Rule) -> None:
        own = [self.callbacks] if isinstance(self.callbacks, Callback) else list(self.callbacks)
        try:
            self.model_.fit(
                X,
                self._wanted(targets),
                batch_size=batch,
                epochs=self.max_iter,
                verbose=0,
                callbacks=[rule, *own],
                validation_data=(held[0], self._wanted(held[1]), held[2]) if held is not None and own else None,
                shuffle=self.shuffle and batch < len(X),
                sample_weight=weights,
            )
        finally:
            for c in own:
                c.set_model(None)  # so that copies and files of the estimator have the model only once

    def _epoch(self, X: Array, targets: Array, weights: Array | None, fresh: bool) -> None:
        """Train on each sample once; with `fresh`, the model is new."""
        n = self._n_trained = len(X)
        batch = self._batch(n)
        self._prepare_step(batch, weights)
        if fresh:
            self._compile()
        order = self._random_state.permutation(n) if self.shuffle and batch < n else None
        total, wanted = 0.0, self._wanted(targets)
        for at in range(0, n, batch):
            rows: Any = slice(at, at + batch) if order is None else order[at : at + batch]
            weight = None if weights is None else weights[rows]
            total += self.model_.train_on_batch(X[rows], wanted[rows], weight) * len(wanted[rows])
        LossRule(self, None).note(self.model_, {"loss": total / n})

    def _check_finite(self) -> None:
        if not all(np.isfinite(w).all() for w in self.model_.get_weights()):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )

    # ---- outputs ----

    def _outputs(self, X: Any) -> Array:
        """Return the outputs of the model for samples that the user passed."""
        check_is_fitted(self, "model_")
        X = self._validated(X, False)
        with self._at_work():
            return self._forward(X)

    def _forward(self, X: Array) -> Array:
        """Return the outputs of the model for samples that were checked."""
        outputs: Array = self.model_.predict(X)
        return outputs.reshape(len(outputs), -1)

    def _drawn(self, X: Any, draws: int) -> Array:
        """Return the outputs (draws, n, outputs) of the model with dropout at work, as in training."""
        check_is_fitted(self, "model_")
        layers = [m for m in self.model_.modules() if getattr(m, "_draws", False)]
        if not layers:
            raise ValueError(
                "return_std=True takes the spread over dropout, but the model has no layer that drops or adds noise; "
                "give the estimator dropout=0.1"
            )
        X = self._validated(X, False)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        with self._at_work(seed):
            for layer in layers:
                layer.seed = None  # a new start from the seed
            found: Array = self.model_.predict(X, mc=draws)
        return found.reshape(draws, len(X), -1)
