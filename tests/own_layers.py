"""Classes and functions of a user's own that files know by the names under which they are registered, and models of them."""

from pathlib import Path
from typing import Any

import numpy as np

import fastnn
import fastnn.nn as nn

X = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)
Y = X[:, :2] - X[:, 2:]


@fastnn.register
class Tied(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width, self.first, self.second = width, nn.Linear(width, width), nn.Linear(width, width)
        self.second.weight = self.first.weight

    def forward(self, x: Any) -> Any:
        return self.second(self.first(x))


@fastnn.register
class Scale(fastnn.Layer):
    """A layer with weights, built at its first call."""

    def __init__(self, factor: float = 1.0, axes: Any = (0,)) -> None:
        super().__init__()
        self.factor, self.axes = factor, axes

    def build(self, input_shape: Any) -> None:
        self.gain = self.add_weight((input_shape[-1],), "ones")

    def call(self, x: Any) -> Any:
        return x * self.gain * self.factor


@fastnn.register(name="Block", package="tests")
class ABlock(nn.Module):
    """Layers as attributes, some of them without a shape, others in lists; one comes as an argument."""

    def __init__(self, width: int, activation: Any = "relu", inner: Any = None, *, start: Any = "ones") -> None:
        super().__init__()
        self.width, self.activation, self.inner, self._start = width, activation, inner, start
        self.first = fastnn.Dense(width, activation=activation, bias_initializer=start)
        self.rest = nn.ModuleList([Scale(0.5), fastnn.Sequential([fastnn.Dense(width), nn.PReLU()])])
        self.heads = nn.ModuleDict({"a": nn.Linear(width, 2), "b": fastnn.Dense(2)})
        self.heads["a"].bias = self.heads["a"].bias
        self.register_buffer("seen", np.zeros(2, np.float32))
        self.own = nn.Parameter(np.ones(2, np.float32))

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        for layer in self.rest:
            x = layer(x)
        y = (self.heads["a"](x) + self.heads["b"](x)) * self.own
        return y if self.inner is None else self.inner(y)


@fastnn.register(package="tests")
def bent(x: Any) -> Any:
    return x * fastnn.sigmoid(2.0 * x)


@fastnn.register(package="tests")
def fourth(y_true: Any, y_pred: Any) -> Any:
    return ((y_true - y_pred) ** 4).mean(-1)


@fastnn.register(package="tests")
def halves(shape: Any, dtype: Any, rng: Any) -> Any:
    return np.full(shape, 0.5, dtype)


@fastnn.register(package="tests")
def ridge(w: Any) -> Any:
    return (w * w).sum() * 0.1


@fastnn.register(package="tests")
class Power(fastnn.losses.Loss):
    def __init__(self, power: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.power = power

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return (y_true - y_pred) ** self.power


@fastnn.register(package="tests")
class Worst(fastnn.metrics.Metric):
    def __init__(self, share: float, name: str = "worst") -> None:
        super().__init__(name)
        self.share = share
        self.most = self.add_weight()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.most.assign(fastnn.maximum(self.most, abs(y_true - y_pred).max() * self.share))

    def result(self) -> Any:
        return self.most


@fastnn.register(package="tests")
class Start(fastnn.initializers.Initializer):
    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: Any, rng: Any) -> Any:
        return np.full(shape, self.value, dtype)


@fastnn.register(package="tests")
class Ridge(fastnn.regularizers.Regularizer):
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, x: Any) -> Any:
        return (x * x).sum() * self.factor


@fastnn.register(package="tests")
class Halving(fastnn.schedules.Schedule):
    def __init__(self, start: float) -> None:
        self.start = start

    def at(self, step: Any) -> Any:
        return self.start * 0.5**step


@fastnn.register(package="tests")
class Slow(fastnn.optim.SGD):
    pass


def comes_back(model: Any, folder: Path) -> Any:
    model.save(folder / "m")
    twin = fastnn.load(folder / "m")
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    twin.save(folder / "m")
    np.testing.assert_array_equal(fastnn.load(folder / "m").predict(X), model.predict(X))
    return twin


def sequential() -> Any:
    model = fastnn.Sequential([fastnn.Dense(3, bent, input_shape=(4,)), Scale(2.0, axes=(0, 1)), fastnn.Dense(2)])
    model(X)
    return model


def graph() -> Any:
    x = fastnn.Input((4,))
    block, scale = ABlock(3, "tanh"), Scale()
    return fastnn.Model(x, scale(block(x)) + scale(ABlock(4, bent, inner=scale)(x)))


def module() -> Any:
    model = ABlock(3, fastnn.tanh, inner=Scale(0.25), start=fastnn.initializers.Constant(0.5))
    model(X)
    return model
