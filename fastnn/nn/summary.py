"""The table that `model.summary()` prints."""

from __future__ import annotations

from typing import Any

from ..core.html import escaped, table
from .parameter import stored

UNUSED = frozenset({"line_length", "positions", "expand_nested", "show_trainable", "layer_range"})
"""Keras's arguments of `summary` that have no effect."""


def summary(model: Any) -> str:
    """Return a table of the layers: output shapes, numbers of parameters, and in a graph the inputs of each call."""
    rows = _table(model)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    line = "  ".join("-" * w for w in widths)
    table = [
        "  ".join(f"{cell:{'>' if i == 2 else '<'}{w}}" for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    lines = [f"{type(model).__name__}", line, table[0].rstrip(), line, *(row.rstrip() for row in table[1:]), line, _total(model)]
    return "\n".join(lines).rstrip("\n")


def summary_html(model: Any) -> str:
    """Return the table as HTML, which notebooks show."""
    names, *rows = _table(model)
    return f"<b>{escaped(type(model).__name__)}</b>{table(names, rows, left=(0, 1, 3))}<div>{escaped(_total(model))}</div>"


def _table(model: Any) -> list[tuple[str, ...]]:
    """Return the rows of the table, the names of its columns first."""
    if hasattr(model, "calls") and model.input_structure is not None:
        return [("Layer", "Output shape", "Parameters", "Called on"), *_graph_rows(model)]
    return [("Layer", "Output shape", "Parameters"), *_rows(model)]


def _total(model: Any) -> str:
    """Return the number of all parameters; "" if the model is not built."""
    if not model.built:
        return ""
    own = {stored(p) for p in model.parameters()}
    total, trained = sum(p.size for p in own), sum(p.size for p in own if p.requires_grad)
    size = sum(p.size * p.dtype.itemsize for p in own)
    frozen = f", {total - trained:,} frozen" if trained < total else ""
    return f"{total:,} parameters{frozen}, {_bytes(size)}"


def _rows(model: Any) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    seen: set[Any] = set()
    layers = list(model._modules.items()) or [("", model)]
    shapes = model.shapes() if hasattr(model, "shapes") else [None] * len(layers)
    for (name, layer), shape in zip(layers, shapes or [None], strict=True):
        rows.append((_label(_shown(name, layer), layer), "?" if shape is None else str((None, *shape)), _count(layer, seen)))
    return rows


def _graph_rows(model: Any) -> list[tuple[str, ...]]:
    """List the inputs, then the calls in order; a shared layer has a row for each call."""
    names: dict[Any, str] = {}
    rows: list[tuple[str, ...]] = []
    seen: set[Any] = set()
    for symbol, name in zip(model.inputs, model.input_names, strict=True):
        names[symbol] = name
        rows.append((f"{name} (Input)", str(symbol.shape), "", ""))
    for call, name, arguments in model.calls():
        names.update(dict.fromkeys(call.outputs, name))
        shapes = ", ".join(str(s.shape) for s in call.outputs)
        on = ", ".join([*(names[s] for s in arguments), *(f"{key}={value}" for key, value in call.options.items())])
        rows.append((_label(name, call.module), shapes, _count(call.module, seen), on))
    return rows


def _shown(name: str, layer: Any) -> str:
    """Return the name of a layer if it has one; otherwise its number or attribute in the model."""
    own = getattr(layer, "name", None)
    return own if isinstance(own, str) and name else name


def _label(name: str, layer: Any) -> str:
    return f"{name} ({type(layer).__name__})".strip()


def _count(layer: Any, seen: set[Any]) -> str:
    """Return the number of parameters of a layer; "shared" if it was counted before."""
    if not layer.built:
        return "not built yet"
    again = layer in seen
    seen.add(layer)
    return "shared" if again and any(True for _ in layer.parameters()) else f"{sum(p.size for p in layer.parameters()):,}"


def _bytes(n: int) -> str:
    size = float(n)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return ""
