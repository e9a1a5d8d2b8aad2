"""The curves of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .figure import Path, axes_on, finished, start

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def history(h: Any, path: Path = None, ax: Axes | None = None) -> Figure:
    """Draw the curves of a training: accuracies on the right axis, all else (losses, errors) on the left.

    Validation is drawn dashed in the colour of its training curve.

    Args:
        h: what fit returned, or its ``history`` dict.
        path: file to write the figure to: .png, .pdf or .svg.
        ax: Axes to draw on; by default those of a new figure.

    Returns:
        The figure; the first of its ``axes`` is the left one.

    Raises:
        ImportError: Matplotlib is missing.
        ValueError: the history has no epochs.

    >>> figure = history({"loss": [0.9, 0.5], "val_loss": [1.0, 0.8], "accuracy": [0.6, 0.7]})
    >>> [ax.get_ylabel() for ax in figure.axes]
    ['loss', 'accuracy']
    """
    start("plot.history", path)
    from matplotlib.ticker import MaxNLocator

    curves: Mapping[str, Sequence[float]] = getattr(h, "history", h)
    if not isinstance(curves, Mapping) or not any(len(v) for v in curves.values()):
        raise ValueError("plot.history: there is no epoch in the history")
    figure, left = axes_on(ax, 7, 4.5)
    right = left.twinx() if any(_is_accuracy(name) for name in curves) else None
    colours: dict[str, str] = {}
    lines = []
    for name, values in curves.items():
        base = name.removeprefix("val_")
        where = right if right is not None and _is_accuracy(name) else left
        colour = colours.setdefault(base, f"C{len(colours)}")
        style = "-" if base == name else "--"
        marker = "." if len(values) == 1 else ""  # a line through one point shows nothing
        lines += where.plot(range(1, len(values) + 1), values, style, color=colour, label=name, marker=marker)
    left.set_xlabel("epoch")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set_ylabel("loss")
    left.grid(alpha=0.3)
    if right is not None:
        right.set_ylabel("accuracy")
    (right or left).legend(handles=lines, loc="center right")  # on the upper Axes: no curve crosses it
    return finished(figure, path)


def _is_accuracy(name: str) -> bool:
    return "acc" in name
