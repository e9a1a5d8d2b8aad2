"""Estimators around any model of fastnn."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np

from .. import nn
from ..autograd.tensor import Tensor, no_grad
from ..training.sanity import last_activation
from .base import Array, Estimator
from .optimizers import made
from .targets import Classifier, Regressor

LOOKED_AT = 64
"""Number of samples whose outputs decide whether a model returns probabilities."""
TOLERANCE = 1e-4


class Net(Estimator):
    """What the two estimators share: the model that the user gives, and its optimizer."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {"module": [nn.Module, callable, None]}
    _nd = True

    def _make(self, shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        n_features = shape[0] if len(shape) == 1 else shape
        if isinstance(self.module, nn.Module):
            return copy.deepcopy(self.module)
        if self.module is None:
            layers = [nn.Dense(100, "relu"), nn.Dense(n_outputs)]
            return nn.Sequential(layers if len(shape) == 1 else [nn.Flatten(), *layers])
        model = self.module(n_features, n_outputs)
        if not isinstance(model, nn.Module):
            raise TypeError(
                f"{type(self).__name__}: module({n_features}, {n_outputs}) returned a {type(model).__name__}, wanted a model"
            )
        return model

    def _settle(self, X: Array) -> None:
        with no_grad():
            outputs = self.model_(X[:LOOKED_AT], training=False)
        if not isinstance(outputs, Tensor):
            raise TypeError(f"{type(self).__name__}: the model returns a {type(outputs).__name__}, wanted one Tensor")
        self._width = int(np.prod(outputs.shape[1:]))
        self._look(outputs.numpy().reshape(len(outputs), -1))

    def _look(self, outputs: Array) -> None:
        """Check the outputs of the new model."""

    def _new_optimizer(self) -> Any:
        return made(self.optimizer, self.learning_rate_init)


class NetClassifier(Classifier, Net):
    """Classifier around a model.

    X may have more than two dimensions, such as images (n, height, width, channels) or series (n, time, features).

    Args:
        module: a model, which each fit copies with its weights; or a function of the number of features (a tuple, if the samples
            have several dimensions) and of outputs that returns a new model; or None for a hidden layer of 100 neurons. The
            model returns logits or, with a softmax or sigmoid, probabilities. It has an output for each class or label; one for
            two classes, where two are possible, too.
        loss: "log_loss", or a name or object of `fastnn.losses` or `fastnn.nn`.
        optimizer: name, class or object of `fastnn.optim`. A name or class gets learning_rate_init.
        learning_rate_init: learning rate.
        batch_size, max_iter, shuffle, random_state, tol, verbose, warm_start, early_stopping, validation_fraction,
            n_iter_no_change, class_weight, callbacks, backend, dtype: as for `MLPClassifier`.

    >>> import fastnn
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> def cnn(n_features, n_outputs):
    ...     return fastnn.Sequential([
    ...         fastnn.Conv2D(8, 3, activation="relu"), fastnn.MaxPooling2D(), fastnn.Flatten(), fastnn.Dense(n_outputs)])
    >>> net = NetClassifier(cnn, max_iter=20, learning_rate_init=0.01, random_state=0, tol=0.0)
    >>> net.fit(X[:600].reshape(-1, 8, 8, 1) / 16, y[:600]).score(X[600:].reshape(-1, 8, 8, 1) / 16, y[600:]) > 0.8
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Classifier._parameter_constraints,
        **Net._parameter_constraints,
    }

    def __init__(
        self,
        module: Any = None,
        *,
        loss: Any = "log_loss",
        optimizer: Any = "adam",
        learning_rate_init: float = 0.001,
        batch_size: Any = "auto",
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        class_weight: Any = None,
        callbacks: Any = None,
        backend: str | None = None,
        dtype: str = "float32",
    ) -> None:
        self.module = module
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.backend = backend
        self.dtype = dtype

    def _units(self) -> int:
        return int(getattr(self, "_width", self.n_outputs_))

    def _begin(self, X: Array) -> None:
        self.__dict__.pop("_width", None)
        super()._begin(X)

    def _look(self, outputs: Array) -> None:
        allowed = {self.n_outputs_} if self.n_outputs_ > 1 else {1, 2}
        if self._width not in allowed:
            raise ValueError(
                f"{type(self).__name__}: the model has {self._width} outputs for {len(self.classes_)} classes, "
                f"wanted {' or '.join(map(str, sorted(allowed)))}"
            )
        if self.loss != "log_loss":
            self._logits = bool(getattr(self._loss()[0], "logits", ""))
            return
        act = last_activation(self.model_)
        whole = np.abs(outputs.sum(axis=1) - 1).max() < TOLERANCE if not self._binary() else True
        inside = outputs.min() >= 0 and outputs.max() <= 1
        self._logits = act not in ("sigmoid", "softmax") if act else not (inside and whole)


class NetRegressor(Regressor, Net):
    """Regressor around a model.

    X may have more than two dimensions, as for `NetClassifier`.

    Args:
        module: a model, which each fit copies with its weights; or a function of the number of features (a tuple, if the samples
            have several dimensions) and of outputs that returns a new model; or None for a hidden layer of 100 neurons. The
            model has an output for each column of y, for each quantile, or two for a mean and a variance.
        loss: "squared_error", or a name or object of `fastnn.losses` or `fastnn.nn`.
        optimizer, learning_rate_init, batch_size, max_iter, shuffle, random_state, tol, verbose, warm_start, early_stopping,
            validation_fraction, n_iter_no_change, callbacks, backend, dtype: as for `NetClassifier`.

    >>> import fastnn
    >>> X = np.random.default_rng(0).standard_normal((200, 10, 1))
    >>> def lstm(n_features, n_outputs):
    ...     return fastnn.Sequential([fastnn.LSTM(8), fastnn.Dense(n_outputs)])
    >>> net = NetRegressor(lstm, max_iter=60, learning_rate_init=0.02, batch_size=32, random_state=0, tol=0.0)
    >>> net.fit(X, X[:, -1, 0]).score(X, X[:, -1, 0]) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Regressor._parameter_constraints,
        **Net._parameter_constraints,
    }

    def __init__(
        self,
        module: Any = None,
        *,
        loss: Any = "squared_error",
        optimizer: Any = "adam",
        learning_rate_init: float = 0.001,
        batch_size: Any = "auto",
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        callbacks: Any = None,
        backend: str | None = None,
        dtype: str = "float32",
    ) -> None:
        self.module = module
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.backend = backend
        self.dtype = dtype

    def _look(self, outputs: Array) -> None:
        if self._width != self._units():
            raise ValueError(f"{type(self).__name__}: the model has {self._width} outputs, wanted {self._units()}")
