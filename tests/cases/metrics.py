"""Cases of the metrics family: sums in float64 that go on from what is there."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np

from .case import Case, Maker, Values

EPS = float(np.finfo(np.float64).eps)


def _sum_error(v: SimpleNamespace, want: Values) -> Values:
    """Both sums are of numbers that are not negative, in float64."""
    rows = len(v.sample_weight) or 2
    return {"total": EPS * (4 + rows**0.5) * (np.abs(want["total"]) + np.abs(v.total))}


def _mean_rows_error(v: SimpleNamespace, want: Values) -> Values:
    return {"total": EPS * (4 + len(v.values) ** 0.5) * (np.abs(want["total"]) + np.abs(v.total))}


def _count_error(v: SimpleNamespace, want: Values) -> Values:
    """Sums of weights."""
    rows = len(v.sample_weight) or 2
    return {name: EPS * (4 + rows**0.5) * (np.abs(a) + np.abs(v.sample_weight).sum()) for name, a in want.items()}


def _r2_error(v: SimpleNamespace, want: Values) -> Values:
    """Sums of rows; means are off by so much of the greatest number, and what lies around them by its square."""
    greatest = [np.abs(np.nan_to_num(a, nan=0)).max(initial=0) for a in (v.target, v.pred)]
    rows, most = 4 + len(v.pred) ** 0.5, 4 + sum(greatest)
    total = 1 + np.abs(v.state[:1]) + np.abs(v.sample_weight).sum() + len(v.pred)
    return {"state": EPS * 4 * rows * np.concatenate([total, most + 0 * total, total * most**2, total * most**2])}


def _coarse(m: int, n: int) -> Maker:
    """On a coarse grid the greatest value is there more than once."""
    return lambda rng, v: rng.integers(0, 6, (m, n)) / 4


def _metrics(m: int, n: int, weighted: bool, **flags: Any) -> Iterable[Case]:
    sizes, span = {"M": m, "N": n}, {"total": (0.0, 9.0), "sample_weight": (0.0, 2.0)}
    common: dict[str, Any] = {"absent": () if weighted else ("sample_weight",), "spans": span, "error": _sum_error, **flags}
    labels: Maker = lambda rng, v: rng.integers(-1, n + 1, m)  # noqa: E731
    bits: Maker = lambda rng, v: rng.integers(0, 2, (m, n))  # noqa: E731
    yield Case("sparse_accuracy", sizes, arrays={"p": _coarse(m, n), "labels": labels}, **common)
    yield Case("categorical_accuracy", sizes, arrays={"p": _coarse(m, n), "targets": bits}, **common)
    yield Case("binary_accuracy", sizes, {"threshold": 0.5}, arrays={"p": _coarse(m, n), "targets": bits}, **common)
    for power in (1, 2):
        yield Case("error_metric", sizes, {"power": power}, **common)
    for k in (1, 3):
        yield Case("top_k_accuracy", sizes, {"k": k}, arrays={"p": _coarse(m, n), "labels": labels}, **common)
    if n < 100:
        counts = {**common, "spans": {**span, "matrix": (0.0, 9.0), "counts": (0.0, 9.0)}, "error": _count_error}
        yield Case("confusion_matrix", sizes, arrays={"p": _coarse(m, n), "labels": labels}, **counts)
        grid = {"p": _coarse(m, n), "targets": bits, "thresholds": [0.25, 0.5, 2.0]}
        yield Case("threshold_counts", {**sizes, "H": 3}, arrays=grid, **counts)
    state: Maker = lambda rng, v: [rng.uniform(low, high, n) for low, high in ((1, 9), (-1, 1), (1, 9), (1, 9))]  # noqa: E731
    yield Case("r2_metric", sizes, arrays={"state": state}, **{**common, "error": _r2_error})


def _rows(m: int, weighted: bool, **flags: Any) -> Case:
    spans = {"total": (0.0, 9.0), "values": (0.0, 2.0), "sample_weight": (0.0, 2.0)}
    absent = () if weighted else ("sample_weight",)
    return Case("mean_rows", {"M": m}, absent=absent, spans=spans, error=_mean_rows_error, **flags)


def _left_out(m: int, n: int) -> Iterable[Case]:
    """Rows of weight 0, the first of them and every third one, that are NaN."""
    weights = np.where(np.arange(m) % 3, 1.5, 0.0)
    common: dict[str, Any] = {"spans": {"total": (0.0, 9.0)}, "error": _sum_error, "note": "left out"}

    def rows(rng: np.random.Generator, v: SimpleNamespace) -> Values:
        return np.where(weights[:, None] == 0, np.nan, rng.uniform(-2, 2, (m, n)))

    given: dict[str, Any] = {"sample_weight": weights, "pred": rows, "target": rows}
    sizes = {"M": m, "N": n}
    yield Case("error_metric", sizes, {"power": 2}, arrays=given, **common)
    state: Maker = lambda rng, v: [rng.uniform(low, high, n) for low, high in ((1, 9), (-1, 1), (1, 9), (1, 9))]  # noqa: E731
    yield Case("r2_metric", sizes, arrays={**given, "state": state}, **{**common, "error": _r2_error})
    first: Maker = lambda rng, v: rows(rng, v)[:, 0]  # noqa: E731
    alone = {"sample_weight": weights, "values": first}
    yield Case("mean_rows", {"M": m}, arrays=alone, **{**common, "error": _mean_rows_error})


def _scores(m: int, n: int, room: int, taken: int, weighted: bool, **flags: Any) -> Case:
    """Scores that go behind `taken` others where there is room for so many."""
    arrays = {"store": lambda rng, v: rng.uniform(0, 1, (3, room)), "count": [taken]}
    absent = () if weighted else ("sample_weight",)
    return Case("collect_scores", {"M": m, "N": n, "P": room}, absent=absent, arrays=arrays, note=f"at_{taken}", **flags)


SHAPES = ((0, 3), (3, 0), (1, 1), (1, 10), (32, 10), (7, 33), (9, 17), (3, 64), (2, 1000), (8193, 1), (4000, 10))

CASES = [
    *(
        Case("mean_metric", {}, {"count": count}, spans={"total": (0.0, 9.0)}, error=4.0, edges=count == 32)
        for count in (0.0, 1.0, 32.0)
    ),
    *(case for i, shape in enumerate(SHAPES) for case in _metrics(*shape, weighted=i % 2 > 0)),
    *_metrics(9, 17, True, edges=True, note="weighted"),
    *(_rows(m, weighted) for m in (0, 1, 17, 9000) for weighted in (False, True)),
    _rows(33, True, edges=True, note="edges"),
    *_left_out(17, 5),
    *_left_out(100, 40),
    *(_scores(m, n, 40, taken, taken > 0) for m, n in ((0, 1), (7, 1), (5, 3)) for taken in (0, 5, 33)),
    *(_scores(5, 3, 20, taken, False) for taken in (20, 21, -1, np.iinfo(np.int64).max - 15)),
    _scores(9000, 1, 9001, 1, True, edges=True),
    _scores(4096, 1, 8192, 0, False, bench=True, test=False),
    _rows(1 << 16, False, bench=True, test=False),
    *_metrics(32, 10, False, bench=True, test=False, note="bench"),
    *_metrics(4096, 256, False, bench=True, test=False),
    Case("mean_metric", {}, {"count": 1.0}, spans={"total": (0.0, 9.0)}, error=4.0, note="bench", bench=True, test=False),
]
