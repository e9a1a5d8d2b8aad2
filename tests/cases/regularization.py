"""Cases of the regularization family: penalties of both kinds, and norms along each place of an axis."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np

from .case import Case, Values

WEIGHTS = {"l1": (0.01, 0.0), "l2": (0.0, 0.02), "both": (0.1, 0.3), "none": (0.0, 0.0)}
LENGTHS = (0, 1, 7, 15, 16, 17, 63, 65, 2047, 2049, 4133)
LIMITS = {"max": (0.0, 1.5, 1.0), "unit": (1.0, 1.0, 1.0), "slowly": (0.5, 2.0, 0.25)}


def _value(v: SimpleNamespace, want: Values) -> Values:
    return {"value": 2 * v.eps * want["value"] + np.finfo(np.float64).eps * (2 + len(v.x) ** 0.5 / 2) * want["value"]}


def _gradient(v: SimpleNamespace, want: Values) -> Values:
    l1, l2 = v.weights
    size = abs(v.dvalue) * (l1 * np.abs(np.sign(v.x)) + 2 * l2 * np.abs(v.x)) + (np.abs(v.dx) if v.add else 0)
    return {"dx": 4 * v.eps * size}


def _norms(v: SimpleNamespace, want: Values) -> Values:
    return {"w": (4 * v.eps + v.w.shape[1] * np.finfo(np.float64).eps) * np.abs(want["w"])}


def _penalty(n: int, name: str, add: int = 0, **flags: Any) -> Iterable[Case]:
    arrays = {"weights": WEIGHTS[name]}
    yield Case("penalty_forward", {"n": n}, arrays=arrays, error=_value, note=name, **flags)
    yield Case("penalty_backward", {"n": n}, {"add": add}, arrays=arrays, error=_gradient, note=name, **flags)


def _limit(a: int, b: int, c: int, name: str = "max", **flags: Any) -> Case:
    return Case("limit_norms", {"A": a, "B": b, "C": c}, arrays={"limits": LIMITS[name]}, error=_norms, note=name, **flags)


CASES = [
    *(case for name in WEIGHTS for case in _penalty(1009, name, edges=True, grad=name == "both")),
    *(case for n in LENGTHS for case in _penalty(n, "both", add=1)),
    *(case for n in (8191, 8193, 30011) for case in _penalty(n, "both")),
    *(_limit(3, 17, 7, name, edges=True) for name in LIMITS),
    *(_limit(1, b, c) for b in (0, 1, 5, 33) for c in (0, 1, 15, 16, 17, 63, 64, 65, 130)),
    *(_limit(1, 9, c) for c in (1023, 1024, 1025, 2100)),
    *(_limit(a, 100, 1) for a in (0, 1, 2, 31)),
    *(case for n in (1 << 16, 1 << 20) for case in _penalty(n, "l2", bench=True, test=False)),
    *(_limit(1, n, n, bench=True, test=False) for n in (128, 1024)),
]
