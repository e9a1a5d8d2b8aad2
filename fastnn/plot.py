"""Plots of training; they need the ``plot`` extra (Matplotlib)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["history"]


def __dir__() -> list[str]:
    return sorted(__all__)


def require() -> None:
    """ImportError, saying what to install, unless Matplotlib is there."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as e:
        raise ImportError("fastnn.plot needs Matplotlib, the extra 'plot': pip install matplotlib") from e


def history(h: Any, path: str | os.PathLike[str] | None = None, ax: Axes | None = None) -> Axes:
    """Return the curves of a training: accuracies on the right axis, all else (losses, errors) on the left.

    h is what fit returned, or its ``history`` dict. Validation is drawn dashed in the colour of its training curve. With path
    the figure is written there, as PNG, PDF or SVG by its name. Draws on ax, or on a new figure that needs no display; gives
    the left Axes.

    Raises ImportError without Matplotlib, ValueError for a history with no epochs.
    """
    require()
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    curves: Mapping[str, Sequence[float]] = getattr(h, "history", h)
    if not isinstance(curves, Mapping) or not any(len(v) for v in curves.values()):
        raise ValueError("plot.history: there is no epoch in the history")
    # A Figure of its own, not pyplot's: no display is needed, and no global list keeps it alive.
    left = Figure(figsize=(7, 4.5), layout="constrained").subplots() if ax is None else ax
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
    if path is not None:
        left.figure.figure.savefig(path, dpi=150)
    return left


def _is_accuracy(name: str) -> bool:
    return "acc" in name
