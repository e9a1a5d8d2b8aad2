"""Layers with PyTorch's names that change the size of images, which have their channels first."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ...autograd.tensor import Tensor
from ...ops.checks import check_number, flag, optional, positive_int
from ...ops.layout import channels_first, channels_last
from ...ops.resample import Places, cubic, linear, nearest, resample
from ...ops.shape import reshape, transpose
from ..module import Module
from ..spec import InputSpec

_AXES = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}
"""The modes that interpolate, with the number of axes that they are for."""
_MODES = ("nearest", "nearest-exact", *_AXES)


def _mode(value: Any, name: str) -> str:
    if value not in _MODES:
        raise ValueError(f"{name} is {value!r}, wanted one of {_MODES}")
    return str(value)


def _sizes(value: Any, name: str) -> Any:
    return tuple(positive_int(n, name) for n in value) if isinstance(value, tuple | list) else positive_int(value, name)


def _factor(value: Any, name: str) -> float:
    number = check_number(value, name, 0.0)
    if not number:
        raise ValueError(f"{name} is {value!r}, wanted a number above 0")
    return number


def _factors(value: Any, name: str) -> Any:
    return tuple(_factor(n, name) for n in value) if isinstance(value, tuple | list) else _factor(value, name)


def _fixed(name: str) -> Any:
    """Return the property of an argument that cannot be changed."""

    def refuse(self: Module, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__}: {name} is fixed; make another layer")

    return property(lambda self: getattr(self, f"_{name}"), refuse, doc=f"The argument {name}.")


class Upsample(Module):
    """Layer that gives images another size.

    Args:
        size: the size of the result, for each axis or for all; or
        scale_factor: how many times larger it is than the image, rounded down.
        mode: "nearest", "nearest-exact" (which takes the middles of pixels), "linear", "bilinear", "bicubic" or "trilinear".
        align_corners: whether the outermost pixels keep their values; otherwise places count from the border of the image. It is
            for the modes that interpolate.
        recompute_scale_factor: whether a fraction of a pixel that is rounded off changes the distance of the places.

    Shapes: x (N, C, *image), with one to three axes of the image, y the same with the new size.

    Raises:
        ValueError: not one of size and scale_factor came, or the mode does not fit the number of axes.

    >>> import fastnn
    >>> fastnn.nn.Upsample(scale_factor=2)(fastnn.tensor([[[1.0, 2.0]]])).tolist()
    [[[1.0, 1.0, 2.0, 2.0]]]
    """

    _axes = 0
    """Number of axes that the images have; 0 for any."""
    size, scale_factor = _fixed("size"), _fixed("scale_factor")
    _checked_arguments: ClassVar = {
        "mode": _mode,
        **dict.fromkeys(("align_corners", "recompute_scale_factor"), optional(flag)),
    }

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self._size = optional(_sizes)(size, f"{name}: size")
        self._scale_factor = optional(_factors)(scale_factor, f"{name}: scale_factor")
        if (size is None) == (scale_factor is None):
            raise ValueError(f"{name}: size is {size} and scale_factor is {scale_factor}, wanted one of them")
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor
        self.name = type(self).__name__.lower()
        self._check()

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, images with channels, which have as many axes as the mode is for."""
        axes = self._axes or _AXES.get(self.mode, 0)
        return InputSpec("float", min_ndim=3, max_ndim=5) if not axes else InputSpec("float", ndim=axes + 2)

    def _check(self) -> None:
        name = type(self).__name__
        if self.align_corners is not None and self.mode not in _AXES:
            raise ValueError(f"{name}: align_corners with mode {self.mode!r}, wanted one of {tuple(_AXES)}")
        if self.recompute_scale_factor and self.size is not None:
            raise ValueError(f"{name}: recompute_scale_factor with size, wanted scale_factor")

    def _target(self, image: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Return the size of the result, and the factors, or 0 where the sizes say them."""
        self._check()
        axes, name = len(image), type(self).__name__
        if _AXES.get(self.mode, axes) != axes:
            raise ValueError(f"{name}: mode {self.mode!r} of images of {image}, wanted images with {_AXES[self.mode]} axes")
        given = self.scale_factor if self.size is None else self.size
        each = given if isinstance(given, tuple) else (given,) * axes
        if len(each) != axes:
            raise ValueError(f"{name}: {len(each)} sizes or factors for images of {image}")
        if self.size is not None:
            return each, (0.0,) * axes
        sizes = tuple(math.floor(n * factor) for n, factor in zip(image, each, strict=True))
        if 0 in sizes and 0 not in image:
            raise ValueError(f"{name}: nothing is left of images of {image} with scale_factor {self.scale_factor}")
        return sizes, (0.0,) * axes if self.recompute_scale_factor else each

    def forward(self, x: Tensor) -> Tensor:
        if not 3 <= x.ndim <= 5:
            raise ValueError(
                f"{type(self).__name__}: x has shape {x.shape}, wanted (n, channels, ...) with 1 to 3 axes of images"
            )
        x = channels_last(x)
        image = x.shape[1:-1]
        sizes, factors = self._target(image)
        if 0 in image:
            raise ValueError(f"{type(self).__name__}: images of {image} have no pixels")
        places = [self._places(n, m, 1 / f if f else 0.0) for n, m, f in zip(image, sizes, factors, strict=True)]
        return channels_first(resample(x, places, type(self).__name__))

    def _places(self, n: int, size: int, scale: float) -> Places | None:
        """Return the places along an axis; None if it stays as it is."""
        if n == size and not (scale and scale != 1):
            return None
        if self.mode not in _AXES:
            return nearest(n, size, scale, self.mode == "nearest-exact")
        return (cubic if self.mode == "bicubic" else linear)(n, size, scale, bool(self.align_corners))

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        channels, *image = input_shape
        places: tuple[Any, ...] = (None,) * len(image) if None in image else self._target(tuple(image))[0]
        return (channels, *places)

    def get_config(self) -> dict[str, Any]:
        names = ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor")
        values = {name: getattr(self, name) for name in names}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def extra_repr(self) -> str:
        size = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` of images with the mode "nearest": its pixels are repeated."""

    _axes = 2
    _checked_arguments: ClassVar = {}

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor)

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config().items() if name in ("size", "scale_factor")}


