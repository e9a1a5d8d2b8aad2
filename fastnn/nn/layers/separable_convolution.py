"""Convolutions of each channel by itself, with Keras's names: depthwise, and separable, which mix the channels afterwards.

A depthwise kernel is (*filter, C, depth_multiplier), and is computed as (*filter, 1, C depth_multiplier) with C groups.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...autograd.tensor import Tensor
from ...backends.spec import LINEAR, Activation
from ...ops.convolution import conv
from ...ops.shape import reshape
from ..parameter import Parameter, initial
from .convolution import KerasConv, keras_checks
from .weighted import rules, rules_config


class _Depthwise(KerasConv):
    """Base class of Keras's layers with filters for each channel by itself; `DepthwiseConv2D` describes the arguments."""

    _saved_as = ""
    _of_kernel = "depthwise"
    _ruled_parameters: ClassVar = {"depthwise": "kernel", "bias": "bias"}
    _own_arguments: ClassVar[tuple[str, ...]] = (*KerasConv._own_arguments, "depth_multiplier")
    _fixed_arguments: ClassVar[tuple[str, ...]] = ("kernel_size", "data_format", "depth_multiplier", "depthwise_initializer")

    depth_multiplier: int

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            activation,
            use_bias,
            depthwise_initializer,
            bias_initializer,
            depthwise_regularizer,
            bias_regularizer,
            activity_regularizer,
            depthwise_constraint,
            bias_constraint,
            input_shape=input_shape,
            dtype=dtype,
            name=name,
        )
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        self.depth_multiplier = depth_multiplier
        self.data_format = data_format
        self.dilation_rate = dilation_rate
        if self.input_shape is not None:
            self.build(self.input_shape)

    @property
    def _channels(self) -> int | None:
        return self._kernel.shape[-2] if self.built else None

    def _outputs(self, channels: int) -> int:
        return channels * self.depth_multiplier

    def _kernel_shape(self, channels: int) -> tuple[int, ...]:
        return (*self.kernel_size, channels, self.depth_multiplier)

    def _convolved(self, x: Tensor, activation: Activation) -> Tensor:
        return self._depthwise(x, self._parameters["bias"], activation)

    def _depthwise(self, x: Tensor, bias: Tensor | None, activation: Activation) -> Tensor:
        """Return activation(x * kernel + bias), where each filter sees one channel."""
        kernel = self._kernel
        return conv(
            x,
            reshape(kernel, (*self.kernel_size, 1, kernel.shape[-2] * kernel.shape[-1])),
            bias,
            activation,
            stride=self.strides,
            padding=self._sides(x.shape[1:-1]),
            dilation=self.dilation_rate,
            groups=kernel.shape[-2],
            op=type(self).__name__,
        )


class DepthwiseConv1D(_Depthwise):
    """Convolution of each channel of a sequence by itself. The arguments are those of `DepthwiseConv2D`, for one axis.

    >>> import fastnn
    >>> fastnn.DepthwiseConv1D(3, padding="same")(fastnn.zeros(2, 10, 4)).shape
    (2, 10, 4)
    """

    _axes = 1
    _checked_arguments: ClassVar = {**keras_checks(1, "valid", "same"), **rules("depthwise")}


class DepthwiseConv2D(_Depthwise):
    """Convolution of each channel of an image by itself.

    Source: Howard et al., arXiv 1704.04861.

    Args:
        kernel_size, strides, padding, data_format, dilation_rate: as in `Conv2D`; strides may differ by axis.
        depth_multiplier: number of filters for each channel.
        activation, use_bias, depthwise_initializer, bias_initializer, depthwise_regularizer, bias_regularizer,
            activity_regularizer, depthwise_constraint, bias_constraint: as in `Dense`; those of the kernel are called depthwise.
        input_shape: shape of one sample; by default it is known from the first call.
        dtype: "float32" or "float64".

    Shapes: x (N, height, width, C), kernel (*kernel_size, C, depth_multiplier), bias (C depth_multiplier,), y (N, new height, new
    width, C depth_multiplier), with the results of a channel next to each other.

    Raises:
        ValueError: a filter is larger than the image.

    >>> import fastnn
    >>> layer = fastnn.DepthwiseConv2D(3, depth_multiplier=2)
    >>> layer(fastnn.zeros(2, 8, 8, 4)).shape, layer.kernel.shape
    ((2, 6, 6, 8), (3, 3, 4, 2))
    """

    _axes = 2
    _checked_arguments: ClassVar = {**keras_checks(2, "valid", "same"), **rules("depthwise")}


