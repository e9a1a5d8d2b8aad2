"""Diagram of the layers of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import activations
from ..backends.spec import LINEAR
from ..nn.graph.sequential import Sequential
from ..nn.layers.merge import Residual
from ..nn.module import Module, tells_shape
from .figure import Path, finished, new, start

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 2.3, 0.48
"""Size of a box in inches."""
_ACROSS, _DOWN = 2.6, 0.9
"""Distance of the middles of boxes in inches."""
_LINE = 0.3
"""Width of the place for a line that passes boxes, where a box has 1."""
_COLOURS = {
    "Input": "#ffffff",
    "Conv": "#c6dbef",
    "Dense": "#fdd0a2",
    "Linear": "#fdd0a2",
    "Pool": "#c7e9c0",
    "Norm": "#dadaeb",
    "Add": "#fcc5c0",
    "Concatenate": "#fcc5c0",
}
"""Colours of layers whose class has this in its name; others are grey."""


class Box(NamedTuple):
    """Layer in the diagram: its name, class, note, the boxes that it is called on, and the shape of its output."""

    name: str
    kind: str
    note: str
    inputs: list[int]
    shape: str


class Place(NamedTuple):
    """Place in a level of the diagram: of a box, or of a line that passes the level, with the box from which it comes."""

    box: int
    passes: bool
    level: int
    inputs: list[int]


def network(model: Any, path: Path = None, input_shape: tuple[int, ...] | None = None) -> Figure:
    """Draw the layers of a model from top to bottom, with the shapes of what they pass on. None is the batch.

    A Sequential or a Residual inside of another one is drawn as its layers, a model inside of a functional model as one box.

    Args:
        model: `fastnn.Sequential`, ``nn.Sequential`` or a functional `fastnn.Model`.
        path: file to write the figure to: .png, .pdf or .svg.
        input_shape: shape of one sample, for a Sequential that does not know it; without it, shapes are question marks.

    Raises:
        ImportError: Matplotlib is missing.
        TypeError: the model has a hand-written forward, which does not tell the connections of its layers.

    >>> import fastnn
    >>> a, b = fastnn.Input(shape=(3,), name="a"), fastnn.Input(shape=(2,), name="b")
    >>> x = fastnn.Concatenate()([fastnn.Dense(4, name="inner")(a), b])
    >>> figure = network(fastnn.Model([a, b], fastnn.Dense(1, name="price")(x)))
    >>> [text.get_text() for text in figure.axes[0].texts][-1]
    'price: Dense\\n7 parameters'
    """
    start("plot.network", path)
    boxes, results = _boxes(model, input_shape)
    places, xs = _arranged(boxes)
    at = {p.box: (xs[i], -p.level * _DOWN) for i, p in enumerate(places) if not p.passes}
    left, right = min(xs) - _WIDTH / 2 - 0.1, max(xs) + _WIDTH / 2 + 0.1
    bottom = -(max(p.level for p in places) + 1) * _DOWN
    figure = new(right - left, _DOWN / 2 - bottom)
    ax = figure.add_subplot()

    from matplotlib.patches import FancyBboxPatch

    line: dict[str, Any] = {"color": "0.35", "linewidth": 1.1, "zorder": 1}

    def arrow(points: list[tuple[float, float]]) -> None:
        ax.plot(*zip(*points[:-1], strict=True), **line)
        ax.annotate("", points[-1], points[-2], arrowprops={"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, **line})

    for i, place in enumerate(places):
        if place.passes:
            continue
        for first in place.inputs:
            x, y = xs[i], -place.level * _DOWN
            points, j = [(x, y + _HEIGHT / 2)], first
            while places[j].passes:  # back along the line to its box
                level = -places[j].level * _DOWN
                points += [(xs[j], level - _HEIGHT / 2), (xs[j], level + _HEIGHT / 2)]
                j = places[j].inputs[0]
            points.append((xs[j], -places[j].level * _DOWN - _HEIGHT / 2))
            arrow(points[::-1])
    for i in results:
        x, y = at[i]
        arrow([(x, y - _HEIGHT / 2), (x, y - _DOWN + 0.02)])
    around = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    style = "round,pad=0,rounding_size=0.08"
    for i, box in enumerate(boxes):
        x, y = at[i]
        colour = next((c for key, c in _COLOURS.items() if key in box.kind), "#eeeeee")
        corner = (x - _WIDTH / 2, y - _HEIGHT / 2)
        ax.add_patch(FancyBboxPatch(corner, _WIDTH, _HEIGHT, boxstyle=style, facecolor=colour, edgecolor="0.3", zorder=2))
        below = y - _HEIGHT / 2 - 0.13
        ax.text(x, below, box.shape, fontsize=7, color="0.2", ha="center", va="center", zorder=3, bbox=around)
        text = f"{box.name}: {box.kind}" + (f"\n{box.note}" if box.note else "")
        ax.text(x, y, text, ha="center", va="center", fontsize=8, linespacing=1.3, zorder=4)
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, _DOWN / 2)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return finished(figure, path)


def _boxes(model: Any, input_shape: tuple[int, ...] | None) -> tuple[list[Box], list[int]]:
    """Return the boxes, inputs first, and the numbers of those whose outputs are the model's."""
    if not isinstance(model, Module):
        raise TypeError(f"plot.network: model is a {type(model).__name__}; wanted a model of fastnn")
    boxes: list[Box] = []
    if isinstance(model, Sequential) and _expands(model):
        shape = model.input_shape if input_shape is None else tuple(input_shape)
        boxes.append(Box("input", "Input", "", [], _text(shape)))
        last, _ = _chain(boxes, model, 0, shape, "")
        return boxes, [last]
    if getattr(model, "input_structure", None) is None or not hasattr(model, "calls"):
        name = type(model).__name__
        raise TypeError(f"plot.network: {name} has a hand-written forward; wanted a Sequential or a functional model")
    found: dict[Any, int] = {}
    for symbol, name in zip(model.inputs, model.input_names, strict=True):
        found[symbol] = len(boxes)
        boxes.append(Box(name, "Input", "", [], str(symbol.shape)))
    for call, name, arguments in model.calls():
        shapes = ", ".join(str(s.shape) for s in call.outputs)
        box = Box(name, type(call.module).__name__, _note(call.module), [found[s] for s in arguments], shapes)
        found |= dict.fromkeys((s for s in call.outputs if s not in found), len(boxes))
        boxes.append(box)
    return boxes, sorted({found[s] for s in model.outputs})


