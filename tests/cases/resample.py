"""Cases of the resample family: no place, one, several and places outside, and rows of one number, a few and many."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from .case import Array, Case, Values


def _index(rng: np.random.Generator, v: Values, shape: tuple[int, int], n: int) -> Array:
    index = rng.integers(0, max(1, n), shape)
    places = rng.integers(0, shape[1] + 1, shape[0])
    for j, count in enumerate(places):
        index[j, count:] = (
            (-1, n, np.iinfo(np.int64).min, np.iinfo(np.int64).max)[j % 4] if count < shape[1] else index[j, count:]
        )
    return index


def _error(v: SimpleNamespace, want: Values) -> Values:
    inside = np.logical_and.accumulate((v.index >= 0) & (v.index < v.x.shape[1]), axis=1)
    size = np.zeros(v.y.shape)
    for k in range(v.index.shape[1]):
        j = inside[:, k]
        size[:, j] += np.abs(v.weight[j, k, None] * v.x[:, v.index[j, k]])
    return {"y": v.eps * (1 + v.index.shape[1]) * size + v.eps * abs(v.value)}


def _case(a: int, i: int, j: int, c: int, k: int, **flags: Any) -> Case:
    arrays = {"index": lambda rng, v: _index(rng, v, (j, k), i)}
    return Case("resample", {"A": a, "I": i, "J": j, "C": c, "K": k}, {"value": 0.75}, arrays=arrays, error=_error, **flags)


def _copied(c: int) -> Case:
    """Parts of an axis that are copied as they are, whose weights are 1, between others."""
    rows = [[3, 2], [-1, 0], *([i, -1] for i in range(1, 9)), [0, -1], [1, -1], [2, 4], [3, -1], [4, -1], [5, -1]]
    weight = [[1.0, 0.5] if len(row) > 1 and row[1] >= 0 else [1.0, 0.0] for row in rows]
    sizes = {"A": 3, "I": 9, "J": len(rows), "C": c, "K": 2}
    return Case("resample", sizes, {"value": -1.0}, arrays={"index": rows, "weight": weight}, error=_error, note="copied")


CASES = [
    _case(2, 5, 8, 1, 1),
    _case(3, 7, 4, 3, 2, edges=True),
    _case(2, 4, 9, 17, 4),
    _case(1, 6, 6, 64, 2),
    _case(1, 1, 1, 1, 1),
    _case(0, 3, 4, 5, 2),
    _case(2, 0, 4, 5, 2),
    _case(2, 3, 0, 5, 2),
    _case(2, 3, 4, 0, 2),
    _case(2, 3, 9, 1, 0),
    *(_copied(c) for c in (1, 2, 3, 5, 200)),
    _case(40, 30, 61, 33, 2),
    _case(64 * 28, 28, 56, 32, 2, bench=True, test=False),
]
