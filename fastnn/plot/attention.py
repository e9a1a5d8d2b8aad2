"""Draw where the tokens of a sequence look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import interpret
from .figure import Path, draw, finished, new, start

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def attention(
    model: Any,
    *inputs: Any,
    layers: Sequence[Any] | None = None,
    tokens: Sequence[Any] | None = None,
    source: Sequence[Any] | None = None,
    path: Path = None,
) -> Figure:
    """Draw the weights of attention of a model for one sequence: a row of maps for each layer, a map for each head.

    Row i of a map shows how much token i gets from each of the tokens j, which are its columns: nothing is white, all is dark.

    Args:
        model, inputs, layers: as for `fastnn.interpret.attention`.
        tokens: texts of the tokens, to write beside the maps; by default their numbers.
        source: texts of the columns, for tokens that attend to another sequence; by default those of `tokens`. If the layers of a
            model read different sequences, choose those of one kind by `layers`.
        path: file to write the figure to: .png, .pdf or .svg.

    Raises:
        ImportError: Matplotlib is missing.
        ValueError: the model has no layers of attention, or not these; or the number of texts is not that of tokens.

    >>> import fastnn
    >>> model = fastnn.models.GPT(vocabulary=10, context=8, width=8, layers=2, heads=2)
    >>> figure = attention(model, [1, 2, 3], tokens=["the", "cat", "sat"])
    >>> [ax.get_title() for ax in figure.axes]
    ['blocks.0.attention, head 0', 'head 1', 'blocks.1.attention, head 0', 'head 1']
    """
    op = "plot.attention"
    start(op, path)
    found = interpret.attention(model, *inputs, layers=layers)
    columns = max(len(weights) for weights in found.values())
    longest = max(max(weights.shape[1:]) for weights in found.values())
    size = min(max(1.6, 0.28 * longest), 6.0)
    figure = new(size * columns + 0.5, (size + 0.3) * len(found))
    axes = figure.subplots(len(found), columns, squeeze=False)
    for row, (name, weights) in zip(axes, found.items(), strict=True):
        for ax in row[len(weights) :]:
            ax.set_axis_off()
        for head, (ax, one) in enumerate(zip(row, weights, strict=False)):
            draw(ax, one, f"{name}, head {head}" if head == 0 else f"head {head}", cmap="Blues", vmin=0.0, vmax=1.0)
            _write(ax, tokens, one.shape[0], "y", op, name)
            _write(ax, tokens if source is None else source, one.shape[1], "x", op, name)
    return finished(figure, path)


def _write(ax: Any, texts: Sequence[Any] | None, count: int, axis: str, op: str, name: str) -> None:
    """Write texts beside the rows or columns of a map."""
    if texts is None:
        return
    if len(texts) != count:
        raise ValueError(f"{op}: {len(texts)} texts came for {count} tokens of {name}")
    ticks: dict[str, Any] = {"labels": [str(text) for text in texts], "fontsize": 7}
    if axis == "x":
        ax.set_xticks(range(count), **ticks, rotation=90)
    else:
        ax.set_yticks(range(count), **ticks)
