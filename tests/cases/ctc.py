"""Cases of the ctc family: lengths of 0 and beyond the arrays, labels that repeat, and those that cannot be reached."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from .case import Case, Values


def _error(v: SimpleNamespace, want: Values) -> Values:
    """Compute the errors of sums of logarithms over the time steps, in float64; loss and gradient are rounded to the dtype."""
    finite = {name: np.where(np.isfinite(a), np.abs(a), 0) for name, a in want.items()}
    sums = 1e-15 * (len(v.x) + 2) * (1 + finite["alpha"].max(initial=0))
    errors = {"alpha": sums + 0 * finite["alpha"], "loss": sums + v.eps * finite["loss"]}
    return errors | ({"dx": 8 * sums + v.eps * finite["dx"]} if v.dx.size else {})


def _ctc(n: int, time: int, c: int, s: int, blank: int = 0, gradient: bool = True, **flags: Any) -> Case:
    def x(rng: np.random.Generator, v: Values) -> Any:
        logits = rng.standard_normal((time, n, c)) * 2
        return logits - np.log(np.exp(logits).sum(-1, keepdims=True))

    def targets(rng: np.random.Generator, v: Values) -> Any:
        labels = rng.integers(0, max(c, 1), (n, s))
        labels[:, 1::3] = labels[:, 0 : labels[:, 1::3].shape[1] * 3 : 3]  # repeated labels
        labels[labels == blank] = (blank + 1) % max(c, 1)
        return labels

    arrays: dict[str, Any] = {
        "x": x,
        "targets": targets,
        "steps": lambda rng, v: np.resize([time, time - 1, time + 3, time // 2, 0, 1, -2], n),
        "labels": lambda rng, v: np.resize([s // 2, s, s + 2, 0, 0, 1, 1], n),
        **flags.pop("more", {}),
    }
    sizes = {"N": n, "L": time, "C": c, "S": s}
    absent = () if gradient else ("dx",)
    return Case("ctc_loss", sizes, {"blank": blank}, absent, arrays=arrays, error=_error, **flags)


CASES = [
    *(_ctc(*sizes) for sizes in ((0, 3, 4, 2), (3, 0, 4, 2), (7, 5, 4, 0), (1, 1, 1, 1), (7, 9, 5, 3), (3, 40, 12, 17))),
    _ctc(7, 9, 5, 3, 2, gradient=False),
    _ctc(7, 11, 5, 4, 4, edges=True),
    _ctc(3, 9, 5, 3, 0, more={"targets": np.array([[1, 5, 2], [-1, 1, 1], [3, 3, 3]])}, note="outside"),
    _ctc(2, 70, 30, 33, more={"steps": [70, 70], "labels": [33, 20]}),
    _ctc(32, 150, 80, 30, more={"steps": [150] * 32, "labels": [30] * 32}, bench=True, test=False),
]
