"""Convolutional layers with PyTorch's names: images with their channels first.

A kernel is stored as (*filter, in, out), and ``weight`` is its (out, in, *filter) view.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, cast

from ... import initializers
from ...autograd.tensor import Tensor
from ...core.device import check_device
from ...ops.checks import positive_int
from ...ops.convolution import Sides
from ...ops.padding import MODES, pad
from ...ops.shape import squeeze, unsqueeze
from ..parameter import Parameter
from ..parameter_view import ParameterView
from ..spec import InputSpec
from .convolution import Conv, per_axis


def _torch_padding(axes: int) -> Callable[[Any, str], Any]:
    def check(value: Any, name: str) -> Any:
        if not isinstance(value, str):
            return per_axis(axes, 0)(value, name)
        if value not in ("valid", "same"):
            raise ValueError(f"{name} is {value!r}, wanted whole numbers, 'valid' or 'same'")
        return value

    return check


def _padding_mode(value: Any, name: str) -> str:
    modes = ("zeros", *MODES[1:])
    if value not in modes:
        raise ValueError(f"{name} is {value!r}, wanted {' or '.join(map(repr, modes))}")
    return str(value)


def torch_checks(axes: int) -> dict[str, Callable[[Any, str], Any]]:
    """Return the checks of the arguments of PyTorch's convolutions of images with so many axes."""
    return {
        **dict.fromkeys(("in_channels", "out_channels", "groups"), positive_int),
        **dict.fromkeys(("kernel_size", "stride", "dilation"), per_axis(axes)),
        "padding": _torch_padding(axes),
        "padding_mode": _padding_mode,
    }


class TorchConv(Conv):
    """Base class of PyTorch's convolutions; `Conv2d` describes the arguments."""

    _saved_as = ""
    _names = ("weight", "bias")
    _fixed_arguments: ClassVar[tuple[str, ...]] = ("in_channels", "out_channels", "groups", "kernel_size")
    _channels_first = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        name = type(self).__name__
        check_device(device, name)
        channels = positive_int(in_channels, f"{name}: in_channels")
        window = per_axis(self._axes)(kernel_size, f"{name}: kernel_size")
        super().__init__(use_bias=bias, kernel_initializer=initializers.LinearWeight(), dtype=dtype)
        self.in_channels, self.out_channels = channels, positive_int(out_channels, f"{name}: out_channels")
        self.kernel_size, self.groups = window, groups
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.padding_mode = padding_mode
        self.filters = self.out_channels
        if self.padding == "same" and self.stride != (1,) * self._axes:
            raise ValueError(f"{name}: padding='same' with stride {self.stride}, wanted stride 1")
        self.bias_initializer = initializers.LinearBias(max(1, math.prod(self._kernel_shape(channels)[:-1])))
        self.build((channels, *(None,) * self._axes))  # type: ignore[arg-type]

    @property
    def strides(self) -> tuple[int, ...]:  # type: ignore[override]
        return self.stride  # type: ignore[no-any-return]

    @property
    def dilation_rate(self) -> tuple[int, ...]:  # type: ignore[override]
        return self.dilation  # type: ignore[no-any-return]

    @property
    def _kernel(self) -> Parameter:
        return cast(ParameterView, self._parameters["weight"]).base

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, images with channels; a batch of them or a single one."""
        return InputSpec("float", min_ndim=self._axes + 1, max_ndim=self._axes + 2, axes={-1 - self._axes: self.in_channels})

    def _face(self, kernel: Parameter) -> Parameter:
        n = self._axes
        return ParameterView(kernel, (n + 1, n, *range(n)))

    def _sides(self, image: tuple[int, ...]) -> Sides:
        if isinstance(self.padding, str):
            totals = [d * (n - 1) if self.padding == "same" else 0 for n, d in zip(self.kernel_size, self.dilation, strict=True)]
            return tuple((t // 2, t - t // 2) for t in totals)
        return tuple((n, n) for n in self.padding)

    def _bordered(self, x: Tensor) -> tuple[Tensor, Sides]:
        x, sides = super()._bordered(x)
        if self.padding_mode == "zeros":
            return x, sides
        return pad(x, sides, self.padding_mode, type(self).__name__), ((0, 0),) * self._axes

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != self._axes + 1:
            return super().forward(x)
        return squeeze(super().forward(unsqueeze(x, 0)), 0)

    def get_config(self) -> dict[str, Any]:
        return {
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            **{name: list(getattr(self, name)) for name in ("kernel_size", "stride", "dilation")},
            "padding": self.padding if isinstance(self.padding, str) else list(self.padding),
            "groups": self.groups,
            "bias": self.use_bias,
            "padding_mode": self.padding_mode,
            "dtype": self.dtype.name,
        }

    def extra_repr(self) -> str:
        more = {name: getattr(self, name) for name in ("padding", "dilation", "groups", "padding_mode")}
        usual = ((0,) * self._axes, (1,) * self._axes, 1, "zeros")
        named = "".join(f", {k}={v!r}" for (k, v), u in zip(more.items(), usual, strict=True) if v != u)
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}{named}"


class Conv1d(TorchConv):
    """Convolution of sequences, with PyTorch's names, shapes and initial values.

    The arguments are those of `Conv2d`, for one axis.

    Shapes: x (N, C, steps) or (C, steps), y the same with out_channels and the new steps.

    >>> import fastnn
    >>> fastnn.nn.Conv1d(4, 8, 3, padding=1)(fastnn.zeros(2, 4, 10)).shape
    (2, 8, 10)
    """

    _axes = 1
    _checked_arguments: ClassVar = torch_checks(1)


class Conv2d(TorchConv):
    """Convolution of images, with PyTorch's names, shapes and initial values.

    Args:
        in_channels, out_channels: channels of input and output.
        kernel_size, stride, dilation: whole numbers, one for each axis or one for all.
        padding: width of the border on both sides of each axis; "valid" for none, "same" for an output of the image's size, with
            stride 1.
        groups: number of groups of channels.
        bias: whether there is a bias.
        padding_mode: "zeros", or what the border is made of: "reflect" mirrors the image, "replicate" repeats its outermost
            pixels, "circular" continues it with its other side.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".

    Shapes: x (N, C, height, width) or (C, height, width), weight (out_channels, C / groups, *kernel_size).

    Raises:
        ValueError: the groups do not divide the channels, or a filter is larger than the image.

    >>> import fastnn
    >>> layer = fastnn.nn.Conv2d(1, 8, 3, padding=1)
    >>> layer(fastnn.zeros(2, 1, 28, 28)).shape, layer.weight.shape
    ((2, 8, 28, 28), (8, 1, 3, 3))
    """

    _axes = 2
    _checked_arguments: ClassVar = torch_checks(2)


class Conv3d(TorchConv):
    """Convolution of volumes, with PyTorch's names, shapes and initial values.

    The arguments are those of `Conv2d`, for three axes.

    >>> import fastnn
    >>> fastnn.nn.Conv3d(2, 4, 3, stride=2)(fastnn.zeros(1, 2, 9, 9, 9)).shape
    (1, 4, 4, 4, 4)
    """

    _axes = 3
    _checked_arguments: ClassVar = torch_checks(3)
