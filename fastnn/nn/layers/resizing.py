"""Layers with Keras's names that make images larger."""

from __future__ import annotations

from typing import Any, ClassVar

from ...autograd.tensor import Tensor
from ...ops.layout import channels_first, channels_last
from ...ops.resample import linear, repeated, resample
from ..module import Module
from ..spec import InputSpec
from .convolution import check_images, data_format, per_axis


class _UpSampling(Module):
    """Base class of the layers that make images with so many axes larger; `UpSampling2D` describes the arguments."""

    _saved_as = ""
    _axes = 2
    data_format: str | None = None
    interpolation = "nearest"
    size: tuple[int, ...]

    def __init__(self, size: Any, name: str | None) -> None:
        super().__init__()
        self.size = size
        self.name = name or type(self).__name__.lower()

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, images with channels."""
        return InputSpec("float", ndim=self._axes + 2)

    def forward(self, x: Tensor) -> Tensor:
        first = self.data_format == "channels_first"
        check_images(self, x, self._axes, first)
        if 0 in (x.shape[2:] if first else x.shape[1:-1]):
            raise ValueError(f"{type(self).__name__}: images of shape {x.shape[1:]} have no pixels")
        x = channels_last(x) if first else x
        smooth, sizes = self.interpolation == "bilinear", zip(x.shape[1:-1], self.size, strict=True)
        places = [None if s == 1 else linear(n, n * s) if smooth else repeated(n, s) for n, s in sizes]
        y = resample(x, places, type(self).__name__)
        return channels_first(y) if first else y

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        first = self.data_format == "channels_first"
        image: Any = input_shape[1:] if first else input_shape[:-1]
        places: list[Any] = [None if n is None else n * s for n, s in zip(image, self.size, strict=True)]
        return (input_shape[0], *places) if first else (*places, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {"size": list(self.size)}

    def extra_repr(self) -> str:
        return f"size={self.size}"


class UpSampling1D(_UpSampling):
    """Layer that repeats each step of sequences.

    Args:
        size: how many times.

    >>> import fastnn
    >>> fastnn.UpSampling1D(2)(fastnn.tensor([[[1.0], [2.0]]])).tolist()
    [[[1.0], [1.0], [2.0], [2.0]]]
    """

    _axes = 1
    _checked_arguments: ClassVar = {"size": per_axis(1)}

    def __init__(self, size: Any = 2, name: str | None = None) -> None:
        super().__init__(size, name)


def _interpolation(value: Any, name: str) -> str:
    if value not in ("nearest", "bilinear"):
        raise ValueError(f"{name} is {value!r}, wanted 'nearest' or 'bilinear'")
    return str(value)


class UpSampling2D(_UpSampling):
    """Layer that makes images larger.

    Args:
        size: how many times, for each axis; a number stands for both.
        data_format: "channels_last", which is the default, or "channels_first".
        interpolation: "nearest" repeats pixels; "bilinear" interpolates between their middles.

    Shapes: x (N, height, width, C), y (N, height size, width size, C).

    >>> import fastnn
    >>> fastnn.UpSampling2D((2, 3))(fastnn.zeros(1, 4, 4, 3)).shape
    (1, 8, 12, 3)
    """

    _axes = 2
    _checked_arguments: ClassVar = {"size": per_axis(2), "data_format": data_format, "interpolation": _interpolation}

    def __init__(
        self, size: Any = 2, data_format: str | None = None, interpolation: str = "nearest", name: str | None = None
    ) -> None:
        super().__init__(size, name)
        self.data_format = data_format
        self.interpolation = interpolation

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format, "interpolation": self.interpolation}

    def extra_repr(self) -> str:
        return f"size={self.size}, interpolation={self.interpolation!r}"


class UpSampling3D(_UpSampling):
    """Layer that repeats the numbers of volumes along each axis.

    Args:
        size: how many times, for each axis; a number stands for all.
        data_format: "channels_last", which is the default, or "channels_first".

    >>> import fastnn
    >>> fastnn.UpSampling3D(2)(fastnn.zeros(1, 2, 3, 4, 2)).shape
    (1, 4, 6, 8, 2)
    """

    _axes = 3
    _checked_arguments: ClassVar = {"size": per_axis(3), "data_format": data_format}

    def __init__(self, size: Any = 2, data_format: str | None = None, name: str | None = None) -> None:
        super().__init__(size, name)
        self.data_format = data_format

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}
