"""Transposed convolutions with Keras's names. Kernels are (*filter, filters, channels), as in Keras."""

from __future__ import annotations

from typing import Any, ClassVar

from ...autograd.tensor import Tensor
from ...backends.spec import Activation
from ...ops.activation import applied
from ...ops.checks import optional
from ...ops.convolution import Sides
from ...ops.transposed_convolution import conv_transpose, transposed_sizes
from .convolution import Conv, KerasConv, keras_checks, per_axis


class Transposed(Conv):
    """Base class of transposed convolutions of images with so many axes."""

    _saved_as = ""

    @property
    def _channels(self) -> int | None:
        return self._kernel.shape[-1] if self.built else None

    def _convolved(self, x: Tensor, activation: Activation) -> Tensor:
        name = type(self).__name__
        y = conv_transpose(
            x,
            self._kernel,
            self._parameters["bias"],
            stride=self.strides,
            padding=self._sides(x.shape[1:-1]),
            dilation=self.dilation_rate,
            groups=self.groups,
            op=name,
        )
        return applied(activation, y, name)

    def _kernel_shape(self, channels: int) -> tuple[int, ...]:
        self._check_groups(channels)
        return (*self.kernel_size, self.filters // self.groups, channels)

    def _places(self, image: tuple[int, ...]) -> tuple[int, ...]:
        sides = self._sides(image)
        return transposed_sizes(type(self).__name__, image, self.kernel_size, self.strides, sides, self.dilation_rate)


class _KerasTransposed(Transposed, KerasConv):
    """Base class of Keras's transposed convolutions; `Conv2DTranspose` describes the arguments."""

    _saved_as = ""
    _own_arguments: ClassVar[tuple[str, ...]] = ("filters", *KerasConv._own_arguments, "output_padding")
    _fixed_arguments: ClassVar[tuple[str, ...]] = ("filters", "kernel_size", "data_format")

    groups = 1
    output_padding: tuple[int, ...] | None

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        *,
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            input_shape=input_shape,
            dtype=dtype,
            name=name,
        )
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        self.output_padding = output_padding
        self.data_format = data_format
        self.dilation_rate = dilation_rate
        if self.input_shape is not None:
            self.build(self.input_shape)

    def _sides(self, image: tuple[int, ...]) -> Sides:
        more = self.output_padding or (None,) * self._axes
        spans = [d * (n - 1) + 1 for n, d in zip(self.kernel_size, self.dilation_rate, strict=True)]
        return tuple(map(self._cut, spans, self.strides, more))

    def _cut(self, span: int, stride: int, more: int | None) -> tuple[int, int]:
        """Return how much is cut off before and after the result along an axis, for a filter of this span."""
        if self.padding == "valid":
            return 0, -(max(span, stride) - span if more is None else more)
        total = span - stride if more is None else span - span % 2 - more  # of "same" the size is image * stride
        before = max(0, total // 2)
        return before, total - before


def _checks(axes: int) -> dict[str, Any]:
    return {**keras_checks(axes, "valid", "same"), "output_padding": optional(per_axis(axes, 0))}


class Conv1DTranspose(_KerasTransposed):
    """Transposed convolution of sequences. The arguments are those of `Conv2DTranspose`, for one axis.

    >>> import fastnn
    >>> fastnn.Conv1DTranspose(8, 3, strides=2, padding="same")(fastnn.zeros(2, 10, 4)).shape
    (2, 20, 8)
    """

    _axes = 1
    _checked_arguments: ClassVar = _checks(1)


class Conv2DTranspose(_KerasTransposed):
    """Transposed convolution of images: each pixel is multiplied by a filter, and the results add up.

    It is the gradient of a convolution. With strides, it makes images larger, as in decoders and generators.

    Source: Dumoulin, Visin, arXiv 1603.07285, chapter 4.

    Args:
        filters: number of channels of the output.
        kernel_size: height and width of a filter; a number stands for both, here and below.
        strides: distance of the filters in the output.
        padding: "valid" keeps the whole result, of size (image - 1) strides + kernel_size, and at least image * strides; "same"
            cuts it to image * strides.
        output_padding: sets the size: for "valid", that of the whole result plus output_padding; for "same", (image - 1) strides
            + output_padding, plus 1 if kernel_size is odd.
        data_format: "channels_last", which is the default, or "channels_first".
        dilation_rate: distance of the numbers of a filter.
        activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint: as in `Dense`.
        input_shape: shape of one sample; by default it is known from the first call.
        dtype: "float32" or "float64".

    Shapes: x (N, height, width, C), kernel (*kernel_size, filters, C), bias (filters,), y (N, new height, new width, filters).

    >>> import fastnn
    >>> layer = fastnn.Conv2DTranspose(8, 3, strides=2, padding="same")
    >>> layer(fastnn.zeros(2, 7, 7, 4)).shape, layer.kernel.shape
    ((2, 14, 14, 8), (3, 3, 8, 4))
    """

    _axes = 2
    _checked_arguments: ClassVar = _checks(2)


class Conv3DTranspose(_KerasTransposed):
    """Transposed convolution of volumes. The arguments are those of `Conv2DTranspose`, for three axes.

    >>> import fastnn
    >>> fastnn.Conv3DTranspose(2, 2, strides=2)(fastnn.zeros(1, 3, 3, 3, 4)).shape
    (1, 6, 6, 6, 2)
    """

    _axes = 3
    _checked_arguments: ClassVar = _checks(3)
