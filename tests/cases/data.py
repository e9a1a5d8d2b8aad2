"""Cases of the data family: every index is read or skipped, never trusted."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np

from .case import Array, Case, Maker, Values


def _index(shape: tuple[int, ...], n: int, strays: bool = True) -> Maker:
    """Places 0..n-1, some counted from the end, and some outside."""

    def make(rng: np.random.Generator, v: Values) -> Array:
        index = rng.integers(-n - 2, n + 2, shape) if strays else rng.integers(0, n, shape)
        if strays and index.size > 3:
            index.flat[[0, -1]] = np.iinfo(np.int64).min, np.iinfo(np.int64).max
        return index

    return make


def _sum_error(add: Any) -> Any:
    """Return the error of sums of dy: add(place, size of dy) adds up the sizes."""

    def error(v: SimpleNamespace, want: Values) -> Values:
        total, count = np.zeros_like(want["dx"]), np.zeros_like(want["dx"])
        if getattr(v, "add", 0) & 1:
            total, count = total + np.abs(v.dx), count + 1
        add(total, np.abs(v.dy), v.index)
        add(count, np.ones_like(v.dy), v.index)
        return {"dx": v.eps * np.sqrt(count) * total}

    return error


def _added_to_unmarked(v: SimpleNamespace, want: Values) -> Values:
    """Compute the error of sums of dy, to which rows that are not marked add their old values."""
    before = np.where(v.touched[:, None], 0, v.dx)
    return _sum_error(_add_rows)(SimpleNamespace(**{**vars(v), "dx": before, "add": 1}), want)


def _add_rows(dx: Array, dy: Array, index: Array) -> None:
    inside = (index >= -len(dx)) & (index < len(dx))
    np.add.at(dx, index[inside], dy[inside])


def _add_places(dx: Array, dy: Array, index: Array) -> None:
    i, j, rest = np.nonzero((index >= -dx.shape[1]) & (index < dx.shape[1]))
    np.add.at(dx, (i, index[i, j, rest], rest), dy[i, j, rest])


def _rows(b: int, j: int, c: int, strays: bool = True, **flags: Any) -> Iterable[Case]:
    sizes, index = {"B": b, "J": j, "C": c}, {"index": _index((j,), b, strays)}
    yield Case("take_forward", sizes, arrays=index, touched={"x": j * c}, **flags)
    absent = ("touched",) if flags.get("grad") or flags.get("bench") else ()
    for add in (0, 3):
        yield Case("take_backward", sizes, {"add": add}, absent, arrays=index, error=_sum_error(_add_rows), **flags)
    if not flags.get("grad"):
        yield Case("take_backward_marked", sizes, arrays=index, error=_added_to_unmarked, **flags)


def _batch(b: int, j: int, c: int, q: int, cursor: int, **flags: Any) -> Case:
    arrays = {"index": _index((q,), b), "cursor": [cursor]}
    return Case(
        "gather_batch",
        {"B": b, "J": j, "C": c, "Q": q},
        arrays=arrays,
        note=f"at_{cursor}",
        touched={"x": j * c, "index": j},
        **flags,
    )


def _places(i: int, j: int, k: int, rest: int, strays: bool = True, **flags: Any) -> Iterable[Case]:
    sizes, index = {"I": i, "J": j, "K": k, "L": rest}, {"index": _index((i, j, rest), k, strays)}
    yield Case("gather_forward", sizes, arrays=index, touched={"x": i * j * rest}, **flags)
    yield Case("gather_backward", sizes, arrays=index, error=_sum_error(_add_places), **flags)


# B, J, C
SHAPES = ((0, 3, 5), (3, 0, 5), (3, 5, 0), (1, 1, 1), (10, 7, 1), (9, 33, 15), (9, 33, 16), (300, 64, 65), (50, 4000, 15))
# I, J, K, L
PLACES = ((0, 2, 3, 4), (2, 0, 3, 4), (2, 3, 0, 4), (1, 1, 1, 1), (3, 5, 4, 7), (1, 9, 5, 1), (40, 30, 20, 17))

CASES = [
    *(case for shape in SHAPES for case in _rows(*shape, edges=shape == (9, 33, 15))),
    *_rows(9, 33, 16, strays=False, grad=True, note="inside"),
    _batch(5, 3, 4, 5, 0),
    _batch(5, 3, 4, 5, 2, edges=True),
    _batch(5, 4, 4, 5, 3),
    *(_batch(5, 3, 4, 5, cursor) for cursor in (5, 6, -1, np.iinfo(np.int64).max)),
    _batch(0, 3, 4, 0, 0),
    _batch(4000, 32, 400, 4000, 96),
    _batch(700, 300, 65, 700, 400),
    *(case for sizes in PLACES for case in _places(*sizes, edges=sizes == (3, 5, 4, 7))),
    *_places(3, 5, 4, 7, strays=False, grad=True, note="inside"),
    *_rows(10000, 4096, 64, bench=True, test=False),
    _batch(4000, 32, 400, 4000, 64, bench=True, test=False),
    _batch(4000, 512, 784, 4000, 64, bench=True, test=False),
    *_places(64, 32, 128, 64, bench=True, test=False),
]
