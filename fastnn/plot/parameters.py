"""Weights of the layers: filters as pictures, and histograms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interpret.model import layer_name
from ..interpret.pictures import Array, Pictures
from ..nn.layers.convolution import Conv
from ..nn.layers.dense import Dense
from ..nn.module import Module
from ..nn.parameter import stored
from .figure import Path, draw, finished, gallery, new, start, symmetric

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def filters(model: Any, layer: Any = None, shape: tuple[int, int] | None = None, path: Path = None, limit: int = 64) -> Figure:
    """Draw the kernels of a convolution, or the weights of a dense layer that looks at an image, as pictures.

    Blue weights are negative, red ones positive. A filter of one channel is a picture of its own. A filter of several channels
    is a column of pictures, one for each channel.

    Args:
        model: a model, or a layer alone.
        layer: name, number or the layer itself; by default the first convolution or dense layer.
        shape: (height, width) of the image that a dense layer looks at; by default the model's image, or a square.
        path: file to write the figure to: .png, .pdf or .svg.
        limit: number of filters to draw; 16 at most for filters of several channels.

    Raises:
        ImportError: Matplotlib is missing.
        ValueError, TypeError: there is no such layer, it has no weights, or the weights are not those of images.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Dense(15, input_shape=(400,)), fastnn.Dense(10)])
    >>> figure = filters(model)
    >>> len(figure.axes), figure.axes[0].get_images()[0].get_array().shape
    (16, (20, 20))
    """
    op = "plot.filters"
    start(op, path)
    name, found = _weighted(model, layer, op)
    heading = f"{name} {type(found).__name__}".strip()
    if isinstance(found, Conv):
        if found._axes != 2:
            raise ValueError(f"{op}: {heading} has filters along {found._axes} axes; wanted 2, those of images")
        kernel = found._kernel.numpy()
        if kernel.shape[2] > 1:
            return finished(_by_channel(kernel, min(limit, 16), heading), path)
        images = kernel[:, :, 0].transpose(2, 0, 1)
    else:
        kernel = stored(found.kernel).numpy()
        if shape is None and isinstance(getattr(model, "input_shape", None), tuple) and len(model.input_shape) > 1:
            height, width, channels = Pictures(model, None, op).size
            shape = (height, width) if height * width * channels == len(kernel) and channels == 1 else None
        if shape is None:
            side = math.isqrt(len(kernel))
            shape = (side, side)
        if math.prod(shape) != len(kernel):
            raise ValueError(f"{op}: {heading} has {len(kernel)} inputs, no image of {shape[0]} x {shape[1]}; wanted shape=")
        images = kernel.T.reshape(-1, *shape)
    some = f", the first {limit} of {len(images)} filters" if len(images) > limit else f", {len(images)} filters"
    images = images[:limit]
    return finished(gallery(list(images), [""] * len(images), heading + some, **symmetric(images)), path)


def _by_channel(kernel: Array, limit: int, heading: str) -> Figure:
    """Return a figure of filters of several channels: a column for each filter, a row for each channel."""
    height, width, channels, count = kernel.shape
    rows, columns = min(channels, limit), min(count, limit)
    images = kernel[:, :, :rows, :columns].transpose(2, 3, 0, 1)
    mosaic = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for i, j in np.ndindex(rows, columns):
        top, left = i * (height + 1), j * (width + 1)
        mosaic[top : top + height, left : left + width] = images[i, j]
    figure = new(max(0.45 * columns, 2.5) + 1.5, max(0.45 * rows, 1.5) + 0.9)
    ax = figure.subplots()
    drawn = draw(ax, mosaic, heading, **symmetric(images))
    ax.set_xlabel("filters" if columns == count else f"filters, the first {columns} of {count}")
    ax.set_ylabel("channels" if rows == channels else f"channels, the first {rows} of {channels}")
    for side in ax.spines.values():
        side.set_visible(False)
    figure.colorbar(drawn, ax=ax, shrink=0.8)
    return figure


def _weighted(model: Any, layer: Any, op: str) -> tuple[str, Any]:
    """Return a layer with filters and its name."""
    if not isinstance(model, Module):
        raise TypeError(f"{op}: model is a {type(model).__name__}; wanted a model of fastnn")
    modules = dict(model.named_modules())
    if layer is None:
        name = next((name for name, m in modules.items() if isinstance(m, Conv | Dense)), None)
        if name is None:
            raise ValueError(f"{op}: the model has no convolution and no dense layer")
    else:
        name = layer_name(model, layer, op)
    found = modules[name]
    if not isinstance(found, Conv | Dense):
        raise ValueError(f"{op}: the layer {name!r} is a {type(found).__name__}; wanted a convolution or a dense layer")
    if not found.built:
        raise ValueError(f"{op}: the layer {name!r} has no weights yet, because the input shape is unknown")
    return name, found


def weights(model: Any, images: bool = False, path: Path = None) -> Figure:
    """Draw a histogram of each parameter, or its numbers as a picture.

    Args:
        model: a model with weights.
        images: draw each parameter as a picture instead: rows are outputs, or filters, and columns are their inputs.
        path: file to write the figure to: .png, .pdf or .svg.

    Raises:
        ImportError: Matplotlib is missing.
        ValueError, TypeError: the model has no weights.

    >>> import fastnn
    >>> figure = weights(fastnn.Sequential([fastnn.Dense(3, input_shape=(2,)), fastnn.Dense(1)]))
    >>> [ax.get_title() for ax in figure.axes]
    ['0.kernel (2, 3)', '0.bias (3,)', '1.kernel (3, 1)', '1.bias (1,)']
    """
    op = "plot.weights"
    start(op, path)
    if not isinstance(model, Module):
        raise TypeError(f"{op}: model is a {type(model).__name__}; wanted a model of fastnn")
    named = [(name, p, stored(p).numpy()) for name, p in model.named_parameters() if p.size]
    if not named:
        raise ValueError(f"{op}: the model has no weights" + ("" if model.built else " yet, because the input shape is unknown"))
    columns = min(len(named), 4 if len(named) != 6 else 3)
    columns = 2 if len(named) in (2, 4) else columns
    rows = math.ceil(len(named) / columns)
    figure = new(max(3.0 * columns, 4), 2.1 * rows)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax, (name, p, values) in zip(axes.flat, named, strict=False):
        title = f"{name} {tuple(p.shape)}"
        if images:
            table = values.reshape(-1, values.shape[-1]).T if values.ndim > 1 else values.reshape(1, -1)
            figure.colorbar(draw(ax, table, title, aspect="auto", **symmetric(table)), ax=ax)
        else:
            ax.hist(values.ravel(), bins=min(max(int(math.sqrt(values.size)), 5), 60), color="C0")
            ax.set_title(title, fontsize=9)
            ax.tick_params(labelsize=8)
            ax.axvline(0, color="black", linewidth=0.6)
    for ax in axes.flat[len(named) :]:
        ax.set_axis_off()
    return finished(figure, path)
