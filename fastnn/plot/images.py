"""What the layers see in an image, and what they would like to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import interpret
from ..interpret.model import Copy, class_number, layer_name
from ..interpret.pictures import Array, Pictures, picture_of
from .figure import Path, class_names, draw, finished, gallery, new, shown, start, symmetric

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def activations(model: Any, image: Any, layers: Sequence[Any] | None = None, path: Path = None, limit: int = 16) -> Figure:
    """Draw the maps of each layer for one image, one row for each layer; neurons without maps are a strip of squares.

    Each layer has its own scale, from its least number (dark) to its largest (bright).

    Args:
        model, image, layers: as for `fastnn.interpret.activations`. By default, layers that pass their input on unchanged, such
            as Flatten, are left out.
        path: file to write the figure to: .png, .pdf or .svg.
        limit: number of maps to draw of a layer.

    Raises:
        ImportError: Matplotlib is missing.
        ValueError, TypeError: there is no such layer, or the image does not fit the model.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Conv2D(4, 3, input_shape=(8, 8, 1)), fastnn.Flatten(), fastnn.Dense(2)])
    >>> figure = activations(model, fastnn.rand(8, 8))
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['image', '0 Conv2D: 4 maps of 6 x 6', '2 Dense: 2 neurons']
    """
    op = "plot.activations"
    start(op, path)
    found = interpret.activations(model, image, layers)
    form, picture = picture_of(model, image, op)
    modules = {name or type(m).__name__: m for name, m in model.named_modules()}
    rows: list[tuple[str, Array]] = []
    before = picture[None]
    for name, value in found.items():
        if layers is None and value.size == before.size and np.array_equal(value.ravel(), before.ravel()):
            continue
        before = value
        kind = type(modules[name.split(" (")[0]]).__name__
        title = name if name == kind else f"{name} {kind}"
        if value.ndim == 3 and value.size > value.shape[0 if form.first else 2]:
            maps = value if form.first else value.transpose(2, 0, 1)
            some = f", the first {limit}" if len(maps) > limit else ""
            rows.append((f"{title}: {len(maps)} maps of {maps.shape[1]} x {maps.shape[2]}{some}", _strip(maps[:limit], limit)))
        else:
            flat = value.reshape(-1, 1, 1)
            rows.append((f"{title}: {len(flat)} neurons", _strip(flat[: 8 * limit], min(max(len(flat), 2 * limit), 8 * limit))))
    width = 10.0
    heights = [1.3, *(max(width * a.shape[0] / a.shape[1], 0.15) for _, a in rows)]
    figure = new(width, sum(heights) + 0.35 * len(heights))
    axes = figure.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for ax, (title, a) in zip(axes, [("image", shown(picture)), *rows], strict=True):
        draw(ax, a, cmap="gray" if title == "image" else "viridis", aspect="equal")
        ax.set_anchor("W")
        ax.set_frame_on(False)
        ax.set_title(title, loc="left", fontsize=9)
    return finished(figure, path)


def _strip(maps: Array, columns: int) -> Array:
    """Return maps (n, height, width) side by side, with empty columns between them, as wide as so many maps."""
    height, width = maps.shape[1:]
    gap = max(width // 12, 1) if width > 1 else 0
    strip = np.full((height, columns * (width + gap) - gap), np.nan)
    for i, one in enumerate(maps):
        strip[:, i * (width + gap) : i * (width + gap) + width] = one
    return strip


def saliency(model: Any, image: Any, class_: int | None = None, names: Sequence[Any] | None = None, path: Path = None) -> Figure:
    """Draw an image beside the gradient of the score of a class by its pixels.

    Where the gradient is red, a larger number raises the score; where it is blue, a smaller one. Of images in colours, the
    largest size of the three gradients is drawn.

    Args:
        model, image, class_: as for `fastnn.interpret.saliency`.
        names: names of the classes.
        path: file to write the figure to: .png, .pdf or .svg.

    Raises:
        ImportError: Matplotlib is missing.
        ValueError, TypeError: there is no such class, or the image does not fit the model.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Conv2D(4, 3, input_shape=(8, 8, 1)), fastnn.Flatten(), fastnn.Dense(2)])
    >>> figure = saliency(model, fastnn.rand(8, 8), class_=1, names=["cat", "dog"])
    >>> [ax.get_title() for ax in figure.axes]
    ['image', 'gradient of the score of dog', '']
    """
    op = "plot.saliency"
    start(op, path)
    form, picture = picture_of(model, image, op)
    class_, name = _named_class(model, form, picture, class_, names, op)
    gradient = form.to_pictures(interpret.saliency(model, image, class_).reshape(1, *form.sample))[0]
    one = gradient.shape[2] == 1
    lens = gradient[:, :, 0] if one else np.abs(gradient).max(axis=2)
    figure = new(6.6, 3.2)
    left, right = figure.subplots(1, 2)
    draw(left, shown(picture), "image")
    drawn = draw(right, lens, f"gradient of the score of {name}", **(symmetric(lens) if one else {"cmap": "magma"}))
    figure.colorbar(drawn, ax=right, shrink=0.85)
    return finished(figure, path)


def occlusion(
    model: Any,
    image: Any,
    class_: int | None = None,
    names: Sequence[Any] | None = None,
    path: Path = None,
    size: int | None = None,
    stride: int | None = None,
    fill: float | None = None,
) -> Figure:
    """Draw an image, and beside it how far the score of a class falls when a patch covers each place.

    Red places speak for the class: without them, its score falls. Where it is blue, the score rises.

    Args:
        model, image, class_, size, stride, fill: as for `fastnn.interpret.occlusion`.
        names: names of the classes.
        path: file to write the figure to: .png, .pdf or .svg.

    Raises:
        ImportError: Matplotlib is missing.
        ValueError, TypeError: there is no such class, or the image does not fit the model.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Conv2D(4, 3, input_shape=(8, 8, 1)), fastnn.Flatten(), fastnn.Dense(2)])
    >>> figure = occlusion(model, fastnn.rand(8, 8), class_=1, names=["cat", "dog"])
    >>> [ax.get_title() for ax in figure.axes]
    ['image', 'fall of the score of dog', '']
    """
    op = "plot.occlusion"
    start(op, path)
    form, picture = picture_of(model, image, op)
    class_, name = _named_class(model, form, picture, class_, names, op)
    falls = interpret.occlusion(model, image, class_, size, stride, fill)
    height, width = picture.shape[:2]
    figure = new(6.6, 3.2)
    left, right = figure.subplots(1, 2)
    draw(left, shown(picture), "image")
    # The places are the centres of their pixels, so with a stride they reach beyond the last pixel.
    step = -(-height // len(falls))
    extent = (-step / 2, falls.shape[1] * step - step / 2, len(falls) * step - step / 2, -step / 2)
    drawn = draw(right, falls, f"fall of the score of {name}", extent=extent, **symmetric(falls))
    right.set_xlim(-0.5, width - 0.5)
    right.set_ylim(height - 0.5, -0.5)
    figure.colorbar(drawn, ax=right, shrink=0.85)
    return finished(figure, path)


def maximise(
    model: Any,
    layer: Any = None,
    units: int | Sequence[int] | None = None,
    names: Sequence[Any] | None = None,
    path: Path = None,
    **how: Any,
) -> Figure:
    """Draw the images that classes, channels or neurons like best.

    Args:
        model, layer, units, how: as for `fastnn.interpret.maximise`; by default all classes, or the first 32 units of a layer.
        names: names of the classes, if there is no layer.
        path: file to write the figure to: .png, .pdf or .svg.

    Raises:
        ImportError: Matplotlib is missing.
        ValueError, TypeError: there is no such layer or unit, or the shape of the images is unknown.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Conv2D(4, 3, input_shape=(8, 8, 1)), fastnn.Flatten(), fastnn.Dense(2)])
    >>> figure = maximise(model, names=["cat", "dog"], steps=5)
    >>> [ax.get_title() for ax in figure.axes]
    ['cat', 'dog']
    """
    op = "plot.maximise"
    start(op, path)
    form = Pictures(model, how.get("shape"), op)
    given = [units] if isinstance(units, int | np.integer) else units
    images = interpret.maximise(model, layer, given, **how)
    low, high = how.get("values", (0.0, 1.0))
    chosen = list(range(len(images))) if given is None else list(given)
    heading = ""
    if layer is None:
        count = len(images) if given is None else max(*chosen, len(names or ()) - 1) + 1
        titles = [class_names(names, count, op)[i] for i in chosen]
    else:
        titles = [str(i) for i in chosen]
        name = layer_name(model, layer, op)
        heading = f"{name} {type(dict(model.named_modules())[name]).__name__}"
    pictures = (form.to_pictures(images) - low) / (high - low)
    drawn = [p if p.shape[2] == 3 else p.mean(axis=2) for p in pictures]
    return finished(gallery(drawn, titles, heading, vmin=0, vmax=1), path)


def _named_class(
    model: Any, form: Pictures, picture: Array, class_: int | None, names: Sequence[Any] | None, op: str
) -> tuple[int, str]:
    """Return a class, by default the predicted one, and its name."""
    twin = Copy(model, op)
    samples = form.to_samples(picture[None])
    twin.without_softmax(samples)
    scores = twin.scores(samples)[0]
    number = class_number(class_, scores, op)
    return number, class_names(names, len(scores), op)[number]