def _expands(layer: Module) -> bool:
    return type(layer).forward in (Sequential.forward, Residual.forward)


def _chain(boxes: list[Box], model: Sequential, before: int, shape: Any, prefix: str) -> tuple[int, Any]:
    """Append the layers of a Sequential that is called on a box; return the number of the last box, and its shape."""
    begin = before
    for name, layer in model.named_children():
        if isinstance(layer, Sequential) and _expands(layer):
            before, shape = _chain(boxes, layer, before, shape, f"{prefix}{name}.")
            continue
        shape = layer.output_shape(shape) if shape is not None and tells_shape(layer) else None
        boxes.append(Box(prefix + name, type(layer).__name__, _note(layer), [before], _text(shape)))
        before = len(boxes) - 1
    if isinstance(model, Residual):
        boxes.append(Box(prefix[:-1] or "sum", "Add", "", [before, begin], _text(shape)))
        before = len(boxes) - 1
    return before, shape


def _text(shape: Any) -> str:
    return "?" if shape is None else str((None, *shape))


def _note(layer: Any) -> str:
    """Return the activation and the number of parameters of a layer."""
    act = getattr(layer, "activation", LINEAR)
    label = "" if act == LINEAR else activations.label(act)
    named = label.get("name", "") if isinstance(label, dict) else str(label)
    if named == type(layer).__name__.lower():  # a layer ReLU
        named = ""
    count = sum(p.size for p in layer.parameters()) if layer.built else 0
    return ", ".join([*([named] if named else []), *([f"{count:,} parameters"] if count else [])])


def _arranged(boxes: list[Box]) -> tuple[list[Place], list[float]]:
    """Return the places in the diagram, and where their middles are across it.

    Each box is a level below the lowest of its inputs. Lines that pass levels have places of their own there (Sugiyama et al.,
    IEEE SMC 1981).
    """
    levels: list[int] = []
    for box in boxes:
        levels.append(1 + max((levels[i] for i in box.inputs), default=-1))
    for i, box in enumerate(boxes):  # inputs that are used further down go there
        if not box.inputs:
            levels[i] = max(min((levels[j] for j, other in enumerate(boxes) if i in other.inputs), default=1) - 1, 0)
    places: list[Place] = []
    ends: dict[tuple[int, int], int] = {}
    """Numbers of the places of a box and of the lines from it, by level."""
    for i in sorted(range(len(boxes)), key=levels.__getitem__):
        inputs = []
        for source in boxes[i].inputs:
            for level in range(levels[source] + 1, levels[i]):
                if (source, level) not in ends:
                    ends[source, level] = len(places)
                    places.append(Place(source, True, level, [ends[source, level - 1]]))
            inputs.append(ends[source, levels[i] - 1])
        ends[i, levels[i]] = len(places)
        places.append(Place(i, False, levels[i], inputs))
    return places, _across(places)


def _across(places: list[Place]) -> list[float]:
    """Return the middles of places: near their neighbours in other levels, boxes rather than lines, without overlaps."""
    beside: list[list[int]] = [[] for _ in places]
    for i, place in enumerate(places):
        for j in place.inputs:
            beside[i].append(j)
            beside[j].append(i)
    for i, place in enumerate(places):  # lines bend rather than rows of boxes
        boxes = [j for j in beside[i] if not places[j].passes]
        beside[i] = boxes if boxes and not place.passes else beside[i]
    rows = [[i for i, p in enumerate(places) if p.level == level] for level in range(max(p.level for p in places) + 1)]
    widths = [(_LINE if p.passes else 1.0) * _ACROSS for p in places]
    xs = [0.0] * len(places)
    for row in rows:  # in the order in which they came, boxes before the lines beside them
        row.sort(key=lambda i: places[i].passes)
        _apart(row, xs, widths, places)
    for sweep in range(8):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            for i in row:
                xs[i] = float(np.mean([xs[j] for j in beside[i]])) if beside[i] else xs[i]
            if sweep < 4:
                row.sort(key=xs.__getitem__)
            _apart(row, xs, widths, places)
    return xs


def _apart(row: list[int], xs: list[float], widths: list[float], places: list[Place]) -> None:
    """Move the places of a row as little as possible so that they do not overlap: isotonic regression of the free distances."""
    offsets, so_far = [], 0.0
    for before, i in zip([None, *row], row, strict=False):
        so_far += 0.0 if before is None else (widths[before] + widths[i]) / 2
        offsets.append(so_far)
    groups: list[tuple[float, float, int]] = []
    """Value, weight and size of each group of places that touch."""
    for i, offset in zip(row, offsets, strict=True):
        value, weight, size = xs[i] - offset, 0.01 if places[i].passes else 1.0, 1
        while groups and groups[-1][0] > value:
            v, w, n = groups.pop()
            value, weight, size = (v * w + value * weight) / (w + weight), w + weight, n + size
        groups.append((value, weight, size))
    values = [value for value, _, size in groups for _ in range(size)]
    for i, offset, value in zip(row, offsets, values, strict=True):
        xs[i] = value + offset
