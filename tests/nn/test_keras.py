"""Agreement with Keras's rules, where Keras is installed (on its PyTorch or JAX backend)."""

import os
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import fastnn

if not find_spec("keras") or not (find_spec("torch") or find_spec("jax")):
    pytest.skip("Keras with PyTorch or JAX is not installed", allow_module_level=True)
os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "jax")
keras: Any = pytest.importorskip("keras")

rng = np.random.default_rng(0)
X = rng.standard_normal((12, 5)).astype(np.float32)
LABELS = rng.integers(0, 3, 12)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
BINARY = rng.integers(0, 2, (12, 1)).astype(np.float32)
VALUES = rng.standard_normal((12, 1)).astype(np.float32)
WEIGHTS = rng.uniform(0, 2, 12).astype(np.float32)

CASES = [
    ("sparse_categorical_crossentropy", LABELS, 3, "softmax"),
    ("categorical_crossentropy", ONE_HOT, 3, "softmax"),
    ("binary_crossentropy", BINARY, 1, "sigmoid"),
    ("mean_squared_error", VALUES, 1, "linear"),
]


def pair(units: int, activation: str, hidden: str = "relu") -> tuple[Any, Any]:
    ours = fastnn.Sequential([fastnn.Dense(7, activation=hidden, input_shape=(5,)), fastnn.Dense(units, activation=activation)])
    theirs = keras.Sequential(
        [keras.layers.Input((5,)), keras.layers.Dense(7, activation=hidden), keras.layers.Dense(units, activation=activation)]
    )
    theirs.set_weights(ours.get_weights())
    return ours, theirs


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize(("loss", "y", "units", "activation"), CASES)
def test_the_same_training(loss: str, y: np.ndarray, units: int, activation: str, optimizer: str) -> None:
    ours, theirs = pair(units, activation)
    for model in (ours, theirs):
        model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"] if units > 1 else ["mae"])
    kwargs = {"batch_size": 4, "epochs": 3, "shuffle": False, "verbose": 0, "validation_split": 0.25}
    a, b = ours.fit(X, y, **kwargs).history, theirs.fit(X, y, **kwargs).history
    assert set(a) == set(b)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=2e-4, atol=2e-5, err_msg=name)
    for v, u in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(v, u, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X, verbose=0), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("loss", "y", "units", "activation"), CASES)
def test_weights_and_evaluation(loss: str, y: np.ndarray, units: int, activation: str) -> None:
    ours, theirs = pair(units, activation)
    for model in (ours, theirs):
        model.compile(optimizer="sgd", loss=loss)
    assert ours.evaluate(X, y, verbose=0) == pytest.approx(theirs.evaluate(X, y, verbose=0), rel=1e-5)
    for model in (ours, theirs):
        model.compile(optimizer="sgd", loss=loss, metrics=["accuracy"] if units > 1 else ["mae"])
    weighted = ours.evaluate(X, y, sample_weight=WEIGHTS, verbose=0), theirs.evaluate(X, y, sample_weight=WEIGHTS, verbose=0)
    assert weighted[0] == pytest.approx(weighted[1], rel=1e-5)  # the metrics are not weighted


