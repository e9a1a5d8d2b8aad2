"""Convolutions, pooling, borders and sizes of images with PyTorch's arguments: images with their channels first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from ...autograd.tensor import Tensor
from ...ops import convolution, padding, transposed_convolution
from ...ops.checks import as_tensor, floating
from ...ops.layout import channels_first, channels_last
from ...ops.shape import reshape, squeeze, transpose, unsqueeze
from ..layers import torch_pooling, torch_resizing
from ..layers.convolution import per_axis


def _images(op: str, x: Any, axes: int) -> tuple[Tensor, bool]:
    """Return images with their channels last, and whether a single one came."""
    x = floating(op, as_tensor(x, op))
    if x.ndim not in (axes + 1, axes + 2):
        raise ValueError(f"{op}: x has shape {x.shape}, wanted (N, C, ...) or (C, ...) with {axes} axes of an image")
    single = x.ndim == axes + 1
    return channels_last(unsqueeze(x, 0) if single else x), single


def _conv(axes: int) -> Callable[..., Tensor]:
    op = f"conv{axes}d"

    def conv(
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        x, single = _images(op, input, axes)
        w = as_tensor(weight, op)
        stride, dilation = per_axis(axes)(stride, f"{op}: stride"), per_axis(axes)(dilation, f"{op}: dilation")
        if isinstance(padding, str):
            if padding not in ("valid", "same") or (padding == "same" and max(stride) > 1):
                raise ValueError(f"{op}: padding is {padding!r}, wanted whole numbers, 'valid', or 'same' with stride 1")
            totals = [d * (n - 1) if padding == "same" else 0 for n, d in zip(w.shape[2:], dilation, strict=True)]
            sides = tuple((n // 2, n - n // 2) for n in totals)
        else:
            sides = tuple((n, n) for n in per_axis(axes, 0)(padding, f"{op}: padding"))
        w = transpose(w, (*range(2, w.ndim), 1, 0))
        b = None if bias is None else as_tensor(bias, op)
        y = convolution.conv(x, w, b, stride=stride, padding=sides, dilation=dilation, groups=groups, op=op)
        return _first(y, single)

    return _named(conv, op, f"Convolve images with filters (outputs, inputs / groups, ...); see `fastnn.nn.Conv{axes}d`.")


def _conv_transpose(axes: int) -> Callable[..., Tensor]:
    op = f"conv_transpose{axes}d"

    def conv_transpose(
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Tensor:
        x, single = _images(op, input, axes)
        w = as_tensor(weight, op)
        stride, dilation = per_axis(axes)(stride, f"{op}: stride"), per_axis(axes)(dilation, f"{op}: dilation")
        cut, more = per_axis(axes, 0)(padding, f"{op}: padding"), per_axis(axes, 0)(output_padding, f"{op}: output_padding")
        sides = tuple((n, n - m) for n, m in zip(cut, more, strict=True))
        w = transpose(w, (*range(2, w.ndim), 1, 0))
        b = None if bias is None else as_tensor(bias, op)
        how: dict[str, Any] = {"stride": stride, "padding": sides, "dilation": dilation, "groups": groups, "op": op}
        return _first(transposed_convolution.conv_transpose(x, w, b, **how), single)

    return _named(conv_transpose, op, f"Filters (inputs, outputs / groups, ...); see `fastnn.nn.ConvTranspose{axes}d`.")


def _first(y: Tensor, single: bool) -> Tensor:
    y = channels_first(y)
    return squeeze(y, 0) if single else y


def _named(f: Callable[..., Tensor], name: str, doc: str) -> Callable[..., Tensor]:
    f.__name__ = f.__qualname__ = name
    f.__doc__ = doc
    return f


conv1d, conv2d, conv3d = map(_conv, (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = map(_conv_transpose, (1, 2, 3))


@lru_cache(maxsize=256)
def _layer(cls: Any, *args: Any, **settings: Any) -> Any:
    return cls(*args, **settings)


def _by_layer(cls: Any, name: str) -> Callable[..., Tensor]:
    """Return the function of a layer without parameters: its arguments are the input, then those of the layer."""

    def function(input: Any, *args: Any, **settings: Any) -> Tensor:
        x = floating(name, as_tensor(input, name))
        given = [tuple(a) if isinstance(a, list) else a for a in args]
        settings = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
        y: Tensor = _layer(cls, *given, **settings).forward(x)
        return y

    return _named(function, name, f"See `fastnn.nn.{cls.__name__}`.")


max_pool1d = _by_layer(torch_pooling.MaxPool1d, "max_pool1d")
avg_pool1d = _by_layer(torch_pooling.AvgPool1d, "avg_pool1d")
avg_pool2d = _by_layer(torch_pooling.AvgPool2d, "avg_pool2d")
avg_pool3d = _by_layer(torch_pooling.AvgPool3d, "avg_pool3d")
max_pool2d = _by_layer(torch_pooling.MaxPool2d, "max_pool2d")
max_pool3d = _by_layer(torch_pooling.MaxPool3d, "max_pool3d")
adaptive_avg_pool1d = _by_layer(torch_pooling.AdaptiveAvgPool1d, "adaptive_avg_pool1d")
adaptive_avg_pool2d = _by_layer(torch_pooling.AdaptiveAvgPool2d, "adaptive_avg_pool2d")
adaptive_avg_pool3d = _by_layer(torch_pooling.AdaptiveAvgPool3d, "adaptive_avg_pool3d")
adaptive_max_pool1d = _by_layer(torch_pooling.AdaptiveMaxPool1d, "adaptive_max_pool1d")
adaptive_max_pool2d = _by_layer(torch_pooling.AdaptiveMaxPool2d, "adaptive_max_pool2d")
adaptive_max_pool3d = _by_layer(torch_pooling.AdaptiveMaxPool3d, "adaptive_max_pool3d")
interpolate = _by_layer(torch_resizing.Upsample, "interpolate")
pixel_shuffle = _by_layer(torch_resizing.PixelShuffle, "pixel_shuffle")
pixel_unshuffle = _by_layer(torch_resizing.PixelUnshuffle, "pixel_unshuffle")


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Put a border around the last axes.

    Args:
        input: any shape.
        pad: the width of the border before and after the last axis, then of the axis before it, and so on, of up to three axes.
            Widths below 0 cut off.
        mode: "constant", "reflect", "replicate" or "circular".
        value: the number of a constant border, by default 0.

    Raises:
        ValueError: the widths are not in pairs, or the mode is unknown.

    >>> import fastnn
    >>> import fastnn.nn.functional as F
    >>> F.pad(fastnn.ones(1, 2), (1, 0)).tolist()
    [[0.0, 1.0, 1.0]]
    """
    x = floating("pad", as_tensor(input, "pad"))
    widths = tuple(pad)
    axes = len(widths) // 2
    if len(widths) % 2 or not 1 <= axes <= min(3, x.ndim):
        raise ValueError(f"pad: {len(widths)} widths for shape {x.shape}, wanted two for each of 1 to {min(3, x.ndim)} axes")
    sides = tuple((widths[2 * i], widths[2 * i + 1]) for i in reversed(range(axes)))
    lead = x.shape[: x.ndim - axes]
    images = reshape(x, (math.prod(lead), *x.shape[x.ndim - axes :], 1))
    if mode == "constant":
        y = padding.pad_constant(images, sides, 0.0 if value is None else float(value), "pad")
    else:
        y = padding.pad(images, sides, mode, "pad")
    return reshape(y, (*lead, *y.shape[1:-1]))
