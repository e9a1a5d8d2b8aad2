"""Convolutions of one layer, and the nets with batch norm: their layers, weights and pictures, the same in every process.

A net is a tuple of steps. `modules` makes it of torch.nn or of fastnn.nn, which have the same names; jax_images.py and
image_reference.py compute the same steps. Pictures have their channels first, kernels are (out, in / groups, height, width).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

BATCHES = 4
"""Number of batches in the training data of a net."""
CHECKED = 2
"""Number of training steps after which losses are compared."""
EPSILON, MOMENTUM = 1e-5, 0.1
"""Constants of batch norm in PyTorch: what is added to the variance, and the share of a batch in the running averages."""
CLASSES = 10


@dataclass(frozen=True)
class Conv:
    """Convolution with square filters and no bias, with half a filter of zeros around the image."""

    inputs: int
    outputs: int
    size: int
    stride: int = 1
    groups: int = 1


@dataclass(frozen=True)
class Norm:
    """Batch norm."""

    channels: int


@dataclass(frozen=True)
class Relu:
    """ReLU."""


@dataclass(frozen=True)
class Pool:
    """Max pooling of 3x3 windows with stride 2 and padding 1."""


@dataclass(frozen=True)
class Mean:
    """Mean of each channel, as a vector."""


@dataclass(frozen=True)
class Linear:
    """Dense layer with a bias."""

    inputs: int
    outputs: int


@dataclass(frozen=True)
class Block:
    """Sum of two chains of steps; `side` is empty where the input itself is added."""

    main: tuple[Any, ...]
    side: tuple[Any, ...] = ()


Steps = tuple[Any, ...]


def _normed(*args: int) -> Steps:
    return Conv(*args), Norm(args[1])


def _inverted(inputs: int, outputs: int, stride: int, times: int = 6) -> Steps:
    """Return a block of MobileNetV2: 1x1 to more channels, depthwise 3x3, and 1x1 back (Sandler et al., CVPR 2018)."""
    wide = times * inputs
    steps = (*_normed(inputs, wide, 1), Relu(), *_normed(wide, wide, 3, stride, wide), Relu(), *_normed(wide, outputs, 1))
    return (Block(steps),) if stride == 1 and inputs == outputs else steps


def _basic(inputs: int, outputs: int, stride: int) -> Steps:
    """Return a block of ResNet-18 (He et al., CVPR 2016)."""
    main = *_normed(inputs, outputs, 3, stride), Relu(), *_normed(outputs, outputs, 3)
    return Block(main, _normed(inputs, outputs, 1, stride) if inputs != outputs else ()), Relu()


MOBILE, RESIDUAL = "MobileNet-shaped, 32x32", "ResNet-18-shaped, 64x64"
NETS: dict[str, tuple[int, Steps]] = {
    MOBILE: (
        32,
        (
            *(*_normed(3, 16, 3), Relu()),
            *(*_inverted(16, 24, 2), *_inverted(24, 24, 1)),
            *(*_inverted(24, 32, 2), *_inverted(32, 32, 1)),
            *(*_normed(32, 128, 1), Relu(), Mean(), Linear(128, CLASSES)),
        ),
    ),
    RESIDUAL: (
        64,
        (
            *(*_normed(3, 64, 7, 2), Relu(), Pool(), *_basic(64, 64, 1), *_basic(64, 64, 1)),
            *(step for i in (64, 128, 256) for step in (*_basic(i, 2 * i, 2), *_basic(2 * i, 2 * i, 1))),
            *(Mean(), Linear(512, CLASSES)),
        ),
    ),
}
"""Size of the pictures, and steps, by the name of the net."""
LR = {MOBILE: 3e-5, RESIDUAL: 3e-6}
"""Learning rates of the steps that are checked. They change a loss by many times the largest error, but are small: the first
steps of Adam move a weight by the sign of its gradient, which rounding can change. `nets.lr` says the same of dense nets."""


def modules(nn: ModuleType, steps: Steps) -> Any:
    """Return the steps as a Sequential of torch.nn or fastnn.nn."""

    class Sum(nn.Module):  # type: ignore[name-defined, misc]  # the class depends on the library
        def __init__(self, block: Block) -> None:
            super().__init__()
            self.main = modules(nn, block.main)
            self.side = modules(nn, block.side) if block.side else None

        def forward(self, x: Any) -> Any:
            return self.main(x) + (self.side(x) if self.side is not None else x)

    layers: list[Any] = []
    for step in steps:
        if isinstance(step, Conv):
            how = {"stride": step.stride, "padding": step.size // 2, "groups": step.groups, "bias": False}
            layers.append(nn.Conv2d(step.inputs, step.outputs, step.size, **how))
        elif isinstance(step, Norm):
            layers.append(nn.BatchNorm2d(step.channels, eps=EPSILON, momentum=MOMENTUM))
        elif isinstance(step, Relu):
            layers.append(nn.ReLU())
        elif isinstance(step, Pool):
            layers.append(nn.MaxPool2d(3, 2, 1))
        elif isinstance(step, Mean):
            layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        elif isinstance(step, Linear):
            layers.append(nn.Linear(step.inputs, step.outputs))
        else:
            layers.append(Sum(step))
    return nn.Sequential(*layers)


def shapes(steps: Steps) -> Iterator[tuple[int, ...]]:
    """Yield the shapes of the weights in the order of `parameters()` of `modules`."""
    for step in steps:
        if isinstance(step, Conv):
            yield step.outputs, step.inputs // step.groups, step.size, step.size
        elif isinstance(step, Norm):
            yield from [(step.channels,)] * 2
        elif isinstance(step, Linear):
            yield step.outputs, step.inputs
            yield (step.outputs,)
        elif isinstance(step, Block):
            yield from shapes((*step.main, *step.side))


@functools.lru_cache(maxsize=2)
def weights(net: str) -> list[np.ndarray]:
    """Return the weights; those of batch norm are close to one and zero."""
    rng, made = np.random.default_rng(13), list[np.ndarray]()
    for shape in shapes(NETS[net][1]):
        if len(shape) > 1:
            values = rng.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5
        else:  # the scale of a norm follows a kernel, the offset follows the scale; the last bias follows a matrix
            values = (len(made[-1].shape) == 4) + 0.1 * rng.standard_normal(shape)
        made.append(values.astype(np.float32))
    return made


@functools.lru_cache(maxsize=2)
def data(net: str, batch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the batches of the training data."""
    rng, size = np.random.default_rng(14), NETS[net][0]
    x = rng.standard_normal((BATCHES * batch, 3, size, size)).astype(np.float32)
    y = rng.permutation(np.arange(len(x)) % CLASSES)
    return [(x[i : i + batch], y[i : i + batch]) for i in range(0, len(x), batch)]


@functools.lru_cache(maxsize=2)
def convolution(batch: int, size: int, channels: int, groups: int) -> tuple[np.ndarray, ...]:
    """Return images (channels first), a 3x3 kernel and a bias of one layer, and the gradient of its output."""
    rng, image = np.random.default_rng(15), (batch, channels, size, size)
    kernel = channels, channels // groups, 3, 3
    x, w, b, dy = (rng.standard_normal(shape).astype(np.float32) for shape in (image, kernel, (channels,), image))
    return x, w, b, dy


def channels_last(a: np.ndarray) -> np.ndarray:
    """Return images with their channels last."""
    return np.ascontiguousarray(a.transpose(0, 2, 3, 1))
