"""Pooling layers with PyTorch's names: images with their channels first."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from ...autograd.tensor import Tensor
from ...ops.checks import flag, optional, whole_number
from ...ops.elementwise import mul
from ...ops.pooling import MOST_POSITIONS, avg_pool, max_pool, pooled_sizes
from ...ops.reduce import amax, mean
from ...ops.shape import concatenate
from .convolution import per_axis
from .torch_images import TorchImages


class _Windows(TorchImages):
    """Base class of the layers that pool windows."""

    _saved_as = ""

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...] | None
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool

    def _how(self) -> dict[str, Any]:
        return {
            "stride": self.stride or self.kernel_size,
            "padding": tuple((n, n) for n in self.padding),
            "ceil": self.ceil_mode,
            "op": type(self).__name__,
        }

    def _places(self, image: tuple[int, ...]) -> tuple[int, ...]:
        how = self._how()
        dilation = getattr(self, "dilation", (1,) * self._axes)
        return pooled_sizes(how["op"], image, self.kernel_size, how["stride"], how["padding"], dilation, how["ceil"])

    def _configured(self, *names: str) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in ("kernel_size", "stride", "padding", *names)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride or self.kernel_size}, padding={self.padding}"


def _checks(axes: int) -> dict[str, Callable[[Any, str], Any]]:
    return {
        **dict.fromkeys(("kernel_size", "dilation"), per_axis(axes)),
        "stride": optional(per_axis(axes)),
        "padding": per_axis(axes, 0),
        **dict.fromkeys(("ceil_mode", "count_include_pad"), flag),
        "divisor_override": optional(lambda value, name: whole_number(value, name, 1)),
    }


class _MaxPool(_Windows):
    _saved_as = ""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        if return_indices:
            raise ValueError(f"{type(self).__name__}: return_indices is {return_indices}, wanted False")
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.ceil_mode = ceil_mode

    def _mapped(self, x: Tensor) -> Tensor:
        return max_pool(x, self.kernel_size, dilation=self.dilation, **self._how())

    def get_config(self) -> dict[str, Any]:
        return self._configured("dilation", "ceil_mode")


class MaxPool1d(_MaxPool):
    """Layer that takes the largest number of each window of a sequence. The arguments are those of `MaxPool2d`, for one axis."""

    _axes = 1
    _checked_arguments: ClassVar = _checks(1)


class MaxPool2d(_MaxPool):
    """Layer that takes the largest number of each window of an image, for each channel.

    Args:
        kernel_size: height and width of a window; a number stands for both, here and below.
        stride: steps from window to window; by default kernel_size.
        padding: how far windows reach over each side of the image, at most half a window.
        dilation: distance of the pixels of a window.
        return_indices: False.
        ceil_mode: whether a last window may reach beyond the padding.

    Shapes: x (N, C, height, width) or (C, height, width).

    >>> import fastnn
    >>> fastnn.nn.MaxPool2d(3, stride=2, padding=1)(fastnn.zeros(2, 4, 28, 28)).shape
    (2, 4, 14, 14)
    """

    _axes = 2
    _checked_arguments: ClassVar = _checks(2)


class MaxPool3d(_MaxPool):
    """Layer that takes the largest number of each window of a volume. The arguments are those of `MaxPool2d`, for three axes."""

    _axes = 3
    _checked_arguments: ClassVar = _checks(3)


class _AvgPool(_Windows):
    _saved_as = ""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

        if divisor_override is not None and ceil_mode:
            raise ValueError(f"{type(self).__name__}: divisor_override together with ceil_mode, wanted one of them")

    def _mapped(self, x: Tensor) -> Tensor:
        if self.divisor_override is None:
            return avg_pool(x, self.kernel_size, border=self.count_include_pad, **self._how())
        return mul(avg_pool(x, self.kernel_size, border=True, **self._how()), math.prod(self.kernel_size) / self.divisor_override)

    def get_config(self) -> dict[str, Any]:
        return self._configured("ceil_mode", "count_include_pad", "divisor_override")


class AvgPool1d(_AvgPool):
    """Layer that takes the mean of each window of a sequence. The arguments are those of `AvgPool2d`, for one axis."""

    _axes = 1
    _checked_arguments: ClassVar = _checks(1)


class AvgPool2d(_AvgPool):
    """Layer that takes the mean of each window of an image, for each channel.

    Args:
        kernel_size: height and width of a window; a number stands for both, here and below.
        stride: steps from window to window; by default kernel_size.
        padding: how far windows reach over each side of the image, at most half a window.
        ceil_mode: whether a last window may reach beyond the padding.
        count_include_pad: whether the padding counts, as zeros.
        divisor_override: what sums are divided by, in place of the number of pixels that count.

    Shapes: x (N, C, height, width) or (C, height, width).

    >>> import fastnn
    >>> fastnn.nn.AvgPool2d(2)(fastnn.ones(2, 4, 6, 6)).shape
    (2, 4, 3, 3)
    """

    _axes = 2
    _checked_arguments: ClassVar = _checks(2)


class AvgPool3d(_AvgPool):
    """Layer that takes the mean of each window of a volume. The arguments are those of `AvgPool2d`, for three axes."""

    _axes = 3
    _checked_arguments: ClassVar = _checks(3)


def _sizes(axes: int) -> Callable[[Any, str], Any]:
    """Return a check for a size, or one for each axis; None stands for that of the image."""

    def check(value: Any, name: str) -> Any:
        given = value if isinstance(value, tuple | list) else (value,) * axes
        if len(given) != axes:
            raise ValueError(f"{name} is {value!r}, wanted a whole number or {axes} of them")
        return tuple(None if n is None else whole_number(n, name, 1) for n in given)

    return check


class _AdaptivePool(TorchImages):
    """Base class of the layers that pool as many parts of an image as are wanted."""

    _saved_as = ""
    _max = False
    output_size: tuple[int | None, ...]

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def _mapped(self, x: Tensor) -> Tensor:
        image = x.shape[1:-1]
        if 0 in image:
            raise ValueError(f"{type(self).__name__}: images of {image} have no pixels")
        wanted = self._places(image)
        size = tuple(n // m for m, n in zip(wanted, image, strict=True))
        if all(n % m == 0 for m, n in zip(wanted, image, strict=True)) and not (self._max and math.prod(size) > MOST_POSITIONS):
            how: dict[str, Any] = {"stride": size, "padding": ((0, 0),) * self._axes, "op": type(self).__name__}
            return max_pool(x, size, dilation=(1,) * self._axes, **how) if self._max else avg_pool(x, size, **how)
        pool: Any = amax if self._max else mean
        for axis, (m, n) in enumerate(zip(wanted, image, strict=True), 1):
            bins = [(slice(None),) * axis + (slice(i * n // m, -(-(i + 1) * n // m)),) for i in range(m)]
            x = concatenate([pool(x[part], axis, keepdims=True) for part in bins], axis)
        return x

    def _places(self, image: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(m or n for m, n in zip(self.output_size, image, strict=True))

    def get_config(self) -> dict[str, Any]:
        return {"output_size": list(self.output_size)}

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """Layer that takes the means of as many parts of a sequence as are wanted. `AdaptiveAvgPool2d` describes the argument."""

    _axes = 1
    _checked_arguments: ClassVar = {"output_size": _sizes(1)}


class AdaptiveAvgPool2d(_AdaptivePool):
    """Layer that takes the means of as many parts of an image as are wanted; the parts overlap if the sizes do not divide.

    Args:
        output_size: height and width of the output; a number stands for both, None for the size of the image.

    >>> import fastnn
    >>> fastnn.nn.AdaptiveAvgPool2d(1)(fastnn.ones(2, 4, 7, 5)).shape
    (2, 4, 1, 1)
    """

    _axes = 2
    _checked_arguments: ClassVar = {"output_size": _sizes(2)}


class AdaptiveAvgPool3d(_AdaptivePool):
    """Layer that takes the means of as many parts of a volume as are wanted. `AdaptiveAvgPool2d` describes the argument."""

    _axes = 3
    _checked_arguments: ClassVar = {"output_size": _sizes(3)}


class _AdaptiveMaxPool(_AdaptivePool):
    _saved_as = ""
    _max = True

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        if return_indices:
            raise ValueError(f"{type(self).__name__}: return_indices is {return_indices}, wanted False")


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Layer that takes the largest numbers of as many parts of a sequence as are wanted, like `AdaptiveMaxPool2d`."""

    _axes = 1
    _checked_arguments: ClassVar = {"output_size": _sizes(1)}


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Layer that takes the largest numbers of as many parts of an image as are wanted.

    The parts overlap if the sizes do not divide. Then equal largest numbers share the gradient.

    Args:
        output_size: height and width of the output; a number stands for both, None for the size of the image.
        return_indices: False.

    >>> import fastnn
    >>> fastnn.nn.AdaptiveMaxPool2d((3, None))(fastnn.ones(2, 4, 7, 5)).shape
    (2, 4, 3, 5)
    """

    _axes = 2
    _checked_arguments: ClassVar = {"output_size": _sizes(2)}


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Layer that takes the largest numbers of as many parts of a volume as are wanted, like `AdaptiveMaxPool2d`."""

    _axes = 3
    _checked_arguments: ClassVar = {"output_size": _sizes(3)}
