"""Layers with Keras's names that put zeros around images, or cut off their borders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ...autograd.tensor import Tensor
from ...ops.checks import whole_number
from ...ops.convolution import Sides
from ...ops.layout import channels_first, channels_last
from ...ops.padding import pad_constant, padded_sizes
from ..module import Module
from ..spec import InputSpec
from .convolution import check_images, data_format


def _sides(axes: int) -> Callable[[Any, str], Sides]:
    """Return a check of Keras's widths: a number, one for each axis, or a pair for each axis (for one axis, the pair itself)."""

    def check(value: Any, name: str) -> Sides:
        given = value if isinstance(value, tuple | list) else (value,) * axes
        if axes == 1 and len(given) == 2:
            given = (given,)
        pairs = [tuple(side) if isinstance(side, tuple | list) else (side, side) for side in given]
        if len(pairs) != axes or any(len(pair) != 2 for pair in pairs):
            raise ValueError(f"{name} is {value!r}, wanted a whole number, {axes} of them or {axes} pairs of them")
        return tuple((whole_number(before, name, 0), whole_number(after, name, 0)) for before, after in pairs)

    return check


class _Border(Module):
    """Base class of the layers that change the border of images with so many axes."""

    _saved_as = ""
    _axes = 2
    data_format: str

    def __init__(self, data_format: str | None, name: str | None) -> None:
        super().__init__()
        self.data_format = data_format  # type: ignore[assignment]
        self.name = name or type(self).__name__.lower()

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, images with channels."""
        return InputSpec("float", ndim=self._axes + 2)

    def _border(self) -> Sides:
        """Return how much is added before and after the image, for each axis."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        first = self.data_format == "channels_first"
        check_images(self, x, self._axes, first)
        y = pad_constant(channels_last(x) if first else x, self._border(), op=type(self).__name__)
        return channels_first(y) if first else y

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        first = self.data_format == "channels_first"
        image: Any = input_shape[1:] if first else input_shape[:-1]
        places: list[Any] = []
        for n, side in zip(image, self._border(), strict=True):
            places += [None] if n is None else padded_sizes(type(self).__name__, (n,), (side,))
        return (input_shape[0], *places) if first else (*places, input_shape[-1])


class _ZeroPadding(_Border):
    _saved_as = ""
    padding: Sides

    def __init__(self, padding: Any = 1, data_format: str | None = None, name: str | None = None) -> None:
        super().__init__(data_format, name)
        self.padding = padding

    def _border(self) -> Sides:
        return self.padding

    def get_config(self) -> dict[str, Any]:
        return {"padding": _written(self.padding), "data_format": self.data_format}

    def extra_repr(self) -> str:
        return f"padding={self.padding}"


def _written(sides: Sides) -> Any:
    return list(sides[0]) if len(sides) == 1 else [list(side) for side in sides]


class ZeroPadding1D(_ZeroPadding):
    """Layer that puts zeros before and after a sequence. The arguments are those of `ZeroPadding2D`, for one axis.

    >>> import fastnn
    >>> fastnn.ZeroPadding1D((2, 0))(fastnn.zeros(1, 5, 3)).shape
    (1, 7, 3)
    """

    _axes = 1
    _checked_arguments: ClassVar = {"padding": _sides(1), "data_format": data_format}


class ZeroPadding2D(_ZeroPadding):
    """Layer that puts zeros around images.

    Args:
        padding: the width of the border: a number, one for each axis, or ((top, bottom), (left, right)).
        data_format: "channels_last", which is the default, or "channels_first".

    Shapes: x (N, height, width, C), y (N, height + top + bottom, width + left + right, C).

    >>> import fastnn
    >>> fastnn.ZeroPadding2D(((1, 0), (2, 2)))(fastnn.zeros(1, 5, 5, 3)).shape
    (1, 6, 9, 3)
    """

    _axes = 2
    _checked_arguments: ClassVar = {"padding": _sides(2), "data_format": data_format}


class ZeroPadding3D(_ZeroPadding):
    """Layer that puts zeros around volumes. The arguments are those of `ZeroPadding2D`, for three axes.

    >>> import fastnn
    >>> fastnn.ZeroPadding3D(1)(fastnn.zeros(1, 2, 3, 4, 2)).shape
    (1, 4, 5, 6, 2)
    """

    _axes = 3
    _checked_arguments: ClassVar = {"padding": _sides(3), "data_format": data_format}


class _Cropping(_Border):
    _saved_as = ""
    cropping: Sides

    def __init__(self, cropping: Any = 0, data_format: str | None = None, name: str | None = None) -> None:
        super().__init__(data_format, name)
        self.cropping = cropping

    def _border(self) -> Sides:
        return tuple((-before, -after) for before, after in self.cropping)

    def get_config(self) -> dict[str, Any]:
        return {"cropping": _written(self.cropping), "data_format": self.data_format}

    def extra_repr(self) -> str:
        return f"cropping={self.cropping}"


class Cropping1D(_Cropping):
    """Layer that cuts off the beginning and the end of sequences. The arguments are those of `Cropping2D`, for one axis.

    >>> import fastnn
    >>> fastnn.Cropping1D((2, 0))(fastnn.zeros(1, 5, 3)).shape
    (1, 3, 3)
    """

    _axes = 1
    _checked_arguments: ClassVar = {"cropping": _sides(1), "data_format": data_format}

    def __init__(self, cropping: Any = 1, data_format: str | None = None, name: str | None = None) -> None:
        super().__init__(cropping, data_format, name)


class Cropping2D(_Cropping):
    """Layer that cuts off the border of images.

    Args:
        cropping: how much is cut off: a number, one for each axis, or ((top, bottom), (left, right)).
        data_format: "channels_last", which is the default, or "channels_first".

    Shapes: x (N, height, width, C), y (N, height - top - bottom, width - left - right, C).

    Raises:
        ValueError: more is cut off than the image has.

    >>> import fastnn
    >>> fastnn.Cropping2D(((1, 0), (2, 2)))(fastnn.zeros(1, 5, 5, 3)).shape
    (1, 4, 1, 3)
    """

    _axes = 2
    _checked_arguments: ClassVar = {"cropping": _sides(2), "data_format": data_format}


class Cropping3D(_Cropping):
    """Layer that cuts off the border of volumes. The arguments are those of `Cropping2D`, for three axes. The default is 1.

    >>> import fastnn
    >>> fastnn.Cropping3D()(fastnn.zeros(1, 5, 4, 3, 2)).shape
    (1, 3, 2, 1, 2)
    """

    _axes = 3
    _checked_arguments: ClassVar = {"cropping": _sides(3), "data_format": data_format}

    def __init__(self, cropping: Any = 1, data_format: str | None = None, name: str | None = None) -> None:
        super().__init__(cropping, data_format, name)
