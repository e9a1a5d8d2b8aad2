"""The table that `model.summary()` prints."""

from __future__ import annotations

from typing import Any

from .parameter import stored


def summary(model: Any) -> str:
    """The model's layers with their output shapes and numbers of parameters, as text."""
    rows = [("Layer", "Output shape", "Parameters")]
    shape = getattr(model, "input_shape", None)
    for name, layer in list(model._modules.items()) or [("", model)]:
        label = f"{name} ({type(layer).__name__})".strip()
        if shape is not None and len(model._modules) and hasattr(model, "layers"):
            shape = layer.output_shape(shape)
        else:
            shape = None
        count = f"{_count(layer):,}" if layer.built else "not built yet"
        rows.append((label, "?" if shape is None else str((None, *shape)), count))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    line = "  ".join("-" * w for w in widths)
    table = [f"{a:{widths[0]}}  {b:{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
    lines = [f"{type(model).__name__}", line, table[0], line, *table[1:], line]
    if model.built:
        own = {stored(p) for p in model.parameters()}
        total, trained = sum(p.size for p in own), sum(p.size for p in own if p.requires_grad)
        size = sum(p.size * p.dtype.itemsize for p in own)
        frozen = f", {total - trained:,} frozen" if trained < total else ""
        lines.append(f"{total:,} parameters{frozen}, {_bytes(size)}")
    return "\n".join(lines)


def _count(layer: Any) -> int:
    return sum(p.size for p in layer.parameters())


def _bytes(n: int) -> str:
    size = float(n)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return ""
