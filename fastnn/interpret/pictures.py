"""The two forms of images: pictures (height, width, channels), and the samples that a model takes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..nn.module import Module

Array = np.ndarray[Any, Any]


class Pictures:
    """Conversion between pictures and the samples of a model.

    Args:
        model: a model of images, or one that takes images as rows of pixels.
        shape: shape of one image: (height, width), (height, width, channels) or, for layers with PyTorch's names, (channels,
            height, width); (pixels,) for a square image. None means the model's own.
        op: name of the operation, for errors.

    Attributes: `size` is (height, width, channels), `sample` the shape of a sample.
    """

    def __init__(self, model: Module, shape: Any, op: str) -> None:
        own = getattr(model, "input_shape", None)
        known = tuple(own) if isinstance(own, tuple) and all(isinstance(n, int) for n in own) else None
        if shape is None and known is None:
            raise ValueError(f"{op}: the model does not tell the size of its images; wanted shape=, such as (28, 28)")
        given = tuple(int(n) for n in (known if shape is None else shape) or ())
        first, axes = _layout(model)
        if axes not in (None, 2):
            raise ValueError(f"{op}: the model has convolutions along {axes} axes; wanted 2, those of images")
        if len(given) not in (1, 2, 3) or 0 in given:
            raise ValueError(
                f"{op}: an image has shape {given}; wanted (height, width), (height, width, channels) or, for layers with "
                "PyTorch's names, (channels, height, width)"
            )
        self.first = first
        self.sample: tuple[int, ...]
        row = len(given) == 1
        if row:
            given = square(given[0], op)
        turned = (*given, 1) if len(given) == 2 else (*given[1:], given[0]) if first else given
        self.size: tuple[int, int, int] = (turned[0], turned[1], turned[2])
        pixels = math.prod(given)
        if known is not None and math.prod(known) == pixels:
            self.sample = known
        elif axes == 2:
            self.sample = (self.size[2], *self.size[:2]) if first else self.size
        elif known is not None:
            raise ValueError(f"{op}: an image of shape {given} came; the model takes {known}")
        else:  # dense layers, which may take rows of pixels
            self.sample = (pixels,) if row or _sizes(model).get(-1) == pixels else given
        full = (1, *self.sample)
        for axis, n in _sizes(model).items():
            if n is not None and -len(full) <= axis < len(full) and full[axis] != n:
                what = "channels" if axes == 2 else "features"
                raise ValueError(f"{op}: an image of shape {given} came, with {full[axis]} {what}; the model takes {n}")

    def to_samples(self, pictures: Array) -> Array:
        """Return pictures (n, height, width, channels) as samples."""
        turned = pictures.transpose(0, 3, 1, 2) if self.first else pictures
        return turned.reshape(len(pictures), *self.sample)

    def to_pictures(self, samples: Array) -> Array:
        """Return samples as pictures (n, height, width, channels)."""
        height, width, channels = self.size
        if not self.first:
            return samples.reshape(-1, *self.size)
        return samples.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)


def square(pixels: int, op: str) -> tuple[int, int]:
    """Return the shape of a square image of so many pixels; ValueError if there is none."""
    side = math.isqrt(pixels)
    if side * side != pixels:
        raise ValueError(f"{op}: {pixels} pixels are no square image; wanted an image of shape (height, width)")
    return side, side


def picture_of(model: Module, image: Any, op: str) -> tuple[Pictures, Array]:
    """Return the form of an image that is given as an array, and its picture (height, width, channels), in floats."""
    array = np.asarray(image)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{op}: the image has dtype {array.dtype}; wanted numbers")
    form = Pictures(model, array.shape, op)
    return form, form.to_pictures(array.astype(np.float64)[None].reshape(1, *form.sample))[0]


def _layout(model: Module) -> tuple[bool, int | None]:
    """Return whether the channels come first, and the number of axes of the first convolution, None without one."""
    from ..nn.layers.convolution import Conv

    for layer in model.modules():
        if isinstance(layer, Conv):
            return layer._channels_first, layer._axes
    return False, None


def _sizes(model: Module) -> dict[int, int | None]:
    """Return the sizes of axes of a batch that the first layer tells."""
    return getattr(model.input_spec, "axes", None) or {}
