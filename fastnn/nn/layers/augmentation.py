"""Layers with Keras's names that move, turn, stretch and crop images at random in training: each image in its own way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from ...autograd.tensor import Tensor
from ...backends.spec.augmentation import FILL_MODES, INTERPOLATIONS
from ...ops.augmentation import affine_maps, affine_transform
from ...ops.checks import check_number, optional, positive_int
from ...ops.elementwise import cos, floor, sin
from ...ops.layout import channels_first, channels_last
from ...ops.random import uniform
from ..spec import InputSpec
from .convolution import check_images, data_format, per_axis
from .random import Drawing

Range = tuple[float, float]


def range_of(low: float, high: float, alone: Callable[[float], Range] | None = None) -> Callable[[Any, str], Range]:
    """Return a check for a pair of numbers from low to high, sorted; ``alone`` makes a pair of one number, by default (-v, v)."""

    def check(value: Any, name: str) -> Range:
        if not isinstance(value, tuple | list):
            number = abs(check_number(value, name, low, high))
            return (-number, number) if alone is None else alone(number)
        if len(value) != 2:
            raise ValueError(f"{name} is {value!r}, wanted a number or two of them")
        first, second = sorted(check_number(v, name, low, high) for v in value)
        return first, second

    return check


def one_of(names: tuple[str, ...]) -> Callable[[Any, str], str]:
    """Return a check for one of these names."""

    def check(value: Any, name: str) -> str:
        if value not in names:
            raise ValueError(f"{name} is {value!r}, wanted {' or '.join(map(repr, names))}")
        return str(value)

    return check


def number(value: Any, name: str) -> float:
    """Return the value if it is a finite number; else raise ValueError."""
    return check_number(value, name, -math.inf)


class Augmentation(Drawing):
    """Base of layers that change images in training, and return them as they are in evaluation."""

    _saved_as = ""
    _axes = 2
    _settings: tuple[str, ...] = ()
    """Arguments in the configuration, besides the seed."""
    _checked_arguments: ClassVar = {"data_format": data_format}

    data_format: str | None = "channels_last"

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, images with channels."""
        return InputSpec("float", ndim=4)

    def forward(self, x: Tensor) -> Tensor:
        first = self.data_format == "channels_first"
        check_images(self, x, 2, first)
        if not self.training:
            return x
        y = self._changed(channels_last(x) if first else x)
        return channels_first(y) if first else y

    def _changed(self, x: Tensor) -> Tensor:
        """Return images of training; x has its channels last."""
        raise NotImplementedError

    def _draw(self, shape: tuple[int, ...], limits: Range = (0.0, 1.0)) -> Tensor:
        return uniform(self._state, shape, *limits)

    def get_config(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in (*self._settings, "seed")}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self._settings)


