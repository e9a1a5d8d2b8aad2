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


SHAPES = ((0, 3), (3, 0), (1, 1), (1, 10), (32, 10), (7, 33), (9, 17), (3, 64), (2, 1000), (8193, 1), (4000, 10))

CASES = [
    *(
        Case("mean_metric", {}, {"count": count}, spans={"total": (0.0, 9.0)}, error=4.0, edges=count == 32)
        for count in (0.0, 1.0, 32.0)
    ),
    *(case for i, shape in enumerate(SHAPES) for case in _metrics(*shape, weighted=i % 2 > 0)),
    *_metrics(9, 17, True, edges=True, note="weighted"),
    *_metrics(32, 10, False, bench=True, test=False, note="bench"),
    *_metrics(4096, 256, False, bench=True, test=False),
    Case("mean_metric", {}, {"count": 1.0}, spans={"total": (0.0, 9.0)}, error=4.0, note="bench", bench=True, test=False),
]
