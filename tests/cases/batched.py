"""Cases of the batched family: the products of attention's heads, and every way for matrices to lie in an array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.reference.batched import matmul_batched
from fastnn.core.layout import strides_of, within

from .case import Case, Values
from .dense import dot_error

Place = Sequence[int]
"""An offset, then strides."""


def _last(sizes: Sequence[int], place: Place) -> int:
    return 1 + place[0] + sum((n - 1) * s for n, s in zip(sizes, place[1:], strict=True) if s > 0) if all(sizes) else 0


def _error(v: SimpleNamespace, want: Values) -> Values:
    size = np.zeros(v.c.shape)
    matmul_batched(np, size, np.abs(v.a), np.abs(v.b), v.layout, abs(v.alpha), 0.0, v.precision)
    *batch, _, _, k = v.layout[0].tolist()
    added = math.prod(n for n, stride in zip(batch, v.layout[1, 1:].tolist(), strict=False) if n != 1 and stride == 0)
    return {"c": dot_error(k * added, v.eps, v.precision) * size + 2 * v.eps * abs(v.beta) * np.abs(v.c)}


def _case(
    note: str,
    sizes: Sequence[int],
    c: Place,
    a: Place,
    b: Place,
    alpha: float = 1.0,
    beta: float = 0.0,
    precision: int = 0,
    **flags: Any,
) -> Case:
    *batch, m, n, k = sizes
    own = [1 if stride == 0 else size for size, stride in zip(batch, c[1:], strict=False)]  # c's axes, but those it adds along
    counts = (_last((*own, m, n), c), _last((*batch, m, k), a), _last((*batch, k, n), b))
    fits = within(sizes, (c, a, b), counts)
    return Case(
        "matmul_batched",
        {"n": counts[0], "p": counts[1], "q": counts[2], "S": len(sizes)},
        {"alpha": alpha, "beta": beta, "precision": precision},
        arrays={"layout": [sizes, c, a, b]},
        error=_error if fits else None,
        note=note,
        **flags,
    )


def _whole(
    note: str, batch: Sequence[int], m: int, n: int, k: int, *scales: float, ta: int = 0, tb: int = 0, **flags: Any
) -> Case:
    """Batches of whole matrices, one after the other, transposed in memory where ta and tb say so."""

    def place(rows: int, columns: int, transposed: int) -> Place:
        steps = strides_of((*batch, rows, columns))
        return (0, *steps[:-2], 1, rows) if transposed else (0, *steps)

    return _case(note, (*batch, m, n, k), place(m, n, 0), place(m, k, ta), place(k, n, tb), *scales)


def _scores(batch: int, heads: int, t: int, d: int, **flags: Any) -> Case:
    """Q K^T, where Q and K are views of one array (batch, t, 3, heads, d)."""
    sizes, step, head = (batch, heads, t, t, d), t * 3 * heads * d, 3 * heads * d
    c = (0, heads * t * t, t * t, t, 1)
    return _case(
        f"scores_{batch}x{heads}x{t}x{d}", sizes, c, (0, step, d, head, 1), (heads * d, step, d, 1, head), d**-0.5, **flags
    )


def _values(batch: int, heads: int, t: int, d: int, **flags: Any) -> Case:
    """P V with V such a view, into an array (batch, t, heads, d)."""
    sizes, step, head = (batch, heads, t, d, t), t * 3 * heads * d, 3 * heads * d
    c, a = (0, t * heads * d, d, heads * d, 1), (0, heads * t * t, t * t, t, 1)
    return _case(f"values_{batch}x{heads}x{t}x{d}", sizes, c, a, (2 * heads * d, step, d, head, 1), **flags)


def _grouped(note: str, c: Place, a: Place, b: Place, *scales: float) -> Case:
    return _case(note, (2, 2, 3, 5, 7, 4), c, a, b, *scales)


SHAPES = ((1, 1, 1), (1, 300, 7), (3, 40, 130), (17, 9, 31), (33, 19, 4))
TRANSPOSED = ((0, 0), (0, 1), (1, 0), (1, 1))
CASES = [
    *(
        _whole(f"whole_{ta}{tb}_{m}x{n}x{k}", (3,), m, n, k, -1.5, 0.25 * (i % 2), ta=ta, tb=tb)
        for i, (m, n, k) in enumerate(SHAPES)
        for ta, tb in TRANSPOSED
    ),
    *(_whole(f"large_{ta}{tb}", (3,), 130, 140, 150, ta=ta, tb=tb) for ta, tb in TRANSPOSED),
    _whole("no_axes", (), 5, 7, 9),
    _whole("four_axes", (2, 1, 3, 2), 4, 5, 3, 0.5, 1.0),
    *(_whole(f"none_{'x'.join(map(str, s))}", s[:-3], *s[-3:], 1.0, 0.5) for s in ((0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5))),
    *(_whole(f"no_steps_{beta}", (2,), 3, 4, 0, 1.0, beta) for beta in (0.0, 0.5)),
    _scores(2, 3, 9, 8, edges=True),
    _scores(1, 1, 1, 1),
    _values(2, 3, 9, 8, edges=True),
    # Heads in groups: (batch, groups, heads of a group).
    _grouped("shared_b", (0, 210, 105, 35, 7, 1), (0, 120, 60, 20, 4, 1), (0, 56, 28, 0, 7, 1)),
    _grouped("shared_a", (0, 210, 105, 35, 7, 1), (0, 40, 20, 0, 4, 1), (0, 168, 84, 28, 7, 1)),
    _grouped("added_last", (0, 70, 35, 0, 7, 1), (0, 120, 60, 20, 4, 1), (0, 168, 84, 28, 7, 1), -1.5, 0.25),
    _grouped("added_first", (0, 0, 105, 35, 7, 1), (0, 120, 60, 20, 4, 1), (0, 168, 84, 28, 7, 1), 1.0, 1.0),
    _grouped("added_all", (0, 0, 0, 0, 7, 1), (0, 120, 60, 20, 1, 5), (0, 168, 84, 28, 1, 4)),
    _case("added_large", (3, 130, 140, 150), (0, 0, 140, 1), (0, 19500, 150, 1), (0, 21000, 140, 1), 1.0, 0.5),
    _case("added_none", (0, 3, 4, 5), (0, 0, 4, 1), (0, 15, 5, 1), (0, 20, 4, 1), 1.0, 0.5),
    # What lies between the matrices of c stays as it is.
    _case("spaced", (2, 5, 6, 7), (3, 50, 9, 1), (2, 50, 8, 1), (1, 70, 8, 1), 0.5, 0.5),
    _case("spaced_split", (2, 3, 5, 1500), (1, 30, 9, 1), (0, 4600, 1510, 1), (0, 9100, 6, 1), -1.5, 0.25),
    _case("backwards", (2, 3, 4, 5), (12, -12, 4, 1), (29, -15, -5, 1), (19, 20, -4, 1)),
    _case("windows", (4, 3, 1, 5), (0, 3, 1, 1), (0, 1, 2, 1), (0, 0, 1, 1)),
    # Layouts that do not fit.
    _case("beyond", (2, 3, 4, 5), (0, 12, 4, 1), (-1, 15, 5, 1), (0, 20, 4, 1)),
    _case("apart", (2, 3, 4, 5), (0, 12, 4, 1), (0, 30, 10, 2), (0, 20, 4, 1)),
    _case("apart_c", (2, 3, 4, 5), (0, 12, 1, 3), (0, 15, 5, 1), (0, 20, 4, 1)),
    _scores(2, 2, 17, 5, precision=1),
    _case("added_tf32", (3, 9, 5, 40), (0, 0, 5, 1), (0, 360, 40, 1), (0, 200, 5, 1), precision=2),
    _scores(8, 4, 64, 32, bench=True, test=False),
    _values(8, 4, 64, 32, bench=True, test=False),
    _scores(8, 4, 128, 64, bench=True, test=False),
]
