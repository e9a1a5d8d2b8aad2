"""Text on the terminal: bars, small drawings of images, tables."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def bars(p: Array, image: Array | None = None, names: Sequence[str] | None = None) -> list[str]:
    """Draw probabilities as bars, one class in a line, and beside them the image, if there is one."""
    blocks = _can_print("█▏▀▄")
    drawing = [] if image is None else _draw(image, blocks)
    width = max(map(len, drawing), default=0)
    labels = labels_of(len(p), names)
    longest = max(map(len, labels), default=0)
    lines = [f"{label:>{longest}} {_bar(float(q), 24, blocks)} {q:.4f}" for label, q in zip(labels, p, strict=True)]
    rows = max(len(drawing), len(lines))
    drawing += [""] * (rows - len(drawing))
    lines += [""] * (rows - len(lines))
    gap = 3 if width else 0
    return [f"  {left:{width + gap}}{right}".rstrip() for left, right in zip(drawing, lines, strict=True)]


def labels_of(n: int, names: Sequence[str] | None) -> list[str]:
    """Return how n classes are called: by their names, if there are n of them, else by their numbers."""
    named = names if names is not None and len(names) == n else list(map(str, range(n)))
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        return [name.encode(encoding, "replace").decode(encoding) for name in named]
    except LookupError:
        return [name.encode("ascii", "replace").decode() for name in named]


def _bar(q: float, width: int, blocks: bool) -> str:
    eighths = round(8 * width * min(max(q, 0.0), 1.0)) if math.isfinite(q) else 0
    full, rest = divmod(eighths, 8)
    bar = "█" * full + " ▏▎▍▌▋▊▉"[rest] * (rest > 0) if blocks else "#" * round(eighths / 8)
    return f"{bar:{width}}"


def _draw(image: Array, blocks: bool) -> list[str]:
    """Draw two rows of pixels in each line of text, as half blocks or as shades of ASCII."""
    top = float(image.max())
    light = image.astype(np.float64) / top if top > 0 else np.zeros(image.shape)
    if len(light) % 2:
        light = np.vstack([light, np.zeros_like(light[:1])])
    upper, lower = light[::2], light[1::2]
    if blocks:
        codes = (upper > 0.4).astype(int) + 2 * (lower > 0.4)
        return ["".join(" ▀▄█"[c] for c in row) for row in codes]
    shades = " .:-=+*#%@"
    codes = np.rint((upper + lower) / 2 * (len(shades) - 1)).astype(int)
    return ["".join(shades[c] for c in row) for row in codes]


def _can_print(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
