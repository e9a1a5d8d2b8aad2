"""Convolutional layers with Keras's names. Kernels are stored as (*filter, in, out), and computed with channels last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

from ... import activations
from ...autograd.tensor import Tensor
from ...backends.spec import LINEAR, Activation
from ...ops.activation import applied
from ...ops.checks import positive_int, whole_number
from ...ops.convolution import Sides, conv, out_sizes, same_padding
from ...ops.layout import channels_first, channels_last
from ..parameter import Parameter, building
from ..spec import InputSpec
from .weighted import Weighted


def per_axis(axes: int, low: int = 1) -> Callable[[Any, str], tuple[int, ...]]:
    """Return a check for a whole number, or one for each axis; it returns a tuple."""

    def check(value: Any, name: str) -> tuple[int, ...]:
        given = value if isinstance(value, tuple | list) else (value,) * axes
        if len(given) != axes:
            raise ValueError(f"{name} is {value!r}, wanted a whole number or {axes} of them")
        if any(whole_number(n, name, low) >= 2**31 for n in given):
            raise ValueError(f"{name} is {value!r}, wanted whole numbers below 2^31")
        return tuple(int(n) for n in given)

    return check


def image_shape(shape: Any, name: str) -> tuple[int | None, ...] | None:
    """Check the shape of a sample; sizes of the image may be None, which is unknown."""
    return None if shape is None else tuple(None if n is None else positive_int(n, name) for n in tuple(shape))


def check_images(layer: Any, x: Tensor, axes: int, first: bool, channels: int | None = None) -> None:
    """Raise ValueError unless x are images with so many axes, and with these channels, if they are known."""
    if x.ndim != axes + 2 or (channels is not None and x.shape[1 if first else -1] != channels):
        named, image = "channels" if channels is None else str(channels), ("depth", "height", "width")[3 - axes :]
        wanted = ", ".join(["n", named, *image] if first else ["n", *image, named])
        raise ValueError(f"{type(layer).__name__}: x has shape {x.shape}, wanted ({wanted})")


def data_format(value: Any, name: str) -> str:
    """Check Keras's argument; None means channels last."""
    if value not in (None, "channels_last", "channels_first"):
        raise ValueError(f"{name} is {value!r}, wanted 'channels_last' or 'channels_first'")
    return value or "channels_last"


def keras_padding(names: tuple[str, ...]) -> Callable[[Any, str], str]:
    """Return a check for one of these names of a padding."""

    def check(value: Any, name: str) -> str:
        if not isinstance(value, str) or value.lower() not in names:
            raise ValueError(f"{name} is {value!r}, wanted {' or '.join(map(repr, names))}")
        return value.lower()

    return check


class Conv(Weighted):
    """Base class of convolutions of images with so many axes. ``strides`` and ``dilation_rate`` are tuples."""

    _saved_as = ""
    _axes = 2
    _channels_first = False

    filters: int
    groups: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation_rate: tuple[int, ...]

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, images with channels, whose number is known if the layer is built."""
        axis = 1 if self._channels_first else self._axes + 1
        return InputSpec("float", ndim=self._axes + 2, axes={axis: self._channels})

    @property
    def _kernel(self) -> Parameter:
        """Return the kernel as it is stored."""
        return cast(Parameter, self._parameters[self._names[0]])

    @property
    def _channels(self) -> int | None:
        """Return the number of channels of the input, if the layer is built."""
        return self._kernel.shape[-2] * self.groups if self.built else None

    def _outputs(self, channels: int) -> int:
        """Return the number of channels of the output, for an input with this number of channels."""
        return self.filters

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the parameters for samples of this shape: an image with its channels."""
        name = type(self).__name__
        if len(input_shape) != self._axes + 1:
            raise ValueError(f"{name}: samples of shape {input_shape}, wanted {self._axes + 1} dimensions: an image and channels")
        channels = input_shape[0 if self._channels_first else -1]
        if channels is None:
            raise ValueError(f"{name}: the number of channels of its input, of shape {(None, *input_shape)}, is unknown")
        self._make(self._kernel_shape(int(channels)), self._outputs(int(channels)), self.output_shape(input_shape))

    def _kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Return the shape of the kernel for an input with this number of channels."""
        self._check_groups(channels)
        return (*self.kernel_size, channels // self.groups, self.filters)

    def _check_groups(self, channels: int) -> None:
        if channels % self.groups or self.filters % self.groups:
            raise ValueError(
                f"{type(self).__name__}: {channels} channels and {self.filters} filters cannot be divided into "
                f"{self.groups} groups"
            )

    def _sides(self, image: tuple[int, ...]) -> Sides:
        """Return the zeros before and after an image of this size."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        if not self.built:
            with building:
                if not self.built:
                    self.build(self.input_shape or x.shape[1:])
        check_images(self, x, self._axes, self._channels_first, self._channels)
        if self._channels_first:
            x = channels_last(x)
        activation = self.activation
        fused = isinstance(activation, Activation)
        y = self._convolved(x, activation if fused else LINEAR)
        if self._channels_first:
            y = channels_first(y)
        if not fused:
            y = applied(activation, y, type(self).__name__)
        if self.activity_regularizer is not None:
            self._activity = y
        return y

    def _convolved(self, x: Tensor, activation: Activation) -> Tensor:
        """Return activation(x * kernel + bias), with channels last."""
        x, sides = self._bordered(x)
        return conv(
            x,
            self._kernel,
            self._parameters["bias"],
            activation,
            stride=self.strides,
            padding=sides,
            dilation=self.dilation_rate,
            groups=self.groups,
            op=type(self).__name__,
        )

    def _bordered(self, x: Tensor) -> tuple[Tensor, Sides]:
        """Return what is convolved, and the zeros around it."""
        return x, self._sides(x.shape[1:-1])

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        image: Any = input_shape[1:] if self._channels_first else input_shape[:-1]
        known = tuple(n for n in image if n is not None)
        whole = len(known) == len(image)
        places: tuple[Any, ...] = self._places(known) if whole else (None,) * len(image)  # unknown sizes stay unknown
        outputs = self._outputs(input_shape[0 if self._channels_first else -1])
        return (outputs, *places) if self._channels_first else (*places, outputs)

    def _places(self, image: tuple[int, ...]) -> tuple[int, ...]:
        """Return the size of the output for an image of this size."""
        sides = self._sides(image)
        return out_sizes(type(self).__name__, image, self.kernel_size, self.strides, sides, self.dilation_rate)


