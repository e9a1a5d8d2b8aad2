"""Models of Keras in fastnn: equal outputs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn

keras = pytest.importorskip("keras", reason="Keras is not installed")
L: Any = keras.layers
given: Any = keras.Input
rng = np.random.default_rng(0)

ACTIVATIONS = ["relu6", "sigmoid", "tanh", "softplus", "softsign", "selu", "elu", "silu", "hard_sigmoid", "hard_silu", "mish"]
ACTIVATIONS += ["gelu", "leaky_relu", "exponential", "log_softmax"]
STACKS: dict[str, tuple[tuple[int, ...], Callable[[], list[Any]]]] = {
    "dense": (
        (4,),
        lambda: [
            L.Dense(3, "gelu", kernel_regularizer="l2", kernel_constraint="non_neg"),
            L.Dense(2, L.LeakyReLU(0.1), use_bias=False),
            L.Dense(2, "softmax"),
        ],
    ),
    "activations": ((4,), lambda: [L.Activation(name) for name in ACTIVATIONS]),
    "images": (
        (9, 9, 2),
        lambda: [
            *(L.Conv2D(4, 3, padding="same", activation="relu"), L.MaxPooling2D(), L.DepthwiseConv2D(3), L.SeparableConv2D(3, 2)),
            *(L.BatchNormalization(), L.GlobalAveragePooling2D(), L.Dense(2)),
        ],
    ),
    "lines": (
        (9, 2),
        lambda: [
            *(L.Conv1D(4, 3, padding="causal", dilation_rate=2), L.AveragePooling1D(2), L.ZeroPadding1D(1)),
            *(L.Conv1DTranspose(3, 3, strides=2), L.Cropping1D(1), L.UpSampling1D(2), L.Flatten(), L.Dense(2)),
        ],
    ),
    "volumes": ((4, 4, 4, 1), lambda: [L.Conv3D(2, 2), L.MaxPooling3D(2), L.Reshape((2,)), L.Dense(2)]),
    "channels": (
        (5, 5, 4),
        lambda: [
            *(L.Conv2D(4, 3, groups=2, strides=2), L.SpatialDropout2D(0.2), L.GroupNormalization(2), L.LayerNormalization()),
            *(L.PReLU(), L.PReLU(shared_axes=[1, 2]), L.Permute((3, 1, 2)), L.Softmax(axis=1)),
        ],
    ),
    "recurrent": (
        (5, 3),
        lambda: [
            *(L.LSTM(4, return_sequences=True), L.GRU(3, return_sequences=True), L.SimpleRNN(3, return_sequences=True)),
            *(L.Bidirectional(L.LSTM(2, return_sequences=True), merge_mode="sum"), L.TimeDistributed(L.Dense(3))),
            L.Bidirectional(L.GRU(2)),
        ],
    ),
    "cells": (
        (5, 3),
        lambda: [
            *(L.Masking(), L.RNN([L.LSTMCell(2), L.GRUCell(3)], return_sequences=True)),
            L.GRU(3, reset_after=False, return_sequences=True),
            L.LSTM(3, go_backwards=True, recurrent_activation="hard_sigmoid", dropout=0.1),
        ],
    ),
    "scales": (
        (3,),
        lambda: [
            *(L.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0]), L.Rescaling(0.5, 1), L.GaussianNoise(0.1)),
            *(L.Dropout(0.2), L.AlphaDropout(0.1), L.RMSNormalization(), L.Identity(), L.ActivityRegularization(0.1)),
            *(L.ELU(0.5), L.ReLU(max_value=1.0), L.LeakyReLU(0.2)),
        ],
    ),
}


def numbers(*shape: int) -> Any:
    return rng.standard_normal(shape).astype("float32")


def host(value: Any) -> Any:
    return keras.ops.convert_to_numpy(value)


def stack(name: str) -> Any:
    shape, make = STACKS[name]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([given(shape), *make()])
    for w in model.weights:
        if any(part in w.path for part in ("moving", "gamma", "bias")):
            w.assign(np.abs(numbers(*w.shape)) + 0.5)
    return model


def branches() -> Any:
    """Return a functional model with shared layers and models, arithmetic, and several inputs and outputs."""
    keras.utils.set_random_seed(0)
    a, b, q = given((6, 4), name="a"), given((6, 4), name="b"), given((3,))
    shared, inner = L.Dense(4, "tanh"), keras.Sequential([L.Dense(3), L.BatchNormalization()], name="inner")
    last = keras.Model(q, L.Dense(2, trainable=False, name="frozen")(q))
    x, y = shared(a), shared(b)
    z = keras.ops.relu(1 - (x * 2 + y)) / 2
    z = (z**2)[:, 1:]
    z = L.MultiHeadAttention(2, 3)(z, z, use_causal_mask=True)
    z = L.Add()([L.Concatenate()([z, z]), L.Concatenate()([y[:, 1:], z])])
    z, h, _ = L.LSTM(3, return_state=True, return_sequences=True)(z)
    return keras.Model({"a": a, "b": b}, [last(h), L.GlobalAveragePooling1D()(inner(inner(z)))])


@pytest.mark.parametrize("name", STACKS)
def test_stacks(name: str) -> None:
    theirs = stack(name)
    x = numbers(3, *STACKS[name][0])
    model = fastnn.from_keras(theirs)
    np.testing.assert_allclose(model.predict(x), host(theirs(x, training=False)), rtol=1e-4, atol=1e-5)


def test_shared_layers_and_several_inputs() -> None:
    theirs = branches()
    model = fastnn.from_keras(theirs)
    data = {"a": numbers(2, 6, 4), "b": numbers(2, 6, 4)}
    for ours, wanted in zip(model.predict(data), theirs(data), strict=True):
        np.testing.assert_allclose(ours, host(wanted), rtol=1e-4, atol=1e-5)
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert [name.rpartition(".")[0].rpartition(".")[2] for name in frozen] == ["frozen", "frozen"]


def test_tokens_and_masks() -> None:
    ids = given((5,), dtype="int32")
    x = L.Embedding(7, 3, mask_zero=True)(ids)
    theirs = keras.Model(ids, L.Dense(2)(L.LSTM(3)(L.Attention()([x, x]))))
    x = rng.integers(0, 7, (4, 5))
    np.testing.assert_allclose(fastnn.from_keras(theirs).predict(x), host(theirs(x)), rtol=1e-4, atol=1e-5)


def test_models_go_on_training() -> None:
    theirs = keras.Sequential([given((4,)), L.Dense(8, "relu"), L.Dense(1)])
    model = fastnn.from_keras(theirs)
    x, y = numbers(32, 4), numbers(32, 1)
    theirs.compile(keras.optimizers.SGD(0.1), "mse")
    model.compile(fastnn.optim.SGD(lr=0.1), "mse")
    theirs.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.predict(x), host(theirs(x)), rtol=1e-4, atol=1e-5)


def summed() -> Any:
    x = given((3,))
    return keras.Model(x, keras.ops.sum(x, -1))


def own_class() -> Any:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = L.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Own()
    model(numbers(1, 3))
    return model


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: keras.Sequential([given((3,)), L.Lambda(lambda x: x, name="own")]), "the layer own is a Lambda, which is code"),
        (lambda: keras.Sequential([L.Dense(3)], name="late"), "the model late has no weights yet"),
        (
            lambda: keras.Sequential([given((3,)), L.UnitNormalization(name="unit")]),
            "the layer unit is a UnitNormalization",
        ),
        (summed, "the operation sum is keras.ops' Sum, for which fastnn has no layer"),
        (own_class, "wanted a Sequential or functional model"),
    ],
)
def test_errors_name_the_layer(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"from_keras: .*{words}"):
        fastnn.from_keras(make())
    with pytest.raises(TypeError, match=r"from_keras: Dense came, wanted a model of Keras"):
        fastnn.from_keras(fastnn.Dense(2))
