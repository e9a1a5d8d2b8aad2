"""Cases of the augmentation family: flips, shifts and steps that are exact, turned and stretched images, places far outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.reference.augmentation import affine_transform_backward, affine_transform_forward
from fastnn.backends.spec.augmentation import FILL_MODES

from .case import Array, Case, Values

NEAREST, BILINEAR = 0, 1
CONSTANT = 0
KEEP = (1, 0, 0, 0, 1, 0)
FAR = (2.0**31 + 1, np.nan, -np.inf)


def _places(v: SimpleNamespace, shape: Sequence[int]) -> float:
    """Return how far places may be from 0; they are rounded to 2^-52 of that."""
    known = np.where(np.abs(v.matrix) < 2.0**31, np.abs(v.matrix), 0)
    return float(np.max(known @ [shape[2], shape[1], 1, 0, 0, 0] + known @ [0, 0, 0, shape[2], shape[1], 1], initial=0))


def _forward(v: SimpleNamespace, want: Values) -> Values:
    size = np.zeros(v.y.shape)
    affine_transform_forward(np, size, np.abs(v.x), v.matrix, v.interpolation, v.fill_mode, abs(v.fill_value))
    return {"y": 8 * v.eps * size + v.interpolation * 2.0**-49 * _places(v, v.y.shape)}


def _backward(v: SimpleNamespace, want: Values) -> Values:
    size, seen = np.zeros(v.dx.shape), np.zeros(v.dx.shape)
    affine_transform_backward(np, size, np.abs(v.dy), v.matrix, v.interpolation, v.fill_mode)
    affine_transform_backward(np, seen, np.ones(v.dy.shape), v.matrix, v.interpolation, v.fill_mode)
    each = v.dy.shape[1] * v.dy.shape[2]
    return {"dx": v.eps * (8 + np.minimum(4 * seen, each)) * size + v.interpolation * 2.0**-49 * each * _places(v, v.dy.shape)}


def _turned(rng: np.random.Generator, v: Values) -> Array:
    """Return maps that turn, stretch and move an image around its middle."""
    n, h, w, _ = (v["x"] if "x" in v else v["dy"]).shape
    angle, zoom = rng.uniform(-0.5, 0.5, n), rng.uniform(0.7, 1.5, (n, 2))
    a0, a1, b0, b1 = zoom[:, 0] * np.cos(angle), -np.sin(angle), np.sin(angle), zoom[:, 1] * np.cos(angle)
    move = rng.uniform(-0.1, 0.1, (n, 2)) * [w, h]
    x, y = (w - 1) / 2, (h - 1) / 2
    return np.stack([a0, a1, x - a0 * x - a1 * y + move[:, 0], b0, b1, y - b0 * x - b1 * y + move[:, 1]], 1)


def _warp(
    image: Sequence[int],
    matrix: Any,
    note: str,
    out: Sequence[int] | None = None,
    how: Sequence[int] = (NEAREST, BILINEAR),
    fill: Sequence[int] = range(len(FILL_MODES)),
    n: int = 0,
    **flags: Any,
) -> Iterable[Case]:
    n = n or (2 if callable(matrix) else len(matrix))
    height, width, channels = image
    sizes = dict(zip("NPQCHW", (n, *(out or image[:2]), channels, height, width), strict=True))
    for interpolation in how:
        for fill_mode in fill:
            choice = {"interpolation": interpolation, "fill_mode": fill_mode}
            common: dict[str, Any] = {"arrays": {"matrix": matrix}, "note": note, **flags}
            yield Case("affine_transform_forward", sizes, {**choice, "fill_value": 0.5}, error=_forward, **common)
            yield Case("affine_transform_backward", sizes, choice, error=_backward, **common | {"edges": False})


def _cases() -> Iterable[Case]:
    flips = [KEEP, (-1, 0, 6, 0, 1, 0), (1, 0, 0, 0, -1, 4), (-1, 0, 6, 0, -1, 4)]
    shifts = [(1, 0, -3, 0, 1, 2), (1, 0, 20, 0, 1, -9), (-1, 0, 2, 0, 1, -1), (1, 0, -16, 0, 1, 0)]
    yield from _warp((5, 7, 1), flips, "flips", edges=True)
    yield from _warp((5, 7, 3), shifts, "shifts", edges=True)
    yield from _warp((5, 7, 17), shifts, "shifts")
    yield from _warp((6, 5, 2), [(0, 1, 0, -1, 0, 4), (0, -1, 5, 1, 0, -1), (0.5, 0, 1.25, 0, 1, 0), (1, 0, 0.75, 0, 1, -0.25)],
                     "quarters", out=(5, 6), edges=True)  # fmt: skip
    yield from _warp((9, 11, 3), _turned, "turned", grad=True)
    yield from _warp((12, 10, 40), _turned, "turned", fill=(CONSTANT, 2))
    yield from _warp((4, 6, 3), _turned, "larger", out=(9, 13))
    yield from _warp((1, 1, 1), [(1, 0, 0, 0, 1, 0), (0.5, 0.25, -0.5, 0, 2, 0)], "one pixel", out=(2, 3))
    yield from _warp((3, 4, 2), [(a, b, c, *KEEP[3:]) for a, b, c in ((1, 0, FAR[0]), (0, 1, FAR[1]), (1, 1, FAR[2]))], "far")
    yield from _warp((3, 4, 2), [(1, 0, 1e9, 0, 1, -1e9), (2.0**30, 0, -(2.0**30), 0, 1, 0)], "near the limit")
    sizes = {"N": 0, "P": 4, "Q": 4, "C": 1, "H": 4, "W": 4}
    choice = {"interpolation": BILINEAR, "fill_mode": CONSTANT}
    yield Case("affine_transform_forward", sizes, {**choice, "fill_value": 0.0})
    yield Case("affine_transform_backward", sizes, choice)
    for image in ((28, 28, 1), (32, 32, 3)):
        crops = [(-1 if i % 2 else 1, 0, image[1] - 1 + i % 9 - 4 if i % 2 else i % 9 - 4, 0, 1, i % 7 - 3) for i in range(64)]
        yield from _warp(image, crops, "flip and crop", how=(NEAREST,), fill=(CONSTANT,), bench=True, test=False)
        yield from _warp(image, _turned, "turned", how=(BILINEAR,), fill=(CONSTANT, 2), n=64, bench=True, test=False)


CASES = list(_cases())
