"""Separable and transposed convolutions, padding, resizing and other layers of images, beside PyTorch's and Keras's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from input_layers import BACKENDS
from layer_peers import beside_keras, beside_torch, keras

import fastnn
import fastnn.nn as nn
from fastnn.backends import current, recording
from fastnn.ops.padding import pad, pad_constant
from fastnn.ops.resample import cubic, linear, nearest, resample
from fastnn.replay.recorder import Recorder

RNG = np.random.default_rng(0)

TORCH: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ("ConvTranspose1d", (3, 5, 3), {}, (2, 3, 11)),
    ("ConvTranspose1d", (4, 6, 4), {"stride": 3, "padding": 2, "output_padding": 2, "groups": 2}, (2, 4, 5)),
    ("ConvTranspose1d", (2, 3, 3), {"dilation": 3, "output_padding": 2, "stride": 2}, (2, 9)),
    ("ConvTranspose1d", (2, 3, 2), {"dilation": 3, "output_padding": 2}, (2, 2, 4)),
    ("ConvTranspose2d", (1, 8, 3), {"padding": 1}, (2, 1, 9, 8)),
    ("ConvTranspose2d", (6, 9, (2, 3)), {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 3}, (2, 6, 8, 9)),
    ("ConvTranspose2d", (5, 5, 3), {"groups": 5, "bias": False, "stride": 2, "output_padding": 1}, (2, 5, 6, 7)),
    ("ConvTranspose2d", (32, 16, 4), {"stride": 2, "padding": 1}, (32, 7, 7)),
    ("ConvTranspose2d", (3, 2, 1), {"stride": 3}, (1, 3, 4, 4)),
    ("ConvTranspose3d", (2, 4, (1, 2, 3)), {"padding": (0, 1, 1), "stride": (1, 2, 1)}, (2, 2, 4, 5, 5)),
    ("InstanceNorm1d", (3,), {}, (2, 3, 7)),
    ("InstanceNorm2d", (3,), {"affine": True, "eps": 0.01}, (2, 3, 5, 4)),
    ("InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True, "momentum": 0.3}, (4, 3, 5, 4)),
    ("InstanceNorm2d", (3,), {"track_running_stats": True}, (3, 5, 4)),
    ("InstanceNorm3d", (2,), {"affine": True, "bias": False}, (2, 2, 3, 5, 4)),
    *(
        (f"{mode}Pad{n}d", (padding,), {}, shape)
        for mode in ("Zero", "Reflection", "Replication", "Circular")
        for n, padding, shape in (
            (1, (2, 1), (2, 3, 5)),
            (1, 3, (3, 4)),
            (2, (1, 0, 3, 2), (2, 3, 4, 5)),
            (2, 2, (1, 1, 3, 3)),
            (2, 0, (1, 1, 3, 3)),
            (3, (1, 2, 0, 1, 1, 0), (1, 2, 3, 4, 3)),
        )
    ),
    ("ZeroPad2d", ((-1, 2, 0, -2),), {}, (2, 3, 4, 5)),
    ("ConstantPad1d", (2, -1.5), {}, (2, 3, 4)),
    ("ConstantPad2d", ((1, 2, -1, 0), 0.5), {}, (3, 4, 5)),
    ("ConstantPad3d", (1, 7.0), {}, (1, 2, 1, 2, 3)),
    ("ReplicationPad1d", ((9, 4),), {}, (2, 3, 1)),
    ("CircularPad1d", (5,), {}, (2, 3, 5)),
    *(
        ("Upsample", (), {"scale_factor": f, "mode": m}, (2, 3, 5, 4))
        for m in ("nearest", "nearest-exact")
        for f in (2, 3, 1.7, 0.6)
    ),
    *(("Upsample", (), {"scale_factor": (2.0, 1.5), "mode": m}, (2, 3, 5, 7)) for m in ("nearest", "bilinear", "bicubic")),
    *(("Upsample", (s, None, m), {}, (1, 2, 5, 4)) for m in ("nearest", "bilinear", "bicubic") for s in (7, (9, 2), (5, 1))),
    *(
        ("Upsample", (), {"scale_factor": f, "mode": m, "align_corners": c, "recompute_scale_factor": r}, (2, 3, *(4, 1, 3)[:n]))
        for n, m in ((1, "linear"), (2, "bilinear"), (3, "trilinear"), (2, "bicubic"))
        for f, c, r in ((2, False, None), (2.6, False, None), (2.6, False, True), (2.6, True, None))
    ),
    ("Upsample", ((1, 1), None, "bilinear", True), {}, (2, 3, 4, 5)),
    ("UpsamplingNearest2d", (), {"scale_factor": 2}, (2, 3, 4, 5)),
    ("UpsamplingBilinear2d", ((7, 9),), {}, (2, 3, 4, 5)),
    ("PixelShuffle", (2,), {}, (2, 12, 3, 4)),
    ("PixelShuffle", (3,), {}, (9, 3, 4)),
    ("PixelShuffle", (1,), {}, (2, 3, 2, 3, 4)),
    ("PixelUnshuffle", (2,), {}, (2, 3, 4, 6)),
    ("PixelUnshuffle", (3,), {}, (2, 2, 1, 3, 6)),
    ("AdaptiveMaxPool1d", (4,), {}, (2, 3, 10)),
    ("AdaptiveMaxPool2d", ((3, None),), {}, (2, 3, 9, 5)),
    ("AdaptiveMaxPool2d", (1,), {}, (3, 17, 16)),
    ("AdaptiveMaxPool3d", ((2, 1, 3),), {}, (1, 2, 4, 5, 7)),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), TORCH, ids=[f"{i}-{c[0]}" for i, c in enumerate(TORCH)])
def test_torch(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], shape: tuple[int, ...]) -> None:
    beside_torch(name, args, kwargs, shape)


KERAS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("DepthwiseConv1D", {"kernel_size": 3, "padding": "same", "depth_multiplier": 2}, (2, 9, 3)),
    ("DepthwiseConv1D", {"kernel_size": 4, "strides": 2, "activation": "relu"}, (2, 9, 3)),
    ("DepthwiseConv2D", {"kernel_size": 3}, (2, 7, 6, 5)),
    ("DepthwiseConv2D", {"kernel_size": (3, 2), "depth_multiplier": 3, "activation": "tanh"}, (1, 7, 6, 2)),
    ("DepthwiseConv2D", {"kernel_size": 3, "strides": 2, "padding": "same", "use_bias": False}, (2, 8, 7, 3)),
    ("DepthwiseConv2D", {"kernel_size": 3, "dilation_rate": 2, "padding": "same"}, (2, 8, 7, 1)),
    ("SeparableConv1D", {"filters": 4, "kernel_size": 3, "padding": "same", "activation": "relu"}, (2, 9, 3)),
    ("SeparableConv2D", {"filters": 5, "kernel_size": 3, "depth_multiplier": 2}, (2, 7, 6, 3)),
    ("SeparableConv2D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "use_bias": False}, (1, 8, 7, 3)),
    ("Conv1DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu"}, (2, 7, 3)),
    ("Conv1DTranspose", {"filters": 4, "kernel_size": 2, "strides": 4}, (2, 7, 3)),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 3}, (2, 5, 6, 3)),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": (4, 3), "strides": (2, 3), "padding": "same"}, (2, 5, 6, 3)),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1}, (2, 5, 6, 3)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 1, "use_bias": False}, (2, 5, 6, 3)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}, (1, 5, 6, 3)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 1, "strides": 3, "padding": "same"}, (1, 5, 6, 3)),
    ("Conv3DTranspose", {"filters": 2, "kernel_size": 2, "strides": (1, 2, 2)}, (1, 3, 4, 2, 3)),
    ("ZeroPadding1D", {"padding": (2, 1)}, (2, 5, 3)),
    ("ZeroPadding2D", {}, (2, 5, 4, 3)),
    ("ZeroPadding2D", {"padding": ((1, 0), (2, 3))}, (2, 5, 4, 3)),
    ("ZeroPadding3D", {"padding": (1, 0, 2)}, (1, 2, 3, 4, 2)),
    ("Cropping1D", {}, (2, 5, 3)),
    ("Cropping2D", {"cropping": ((1, 0), (2, 1))}, (2, 5, 4, 3)),
    ("Cropping2D", {"cropping": (2, 1)}, (2, 5, 4, 3)),
    ("Cropping3D", {"cropping": 1}, (1, 4, 3, 4, 2)),
    ("Rescaling", {"scale": 0.5, "offset": -3.0}, (2, 5, 4, 3)),
    ("UpSampling1D", {"size": 3}, (2, 5, 3)),
    ("UpSampling2D", {}, (2, 5, 4, 3)),
    ("UpSampling2D", {"size": (3, 1)}, (2, 5, 4, 1)),
    ("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}, (2, 5, 4, 3)),
    ("UpSampling2D", {"size": 4, "interpolation": "bilinear"}, (1, 1, 2, 9)),
    ("UpSampling3D", {"size": (1, 2, 3)}, (1, 2, 3, 4, 2)),
]


@pytest.mark.parametrize(("name", "kwargs", "shape"), KERAS, ids=[f"{i}-{c[0]}" for i, c in enumerate(KERAS)])
def test_keras(name: str, kwargs: dict[str, Any], shape: tuple[int, ...]) -> None:
    beside_keras(name, kwargs, shape)


KERAS_LAYERS: list[Any] = [
    lambda: fastnn.DepthwiseConv2D(3, depth_multiplier=2, padding="same", depthwise_constraint="max_norm"),
    lambda: fastnn.SeparableConv2D(4, 3, strides=2, activation="tanh", pointwise_regularizer="l2"),
    lambda: fastnn.Conv2DTranspose(3, 3, strides=2, padding="same", activation="relu"),
    lambda: fastnn.ZeroPadding2D(((1, 0), (2, 3))),
    lambda: fastnn.Cropping2D(((1, 0), (2, 1))),
    lambda: fastnn.SpatialDropout2D(0.5),
    lambda: fastnn.Rescaling(0.5, 1.0),
    lambda: fastnn.UpSampling2D(2),
    lambda: fastnn.UpSampling2D((3, 2), interpolation="bilinear"),
    lambda: fastnn.Normalization(),
]
TORCH_LAYERS: list[Any] = [
    lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1),
    lambda: nn.Dropout2d(0.5),
    lambda: nn.InstanceNorm2d(2, affine=True, track_running_stats=True),
    lambda: nn.AdaptiveMaxPool2d(3),
    lambda: nn.ConstantPad2d((1, 0, 2, -1), 0.5),
    lambda: nn.ReflectionPad2d((1, 0, 2, 3)),
    lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
    lambda: nn.Upsample(scale_factor=1.5, mode="bilinear"),
    lambda: nn.Upsample((3, 4)),
    lambda: nn.PixelUnshuffle(1),
]
ALL_LAYERS = [(make, (6, 5, 2)) for make in KERAS_LAYERS] + [(make, (2, 6, 5)) for make in TORCH_LAYERS]


@pytest.mark.parametrize(("make", "shape"), ALL_LAYERS, ids=[f"{type(m()).__name__}-{i}" for i, (m, _) in enumerate(ALL_LAYERS)])
def test_fitted_frozen_captured_saved(make: Any, shape: tuple[int, ...], tmp_path: Path) -> None:
    fastnn.seed(0)
    x = np.random.default_rng(1).standard_normal((8, *shape)).astype(np.float32)
    model = fastnn.Sequential([fastnn.Input(shape), make(), fastnn.Flatten(), fastnn.Dense(1)])
    own = fastnn.Sequential([make(), fastnn.Flatten(), fastnn.Dense(1)])
    own(fastnn.tensor(x))
    own.set_weights(model.get_weights())
    model.compile(fastnn.optim.SGD(lr=0.001), "mse")
    model.fit(x, x[:, 0, 0, :1], batch_size=3, epochs=2, shuffle=False, verbose=0)  # the last batch has two samples
    optimizer = fastnn.optim.SGD(own.parameters(), lr=0.001)
    random = any(type(m)._draws for m in own.modules())
    for _ in range(2):
        for begin in (0, 3, 6):
            optimizer.zero_grad()
            difference = own(fastnn.tensor(x[begin : begin + 3])) - x[begin : begin + 3, 0, 0, :1]
            ((difference * difference).mean() + own.regularization_loss()).backward()
            optimizer.step()
            own.apply_constraints()
    if not random:
        for a, b in zip(model.get_weights(), own.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    y = model.predict(x, verbose=0)
    np.testing.assert_allclose(model.eval()(x).numpy(), y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.freeze(input_shape=shape, batch_size=8)(x), y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.freeze(input_shape=shape)(x[:1]), y[:1], rtol=1e-5, atol=1e-6)
    captured = fastnn.capture(lambda x: model(x).detach())
    for _ in range(3):
        np.testing.assert_allclose(captured(fastnn.tensor(x)).numpy(), y, rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "model.fastnn")
    np.testing.assert_array_equal(fastnn.load(tmp_path / "model.fastnn").predict(x, verbose=0), y)
    assert model.eval()(x[:0]).shape == (0, 1)


def test_gradients_of_transposed_convolutions() -> None:
    x, w, b = (fastnn.tensor(RNG.standard_normal(s), requires_grad=True) for s in ((2, 3, 4, 4), (2, 3, 3, 4), (6,)))
    how: dict[str, Any] = {"stride": (2, 3), "padding": ((1, 0), (0, -2)), "dilation": (1, 2), "groups": 2}
    conv = fastnn.ops.transposed_convolution.conv_transpose
    assert conv(x, w, b, **how).shape == (2, 5, 16, 6)
    assert fastnn.gradcheck(lambda x, w, b: conv(x, w, b, **how), (x, w, b))
    y = conv(x, w, **how)
    assert (y.numpy()[:, :, 14:] == 0).all()  # what lies beyond the last filter


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_borders_and_sizes(backend: str) -> None:
    with fastnn.use_backend(backend):
        x = fastnn.tensor(RNG.standard_normal((2, 5, 4, 3)), requires_grad=True)
        functions: list[Any] = [lambda x, m=mode: pad(x, ((2, 1), (0, 3)), m) for mode in ("reflect", "replicate", "circular")]
        functions.append(lambda x: pad_constant(x, ((2, -1), (-2, 3)), 0.5))
        functions += [lambda x, f=f: resample(x, [f(5, 9), f(4, 2)]) for f in (nearest, linear, cubic)]
        for function in functions:
            assert fastnn.gradcheck(function, (x,))


def test_many_repetitions_are_exact() -> None:
    x = fastnn.tensor(np.arange(50, dtype=np.float32).reshape(1, 50, 1))
    for times in (41, 47, 55, 61):  # 1 / times is rounded down in float32
        np.testing.assert_array_equal(fastnn.UpSampling1D(times)(x).numpy().ravel(), np.repeat(np.arange(50), times))


@pytest.mark.usefixtures("every_precision")
def test_mixed_precision_rounds_transposed_convolutions_as_convolutions() -> None:
    layer, x = nn.ConvTranspose2d(8, 8, 3), fastnn.tensor(RNG.standard_normal((2, 8, 6, 6)).astype(np.float32))
    want = layer(x).numpy()
    with fastnn.autocast("bfloat16"):
        got = layer(x).numpy()
    assert not np.array_equal(got, want)
    np.testing.assert_allclose(got, want, atol=0.05)


@pytest.mark.parametrize(
    ("make", "x", "words"),
    [
        (lambda: fastnn.DepthwiseConv2D(3), (2, 2, 5, 4), "larger than the image of (2, 5)"),
        (lambda: fastnn.SeparableConv1D(4, 3), (2, 2, 4), "larger than the image of (2,)"),
        (lambda: fastnn.DepthwiseConv2D(3, input_shape=(5, 5, 2)), (1, 5, 5, 3), "wanted (n, height, width, 2)"),
        (lambda: fastnn.DepthwiseConv2D(3, depth_multiplier=0), None, "depth_multiplier"),
        (lambda: fastnn.DepthwiseConv1D(3, padding="causal"), None, "padding"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, groups=2), None, "cannot be divided into 2 groups"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, output_padding=1), (1, 3, 4, 4), "output_padding (1, 1), wanted less than stride"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, padding=3), (1, 3, 2, 2), "leaves nothing"),
        (lambda: nn.ConvTranspose2d(3, 4, 3), (1, 2, 4, 4), "wanted (n, 3, height, width)"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, padding="same"), None, "padding"),
        (lambda: fastnn.Conv2DTranspose(3, 3), (1, 0, 4, 2), "leaves nothing"),
        (lambda: fastnn.ZeroPadding2D((1, 2, 3)), None, "padding is (1, 2, 3), wanted a whole number, 2 of them or 2 pairs"),
        (lambda: fastnn.ZeroPadding1D(-1), None, "padding"),
        (lambda: fastnn.Cropping2D(2), (1, 3, 4, 1), "more than an image of (3, 4) has is cut off"),
        (lambda: fastnn.Cropping1D(2), (1, 3), "wanted (n, width, channels)"),
        (lambda: fastnn.Rescaling("a"), None, "scale"),
        (lambda: fastnn.Normalization(mean=1.0), None, "both mean and variance"),
        (lambda: fastnn.Normalization(axis=0), (2, 3), "axis (0,)"),
        (lambda: fastnn.Normalization(mean=[1.0, 2.0], variance=1.0), (2, 3), "mean has shape (2,), wanted (3,)"),
        (lambda: fastnn.Normalization(mean=1.0, variance=1.0).adapt([[1.0]]), None, "adapt after mean and variance"),
        (lambda: fastnn.Normalization().adapt(np.zeros((0, 3))), None, "no samples"),
        (lambda: fastnn.Normalization(input_shape=(2,)).adapt([[1.0]]), None, "samples of shape (1,), wanted (2,)"),
        (lambda: fastnn.Normalization(input_shape=(2,)), (1, 3), "x has shape (1, 3), wanted (None, 2)"),
        (lambda: nn.InstanceNorm2d(3), (2, 3, 1, 1), "one pixel"),
        (lambda: nn.InstanceNorm2d(3), (2, 4, 2, 2), "wanted (n, 3, height, width)"),
        (lambda: nn.AdaptiveMaxPool2d(2, return_indices=True), None, "return_indices"),
        (lambda: nn.ReflectionPad1d(5), (1, 2, 5), "padding (5, 5) of an axis of 5 by 'reflect', wanted from 0 to 4"),
        (
            lambda: nn.CircularPad2d((0, 4, 0, 0)),
            (1, 2, 3, 3),
            "padding (0, 4) of an axis of 3 by 'circular', wanted from 0 to 3",
        ),
        (lambda: nn.ReplicationPad2d(1), (1, 2, 0, 3), "of an axis of 0"),
        (lambda: nn.ReflectionPad2d((1, 2)), None, "padding is (1, 2), wanted a whole number or 4 of them"),
        (lambda: nn.ReflectionPad2d(-1), None, "padding"),
        (lambda: nn.ZeroPad1d(-2), (1, 2, 3), "more than an image of (3,) has is cut off"),
        (lambda: nn.ConstantPad1d(1, "a"), None, "value"),
        (lambda: nn.ConvTranspose1d(2, 2, 2, padding_mode="reflect"), None, "padding_mode is 'reflect', wanted 'zeros'"),
        (lambda: nn.Upsample(), None, "wanted one of them"),
        (lambda: nn.Upsample(3, 2.0), None, "wanted one of them"),
        (lambda: nn.Upsample(3, mode="cubic"), None, "mode is 'cubic', wanted one of"),
        (lambda: nn.Upsample(3, align_corners=True), None, "align_corners with mode 'nearest'"),
        (lambda: nn.Upsample(3, mode="bilinear"), (1, 2, 4), "mode 'bilinear' of images of (4,)"),
        (lambda: nn.Upsample((3, 4)), (1, 2, 4), "2 sizes or factors for images of (4,)"),
        (lambda: nn.Upsample(scale_factor=0.2), (1, 2, 4, 4), "nothing is left"),
        (lambda: nn.Upsample(scale_factor=0.0), None, "scale_factor"),
        (lambda: nn.Upsample(3), (1, 2, 0, 4), "no pixels"),
        (lambda: nn.Upsample(3), (1, 2), "wanted (n, channels, ...)"),
        (lambda: fastnn.UpSampling2D(2, interpolation="bicubic"), None, "interpolation is 'bicubic', wanted 'nearest'"),
        (lambda: fastnn.UpSampling1D(0), None, "size"),
        (lambda: fastnn.UpSampling2D(2), (1, 0, 3, 2), "no pixels"),
        (lambda: nn.PixelShuffle(2), (1, 6, 3, 3), "6 channels, wanted a multiple of 4"),
        (lambda: nn.PixelUnshuffle(2), (1, 6, 3, 4), "an image of (3, 4), wanted multiples of 2"),
        (lambda: nn.PixelShuffle(2), (6, 3), "wanted (..., channels, height, width)"),
        (lambda: nn.Dropout2d(0.5), (2, 3), "wanted (n, channels, height, width)"),
        (lambda: fastnn.SpatialDropout2D(2.0), None, "rate"),
    ],
)
def test_bad_arguments_are_named(make: Any, x: Any, words: str) -> None:
    with pytest.raises((ValueError, TypeError)) as error:
        make()(fastnn.zeros(*x))
    assert words in str(error.value)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("make", "shape", "axes"),
    [
        (lambda: fastnn.SpatialDropout1D(0.25), (40, 3, 50), (1,)),
        (lambda: fastnn.SpatialDropout2D(0.25), (40, 3, 2, 50), (1, 2)),
        (lambda: fastnn.SpatialDropout3D(0.25, "channels_first"), (40, 50, 2, 3, 2), (2, 3, 4)),
        (lambda: nn.Dropout1d(0.25), (40, 50, 3), (2,)),
        (lambda: nn.Dropout1d(0.25), (2000, 3), (1,)),
        (lambda: nn.Dropout2d(0.25), (40, 50, 3, 2), (2, 3)),
        (lambda: nn.Dropout2d(0.25), (40, 50, 3), (2,)),
        (lambda: nn.Dropout3d(0.25), (40, 50, 3, 2, 1), (2, 3, 4)),
        (lambda: nn.Dropout3d(0.25), (2000, 3, 2, 1), (1, 2, 3)),
    ],
)
def test_channels_drop_as_a_whole(make: Any, shape: tuple[int, ...], axes: tuple[int, ...], training: bool) -> None:
    fastnn.seed(2)
    layer, x = make().train(training), fastnn.tensor(RNG.uniform(1, 2, shape), requires_grad=True)
    y = layer(x)
    ratio = y.numpy() / x.numpy()
    for axis in axes:
        assert (np.ptp(ratio, axis) < 1e-12).all()  # one number for a map
    kept = (ratio > 0).mean()
    assert 0.71 < kept < 0.79 if training else kept == 1
    np.testing.assert_allclose(ratio[ratio > 0], 1 / 0.75 if training else 1)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), ratio, rtol=1e-12)


def test_a_chain_with_channel_dropout_stays_channels_last() -> None:
    x = fastnn.tensor(RNG.standard_normal((2, 3, 6, 6)).astype(np.float32))
    chain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout2d(0.5, seed=1), nn.InstanceNorm2d(4), nn.AdaptiveMaxPool2d(2))
    recorder = Recorder(current())
    with recording(recorder), fastnn.no_grad():
        chain(x)
    assert [name for name, args in recorder.calls if args[0].ndim == 4].count("strided_copy") == 1


AXES: list[Any] = [(-1, (5, 4, 3)), (None, (5, 4)), ((1, 3), (5, 4, 3)), (1, (5, 4)), ((-1, 1), (4, 3))]


@pytest.mark.parametrize(("axis", "shape"), AXES)
@pytest.mark.parametrize("invert", [False, True])
def test_normalization_adapts_as_keras_does(axis: Any, shape: tuple[int, ...], invert: bool) -> None:
    peer = keras()
    x = (RNG.standard_normal((40, *shape)) * 3 + 7).astype(np.float32)
    theirs, ours = (m(axis=axis, invert=invert) for m in (peer.layers.Normalization, fastnn.Normalization))
    theirs.adapt(x)
    ours.adapt(x)
    np.testing.assert_allclose(ours(x).numpy(), peer.ops.convert_to_numpy(theirs(x)), rtol=1e-4, atol=1e-4)
    assert ours.output_shape(shape) == shape
    batches = fastnn.Normalization(axis=axis, invert=invert)
    batches.adapt((x[i : i + 7], None) for i in range(0, 40, 7))
    np.testing.assert_allclose(batches(x).numpy(), ours(x).numpy(), rtol=1e-5, atol=1e-5)
    if not isinstance(axis, tuple) or axis == (1, 3):
        given = {"mean": ours.mean.numpy(), "variance": ours.variance.numpy()}
        known = fastnn.Normalization(axis, invert=invert, **given)
        np.testing.assert_allclose(known(x).numpy(), ours(x).numpy(), rtol=1e-6)
        np.testing.assert_allclose(type(known)(**known.get_config())(x).numpy(), ours(x).numpy(), rtol=1e-6)


def test_normalization_is_exact_and_kept_in_files(tmp_path: Path) -> None:
    x = RNG.standard_normal((1000, 3)) + np.array([1e6, 0, 1])
    layer = fastnn.Normalization(dtype="float64")
    layer.adapt(x)
    np.testing.assert_allclose(layer.mean.numpy(), x.mean(0), rtol=1e-14)
    np.testing.assert_allclose(layer.variance.numpy(), x.var(0), rtol=1e-9)
    model = fastnn.Sequential([layer, fastnn.Dense(1, dtype="float64")])
    y = model(x).numpy()
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(fastnn.load(tmp_path / "m")(x).numpy(), y)
    layer.adapt(x * 2)  # begins again
    np.testing.assert_allclose(layer.variance.numpy(), 4 * x.var(0), rtol=1e-9)
    alike = fastnn.Normalization()
    alike.adapt(np.full((5, 1), 3.0))
    assert alike([[3.0]]).tolist() == [[0.0]]  # variance 0 gives no NaN


def test_initial_values_of_transposed_convolutions_are_those_of_torch() -> None:
    layer = nn.ConvTranspose2d(8, 16, 3, groups=2)
    bound = (8 * 9) ** -0.5
    for p in (layer.weight, layer.bias):
        assert 0.8 * bound < np.abs(p.numpy()).max() <= bound


def test_pixels_in_bytes() -> None:
    x = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1)
    np.testing.assert_allclose(fastnn.Rescaling(1 / 255)(x).numpy(), x / 255, rtol=1e-6)
    layer = fastnn.Normalization()
    layer.adapt(x)
    assert layer.mean.tolist() == [15.5]
    np.testing.assert_allclose(layer(x).numpy().std(), 1, rtol=1e-6)
