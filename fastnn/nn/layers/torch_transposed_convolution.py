"""Transposed convolutions with PyTorch's names: images with their channels first.

A kernel is stored as (*filter, out, in), and ``weight`` is its (in, out, *filter) view.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ...ops.convolution import Sides
from .convolution import per_axis
from .torch_convolution import TorchConv, torch_checks
from .transposed_convolution import Transposed


class _TorchTransposed(Transposed, TorchConv):
    """Base class of PyTorch's transposed convolutions; `ConvTranspose2d` describes the arguments."""

    _saved_as = ""
    _fixed_arguments: ClassVar[tuple[str, ...]] = ("padding_mode",)

    padding: tuple[int, ...]
    output_padding: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f"{type(self).__name__}: padding_mode is {padding_mode!r}, wanted 'zeros'")
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )
        self.output_padding = output_padding

    def _sides(self, image: tuple[int, ...]) -> Sides:
        for more, step, dilation in zip(self.output_padding, self.stride, self.dilation, strict=True):
            if more >= max(step, dilation):
                raise ValueError(
                    f"{type(self).__name__}: output_padding {self.output_padding}, wanted less than stride {self.stride} or "
                    f"dilation {self.dilation}"
                )
        return tuple((n, n - more) for n, more in zip(self.padding, self.output_padding, strict=True))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_padding": list(self.output_padding)}


def _checks(axes: int) -> dict[str, Any]:
    return {**torch_checks(axes), **dict.fromkeys(("padding", "output_padding"), per_axis(axes, 0))}


class ConvTranspose1d(_TorchTransposed):
    """Transposed convolution of sequences, with PyTorch's names, shapes and initial values.

    The arguments are those of `ConvTranspose2d`, for one axis.

    >>> import fastnn
    >>> fastnn.nn.ConvTranspose1d(4, 8, 4, stride=2, padding=1)(fastnn.zeros(2, 4, 10)).shape
    (2, 8, 20)
    """

    _axes = 1
    _checked_arguments: ClassVar = _checks(1)


class ConvTranspose2d(_TorchTransposed):
    """Transposed convolution of images, with PyTorch's names, shapes and initial values.

    Each pixel is multiplied by a filter, and the results add up: the gradient of a convolution. Source: Dumoulin, Visin, arXiv
    1603.07285, chapter 4.

    Args:
        in_channels, out_channels: channels of input and output.
        kernel_size: whole numbers, one for each axis or one for all, here and below.
        stride: distance of the filters in the output.
        padding: how much is cut off on both sides of the result.
        output_padding: how much less is cut off at the end; less than stride or dilation.
        groups: number of groups of channels.
        bias: whether there is a bias.
        dilation: distance of the numbers of a filter.
        padding_mode: "zeros".
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".

    Shapes: x (N, C, height, width) or (C, height, width), weight (in_channels, out_channels / groups, *kernel_size), sizes of y
    (image - 1) stride + dilation (kernel_size - 1) + 1 - 2 padding + output_padding.

    Raises:
        ValueError: the groups do not divide the channels, or the padding leaves nothing of the image.

    >>> import fastnn
    >>> layer = fastnn.nn.ConvTranspose2d(4, 8, 3, stride=2, padding=1, output_padding=1)
    >>> layer(fastnn.zeros(2, 4, 7, 7)).shape, layer.weight.shape
    ((2, 8, 14, 14), (4, 8, 3, 3))
    """

    _axes = 2
    _checked_arguments: ClassVar = _checks(2)


class ConvTranspose3d(_TorchTransposed):
    """Transposed convolution of volumes, with PyTorch's names, shapes and initial values.

    The arguments are those of `ConvTranspose2d`, for three axes.

    >>> import fastnn
    >>> fastnn.nn.ConvTranspose3d(4, 2, 2, stride=2)(fastnn.zeros(1, 4, 3, 3, 3)).shape
    (1, 2, 6, 6, 6)
    """

    _axes = 3
    _checked_arguments: ClassVar = _checks(3)
