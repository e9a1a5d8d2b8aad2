"""Functional models agree with Keras's, where Keras is installed (on its PyTorch or JAX backend)."""

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
A = rng.standard_normal((24, 5)).astype(np.float32)
B = rng.standard_normal((24, 3)).astype(np.float32)
PRICE = rng.standard_normal((24, 1)).astype(np.float32)
KIND = rng.integers(0, 3, 24)
WEIGHTS = rng.uniform(0, 2, 24).astype(np.float32)


def graph(lib: Any, inputs: Any, model: Any, outputs: str = "list") -> Any:
    """One description for both libraries: a shared layer, a residual sum, merges, two inputs and two outputs."""
    a, b = inputs(shape=(5,), name="a"), inputs(shape=(3,), name="b")
    shared = lib.Dense(4, activation="tanh", name="shared")
    h, g = shared(lib.Dense(6, activation="relu", name="left")(a)), shared(lib.Dense(6, activation="relu", name="right")(b))
    s = lib.Add()([h, g])
    s = lib.Add()([s, lib.Dense(4, activation="relu", name="block")(s)])
    m = lib.Multiply()([h, g]) * 0.5 + 0.25
    x = lib.Concatenate()([s, m, lib.Maximum()([h, g]), lib.Average()([h, g]), lib.Subtract()([h, g]), lib.Minimum()([h, g])])
    price, kind = lib.Dense(1, name="price")(x), lib.Dense(3, activation="softmax", name="kind")(x)
    return model([a, b], [price, kind] if outputs == "list" else {"price": price, "kind": kind})


def pair(outputs: str = "list") -> tuple[Any, Any]:
    ours = graph(fastnn, fastnn.Input, fastnn.Model, outputs)
    theirs = graph(keras.layers, keras.Input, keras.Model, outputs)
    theirs.set_weights(ours.get_weights())  # in the same order
    for name in ("shared", "left", "right", "block", "price", "kind"):
        np.testing.assert_array_equal(theirs.get_layer(name).get_weights()[0], ours.get_layer(name).get_weights()[0])
    return ours, theirs


def losses(form: str) -> dict[str, Any]:
    loss = {"price": "mean_squared_error", "kind": "sparse_categorical_crossentropy"}
    metrics: dict[str, Any] = {"price": ["mae"], "kind": ["accuracy"]}
    weights = {"price": 0.7, "kind": 1.3}
    if form == "dict":
        return {"loss": loss, "metrics": metrics, "loss_weights": weights}
    return {"loss": list(loss.values()), "metrics": list(metrics.values()), "loss_weights": list(weights.values())}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", ["list", "dict"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_same_training(optimizer: str, form: str, weighted: bool) -> None:
    ours, theirs = pair(form)
    targets: Any = {"price": PRICE, "kind": KIND} if form == "dict" else [PRICE, KIND]
    x: Any = {"a": A, "b": B} if form == "dict" else [A, B]
    kwargs: dict[str, Any] = {"batch_size": 8, "epochs": 3, "shuffle": False, "verbose": 0, "validation_data": (x, targets)}
    if weighted:
        kwargs["sample_weight"] = (
            {"price": WEIGHTS, "kind": WEIGHTS[::-1].copy()} if form == "dict" else [WEIGHTS, WEIGHTS[::-1].copy()]
        )
    histories = []
    for model in (ours, theirs):
        model.compile(optimizer=optimizer, **losses(form))
        histories.append(model.fit(x, targets, **kwargs).history)
    a, b = histories
    assert set(a) == set(b)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-5, atol=1e-5, err_msg=name)
    p, q = ours.predict(x), theirs.predict(x, verbose=0)
    assert type(p) is type(q)
    for key in p if form == "dict" else range(2):
        np.testing.assert_allclose(p[key], q[key], rtol=1e-4, atol=1e-5)
    logs, wanted = ours.evaluate(x, targets, return_dict=True), theirs.evaluate(x, targets, return_dict=True, verbose=0)
    assert logs == pytest.approx(wanted, rel=1e-4, abs=1e-5)


def test_an_output_without_a_loss() -> None:
    ours, theirs = pair()
    for model in (ours, theirs):
        model.compile(optimizer="sgd", loss=["mean_squared_error", None])
    kwargs: dict[str, Any] = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
    a = ours.fit([A, B], [PRICE, KIND], **kwargs).history
    with pytest.warns(UserWarning, match="Gradients do not exist"):  # which Keras says where it runs on PyTorch
        b = theirs.fit([A, B], [PRICE, KIND], **kwargs).history
    assert set(a) == set(b)
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-5)


@pytest.mark.parametrize("name", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot", "cosine"])
def test_merging_layers(name: str) -> None:
    x, y = (rng.standard_normal((4, 3)).astype(np.float32) for _ in range(2))
    settings: dict[str, Any] = {"Dot": {"axes": 1}, "cosine": {"axes": 1, "normalize": True}, "Concatenate": {"axis": 1}}
    kwargs = settings.get(name, {})
    kind = "Dot" if name == "cosine" else name
    ours = getattr(fastnn, kind)(**kwargs)([x, y]).numpy()
    theirs = keras.ops.convert_to_numpy(getattr(keras.layers, kind)(**kwargs)([x, y]))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_layer_as_keras_users_write_it() -> None:
    def layer(base: Any, tanh: Any) -> Any:
        class Scaled(base):
            def __init__(self) -> None:
                super().__init__()
                self.seen: list[Any] = []

            def build(self, input_shape: Any) -> None:
                self.kernel = self.add_weight(shape=(input_shape[-1], 4), initializer="glorot_uniform", name="kernel")
                self.scale = self.add_weight(shape=(4,), initializer="ones", name="scale", trainable=False)

            def call(self, x: Any) -> Any:
                return tanh(x @ self.kernel) * self.scale

        return Scaled()

    ours = fastnn.Sequential([fastnn.Input(shape=(5,)), layer(fastnn.Layer, fastnn.tanh), fastnn.Dense(1)])
    theirs = keras.Sequential([keras.Input(shape=(5,)), layer(keras.layers.Layer, keras.ops.tanh), keras.layers.Dense(1)])
    ours(A)
    theirs.set_weights(ours.get_weights())
    for model in (ours, theirs):
        model.compile(optimizer="adam", loss="mean_squared_error")
    kwargs: dict[str, Any] = {"batch_size": 8, "epochs": 3, "shuffle": False, "verbose": 0}
    a, b = (model.fit(A, PRICE, **kwargs).history["loss"] for model in (ours, theirs))
    np.testing.assert_allclose(a, b, rtol=1e-5)
    np.testing.assert_allclose(ours.predict(A), theirs.predict(A, verbose=0), rtol=1e-4, atol=1e-5)
