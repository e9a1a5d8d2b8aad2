"""Attributes that are set between steps: recorded steps, frozen models and metrics follow them; activations of any kind."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.training.step import TrainStep

X = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)


@pytest.mark.parametrize("setting", ["activation", "alpha", "delta", "kernel_regularizer"])
def test_recorded_steps_and_frozen_models_follow(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values: dict[str, list[Any]] = {
        "activation": ["tanh", fastnn.silu, nn.ELU(0.5)],
        "alpha": [1.0, 0.5, 3.0],
        "delta": [1.0, 0.1, 0.3],
        "kernel_regularizer": [None, "l2", fastnn.regularizers.L1(0.1)],
    }

    def trained() -> list[np.ndarray]:
        fastnn.seed(0)
        model = fastnn.Sequential([fastnn.Dense(5, "tanh", input_shape=(4,)), nn.ELU(), fastnn.Dense(1)])
        loss = fastnn.losses.Huber()
        model.compile(fastnn.optim.SGD(lr=0.1), loss)
        of = {"alpha": model.layers[1], "delta": loss}.get(setting, model.layers[0])

        def change(epoch: int, logs: Any) -> None:
            setattr(of, setting, values[setting][epoch])

        change_it = fastnn.callbacks.LambdaCallback(on_epoch_begin=change)
        model.fit(X, X[:, :1], batch_size=1, epochs=3, shuffle=False, verbose=0, callbacks=[change_it])
        return [*model.get_weights(), model.freeze(6)(X), model.predict(X)]

    recorded = trained()
    monkeypatch.setattr(TrainStep, "_watch", lambda self: self._step())
    for a, b in zip(recorded, trained(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    np.testing.assert_allclose(recorded[-1], recorded[-2], rtol=1e-6)


def test_a_regularizer_that_is_set_later_counts() -> None:
    layer = fastnn.Dense(1, input_shape=(4,), kernel_initializer="ones")
    assert not layer.losses
    layer.kernel_regularizer = "l2"
    assert layer.losses[0].item() == pytest.approx(0.04)


# ---- activations of layers ----


FUNCTIONS: list[Any] = [
    fastnn.relu,
    fastnn.leaky_relu,
    fastnn.softplus,
    fastnn.softmax,
    fastnn.quick_gelu,
    fastnn.sine,
    fastnn.exp,
]
FUNCTIONS += [lambda x: x * 2, nn.ELU(0.5), nn.Softmax(), nn.LogSoftmax(0), nn.PReLU(), fastnn.ReLU(max_value=6.0, threshold=0.5)]


@pytest.mark.parametrize("act", FUNCTIONS, ids=lambda act: getattr(act, "__name__", type(act).__name__))
@pytest.mark.parametrize("later", [False, True])
def test_functions_and_layers_as_activations(act: Any, later: bool) -> None:
    act = copy.deepcopy(act)
    layer = fastnn.Dense(3, None if later else act, input_shape=(4,))
    if later:
        layer.activation = act
    z = fastnn.tensor(X @ layer.kernel.numpy())
    np.testing.assert_allclose(layer(X).numpy(), act(z).numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fastnn.Activation(act)(z).numpy(), act(z).numpy(), rtol=1e-6)
    fastnn.gradcheck(fastnn.Sequential([fastnn.Dense(3, copy.deepcopy(act), input_shape=(4,))], dtype="float64"), X.astype(float))
    repr(layer)


def test_every_function_that_layers_know_is_itself() -> None:
    from fastnn.activations import NAMED

    x = fastnn.tensor(X)
    for function in NAMED:
        np.testing.assert_array_equal(fastnn.Activation(function)(x).numpy(), function(x).numpy(), err_msg=function.__name__)


def test_an_activation_with_parameters_is_a_layer_of_the_layer() -> None:
    model = fastnn.Sequential([fastnn.Dense(3, fastnn.PReLU(), input_shape=(4,)), fastnn.Dense(1)])
    assert [name for name, _ in model.named_parameters()][2] == "0.activation.alpha"
    model.layers[0].activation = "relu"
    assert len(list(model.parameters())) == 4


def test_functions_of_ones_own_train_and_are_not_saved(tmp_path: Any) -> None:
    calls = []

    def twice(x: Any) -> Any:
        calls.append(1)
        return x * 2

    model = fastnn.Sequential([fastnn.Dense(1, twice, input_shape=(4,))])
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], batch_size=2, epochs=4, verbose=0)
    assert len(calls) >= 12  # not recorded unasked
    with pytest.raises(TypeError, match="the activation twice has no name"):
        model.save(tmp_path / "m.fastnn")
    model.layers[0].activation = fastnn.relu
    model.save(tmp_path / "m.fastnn")
    assert fastnn.load(tmp_path / "m.fastnn").layers[0].activation.name == "relu"


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (nn.ReLU, TypeError, "the class ReLU came"),
        (3, TypeError, "int 3 came"),
        (lambda x: x.numpy(), TypeError, "gave ndarray, wanted a Tensor"),
        (nn.GLU(), ValueError, "made shape"),
    ],
)
def test_bad_activations(act: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fastnn.Dense(4, act, input_shape=(4,))(X)


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (fastnn.metrics.BinaryAccuracy, "threshold", 0.9),
        (lambda: fastnn.metrics.SparseTopKCategoricalAccuracy(k=1), "k", 2),
        (fastnn.metrics.AUC, "curve", "PR"),
    ],
)
def test_settings_of_metrics(make: Callable[[], Any], name: str, value: Any) -> None:
    labels = name == "k"
    y = np.arange(6) % 4 if labels else (X[:, :1] > 0).astype(float)

    def evaluated(change: bool) -> float:
        fastnn.seed(0)
        last = fastnn.Dense(4, "softmax", input_shape=(4,)) if labels else fastnn.Dense(1, "sigmoid", input_shape=(4,))
        model, metric = fastnn.Sequential([last]), make()
        model.compile(fastnn.optim.SGD(lr=0.5), "sparse_categorical_crossentropy" if labels else "binary_crossentropy", [metric])
        model.fit(X, y, batch_size=1, epochs=2, verbose=0, shuffle=False)
        if change:
            setattr(metric, name, value)
            history = model.fit(X, y, batch_size=1, epochs=2, verbose=0, shuffle=False).history
            return float(next(v for key, v in history.items() if key != "loss")[-1])
        other = make()
        setattr(other, name, value)
        model.compile(fastnn.optim.SGD(lr=0.5), model._compiled.loss, [other])
        history = model.fit(X, y, batch_size=1, epochs=2, verbose=0, shuffle=False).history
        return float(next(v for key, v in history.items() if key != "loss")[-1])

    assert evaluated(True) == evaluated(False)
    with pytest.raises((ValueError, TypeError)):
        setattr(make(), name, object())


def test_settings_of_f_scores_keep_each_other() -> None:
    y, p = np.array([[1.0], [0.0], [1.0], [1.0]]), np.array([[0.6], [0.6], [0.9], [0.3]])

    def score(metric: Any) -> float:
        metric.update_state(y, p)
        return float(metric.result())

    metric = fastnn.metrics.FBetaScore(threshold=0.5)
    metric.beta = 2.0
    assert score(metric) == score(fastnn.metrics.FBetaScore(beta=2.0, threshold=0.5))
    metric.threshold = 0.7
    assert score(metric) == score(fastnn.metrics.FBetaScore(beta=2.0, threshold=0.7))
    f1 = fastnn.metrics.F1Score(threshold=0.5)
    f1.threshold = 0.7
    assert score(f1) == 0.5