@pytest.mark.parametrize(
    "name", ["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "exponential", "softmax", "log_softmax", "linear"]
)
def test_activation_strings(name: str) -> None:
    x = np.linspace(-3, 3, 13, dtype=np.float32)[None]
    theirs = np.asarray(keras.ops.convert_to_numpy(keras.activations.get(name)(keras.ops.convert_to_tensor(x))))
    np.testing.assert_allclose(fastnn.Activation(name)(x).numpy(), theirs, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize(
    "name", ["SparseCategoricalCrossentropy", "CategoricalCrossentropy", "BinaryCrossentropy", "MeanSquaredError"]
)
def test_losses_on_given_predictions(name: str, from_logits: bool) -> None:
    kwargs = {} if name == "MeanSquaredError" else {"from_logits": from_logits}
    p = rng.standard_normal((12, 3)) if from_logits else rng.dirichlet(np.ones(3), 12)
    p = p.astype(np.float32)
    y = LABELS if name.startswith("Sparse") else ONE_HOT
    for weight in (None, WEIGHTS):
        ours = getattr(fastnn.losses, name)(**kwargs)(y, fastnn.tensor(p), weight).item()
        theirs = float(keras.ops.convert_to_numpy(getattr(keras.losses, name)(**kwargs)(y, p, weight)))
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_losses_with_settings() -> None:
    p = rng.dirichlet(np.ones(3), 12).astype(np.float32)
    for name, kwargs, y in (
        ("CategoricalCrossentropy", {"label_smoothing": 0.2}, ONE_HOT),
        ("BinaryCrossentropy", {"label_smoothing": 0.2}, ONE_HOT),
        ("SparseCategoricalCrossentropy", {"ignore_class": 1}, LABELS),
    ):
        ours = getattr(fastnn.losses, name)(**kwargs)(y, fastnn.tensor(p)).item()
        theirs = float(keras.ops.convert_to_numpy(getattr(keras.losses, name)(**kwargs)(y, p)))
        assert ours == pytest.approx(theirs, rel=1e-4), name


def test_metrics() -> None:
    labels = rng.integers(0, 4, 50)
    one_hot, p = np.eye(4, dtype=np.float32)[labels], rng.dirichlet(np.ones(4), 50).astype(np.float32)
    bits, scores = rng.integers(0, 2, 50).astype(np.float32), rng.uniform(0, 1, 50).astype(np.float32)
    values = rng.standard_normal((50, 3)).astype(np.float32)
    near = values + 0.3 * rng.standard_normal((50, 3)).astype(np.float32)
    for name, kwargs, y, q in (
        ("Precision", {"thresholds": 0.4}, bits, scores),
        ("Recall", {}, one_hot, p),
        ("Precision", {"class_id": 1, "thresholds": 0.3}, one_hot, p),
        ("F1Score", {"average": "macro"}, one_hot, p),
        ("FBetaScore", {"average": "weighted", "beta": 0.5, "threshold": 0.4}, one_hot, p),
        ("RootMeanSquaredError", {}, values, near),
        ("MeanAbsolutePercentageError", {}, values, near),
        ("CosineSimilarity", {}, values, near),
        ("R2Score", {}, values, near),
        ("SparseTopKCategoricalAccuracy", {"k": 2}, labels, p),
        ("TopKCategoricalAccuracy", {"k": 2}, one_hot, p),
        ("BinaryCrossentropy", {"from_logits": True}, bits[:, None], scores[:, None]),
        ("SparseCategoricalCrossentropy", {}, labels, p),
        ("CategoricalCrossentropy", {}, one_hot, p),
    ):
        weights = (None, rng.uniform(0, 2, 50).astype(np.float32))
        for weight in weights[: 1 if "class_id" in kwargs else 2]:  # Keras fails with weights for one class
            ours, theirs = getattr(fastnn.metrics, name)(**kwargs), getattr(keras.metrics, name)(**kwargs)
            if theirs.name == name.lower() or "_" in theirs.name:  # Keras numbers some of its names
                assert ours.name == theirs.name.rstrip("_0123456789")
            for m in (ours, theirs):
                m.update_state(y, q, weight)
            assert ours.result() == pytest.approx(float(keras.ops.convert_to_numpy(theirs.result())), rel=1e-4), name


@pytest.mark.parametrize("how", ["none", "column", "steps", "classes"])
def test_weights_and_weighted_metrics_of_each_step(how: str) -> None:
    x, y = rng.standard_normal((12, 4, 5)).astype(np.float32), rng.integers(0, 3, (12, 4))
    steps = rng.uniform(0, 2, (12, 4)).astype(np.float32)
    if how == "classes":  # of samples: Keras takes labels (n, T) for one-hot rows there
        x, y = x[:, 0], y[:, 0]
    ours = fastnn.Sequential([fastnn.Dense(3, activation="softmax", input_shape=x.shape[1:])])
    theirs = keras.Sequential([keras.layers.Input(x.shape[1:]), keras.layers.Dense(3, activation="softmax")])
    theirs.set_weights(ours.get_weights())
    given: dict[str, Any] = {"column": {"sample_weight": steps[:, :1]}, "steps": {"sample_weight": steps}}.get(how, {})
    trained = {"class_weight": {0: 2.0, 1: 0.5, 2: 1.0}} if how == "classes" else given
    names = ["accuracy", "sparse_categorical_crossentropy", "accuracy"]
    found = []
    for model in (ours, theirs):
        model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=names[:2], weighted_metrics=names)
        validation = (x, y, *given.values())
        kwargs = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0, "validation_data": validation, **trained}
        history = model.fit(x, y, **kwargs).history
        found.append({**history, **model.evaluate(x, y, verbose=0, return_dict=True, **given)})
    assert set(found[0]) == set(found[1])
    for name, value in found[0].items():
        np.testing.assert_allclose(value, found[1][name], rtol=2e-4, atol=2e-5, err_msg=name)


def test_metrics_of_each_step() -> None:
    labels, p = rng.integers(0, 4, (9, 5)), rng.dirichlet(np.ones(4), (9, 5)).astype(np.float32)
    one_hot, values = np.eye(4, dtype=np.float32)[labels], rng.standard_normal((9, 5, 4)).astype(np.float32)
    bits = rng.integers(0, 2, (9, 5, 4)).astype(np.float32)
    weights = rng.uniform(0, 2, (9, 5)).astype(np.float32)
    for name, kwargs, y in (
        ("SparseCategoricalAccuracy", {}, labels),
        ("SparseTopKCategoricalAccuracy", {"k": 2}, labels),
        ("SparseCategoricalCrossentropy", {}, labels),
        ("CategoricalAccuracy", {}, one_hot),
        ("TopKCategoricalAccuracy", {"k": 2}, one_hot),
        ("CategoricalCrossentropy", {}, one_hot),
        ("BinaryAccuracy", {}, bits),
        ("BinaryCrossentropy", {}, bits),
        ("MeanSquaredError", {}, values),
        ("MeanAbsoluteError", {}, values),
        ("MeanAbsolutePercentageError", {}, values),
        ("RootMeanSquaredError", {}, values),
        ("CosineSimilarity", {}, values),
        ("Precision", {"thresholds": 0.3}, bits),
        ("Recall", {"thresholds": 0.3}, bits),
        ("Recall", {"thresholds": 0.3, "class_id": 2}, bits),
    ):
        for weight in (None, weights, weights[:, :1])[: 1 if "class_id" in kwargs else 3]:
            ours, theirs = getattr(fastnn.metrics, name)(**kwargs), getattr(keras.metrics, name)(**kwargs)
            for m in (ours, theirs):
                m.update_state(y, p, weight)
            assert ours.result() == pytest.approx(float(keras.ops.convert_to_numpy(theirs.result())), rel=1e-4), name
