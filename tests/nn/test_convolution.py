"""Convolution, pooling and normalization layers beside PyTorch's and Keras's, with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layer_peers import beside_keras, beside_torch

import fastnn
import fastnn.nn as nn

RNG = np.random.default_rng(0)

TORCH: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ("Conv1d", (3, 5, 3), {}, (2, 3, 11)),
    ("Conv1d", (4, 6, 4), {"stride": 3, "padding": 2, "groups": 2}, (2, 4, 13)),
    ("Conv1d", (2, 3, 3), {"padding": "same", "dilation": 3}, (2, 9)),
    ("Conv2d", (1, 8, 3), {"padding": 1}, (2, 1, 9, 8)),
    ("Conv2d", (6, 9, (2, 3)), {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 3}, (2, 6, 8, 9)),
    ("Conv2d", (5, 5, 3), {"groups": 5, "bias": False, "padding": "same"}, (2, 5, 6, 7)),
    ("Conv2d", (4, 8, 3), {"groups": 4, "stride": 2}, (4, 7, 7)),
    ("Conv2d", (7, 4, 1), {"padding": "valid"}, (3, 7, 4, 4)),
    ("Conv1d", (2, 3, 4), {"padding": "same", "padding_mode": "reflect"}, (2, 2, 9)),
    ("Conv2d", (2, 3, 3), {"padding": (1, 2), "padding_mode": "replicate", "stride": 2}, (2, 2, 5, 6)),
    ("Conv2d", (2, 4, 3), {"padding": 2, "padding_mode": "circular", "dilation": 2, "groups": 2}, (2, 5, 4)),
    ("Conv3d", (1, 2, 3), {"padding": 1, "padding_mode": "circular"}, (1, 1, 3, 4, 3)),
    ("Conv3d", (2, 4, (1, 2, 3)), {"padding": (0, 1, 1), "stride": (1, 2, 1)}, (2, 2, 4, 5, 5)),
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1}, (2, 3, 10)),
    ("MaxPool2d", (2,), {}, (2, 3, 7, 8)),
    ("MaxPool2d", ((3, 2),), {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "ceil_mode": True}, (2, 3, 8, 7)),
    ("MaxPool2d", (3,), {"stride": 2, "ceil_mode": True}, (3, 8, 8)),
    ("MaxPool3d", (2,), {"padding": 1}, (1, 2, 4, 5, 6)),
    ("AvgPool1d", (3,), {"stride": 2, "padding": 1}, (2, 3, 10)),
    ("AvgPool2d", (2,), {}, (2, 3, 7, 8)),
    ("AvgPool2d", (3,), {"stride": 2, "padding": 1, "ceil_mode": True}, (2, 3, 8, 7)),
    ("AvgPool2d", (3,), {"stride": 2, "padding": 1, "count_include_pad": False}, (2, 3, 8, 7)),
    ("AvgPool2d", (2,), {"padding": 1, "divisor_override": 3}, (2, 3, 6, 6)),
    ("AvgPool3d", (2,), {"stride": 1}, (2, 2, 4, 5, 3)),
    ("AdaptiveAvgPool1d", (4,), {}, (2, 3, 10)),
    ("AdaptiveAvgPool2d", ((3, None),), {}, (2, 3, 9, 5)),
    ("AdaptiveAvgPool2d", (1,), {}, (2, 3, 6, 6)),
    ("AdaptiveAvgPool3d", ((2, 1, 3),), {}, (1, 2, 4, 5, 7)),
    ("BatchNorm1d", (5,), {}, (8, 5)),
    ("BatchNorm1d", (3,), {"affine": False, "momentum": 0.3}, (4, 3, 7)),
    ("BatchNorm2d", (4,), {"eps": 0.1}, (3, 4, 5, 6)),
    ("BatchNorm2d", (2,), {"track_running_stats": False}, (3, 2, 5, 4)),
    ("BatchNorm3d", (2,), {}, (2, 2, 3, 4, 2)),
    ("LayerNorm", (7,), {}, (3, 4, 7)),
    ("LayerNorm", ((4, 5),), {"bias": False, "eps": 0.01}, (2, 3, 4, 5)),
    ("LayerNorm", (6,), {"elementwise_affine": False}, (5, 6)),
    ("RMSNorm", (7,), {}, (3, 4, 7)),
    ("RMSNorm", ((4, 5),), {"eps": 0.01, "elementwise_affine": False}, (2, 4, 5)),
    ("GroupNorm", (2, 6), {}, (3, 6, 4, 5)),
    ("GroupNorm", (3, 3), {"affine": False}, (2, 3, 7)),
    ("GroupNorm", (2, 4), {}, (5, 4)),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), TORCH, ids=[f"{i}-{c[0]}" for i, c in enumerate(TORCH)])
def test_torch(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], shape: tuple[int, ...]) -> None:
    beside_torch(name, args, kwargs, shape)


def test_initial_values_are_those_of_torch() -> None:
    layer = nn.Conv2d(8, 16, 3, groups=2)
    bound = (4 * 9) ** -0.5
    for p in (layer.weight, layer.bias):
        assert np.abs(p.numpy()).max() <= bound
        assert np.abs(p.numpy()).max() > 0.8 * bound


KERAS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, (2, 9, 3)),
    ("Conv1D", {"filters": 4, "kernel_size": 2, "strides": 2, "padding": "same", "activation": "relu"}, (2, 9, 3)),
    ("Conv2D", {"filters": 8, "kernel_size": 3, "activation": "tanh"}, (2, 7, 6, 2)),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (2, 8, 7, 3)),
    ("Conv2D", {"filters": 6, "kernel_size": (3, 2), "groups": 3, "padding": "same", "use_bias": False}, (2, 5, 6, 3)),
    ("Conv3D", {"filters": 3, "kernel_size": 2, "strides": (1, 2, 1)}, (1, 4, 5, 4, 2)),
    ("MaxPooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 8, 3)),
    ("MaxPooling2D", {}, (2, 7, 6, 3)),
    ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 7, 6, 3)),
    ("MaxPooling3D", {"pool_size": 2}, (1, 4, 5, 4, 2)),
    ("AveragePooling1D", {"pool_size": 3, "strides": 1, "padding": "same"}, (2, 8, 3)),
    ("AveragePooling2D", {"pool_size": (3, 2), "padding": "same"}, (2, 7, 6, 3)),
    ("AveragePooling3D", {"pool_size": 2, "strides": 1}, (1, 4, 5, 4, 2)),
    *(
        (f"Global{kind}Pooling{n}D", {"keepdims": n == 2}, (2, *(3, 4, 5)[:n], 3))
        for kind in ("Max", "Average")
        for n in (1, 2, 3)
    ),
]


@pytest.mark.parametrize(("name", "kwargs", "shape"), KERAS, ids=[f"{i}-{c[0]}" for i, c in enumerate(KERAS)])
def test_keras(name: str, kwargs: dict[str, Any], shape: tuple[int, ...]) -> None:
    beside_keras(name, kwargs, shape)


@pytest.mark.parametrize(
    ("make", "x", "words"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), None, "cannot be divided into 2 groups"),
        (lambda: nn.Conv2d(3, 4, 3), (2, 3, 2, 5), "larger than the image of (2, 5)"),
        (lambda: nn.Conv2d(3, 4, 3), (2, 4, 5, 5), "x has shape (2, 4, 5, 5), wanted (n, 3, height, width)"),
        (lambda: nn.Conv2d(4, 8, 3, groups=2), (2, 8, 9, 9), "wanted (n, 4, height, width)"),
        (lambda: nn.Conv2d(1, 2, 2), (1, 3), "x has shape (1, 3), wanted (n, 1, height, width)"),
        (
            lambda: nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(3, 6, 3)),
            (2, 1, 28, 28),
            "wanted (n, 3, height, width)",
        ),
        (lambda: fastnn.Conv2D(3, 3), (2, 5, 5, 0), "at least 1"),
        (lambda: fastnn.Conv2D(3, 3, strides=2**63), None, "below 2^31"),
        (lambda: nn.MaxPool2d(2), (4, 4), "x has shape (4, 4), wanted (n, channels, height, width)"),
        (lambda: fastnn.GlobalAveragePooling2D(), (2, 3, 4), "wanted (n, height, width, channels)"),
        (lambda: nn.AdaptiveAvgPool2d(1), (2, 3, 0, 4), "no pixels"),
        (lambda: nn.LayerNorm(4), (2, 6), "wanted (4,) as its last sizes"),
        (lambda: nn.RMSNorm((3, 4)), (2, 6, 2), "wanted (3, 4) as its last sizes"),
        (lambda: fastnn.LayerNormalization(input_shape=(4,)), (4, 6), "wanted (4,) as its last sizes"),
        (lambda: fastnn.GroupNormalization(2, input_shape=(4,)), (4, 6), "wanted (4,) as its last sizes"),
        (lambda: nn.GroupNorm(2, 4), (2, 8, 3), "wanted (n, 4, ...)"),
        (lambda: nn.GroupNorm(3, 4), None, "3 groups"),
        (lambda: nn.BatchNorm2d(3), (2, 1, 3, 3), "wanted (n, 3, size, size)"),
        (lambda: nn.BatchNorm2d(4), (5, 4), "wanted (n, 4, size, size)"),
        (lambda: nn.BatchNorm1d(4), (1, 4), "more than one"),
        (lambda: fastnn.BatchNormalization(input_shape=(4,)), (2, 1), "wanted 4 channels"),
        (lambda: fastnn.BatchNormalization(axis=0), (2, 1), "axis 0"),
        (lambda: fastnn.Permute((2, 1)), (2, 3, 4, 5), "wanted 3 dimensions"),
        (lambda: fastnn.Permute((2, 3)), None, "dims"),
        (lambda: fastnn.Reshape((4, -1)), (2, 6), "number of elements"),
        (lambda: nn.Conv2d(3, 4, (3, 3, 3)), None, "kernel_size"),
        (lambda: nn.Conv2d(3, 4, 3, padding="same", stride=2), None, "stride"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), None, "padding_mode is 'mirror', wanted 'zeros' or 'reflect'"),
        (lambda: nn.Conv2d(3, 4, 9, padding=4, padding_mode="reflect"), (1, 3, 4, 9), "(4, 4) of an axis of 4 by 'reflect'"),
        (lambda: fastnn.Conv2D(4, 0), None, "kernel_size"),
        (lambda: fastnn.Conv2D(4, 3, padding="causal"), None, "padding"),
        (lambda: fastnn.Conv2D(4, 3), (2, 5, 5), "dimensions"),
        (lambda: fastnn.Conv2D(4, 3, data_format="first"), None, "data_format"),
        (lambda: nn.MaxPool2d(3, padding=2), (1, 1, 5, 5), "half of a window"),
        (lambda: nn.MaxPool2d(17), (1, 1, 20, 20), "256 positions"),
        (lambda: fastnn.MaxPooling2D(4), (1, 3, 3, 1), "larger than the image of (3, 3)"),
        (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), None, "output_size"),
    ],
)
def test_bad_arguments_are_named(make: Any, x: Any, words: str) -> None:
    with pytest.raises((ValueError, TypeError)) as error:
        make()(fastnn.zeros(*x))
    assert words in str(error.value)


def test_a_convolutional_net_learns_and_freezes() -> None:
    """Lines that stand or lie: a net of Keras's layers, and the same of PyTorch's, in fit, evaluate and a frozen model."""
    rng = np.random.default_rng(1)
    x = rng.normal(0, 0.3, (256, 8, 8, 1)).astype(np.float32)
    y = rng.integers(0, 2, 256)
    for image, standing in zip(x, y, strict=True):
        where = rng.integers(8)
        (image[:, where] if standing else image[where])[...] += 1
    fastnn.seed(0)
    keras_like = fastnn.Sequential(
        [
            fastnn.Conv2D(8, 3, activation="relu", padding="same", input_shape=(8, 8, 1)),
            fastnn.MaxPooling2D(2),
            fastnn.Conv2D(8, 3, activation="relu"),
            fastnn.Flatten(),
            fastnn.Dense(2, activation="softmax"),
        ]
    )
    torch_like = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32, 2),
        nn.Softmax(),
    )
    for model, images in ((keras_like, x), (torch_like, np.moveaxis(x, -1, 1).copy())):
        model.compile(optimizer=fastnn.optim.Adam(lr=0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(images[:192], y[:192], epochs=12, batch_size=16, verbose=0)
        assert model.evaluate(images[192:], y[192:], verbose=0)[1] > 0.9
        np.testing.assert_array_equal(
            model.freeze(input_shape=images.shape[1:], batch_size=32)(images[:32]),
            model.predict(images[:32], batch_size=32, verbose=0),
        )
        np.testing.assert_array_equal(
            model.freeze(input_shape=images.shape[1:])(images[:1]), model.predict(images[:1], verbose=0)
        )


def test_windows_in_the_border_and_strides_beyond_the_image() -> None:
    x = fastnn.tensor(np.full((1, 1, 1), -3.0, np.float32))
    assert nn.MaxPool1d(2, stride=1, padding=1, dilation=2)(x).numpy().tolist() == [[[-np.inf]]]
    conv = nn.Conv2d(2, 3, 3, stride=10**9)
    x = fastnn.tensor(RNG.standard_normal((2, 2, 9, 8)).astype(np.float32), requires_grad=True)
    conv(x).sum().backward()
    want = np.zeros((2, 2, 9, 8), np.float32)
    want[:, :, :3, :3] = conv.weight.numpy().sum(0)
    np.testing.assert_allclose(x.grad.numpy(), want, rtol=1e-6)


def test_batches_without_images() -> None:
    for norm in (nn.BatchNorm2d(3), fastnn.BatchNormalization(axis=1)):
        assert norm(fastnn.zeros(0, 3, 4, 4), training=True).shape == (0, 3, 4, 4)
        assert all(np.isfinite(b.numpy()).all() for b in norm.buffers())
    layer = nn.Conv2d(2, 3, 3, padding=1)
    x = fastnn.zeros(0, 2, 5, 5, requires_grad=True)
    y = nn.MaxPool2d(5)(layer(x))
    y.sum().backward()
    assert y.shape == (0, 3, 1, 1)
    assert not np.any(layer.weight.grad.numpy())


@pytest.mark.parametrize("keras_names", [False, True])
def test_batch_norm_averages_in_recorded_steps(keras_names: bool) -> None:
    x = RNG.normal(3, 2, (24, 3)).astype(np.float32)
    norm = fastnn.BatchNormalization(momentum=0.9, input_shape=(3,)) if keras_names else nn.BatchNorm1d(3)
    model = fastnn.Sequential([norm, fastnn.Dense(1)])
    model.compile(fastnn.optim.SGD(lr=0.01), "mse")
    model.fit(x, x[:, :1], batch_size=8, epochs=3, shuffle=False, verbose=0)
    mean, variance, n = np.zeros(3), np.ones(3), 8
    for _ in range(3):
        for batch in x.astype(np.float64).reshape(3, n, 3):
            mean = 0.9 * mean + 0.1 * batch.mean(0)
            variance = 0.9 * variance + 0.1 * batch.var(0) * (1 if keras_names else n / (n - 1))
    names = ("moving_mean", "moving_variance") if keras_names else ("running_mean", "running_var")
    np.testing.assert_allclose(getattr(norm, names[0]).numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(getattr(norm, names[1]).numpy(), variance, rtol=1e-5)
    if not keras_names:
        assert norm.num_batches_tracked.item() == 9
    y = model.predict(x, verbose=0)
    np.testing.assert_allclose(model.freeze(input_shape=(3,), batch_size=24)(x), y, rtol=1e-5, atol=1e-6)


def test_a_frozen_batch_norm_of_keras_takes_its_averages_in_training() -> None:
    norm = fastnn.BatchNormalization(input_shape=(3,))
    norm.trainable = False
    x = fastnn.tensor(RNG.normal(3, 2, (8, 3)).astype(np.float32))
    np.testing.assert_allclose(norm(x, training=True).numpy(), x.numpy() / np.sqrt(1.001), rtol=1e-5)
    assert not norm.moving_mean.numpy().any()
