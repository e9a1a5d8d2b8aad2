"""Pooling layers, with Keras's names: images with their channels last, unless data_format says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ...autograd.tensor import Tensor
from ...ops.checks import as_tensor, optional
from ...ops.convolution import Sides, same_padding
from ...ops.elementwise import astype, div, maximum
from ...ops.layout import channels_first, channels_last
from ...ops.logic import ne, where
from ...ops.pooling import avg_pool, max_pool, pooled_sizes
from ...ops.reduce import amax, mean
from ...ops.reduce import sum as total
from ...ops.shape import unsqueeze
from ..module import Module
from ..spec import InputSpec
from .convolution import check_images, data_format, keras_padding, per_axis


class _Pooling(Module):
    """Base class of the layers that pool windows of images with so many axes."""

    _saved_as = ""
    _axes = 2
    _max = True

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.pool_size = pool_size
        self.strides = strides
        self.padding = padding
        self.data_format = data_format
        self.name = name or type(self).__name__.lower()

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, images with channels."""
        return InputSpec("float", ndim=self._axes + 2)

    def _steps(self) -> tuple[int, ...]:
        return self.strides or self.pool_size  # type: ignore[no-any-return]

    def _sides(self, image: tuple[int, ...]) -> Sides:
        ones = (1,) * self._axes
        return same_padding(image, self.pool_size, self._steps(), ones) if self.padding == "same" else ((0, 0),) * self._axes

    def forward(self, x: Tensor) -> Tensor:
        first = self.data_format == "channels_first"
        check_images(self, x, self._axes, first)
        x = channels_last(x) if first else x
        how: dict[str, Any] = {"stride": self._steps(), "padding": self._sides(x.shape[1:-1]), "op": type(self).__name__}
        y = max_pool(x, self.pool_size, dilation=(1,) * self._axes, **how) if self._max else avg_pool(x, self.pool_size, **how)
        return channels_first(y) if first else y

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        first = self.data_format == "channels_first"
        image: Any = input_shape[1:] if first else input_shape[:-1]
        places: tuple[Any, ...] = (None,) * len(image)
        if None not in image:
            sides, ones = self._sides(image), (1,) * self._axes
            places = pooled_sizes(type(self).__name__, image, self.pool_size, self._steps(), sides, ones, False)
        return (input_shape[0], *places) if first else (*places, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            "pool_size": list(self.pool_size),
            "strides": None if self.strides is None else list(self.strides),
            "padding": self.padding,
            "data_format": self.data_format,
        }

    def extra_repr(self) -> str:
        return f"{self.pool_size}, strides={self._steps()}, padding={self.padding!r}"


def _checks(axes: int) -> dict[str, Callable[[Any, str], Any]]:
    return {
        "pool_size": per_axis(axes),
        "strides": optional(per_axis(axes)),
        "padding": keras_padding(("valid", "same")),
        "data_format": data_format,
    }


class MaxPooling1D(_Pooling):
    """Layer that takes the largest number of each window of a sequence. The arguments are those of `MaxPooling2D`, for one axis.

    >>> import fastnn
    >>> fastnn.MaxPooling1D(2)(fastnn.zeros(2, 10, 4)).shape
    (2, 5, 4)
    """

    _axes = 1
    _checked_arguments: ClassVar = _checks(1)


class MaxPooling2D(_Pooling):
    """Layer that takes the largest number of each window of an image, for each channel.

    Args:
        pool_size: height and width of a window; a number stands for both, here and below.
        strides: steps from window to window; by default pool_size.
        padding: "valid" has windows inside the image alone; with "same", they may reach over its border, so that the output has
            the size image / strides, rounded up.
        data_format: "channels_last", which is the default, or "channels_first".

    Shapes: x (N, height, width, C), y (N, new height, new width, C).

    Raises:
        ValueError: a window is larger than the image, or has more than 256 pixels.

    >>> import fastnn
    >>> fastnn.MaxPooling2D(2)(fastnn.zeros(2, 28, 28, 4)).shape
    (2, 14, 14, 4)
    """

    _axes = 2
    _checked_arguments: ClassVar = _checks(2)


class MaxPooling3D(_Pooling):
    """Layer that takes the largest number of each window of a volume. It has the arguments of `MaxPooling2D`, for three axes."""

    _axes = 3
    _checked_arguments: ClassVar = _checks(3)


class AveragePooling1D(_Pooling):
    """Layer that takes the mean of each window of a sequence. The arguments are those of `AveragePooling2D`, for one axis."""

    _axes = 1
    _max = False
    _checked_arguments: ClassVar = _checks(1)