class _Affine(Augmentation):
    """Base of layers that look at images through an affine map."""

    _saved_as = ""
    _checked_arguments: ClassVar = {
        "fill_mode": one_of(FILL_MODES),
        "interpolation": one_of(INTERPOLATIONS),
        "fill_value": number,
    }

    def __init__(
        self, fill_mode: str, interpolation: str, seed: int | None, fill_value: float, data_format: str | None, name: str | None
    ) -> None:
        super().__init__(seed, name)
        self.fill_mode = fill_mode
        self.interpolation = interpolation
        self.fill_value = fill_value
        self.data_format = data_format

    def _changed(self, x: Tensor) -> Tensor:
        n, height, width, _ = x.shape
        return self._seen(x, self._maps(n, height, width))

    def _maps(self, n: int, height: int, width: int) -> Tensor:
        """Return the maps of n images; see `fastnn.ops.augmentation.affine_transform`."""
        raise NotImplementedError

    def _seen(self, x: Tensor, maps: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        how: dict[str, Any] = {"interpolation": self.interpolation, "fill_mode": self.fill_mode, "fill_value": self.fill_value}
        return affine_transform(x, maps, size=size, op=type(self).__name__, **how)


class RandomFlip(_Affine):
    """Layer that flips half of the images in training, chosen at random. The pixels stay as they are.

    Args:
        mode: "horizontal" exchanges left and right, "vertical" top and bottom. "horizontal_and_vertical" does both or neither,
            as in Keras; two layers flip independently of each other.
        seed: seed of this layer's stream; by default it depends on `fastnn.seed`.
        data_format: "channels_last", which is the default, or "channels_first".

    Shapes: x and y (N, height, width, C), with channels last.

    >>> import fastnn
    >>> layer = fastnn.RandomFlip("horizontal", seed=0)
    >>> layer(fastnn.tensor([[[[1.0], [2.0]]]] * 4)).flatten(1).tolist()
    [[2.0, 1.0], [2.0, 1.0], [1.0, 2.0], [1.0, 2.0]]
    """

    _settings = ("mode", "data_format")
    _checked_arguments: ClassVar = {"mode": one_of(("horizontal", "vertical", "horizontal_and_vertical"))}

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__("constant", "nearest", seed, 0.0, data_format, name)
        self.mode = mode

    def _maps(self, n: int, height: int, width: int) -> Tensor:
        sign = floor(self._draw((n, 1)) * 2) * 2 - 1
        h, v = float(self.mode != "vertical"), float(self.mode != "horizontal")
        x, y = h * (width - 1) / 2, v * (height - 1) / 2
        return affine_maps((1 - h, 0, x, 0, 1 - v, y), (sign, (h, 0, -x, 0, v, -y)))


class RandomTranslation(_Affine):
    """Layer that moves images in training, each by its own random step.

    Args:
        height_factor: the step down as a fraction of the height, from -1 to 1: two limits, or one number f for (-f, f).
        width_factor: likewise the step to the right, as a fraction of the width.
        fill_mode: what is outside the image: "reflect" turns it around (c b a | a b c | c b a), "wrap" repeats it, "nearest"
            takes the pixel at the border, and "constant" is fill_value.
        interpolation: "bilinear" or "nearest".
        seed: seed of this layer's stream; by default it depends on `fastnn.seed`.
        fill_value: a number.
        data_format: "channels_last", which is the default, or "channels_first".

    Shapes: x and y (N, height, width, C), with channels last.

    >>> import fastnn
    >>> layer = fastnn.RandomTranslation(0, (0.25, 0.25), fill_mode="constant")
    >>> layer(fastnn.tensor([[[[1.0], [2.0], [3.0], [4.0]]]])).flatten().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """

    _settings = ("height_factor", "width_factor", "fill_mode", "interpolation", "fill_value", "data_format")
    _checked_arguments: ClassVar = {"height_factor": range_of(-1, 1), "width_factor": range_of(-1, 1)}

    height_factor: Range
    width_factor: Range

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, name)
        self.height_factor = height_factor
        self.width_factor = width_factor

    def _maps(self, n: int, height: int, width: int) -> Tensor:
        down, right = self._draw((n, 1), self.height_factor), self._draw((n, 1), self.width_factor)
        return affine_maps((1, 0, 0, 0, 1, 0), (down, (0, 0, 0, 0, 0, -height)), (right, (0, 0, -width, 0, 0, 0)))


class RandomRotation(_Affine):
    """Layer that turns images around their middle in training, each by its own random angle.

    Args:
        factor: the angle as a fraction of a full turn, from -1 to 1: two limits, or one number f for (-f, f). A positive angle
            turns the image counterclockwise.
        fill_mode, interpolation, seed, fill_value, data_format: as in `RandomTranslation`.

    Shapes: x and y (N, height, width, C), with channels last.

    >>> import fastnn
    >>> layer = fastnn.RandomRotation((0.25, 0.25), interpolation="nearest")
    >>> layer(fastnn.tensor([[[[1.0], [2.0]], [[3.0], [4.0]]]])).reshape(2, 2).tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """

    _settings = ("factor", "fill_mode", "interpolation", "fill_value", "data_format")
    _checked_arguments: ClassVar = {"factor": range_of(-1, 1)}

    factor: Range

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, name)
        self.factor = factor

    def _maps(self, n: int, height: int, width: int) -> Tensor:
        angle = self._draw((n, 1), self.factor) * math.tau
        x, y = (width - 1) / 2, (height - 1) / 2
        return affine_maps((0, 0, x, 0, 0, y), (cos(angle), (1, 0, -x, 0, 1, -y)), (sin(angle), (0, -1, y, 1, 0, -x)))


