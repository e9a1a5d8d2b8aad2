"""Layers with PyTorch's names that put borders around images, which have their channels first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ...autograd.tensor import Tensor
from ...ops.checks import check_number, whole_number
from ...ops.convolution import Sides
from ...ops.padding import pad, pad_constant, padded_sizes
from .torch_images import TorchImages


def _widths(axes: int, low: float = 0) -> Callable[[Any, str], tuple[int, ...]]:
    """Return a check of PyTorch's widths: a number, or two for each axis, of which the last comes first."""

    def check(value: Any, name: str) -> tuple[int, ...]:
        given = value if isinstance(value, tuple | list) else (value,) * (2 * axes)
        if len(given) != 2 * axes:
            raise ValueError(f"{name} is {value!r}, wanted a whole number or {2 * axes} of them")
        return tuple(whole_number(n, name, low) for n in given)

    return check


class _Pad(TorchImages):
    """Base class of the layers that put a border around images with so many axes."""

    _saved_as = ""
    _mode = "constant"
    padding: tuple[int, ...]

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = padding

    def _sides(self) -> Sides:
        return tuple((self.padding[2 * i], self.padding[2 * i + 1]) for i in reversed(range(self._axes)))

    def _mapped(self, x: Tensor) -> Tensor:
        return pad(x, self._sides(), self._mode, type(self).__name__)

    def _places(self, image: tuple[int, ...]) -> tuple[int, ...]:
        return padded_sizes(type(self).__name__, image, self._sides())

    def get_config(self) -> dict[str, Any]:
        return {"padding": list(self.padding)}

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_Pad):
    """Layer that puts zeros before and after sequences. `ZeroPad2d` describes the argument.

    >>> import fastnn
    >>> fastnn.nn.ZeroPad1d((2, 0))(fastnn.zeros(1, 3, 5)).shape
    (1, 3, 7)
    """

    _axes = 1
    _checked_arguments: ClassVar = {"padding": _widths(1, float("-inf"))}


class ZeroPad2d(_Pad):
    """Layer that puts zeros around images.

    Args:
        padding: the width of the border: a number, or (left, right, top, bottom); numbers below 0 cut off.

    Shapes: x (N, C, height, width) or (C, height, width).

    >>> import fastnn
    >>> fastnn.nn.ZeroPad2d((1, 0, 2, 2))(fastnn.zeros(1, 3, 5, 5)).shape
    (1, 3, 9, 6)
    """

    _axes = 2
    _checked_arguments: ClassVar = {"padding": _widths(2, float("-inf"))}


class ZeroPad3d(_Pad):
    """Layer that puts zeros around volumes. Its argument has two more numbers than that of `ZeroPad2d`: (..., front, back)."""

    _axes = 3
    _checked_arguments: ClassVar = {"padding": _widths(3, float("-inf"))}


class _ConstantPad(_Pad):
    _saved_as = ""
    value: float

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def _mapped(self, x: Tensor) -> Tensor:
        return pad_constant(x, self._sides(), self.value, type(self).__name__)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "value": self.value}

    def extra_repr(self) -> str:
        return f"{self.padding}, value={self.value}"


def _number(value: Any, name: str) -> float:
    return check_number(value, name, float("-inf"))


class ConstantPad1d(_ConstantPad):
    """Layer that puts one number before and after sequences. The arguments are those of `ConstantPad2d`."""

    _axes = 1
    _checked_arguments: ClassVar = {"padding": _widths(1, float("-inf")), "value": _number}


class ConstantPad2d(_ConstantPad):
    """Layer that puts a border of one number around images.

    Args:
        padding: the width of the border: a number, or (left, right, top, bottom); numbers below 0 cut off.
        value: the number.

    >>> import fastnn
    >>> fastnn.nn.ConstantPad2d((1, 0, 0, 0), 5.0)(fastnn.zeros(1, 1, 1)).tolist()
    [[[5.0, 0.0]]]
    """

    _axes = 2
    _checked_arguments: ClassVar = {"padding": _widths(2, float("-inf")), "value": _number}


class ConstantPad3d(_ConstantPad):
    """Layer that puts a border of one number around volumes. The arguments are those of `ConstantPad2d`."""

    _axes = 3
    _checked_arguments: ClassVar = {"padding": _widths(3, float("-inf")), "value": _number}


class ReflectionPad1d(_Pad):
    """Layer that mirrors sequences at their ends. `ReflectionPad2d` describes the argument.

    >>> import fastnn
    >>> fastnn.nn.ReflectionPad1d(2)(fastnn.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]]
    """

    _axes = 1
    _mode = "reflect"
    _checked_arguments: ClassVar = {"padding": _widths(1)}


class ReflectionPad2d(_Pad):
    """Layer that puts a border around images, which mirrors them at their outermost pixels.

    Args:
        padding: the width of the border: a number, or (left, right, top, bottom); less than the size of the image.

    Shapes: x (N, C, height, width) or (C, height, width).

    >>> import fastnn
    >>> fastnn.nn.ReflectionPad2d(1)(fastnn.zeros(1, 3, 5, 5)).shape
    (1, 3, 7, 7)
    """

    _axes = 2
    _mode = "reflect"
    _checked_arguments: ClassVar = {"padding": _widths(2)}


class ReflectionPad3d(_Pad):
    """Layer that mirrors volumes at their surface. Its argument has two more numbers than that of `ReflectionPad2d`."""

    _axes = 3
    _mode = "reflect"
    _checked_arguments: ClassVar = {"padding": _widths(3)}


class ReplicationPad1d(_Pad):
    """Layer that repeats the ends of sequences. `ReplicationPad2d` describes the argument.

    >>> import fastnn
    >>> fastnn.nn.ReplicationPad1d(2)(fastnn.tensor([[1.0, 2.0]])).tolist()
    [[1.0, 1.0, 1.0, 2.0, 2.0, 2.0]]
    """

    _axes = 1
    _mode = "replicate"
    _checked_arguments: ClassVar = {"padding": _widths(1)}


class ReplicationPad2d(_Pad):
    """Layer that puts a border around images, which repeats their outermost pixels.

    Args:
        padding: the width of the border: a number, or (left, right, top, bottom).
    """

    _axes = 2
    _mode = "replicate"
    _checked_arguments: ClassVar = {"padding": _widths(2)}


class ReplicationPad3d(_Pad):
    """Layer that repeats the surface of volumes. Its argument has two more numbers than that of `ReplicationPad2d`."""

    _axes = 3
    _mode = "replicate"
    _checked_arguments: ClassVar = {"padding": _widths(3)}


class CircularPad1d(_Pad):
    """Layer that continues sequences with their other end. `CircularPad2d` describes the argument.

    >>> import fastnn
    >>> fastnn.nn.CircularPad1d((1, 2))(fastnn.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[3.0, 1.0, 2.0, 3.0, 1.0, 2.0]]
    """

    _axes = 1
    _mode = "circular"
    _checked_arguments: ClassVar = {"padding": _widths(1)}


class CircularPad2d(_Pad):
    """Layer that puts a border around images, which continues them with their opposite side.

    Args:
        padding: the width of the border: a number, or (left, right, top, bottom); at most the size of the image.
    """

    _axes = 2
    _mode = "circular"
    _checked_arguments: ClassVar = {"padding": _widths(2)}


class CircularPad3d(_Pad):
    """Layer that continues volumes with their opposite side. Its argument has two more numbers than that of `CircularPad2d`."""

    _axes = 3
    _mode = "circular"
    _checked_arguments: ClassVar = {"padding": _widths(3)}