class AveragePooling2D(_Pooling):
    """Layer that takes the mean of each window of an image, for each channel. What is outside the image does not count.

    The arguments are those of `MaxPooling2D`.

    >>> import fastnn
    >>> fastnn.AveragePooling2D(2, strides=1, padding="same")(fastnn.ones(1, 3, 3, 1)).sum().item()
    9.0
    """

    _axes = 2
    _max = False
    _checked_arguments: ClassVar = _checks(2)


class AveragePooling3D(_Pooling):
    """Layer that takes the mean of each window of a volume. The arguments are those of `AveragePooling2D`, for three axes."""

    _axes = 3
    _max = False
    _checked_arguments: ClassVar = _checks(3)


class _GlobalPooling(Module):
    """Base class of the layers that pool whole images with so many axes."""

    _saved_as = ""
    _axes = 2
    _max = False
    _checked_arguments: ClassVar = {"data_format": data_format}

    def __init__(self, data_format: str | None = None, keepdims: bool = False, name: str | None = None) -> None:
        super().__init__()
        self.data_format = data_format
        self.keepdims = bool(keepdims)
        self.name = name or type(self).__name__.lower()

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, images with channels."""
        return InputSpec("float", ndim=self._axes + 2)

    def forward(self, x: Tensor) -> Tensor:
        begin = 2 if self.data_format == "channels_first" else 1
        check_images(self, x, self._axes, begin == 2)
        axes = tuple(range(begin, begin + self._axes))
        return (amax if self._max else mean)(x, axes, self.keepdims)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        first = self.data_format == "channels_first"
        channels, ones = input_shape[0 if first else -1], (1,) * self._axes * self.keepdims
        return (channels, *ones) if first else (*ones, channels)

    def get_config(self) -> dict[str, Any]:
        return {"data_format": self.data_format, "keepdims": self.keepdims}


class GlobalAveragePooling1D(_GlobalPooling):
    """Layer that takes the mean of each channel over a sequence. The arguments are those of `GlobalAveragePooling2D`.

    With a mask (N, T), given or that of the input, the mean is over the time steps where it is True; it is 0 if there are none.

    >>> import fastnn
    >>> x = fastnn.tensor([[[2.0], [4.0], [9.0]]])
    >>> fastnn.GlobalAveragePooling1D()(x, mask=fastnn.tensor([[True, True, False]])).tolist()
    [[3.0]]
    """

    _axes = 1

    def forward(self, x: Tensor, mask: Any = None) -> Tensor:
        if mask is None:
            return super().forward(x)
        steps = 2 if self.data_format == "channels_first" else 1
        check_images(self, x, 1, steps == 2)
        own = as_tensor(mask, "GlobalAveragePooling1D: mask")
        if own.shape != (x.shape[0], x.shape[steps]):
            wanted = x.shape[0], x.shape[steps]
            raise ValueError(f"GlobalAveragePooling1D: mask has shape {own.shape} for x of shape {x.shape}, wanted {wanted}")
        kept = unsqueeze(ne(own, 0), 3 - steps)
        count = maximum(total(astype(kept, x.dtype), steps, self.keepdims), 1.0)
        return div(total(where(kept, x, 0.0), steps, self.keepdims), count)


class GlobalAveragePooling2D(_GlobalPooling):
    """Layer that takes the mean of each channel over an image: (N, height, width, C) becomes (N, C).

    Args:
        data_format: "channels_last", which is the default, or "channels_first".
        keepdims: whether the axes of the image remain, with size 1.

    >>> import fastnn
    >>> fastnn.GlobalAveragePooling2D()(fastnn.ones(2, 7, 7, 3)).shape
    (2, 3)
    """

    _axes = 2


class GlobalAveragePooling3D(_GlobalPooling):
    """Layer that takes the mean of each channel over a volume. The arguments are those of `GlobalAveragePooling2D`."""

    _axes = 3


class GlobalMaxPooling1D(_GlobalPooling):
    """Layer that takes the largest number of each channel of a sequence. The arguments are those of `GlobalAveragePooling2D`."""

    _axes = 1
    _max = True


class GlobalMaxPooling2D(_GlobalPooling):
    """Layer that takes the largest number of each channel of an image. The arguments are those of `GlobalAveragePooling2D`."""

    _axes = 2
    _max = True


class GlobalMaxPooling3D(_GlobalPooling):
    """Layer that takes the largest number of each channel of a volume. The arguments are those of `GlobalAveragePooling2D`."""

    _axes = 3
    _max = True