class UpsamplingBilinear2d(Upsample):
    """`Upsample` of images with the mode "bilinear", in which the outermost pixels keep their values."""

    _axes = 2
    _checked_arguments: ClassVar = {}

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "bilinear", True)

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config().items() if name in ("size", "scale_factor")}


class PixelShuffle(Module):
    """Layer that makes images larger: the channels become pixels. (N, C r^2, height, width) becomes (N, C, height r, width r).

    Source: Shi et al., arXiv 1609.05158.

    Args:
        upscale_factor: r.

    Raises:
        ValueError: the channels cannot be divided by r^2.

    >>> import fastnn
    >>> fastnn.nn.PixelShuffle(2)(fastnn.zeros(1, 12, 3, 4)).shape
    (1, 3, 6, 8)
    """

    _checked_arguments: ClassVar = {"upscale_factor": positive_int}
    input_spec = InputSpec("float", min_ndim=3)

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor
        self.name = "pixelshuffle"

    def forward(self, x: Tensor) -> Tensor:
        channels, height, width = self.output_shape(x.shape[-3:])
        r, last, n = self.upscale_factor, _last(x), math.prod(x.shape[:-3])
        y = reshape(last, (n, height // r, width // r, channels, r, r))
        return _first(reshape(transpose(y, (0, 1, 4, 2, 5, 3)), (n, height, width, channels)), x.shape[:-3])

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        *batch, channels, height, width = _image(self, input_shape)
        r = self.upscale_factor
        if channels % r**2:
            raise ValueError(f"PixelShuffle: {channels} channels, wanted a multiple of {r**2}")
        return (*batch, channels // r**2, *(n if n is None else n * r for n in (height, width)))

    def get_config(self) -> dict[str, Any]:
        return {"upscale_factor": self.upscale_factor}

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Layer that makes images smaller: pixels become channels. (N, C, height r, width r) becomes (N, C r^2, height, width).

    Source: Shi et al., arXiv 1609.05158.

    Args:
        downscale_factor: r.

    Raises:
        ValueError: the sizes of the image cannot be divided by r.

    >>> import fastnn
    >>> fastnn.nn.PixelUnshuffle(2)(fastnn.zeros(1, 3, 6, 8)).shape
    (1, 12, 3, 4)
    """

    _checked_arguments: ClassVar = {"downscale_factor": positive_int}
    input_spec = InputSpec("float", min_ndim=3)

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor
        self.name = "pixelunshuffle"

    def forward(self, x: Tensor) -> Tensor:
        channels, height, width = self.output_shape(x.shape[-3:])
        r, last, n = self.downscale_factor, _last(x), math.prod(x.shape[:-3])
        y = reshape(last, (n, height, r, width, r, channels // r**2))
        return _first(reshape(transpose(y, (0, 1, 3, 5, 2, 4)), (n, height, width, channels)), x.shape[:-3])

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        *batch, channels, height, width = _image(self, input_shape)
        r = self.downscale_factor
        if any(n is not None and n % r for n in (height, width)):
            raise ValueError(f"PixelUnshuffle: an image of {(height, width)}, wanted multiples of {r}")
        return (*batch, channels * r**2, *(n if n is None else n // r for n in (height, width)))

    def get_config(self) -> dict[str, Any]:
        return {"downscale_factor": self.downscale_factor}

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


def _image(layer: Module, shape: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(shape) < 3:
        raise ValueError(f"{type(layer).__name__}: x has shape {shape}, wanted (..., channels, height, width)")
    return shape


def _last(x: Tensor) -> Tensor:
    """Return the images as one batch, with channels last."""
    return channels_last(x if x.ndim == 4 else reshape(x, (math.prod(x.shape[:-3]), *x.shape[-3:])))


def _first(y: Tensor, batch: tuple[int, ...]) -> Tensor:
    """Return images with channels last as such with channels first, with these batch axes."""
    first = channels_first(y)
    return first if len(batch) == 1 else reshape(first, (*batch, *first.shape[1:]))
