"""Multi-layer perceptrons with the arguments and attributes of scikit-learn's."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions

from .. import initializers, losses, nn, optim, regularizers
from .base import Array, Estimator
from .optimizers import made
from .solver import minimize
from .stopping import Rule
from .targets import Classifier, Regressor

ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid"}
"""Names of scikit-learn -> names of fastnn, where they differ."""


class MLP(Estimator):
    """What the two perceptrons share: their layers and their solvers."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [str, callable],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "batch_norm": ["boolean"],
    }

    # ---- the model ----

    def _make(self, shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        given = self.hidden_layer_sizes
        hidden = list(given) if isinstance(given, Iterable) else [given]
        if any(units <= 0 for units in hidden):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        activation = self._name_of(self.activation)
        self._penalty = regularizers.L2(0.0)
        layers: list[nn.Module] = []
        inputs = shape[0]
        for units in hidden:
            layers.append(self._layer(inputs, units, "linear" if self.batch_norm else activation))
            if self.batch_norm:
                layers += [nn.BatchNormalization(), nn.Activation(activation)]
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
            inputs = units
        layers.append(self._layer(inputs, n_outputs, self._last()))
        self.n_layers_ = len(hidden) + 2
        return nn.Sequential(layers)

    def _layer(self, inputs: int, units: int, activation: Any) -> nn.Dense:
        factor = 2.0 if self.activation == "logistic" else 6.0
        bound = (factor / (inputs + units)) ** 0.5
        draw = initializers.RandomUniform(-bound, bound)
        penalty = self._penalty if self.alpha else None
        return nn.Dense(
            units,
            activation,
            kernel_initializer=draw,
            bias_initializer=draw,
            kernel_regularizer=penalty,
            input_shape=(inputs,),
        )

    def _last(self) -> str:
        """Return the activation of the last layer."""
        raise NotImplementedError

    @staticmethod
    def _name_of(activation: Any) -> Any:
        return ACTIVATIONS.get(activation, activation) if isinstance(activation, str) else activation

    def _prepare_step(self, batch: int, weights: Array | None) -> None:
        self._penalty.l2 = self.alpha / 2 / max(batch if weights is None else batch * float(np.mean(weights)), 1e-12)

    @property
    def _layers(self) -> list[Any]:
        if not hasattr(self, "model_"):
            raise AttributeError(f"this {type(self).__name__} is not fitted yet")
        return [layer for layer in self.model_.layers if isinstance(layer, nn.Dense)]

    @property
    def coefs_(self) -> list[Array]:
        """Return the weights of each layer, (inputs, outputs)."""
        return [layer.kernel.numpy() for layer in self._layers]

    @property
    def intercepts_(self) -> list[Array]:
        """Return the biases of each layer, (outputs,)."""
        return [layer.bias.numpy() for layer in self._layers]

    # ---- solvers ----

    def _solver(self) -> str:
        return "" if self.optimizer is not None else str(self.solver)

    def _precision(self) -> str:
        return "float64" if self._solver() == "lbfgs" else super()._precision()

    def _new_optimizer(self) -> Any:
        if self.optimizer is not None:
            return made(self.optimizer, self.learning_rate_init)
        if self.solver == "sgd":
            nesterov = bool(self.nesterovs_momentum and self.momentum > 0)
            return optim.SGD(lr=self.learning_rate_init, momentum=self.momentum, nesterov=nesterov)
        return optim.Adam(lr=self.learning_rate_init, betas=(self.beta_1, self.beta_2), eps=self.epsilon)

    def _solve(self, X: Array, targets: Array, weights: Array | None) -> bool:
        if self._solver() != "lbfgs":
            return False
        self._prepare_step(len(X), weights)
        minimize(self, X, self._wanted(targets), weights)
        return True

    def _go_on(self, X: Any, y: Any, sample_weight: Any) -> Any:
        if self._solver() == "lbfgs":
            raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
        return super()._go_on(X, y, sample_weight)

    def _after_epoch(self, rule: Rule) -> None:
        self.t_ += self._n_trained
        if self._changes_rates():
            self.model_.optimizer.lr = self.learning_rate_init / (self.t_ + 1) ** self.power_t

    def _changes_rates(self) -> bool:
        return self._solver() == "sgd" and self.learning_rate == "invscaling"

    def _stops(self, rule: Rule) -> bool:
        if self._solver() != "sgd" or self.learning_rate != "adaptive" or self.model_.optimizer.lr <= 1e-6:
            return True
        self.model_.optimizer.lr /= 5.0
        if self.verbose:
            print(f"Setting learning rate to {self.model_.optimizer.lr:f}")
        return False

    def _ran_out(self) -> None:
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=2,
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class MLPClassifier(Classifier, MLP):
    """Multi-layer perceptron that classifies.

    Arguments, attributes and results are those of `sklearn.neural_network.MLPClassifier`. The arguments from ``loss`` on are not
    there.

    Args:
        hidden_layer_sizes: number of neurons in each hidden layer.
        activation: "identity", "logistic", "tanh", "relu", or any activation of fastnn.
        solver: "adam", "sgd", or "lbfgs" for small data.
        alpha: strength of the L2 penalty on the weights.
        batch_size: number of samples in a step; "auto" is min(200, n).
        learning_rate: "constant", "invscaling" or "adaptive", for the solver "sgd".
        learning_rate_init: learning rate at the beginning.
        power_t: exponent of "invscaling".
        max_iter: largest number of epochs, or of iterations of "lbfgs".
        shuffle: whether each epoch has a new order.
        random_state: seed of weights, order, dropout and the validation split.
        tol: least improvement of the loss or score that counts.
        verbose: whether to print the loss of each epoch.
        warm_start: whether fit continues from the weights of the last fit.
        momentum, nesterovs_momentum: for the solver "sgd".
        early_stopping: whether to hold back a part of the samples, stop when their score stops improving, and keep the best
            weights.
        validation_fraction: size of this part.
        beta_1, beta_2, epsilon: for the solver "adam".
        n_iter_no_change: number of epochs without improvement after which training stops.
        max_fun: largest number of calls of the loss, for "lbfgs".
        loss: "log_loss", or a name or object of `fastnn.losses`.
        dropout: share of the hidden neurons that each step leaves out.
        batch_norm: whether to normalise the inputs of each hidden activation over the batch.
        class_weight: a dict of a weight for each class, or "balanced".
        optimizer: name, class or object of `fastnn.optim` that takes the place of the solver. A name or class gets
            learning_rate_init.
        callbacks: objects of `fastnn.callbacks`. Their logs have "loss", and "val_loss" and "val_score" with validation data.
        backend: backend of fastnn to compute on; None is the current one.
        dtype: "float32" or "float64". The solver "lbfgs" always computes in float64.

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_iris(return_X_y=True)
    >>> net = make_pipeline(StandardScaler(), MLPClassifier((16,), max_iter=500, learning_rate_init=0.01, random_state=0))
    >>> net.fit(X, y).score(X, y) > 0.95
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {**Classifier._parameter_constraints, **MLP._parameter_constraints}

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: Any = "log_loss",
        dropout: float = 0.0,
        batch_norm: bool = False,
        class_weight: Any = None,
        optimizer: Any = None,
        callbacks: Any = None,
        backend: str | None = None,
        dtype: str = "float32",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.class_weight = class_weight
        self.optimizer = optimizer
        self.callbacks = callbacks
        self.backend = backend
        self.dtype = dtype

    def _last(self) -> str:
        self.out_activation_ = "logistic" if self._binary() else "softmax"
        self._logits = bool(getattr(self._loss()[0], "logits", "")) and self.loss != "log_loss"
        return "linear" if self._logits else "sigmoid" if self._binary() else "softmax"


class MLPRegressor(Regressor, MLP):
    """Multi-layer perceptron that predicts numbers.

    Arguments, attributes and results are those of `sklearn.neural_network.MLPRegressor`. The arguments from ``dropout`` on are
    not there.

    Args:
        loss: "squared_error", "poisson", or a name or object of `fastnn.losses`, such as "huber", ``Quantile([0.1, 0.5, 0.9])``
            (predict returns a column for each), "gamma" and "tweedie" (of positive predictions), "gaussian_nll" (predict with
            return_std=True returns the deviation, too).
        hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, shuffle,
            random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, beta_1,
            beta_2, epsilon, n_iter_no_change, max_fun, dropout, batch_norm, optimizer, callbacks, backend, dtype: as for
            `MLPClassifier`; the score of early_stopping is R2.

    >>> import numpy as np
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> net = MLPRegressor(hidden_layer_sizes=(32,), activation="tanh", solver="lbfgs", random_state=0, max_iter=1000)
    >>> net.fit(X, np.sin(3 * X[:, 0])).score(X, np.sin(3 * X[:, 0])) > 0.99
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {**Regressor._parameter_constraints, **MLP._parameter_constraints}

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        batch_norm: bool = False,
        optimizer: Any = None,
        callbacks: Any = None,
        backend: str | None = None,
        dtype: str = "float32",
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.optimizer = optimizer
        self.callbacks = callbacks
        self.backend = backend
        self.dtype = dtype

    def _last(self) -> str:
        loss = self._loss()[0]
        positive = isinstance(loss, losses.Poisson | losses.Gamma | losses.Tweedie) and not getattr(loss, "log_input", False)
        self.out_activation_ = "exp" if positive else "identity"
        return "exponential" if positive else "linear"