class KerasConv(Conv):
    """Base class of Keras's layers with filters; `Conv2D` describes the arguments."""

    _saved_as = ""
    _own_arguments: ClassVar[tuple[str, ...]] = ("kernel_size", "strides", "padding", "data_format", "dilation_rate")

    padding: str
    data_format: str | None

    @property
    def _channels_first(self) -> bool:  # type: ignore[override]
        return self.data_format == "channels_first"

    def _sides(self, image: tuple[int, ...]) -> Sides:
        if self.padding == "same":
            return same_padding(image, self.kernel_size, self.strides, self.dilation_rate)
        spans = zip(self.kernel_size, self.dilation_rate, strict=True)
        return tuple((d * (n - 1) if self.padding == "causal" else 0, 0) for n, d in spans)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.built and not self.input_shape:
            channels, image = self._channels, [None] * self._axes
            config["input_shape"] = [channels, *image] if self._channels_first else [*image, channels]
        own = {name: getattr(self, name) for name in self._own_arguments}
        return {**{name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}, **config}

    def extra_repr(self) -> str:
        act = "" if self.activation == LINEAR else f", activation={activations.label(self.activation)!r}"
        filters = f"{self.filters}, " if "filters" in self._own_arguments else ""
        return f"{filters}{self.kernel_size}, strides={self.strides}, padding={self.padding!r}{act}"


def keras_checks(axes: int, *paddings: str) -> dict[str, Callable[[Any, str], Any]]:
    """Return the checks of the arguments of Keras's layers with filters for images with so many axes."""
    return {
        **dict.fromkeys(("filters", "groups", "depth_multiplier"), positive_int),
        **dict.fromkeys(("kernel_size", "strides", "dilation_rate"), per_axis(axes)),
        "padding": keras_padding(paddings),
        "data_format": data_format,
        "input_shape": image_shape,
    }


class _KerasConv(KerasConv):
    """Base class of Keras's convolutions."""

    _saved_as = ""
    _own_arguments = ("filters", *KerasConv._own_arguments, "groups")
    _fixed_arguments: ClassVar[tuple[str, ...]] = ("filters", "groups", "kernel_size", "data_format")

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
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
        self.data_format = data_format
        self.dilation_rate = dilation_rate
        self.groups = groups
        if self.input_shape is not None:
            self.build(self.input_shape)


class Conv1D(_KerasConv):
    """Convolution of sequences: the same filters look at each window of neighbouring steps.

    The arguments are those of `Conv2D`, for one axis. Padding "causal" puts all zeros before the sequence, so that an output
    depends only on steps that are not after it.

    Shapes: x (N, steps, C), kernel (kernel_size, C / groups, filters), y (N, new steps, filters).

    >>> import fastnn
    >>> fastnn.Conv1D(8, 3, padding="causal")(fastnn.zeros(2, 10, 4)).shape
    (2, 10, 8)
    """

    _axes = 1
    _checked_arguments: ClassVar = keras_checks(1, "valid", "same", "causal")


class Conv2D(_KerasConv):
    """Convolution of images: the same filters look at each window of neighbouring pixels, and detect local patterns.

    Args:
        filters: number of filters, the channels of the output.
        kernel_size: height and width of a filter; a number stands for both, here and below.
        strides: steps from window to window.
        padding: "valid" has windows inside the image alone; "same" surrounds it with zeros, so that the output has the size
            image / strides, rounded up.
        data_format: "channels_last", which is the default, or "channels_first".
        dilation_rate: distance of the pixels of a window.
        groups: number of groups of channels; the filters of a group see only its channels.
        activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint: as in `Dense`.
        input_shape: shape of one sample; by default it is known from the first call.
        dtype: "float32" or "float64".

    Shapes: x (N, height, width, C), kernel (*kernel_size, C / groups, filters), bias (filters,), y (N, new height, new width,
    filters).

    Raises:
        ValueError: the groups do not divide channels and filters, or a filter is larger than the image.

    >>> import fastnn
    >>> layer = fastnn.Conv2D(8, 3, padding="same", activation="relu")
    >>> layer(fastnn.zeros(2, 28, 28, 1)).shape, layer.kernel.shape
    ((2, 28, 28, 8), (3, 3, 1, 8))
    """

    _axes = 2
    _checked_arguments: ClassVar = keras_checks(2, "valid", "same")


class Conv3D(_KerasConv):
    """Convolution of volumes, such as scans or short films.

    The arguments are those of `Conv2D`, for three axes.

    Shapes: x (N, depth, height, width, C), kernel (*kernel_size, C / groups, filters), y (N, *new sizes, filters).

    >>> import fastnn
    >>> fastnn.Conv3D(4, 3, strides=2)(fastnn.zeros(1, 9, 9, 9, 2)).shape
    (1, 4, 4, 4, 4)
    """

    _axes = 3
    _checked_arguments: ClassVar = keras_checks(3, "valid", "same")
