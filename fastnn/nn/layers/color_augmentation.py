"""Layers with Keras's names that change the values of pixels at random in training: brightness, contrast, erased parts."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ...autograd.tensor import Tensor
from ...backends import current
from ...ops.elementwise import clip, sqrt
from ...ops.logic import where
from ...ops.random import normal
from ...ops.reduce import mean
from .augmentation import Augmentation, Range, number, range_of


def _value_range(value: Any, name: str) -> Range:
    """Check the pair of the smallest and largest value of a pixel; they are sorted."""
    if not isinstance(value, tuple | list):
        raise ValueError(f"{name} is {value!r}, wanted two numbers")
    return range_of(-math.inf, math.inf)(value, name)


def _fill_value(value: Any, name: str) -> float | tuple[float, ...] | None:
    if value is None:
        return None
    return tuple(number(v, name) for v in value) if isinstance(value, tuple | list) else number(value, name)


class RandomBrightness(Augmentation):
    """Layer that makes images brighter or darker in training, each by its own random number, which is added to its pixels.

    Args:
        factor: the number as a fraction of the value range, from -1 to 1: two limits, or one number f for (-f, f).
        value_range: the smallest and largest value of a pixel; results are clipped to it. Images that are scaled to [0, 1] need
            ``value_range=(0, 1)``.
        seed: seed of this layer's stream; by default it depends on `fastnn.seed`.

    Shapes: x and y (N, height, width, C), or with channels first.

    >>> import fastnn
    >>> layer = fastnn.RandomBrightness((0.25, 0.25), value_range=(0, 1))
    >>> layer(fastnn.tensor([[[[0.0], [0.5], [1.0]]]])).flatten().tolist()
    [0.25, 0.75, 1.0]
    """

    _settings = ("factor", "value_range")
    _checked_arguments: ClassVar = {"factor": range_of(-1, 1), "value_range": _value_range}

    factor: Range
    value_range: Range

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, name: str | None = None) -> None:
        super().__init__(seed, name)
        self.factor = factor
        self.value_range = value_range

    def _changed(self, x: Tensor) -> Tensor:
        low, high = self.value_range
        step = self._draw((x.shape[0], 1, 1, 1), self.factor) * (high - low)
        return clip(x + step.astype(x.dtype), low, high)


class RandomContrast(Augmentation):
    """Layer that changes the contrast of images in training: (x - mean) factor + mean, with the mean of each channel.

    Each image has its own random factor.

    Args:
        factor: how far the factor may be below and above 1: two numbers from 0 to 1 for a factor from 1 - lower to 1 + upper,
            or one number for both, as Keras's documentation says. Keras itself only increases the contrast for one number.
        value_range: the smallest and largest value of a pixel; results are clipped to it. Images that are scaled to [0, 1] need
            ``value_range=(0, 1)``.
        seed: seed of this layer's stream; by default it depends on `fastnn.seed`.
        data_format: "channels_last", which is the default, or "channels_first".

    Shapes: x and y (N, height, width, C), with channels last.

    >>> import fastnn
    >>> layer = fastnn.RandomContrast(0.5, value_range=(0, 1), seed=0)
    >>> y = layer(fastnn.tensor([[[[0.25], [0.5], [0.75]]]])).flatten()
    >>> y[1].item(), bool(0.125 <= y[0].item() <= 0.375)
    (0.5, True)
    """

    _settings = ("factor", "value_range", "data_format")
    _checked_arguments: ClassVar = {"factor": range_of(0, 1, lambda v: (v, v)), "value_range": _value_range}

    factor: Range
    value_range: Range

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(seed, name)
        self.factor = factor
        self.value_range = value_range
        self.data_format = data_format

    def _changed(self, x: Tensor) -> Tensor:
        lower, upper = self.factor
        factor = self._draw((x.shape[0], 1, 1, 1), (1 - lower, 1 + upper)).astype(x.dtype)
        middle = mean(x, axis=(1, 2), keepdims=True)
        return clip(x * factor + middle * (1 - factor), *self.value_range)


class RandomErasing(Augmentation):
    """Layer that overwrites a random rectangle of images in training, each at its own place. It is also known as cutout.

    Source: Zhong et al., arXiv 1708.04896; DeVries and Taylor, arXiv 1708.04552.

    Args:
        factor: with what probability an image has a rectangle, from 0 to 1: two limits between which each image draws its own, or
            one number f for (0, f), as in Keras. ``(1, 1)`` erases a part of every image.
        scale: share of the image, from 0 to 1: two limits, or one number f for (0, f). Height and width are those of the image
            times the square roots of two shares, which are drawn independently. A pixel is erased if its middle is inside.
        fill_value: what the rectangle gets: a number, or one for each channel, or None, for normal numbers times the upper limit
            of value_range. It is clipped to value_range.
        value_range: the smallest and largest value of a pixel.
        seed: seed of this layer's stream; by default it depends on `fastnn.seed`.
        data_format: "channels_last", which is the default, or "channels_first".

    Shapes: x and y (N, height, width, C), with channels last.

    >>> import fastnn
    >>> layer = fastnn.RandomErasing((1, 1), scale=(0.25, 0.25), fill_value=0, seed=0)
    >>> layer(fastnn.ones(1, 4, 4, 1)).sum().item()
    12.0
    """

    _settings = ("factor", "scale", "fill_value", "value_range", "data_format")
    _checked_arguments: ClassVar = {
        "factor": range_of(0, 1, lambda v: (0.0, v)),
        "scale": range_of(0, 1, lambda v: (0.0, v)),
        "fill_value": _fill_value,
        "value_range": _value_range,
    }

    factor: Range
    scale: Range
    fill_value: float | tuple[float, ...] | None
    value_range: Range

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = (0.02, 0.33),
        fill_value: Any = None,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(seed, name)
        self.factor = factor
        self.scale = scale
        self.fill_value = fill_value
        self.value_range = value_range
        self.data_format = data_format

    def _changed(self, x: Tensor) -> Tensor:
        n, height, width, channels = x.shape
        each = n, 1, 1
        erased = self._draw(each) < self._draw(each, self.factor)
        # A line has all numbers of its pixels side by side: selections from long lines are faster.
        for length, numbers, shape in ((height, 1, (1, -1, 1)), (width, channels, (1, 1, -1))):
            part = sqrt(self._draw(each, self.scale)) * length
            begin = self._draw(each) * (length - part)
            middle = Tensor(current().constant(np.repeat(np.arange(length) + 0.5, numbers).reshape(shape)))
            erased = erased & ((middle >= begin) & (middle < begin + part))
        return where(erased, self._filling(x), x.reshape(n, height, width * channels)).reshape(x.shape)

    def _filling(self, x: Tensor) -> Tensor | float:
        """Return what rectangles get, for lines of whole images."""
        low, high = self.value_range
        n, height, width, channels = x.shape
        if self.fill_value is None:
            return clip(normal(self._state, (n, height, width * channels), x.dtype) * high, low, high)
        if isinstance(self.fill_value, float):
            return min(max(self.fill_value, low), high)
        if len(self.fill_value) != channels:
            raise ValueError(
                f"{type(self).__name__}: fill_value has {len(self.fill_value)} numbers, but x has shape {x.shape}, "
                f"with {channels} channels"
            )
        return Tensor(current().constant(np.tile(np.clip(np.array(self.fill_value, x.dtype), low, high), width)))