class RandomZoom(_Affine):
    """Layer that stretches or shrinks images around their middle in training, each by its own random factor.

    Args:
        height_factor: how much more of the image is seen vertically, above -1 and at most 1: two limits, or one number f for
            (-f, f). 0.5 sees one and a half images, so that things get smaller; -0.5 sees half of one.
        width_factor: likewise horizontally; None takes the factor drawn for the height, which keeps proportions.
        fill_mode, interpolation, seed, fill_value, data_format: as in `RandomTranslation`.

    Shapes: x and y (N, height, width, C), with channels last.

    >>> import fastnn
    >>> layer = fastnn.RandomZoom(0, (-0.5, -0.5))
    >>> layer(fastnn.tensor([[[[1.0], [2.0], [3.0], [4.0]]]])).flatten().tolist()
    [1.75, 2.25, 2.75, 3.25]
    """

    _settings = ("height_factor", "width_factor", "fill_mode", "interpolation", "fill_value", "data_format")
    _checked_arguments: ClassVar = {
        "height_factor": range_of(math.nextafter(-1, 0), 1),
        "width_factor": optional(range_of(math.nextafter(-1, 0), 1)),
    }

    height_factor: Range
    width_factor: Range | None

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, name)
        self.height_factor = height_factor
        self.width_factor = width_factor

    def _maps(self, n: int, height: int, width: int) -> Tensor:
        x, y = (width - 1) / 2, (height - 1) / 2
        down = self._draw((n, 1), self.height_factor) + 1
        across = down if self.width_factor is None else self._draw((n, 1), self.width_factor) + 1
        return affine_maps((0, 0, x, 0, 0, y), (down, (0, 0, 0, 0, 1, -y)), (across, (1, 0, -x, 0, 0, 0)))


class RandomCrop(_Affine):
    """Layer that cuts a part of one size out of each image: in training at a random place, in evaluation in the middle.

    Keras cuts all images of a batch at the same place, and does not cut in evaluation; here each image has a place of its own,
    and the size is the same in evaluation.

    Args:
        height, width: size of the part.
        seed: seed of this layer's stream; by default it depends on `fastnn.seed`.
        data_format: "channels_last", which is the default, or "channels_first".
        padding: how wide a border is put around the image in training before it is cut: a number, or one for top and bottom
            and one for left and right. ``RandomCrop(32, 32, padding=4)`` moves an image of 32x32 by up to 4 pixels.
        fill_mode, fill_value: what the border is made of, as in `RandomTranslation`; zeros by default.

    Shapes: x (N, h, w, C), y (N, height, width, C), with channels last.

    Raises:
        ValueError: an image with its border is smaller than the part.

    >>> import fastnn
    >>> layer = fastnn.RandomCrop(1, 2).eval()
    >>> layer(fastnn.tensor([[[[1.0], [2.0], [3.0], [4.0]]]])).flatten().tolist()
    [2.0, 3.0]
    """

    _settings = ("height", "width", "data_format", "padding", "fill_mode", "fill_value")
    _checked_arguments: ClassVar = {"height": positive_int, "width": positive_int, "padding": per_axis(2, 0)}

    height: int
    width: int
    padding: tuple[int, int]

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        name: str | None = None,
        *,
        padding: Any = 0,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
    ) -> None:
        super().__init__(fill_mode, "nearest", seed, fill_value, data_format, name)
        self.height = height
        self.width = width
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        first = self.data_format == "channels_first"
        check_images(self, x, 2, first)
        n, *image = (x.shape[0], *x.shape[2:]) if first else x.shape[:3]
        size = self.height, self.width
        spare = [pixels + 2 * border - part for pixels, border, part in zip(image, self.padding, size, strict=True)]
        if min(spare) < 0:
            border = f" with a border of {self.padding}" if any(self.padding) else ""
            raise ValueError(
                f"{type(self).__name__}: x has shape {x.shape}; images of {tuple(image)}{border} are smaller than {size}"
            )
        if not self.training and size == tuple(image):
            return x
        (h, w), (up, left) = spare, self.padding
        if self.training:
            top, beside = (floor(self._draw((n, 1), (0.0, more + 1.0))) for more in spare)
            maps = affine_maps((1, 0, -left, 0, 1, -up), (top, (0, 0, 0, 0, 0, 1)), (beside, (0, 0, 1, 0, 0, 0)))
        else:
            maps = affine_maps((1, 0, w // 2 - left, 0, 1, h // 2 - up)).expand(n, -1)
        y = self._seen(channels_last(x) if first else x, maps, size)
        return channels_first(y) if first else y

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        size = self.height, self.width
        return (input_shape[0], *size) if self.data_format == "channels_first" else (*size, input_shape[-1])