class _Separable(_Depthwise):
    """Base class of Keras's separable convolutions; `SeparableConv2D` describes the arguments."""

    _saved_as = ""
    _names = ("depthwise_kernel", "bias")
    _ruled_parameters: ClassVar = {"depthwise": "depthwise_kernel", "pointwise": "pointwise_kernel", "bias": "bias"}
    _own_arguments: ClassVar[tuple[str, ...]] = ("filters", *_Depthwise._own_arguments)
    _fixed_arguments: ClassVar[tuple[str, ...]] = ("filters", "pointwise_initializer")

    pointwise_initializer: Any

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            depth_multiplier,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            depthwise_initializer,
            bias_initializer,
            depthwise_regularizer,
            bias_regularizer,
            activity_regularizer,
            depthwise_constraint,
            bias_constraint,
            dtype=dtype,
            name=name,
        )
        self.filters = filters
        self._set_rules("pointwise", pointwise_initializer, pointwise_regularizer, pointwise_constraint)
        self.input_shape = input_shape
        if self.input_shape is not None:
            self.build(self.input_shape)

    def _outputs(self, channels: int) -> int:
        return self.filters

    def _further(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> dict[str, Parameter]:
        mixed = (*(1,) * self._axes, shape[-2] * shape[-1], self.filters)
        return {"pointwise_kernel": initial(self.pointwise_initializer, mixed, dtype)}

    def _convolved(self, x: Tensor, activation: Activation) -> Tensor:
        ones = (1,) * self._axes
        how: dict[str, Any] = {"stride": ones, "padding": ((0, 0),) * self._axes, "dilation": ones, "op": type(self).__name__}
        pointwise: Any = self._parameters["pointwise_kernel"]
        return conv(self._depthwise(x, None, LINEAR), pointwise, self._parameters["bias"], activation, **how)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **rules_config(self, "pointwise")}


class SeparableConv1D(_Separable):
    """Convolution of each channel of a sequence, then a mix of the channels. It has the arguments of `SeparableConv2D`.

    >>> import fastnn
    >>> fastnn.SeparableConv1D(8, 3)(fastnn.zeros(2, 10, 4)).shape
    (2, 8, 8)
    """

    _axes = 1
    _checked_arguments: ClassVar = {**keras_checks(1, "valid", "same"), **rules("depthwise", "pointwise")}


class SeparableConv2D(_Separable):
    """Convolution of each channel of an image by itself, then a mix of the channels by filters of one pixel.

    It has fewer weights than a convolution, and takes fewer products.

    Source: Chollet, arXiv 1610.02357.

    Args:
        filters: number of channels of the output.
        kernel_size, strides, padding, data_format, dilation_rate, depth_multiplier: as in `DepthwiseConv2D`.
        activation, use_bias, ...: as in `DepthwiseConv2D`; those of the mixing kernel are called pointwise.
        input_shape: shape of one sample; by default it is known from the first call.
        dtype: "float32" or "float64".

    Shapes: x (N, height, width, C), depthwise_kernel (*kernel_size, C, depth_multiplier), pointwise_kernel (1, 1, C
    depth_multiplier, filters), bias (filters,), y (N, new height, new width, filters).

    >>> import fastnn
    >>> layer = fastnn.SeparableConv2D(8, 3)
    >>> layer(fastnn.zeros(2, 8, 8, 4)).shape, layer.pointwise_kernel.shape
    ((2, 6, 6, 8), (1, 1, 4, 8))
    """

    _axes = 2
    _checked_arguments: ClassVar = {**keras_checks(2, "valid", "same"), **rules("depthwise", "pointwise")}
