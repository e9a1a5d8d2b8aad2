"""Base class of the layers with PyTorch's names that map images to images."""

from __future__ import annotations

from typing import Any

from ...autograd.tensor import Tensor
from ...ops.layout import channels_first, channels_last
from ...ops.shape import squeeze, unsqueeze
from ..module import Module
from ..spec import InputSpec
from .convolution import check_images


class TorchImages(Module):
    """Base class of the layers of images with so many axes, and channels before them; a batch of them or a single one."""

    _saved_as = ""
    _axes = 2

    def __init__(self) -> None:
        super().__init__()
        self.name = type(self).__name__.lower()

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, images with channels; a batch of them or a single one."""
        return InputSpec("float", min_ndim=self._axes + 1, max_ndim=self._axes + 2)

    def _mapped(self, x: Tensor) -> Tensor:
        """Return the result for images with their channels last."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != self._axes + 1:
            check_images(self, x, self._axes, True)
            return channels_first(self._mapped(channels_last(x)))
        return squeeze(channels_first(self._mapped(channels_last(unsqueeze(x, 0)))), 0)

    def _places(self, image: tuple[int, ...]) -> tuple[int, ...]:
        """Return the size of the result for an image of this size."""
        raise NotImplementedError

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        channels, *image = input_shape
        places: tuple[Any, ...] = (None,) * len(image) if None in image else self._places(tuple(image))
        return (channels, *places)
