"""Classes and functions of the user's own in files: registered names, and nothing imported."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_layers import (
    Halving,
    Power,
    Ridge,
    Slow,
    Start,
    Tied,
    Worst,
    X,
    Y,
    bent,
    comes_back,
    fourth,
    graph,
    halves,
    module,
    ridge,
    sequential,
)

import fastnn
import fastnn.nn as nn


@pytest.mark.parametrize("make", [sequential, graph, module])
def test_models_with_own_layers(make: Any, tmp_path: Path) -> None:
    """Training goes on as without a break."""
    fastnn.seed(3)
    model = make()
    model.compile(fastnn.optim.Adam(lr=0.01), "mse")
    fastnn.seed(4)
    model.fit(X, Y, batch_size=4, verbose=0, shuffle=False)
    twin = comes_back(model, tmp_path)
    for m in (model, twin):
        m.fit(X, Y, batch_size=4, verbose=0, shuffle=False)
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))


def test_arguments_come_back_as_they_were(tmp_path: Path) -> None:
    twin = comes_back(sequential(), tmp_path)
    assert twin[1].factor == 2.0 and twin[1].axes == (0, 1) and twin[0].activation is bent
    twin = comes_back(module(), tmp_path)
    assert twin.inner.factor == 0.25 and twin.activation is fastnn.tanh and twin._start == fastnn.initializers.Constant(0.5)


def test_layers_of_own_classes_stay_tied_and_frozen(tmp_path: Path) -> None:
    model = fastnn.Sequential([fastnn.Dense(4, input_shape=(4,)), Tied(4)])
    model[1].first.requires_grad_(False)
    twin = comes_back(model, tmp_path)
    assert twin[1].second.weight.base is twin[1].first.weight.base and not twin[1].first.trainable
    assert len(list(twin.parameters())) == len(list(model.parameters())) == 5


def test_a_class_that_adds_no_constructor(tmp_path: Path) -> None:
    @fastnn.register(package="tests")
    class Doubled(fastnn.Dense):
        def forward(self, x: Any) -> Any:
            return super().forward(x) * 2.0

    @fastnn.register(package="tests")
    class Chain(fastnn.Sequential):
        def forward(self, x: Any) -> Any:
            return super().forward(x) + 1.0

    model = Chain([Doubled(3, "relu", input_shape=(4,)), Doubled(2)])
    model(X)
    twin = comes_back(model, tmp_path)
    assert type(twin) is Chain and type(twin[1]) is Doubled


def test_a_class_derived_from_a_layer_with_its_own_constructor(tmp_path: Path) -> None:
    @fastnn.register(package="tests")
    class Wide(fastnn.Dense):
        def __init__(self, units: int, times: int, **kwargs: Any) -> None:
            super().__init__(units * times, **kwargs)
            self.times = times

        def get_config(self) -> Any:
            config = super().get_config()
            return {**config, "units": config["units"] // self.times, "times": self.times}

    @fastnn.register(package="tests")
    class Deep(fastnn.Sequential):
        def __init__(self, depth: int) -> None:
            super().__init__([fastnn.Dense(4) for _ in range(depth)])
            self.depth = depth

    model = fastnn.Sequential([Wide(2, 3, activation="relu"), Deep(3), fastnn.Dense(2)])
    model(X)
    twin = comes_back(model, tmp_path)
    assert twin[0].units == 6 and len(twin[1]) == 3


def test_arguments_that_a_constructor_hands_on(tmp_path: Path) -> None:
    @fastnn.register(package="tests")
    class Net(fastnn.Model):
        def __init__(self, width: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.width = width
            self.hidden, self.last = fastnn.Dense(width, "relu"), fastnn.Dense(2)

        def call(self, x: Any) -> Any:
            return self.last(self.hidden(x))

    @fastnn.register(package="tests")
    class Noisy(fastnn.Dense):
        def __init__(self, units: int, *, level: float, **kwargs: Any) -> None:
            super().__init__(units, **kwargs)
            self.level = level

    model = fastnn.Sequential([Noisy(4, level=0.5, activation="tanh", kernel_regularizer="l2"), Net(3, name="inner")])
    model(X)
    twin = comes_back(model, tmp_path)
    assert twin[0].level == 0.5 and twin[0].kernel_regularizer == fastnn.regularizers.L2() and twin[1].name == "inner"


def test_a_train_step_of_an_own_model(tmp_path: Path) -> None:
    @fastnn.register(package="tests")
    class Stepping(nn.Module):
        def __init__(self, rate: float) -> None:
            super().__init__()
            self.rate, self.layer, self.loss = rate, nn.Linear(4, 2), nn.MSELoss(reduction="sum")

        def forward(self, x: Any) -> Any:
            return self.layer(x)

        def train_step(self, data: Any) -> Any:
            x, y = data
            loss = self.loss(self(x), y) * self.rate
            self.zero_grad()
            loss.backward()
            self.optimizer.step()
            return {"loss": loss}

    model = Stepping(0.5)
    model.compile("sgd")
    model.fit(X, Y, batch_size=4, verbose=0, shuffle=False)
    twin = comes_back(model, tmp_path)
    for m in (model, twin):
        m.fit(X, Y, batch_size=4, verbose=0, shuffle=False)
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))


def test_keras_get_config_and_from_config(tmp_path: Path) -> None:
    @fastnn.register(package="tests")
    class Repeat(nn.Module):
        def __init__(self, inner: Any, times: int) -> None:
            super().__init__()
            self.layer, self.count = inner, times

        def forward(self, x: Any) -> Any:
            for _ in range(self.count):
                x = self.layer(x)
            return x

        def get_config(self) -> Any:
            return {**super().get_config(), "what": self.layer, "n": self.count}

        @classmethod
        def from_config(cls, config: Any) -> Any:
            return cls(config["what"], config["n"])

    model = fastnn.Sequential([Repeat(fastnn.Dense(4, input_shape=(4,)), 3), fastnn.Dense(1)])
    model(X)
    twin = comes_back(model, tmp_path)
    assert twin[0].count == 3


@pytest.mark.parametrize("loss", [fourth, Power, Power(2, reduction="sum"), "tests>fourth", {"dense_1": Power(6)}])
@pytest.mark.parametrize("metrics", [[Worst(0.5), fourth], ["tests>fourth", "mae"], None])
def test_losses_and_metrics(loss: Any, metrics: Any, tmp_path: Path) -> None:
    if isinstance(loss, dict):
        x = fastnn.Input((4,))
        model: Any = fastnn.Model(x, {"dense_1": fastnn.Dense(2)(x)})
    else:
        model = fastnn.Sequential([fastnn.Dense(2, input_shape=(4,))])
    y: Any = {"dense_1": Y} if isinstance(loss, dict) else Y
    model.compile("sgd", loss, metrics, capture=False)
    model.fit(X, y, verbose=0)
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert twin.evaluate(X, y, return_dict=True) == model.evaluate(X, y, return_dict=True)


def test_rules_schedules_and_optimizers(tmp_path: Path) -> None:
    rules: list[dict[str, Any]] = [
        {"kernel_initializer": halves, "kernel_regularizer": ridge, "kernel_constraint": bent},
        {"kernel_initializer": Start(0.5), "kernel_regularizer": Ridge(0.5), "activity_regularizer": ridge},
    ]
    for given in rules:
        model = fastnn.Sequential([fastnn.Dense(2, input_shape=(4,), **given)])
        model.compile(Slow(lr=Halving(0.1)), "mse")
        model.fit(X, Y, verbose=0)
        twin = comes_back(model, tmp_path)
        assert type(twin.optimizer) is Slow and twin.optimizer.get_config()["lr"] == Halving(0.1)
        assert fastnn.losses.get("mse")(Y, twin(X)).item() > 0 and float(twin.regularization_loss()) > 0
