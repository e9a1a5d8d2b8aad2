"""Figures without pyplot, and the parts that several plots have."""

from __future__ import annotations

import functools
import io
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interpret.pictures import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Path = str | os.PathLike[str] | None

SIGNED = "RdBu_r"
"""Colours of numbers of both signs: blue below 0, white at 0, red above."""
DPI = 150


def require() -> None:
    """ImportError, saying what to install, unless Matplotlib is there."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as e:
        raise ImportError("fastnn.plot needs Matplotlib, the extra 'plot': pip install matplotlib") from e


@functools.lru_cache(maxsize=1)
def _figure_class() -> Any:
    from matplotlib.figure import Figure

    class NotebookFigure(Figure):
        """Figure that notebooks show. Matplotlib's own is shown only if pyplot made it."""

        def _repr_png_(self) -> bytes:
            stream = io.BytesIO()
            self.savefig(stream, format="png")
            return stream.getvalue()

    return NotebookFigure


def start(op: str, path: Path) -> None:
    """Raise an error before any work if the path does not end as a figure can be written, or Matplotlib is missing."""
    if path is not None and os.path.splitext(path)[1].lower() not in (".png", ".pdf", ".svg"):
        raise ValueError(f"{op}: path is {os.fspath(path)!r}; wanted the name of a .png, .pdf or .svg file")
    require()


def new(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, which is not pyplot's: no display is needed, and no list keeps it alive."""
    figure: Figure = _figure_class()(figsize=(width, height), layout="constrained")
    return figure


def axes_on(ax: Axes | None, width: float, height: float) -> tuple[Figure, Axes]:
    """Return the figure of an Axes and the Axes, or a new figure with one."""
    if ax is not None:
        return ax.figure.figure, ax
    figure = new(width, height)
    return figure, figure.subplots()


def finished(figure: Figure, path: Path) -> Figure:
    """Write the figure, if there is a path, and return it."""
    if path is not None:
        figure.savefig(path, dpi=DPI)
    return figure


def shown(picture: Array) -> Array:
    """Return a picture (height, width, channels) as Matplotlib draws it: in colours if it has three channels, else grey."""
    if picture.shape[2] == 3:
        low, high = min(picture.min(), 0.0), picture.max()
        return np.asarray((picture - low) / max(high - low, np.finfo(np.float32).tiny))
    return np.asarray(picture.mean(axis=2))


def draw(ax: Axes, image: Array, title: str = "", **how: Any) -> Any:
    """Draw an image without ticks; return what a colour bar needs."""
    drawn = ax.imshow(image, **{"cmap": "gray", "interpolation": "nearest", **how})
    ax.set_xticks([])
    ax.set_yticks([])
    if title:
        ax.set_title(title, fontsize=9)
    return drawn


def gallery(images: Sequence[Array], titles: Sequence[str], heading: str = "", **how: Any) -> Figure:
    """Return a figure of images with titles, in rows. With a `cmap` of both signs, one colour bar is for all of them."""
    n = len(images)
    wanted = math.sqrt(1.6 * n)
    columns = min(range(4, 11), key=lambda c: (-n % c + abs(c - wanted), c)) if n > 4 else n
    rows = math.ceil(n / columns)
    lines = max(title.count("\n") + 1 if title else 0 for title in titles)
    width = max(1.15 * columns, 3.5)
    figure = new(width, (1.05 + 0.16 * lines) * rows * min(width / columns / 1.15, 1.6) + (0.35 if heading else 0))
    axes = figure.subplots(rows, columns, squeeze=False)
    drawn: Any = None
    for ax, image, title in zip(axes.flat, images, titles, strict=False):
        drawn = draw(ax, image, title, **how)
    for ax in axes.flat[n:]:
        ax.set_axis_off()
    if how.get("cmap") == SIGNED:
        figure.colorbar(drawn, ax=axes, shrink=0.8, aspect=30)
    if heading:
        figure.suptitle(heading, fontsize=11)
    return figure


def symmetric(array: Array) -> dict[str, Any]:
    """Return the arguments of imshow for numbers of both signs, with the same colours for numbers of the same size."""
    most = float(np.abs(array).max(initial=0.0)) or 1.0
    return {"cmap": SIGNED, "vmin": -most, "vmax": most}


def class_names(names: Sequence[Any] | None, count: int, op: str) -> list[str]:
    """Return the names of classes, by default their numbers."""
    if names is None:
        return [str(i) for i in range(count)]
    if len(names) != count:
        raise ValueError(f"{op}: {len(names)} names came for {count} classes")
    return [str(name) for name in names]
