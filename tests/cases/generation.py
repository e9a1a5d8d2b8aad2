"""Cases of the generation family: tokens are equal on all backends, since they are drawn with the same random numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from .case import Case, Maker, Values

EPS = float(np.finfo(np.float64).eps)


def _weight_error(v: SimpleNamespace, want: Values) -> Values:
    return {"w": 4 * EPS * want["w"]}


def _coarse(n: int, v: int) -> Maker:
    """Return a maker of logits on a coarse grid, of which many are equal, and some -infinity."""

    def make(rng: np.random.Generator, values: Values) -> Any:
        logits = rng.integers(-6, 7, (n, v)) / 4
        logits[rng.random((n, v)) < 0.1] = -np.inf
        return logits

    return make


def _tokens(
    n: int, v: int, settings: tuple[float, ...], used: int = 0, coarse: bool = False, counts: bool = True, **flags: Any
) -> Case:
    arrays: dict[str, Any] = {
        "settings": settings,
        "seed": lambda rng, values: rng.integers(0, 2**63, n, np.uint64),
        "position": lambda rng, values: rng.integers(0, 1000, n),
        "previous": lambda rng, values: rng.integers(-2, v + 2, (n, used)),
        "count": lambda rng, values: rng.integers(-1, used + 2, n),
    }
    if coarse:
        arrays["logits"] = _coarse(n, v)
    absent = () if used and counts else ("count",) if used else ("previous", "count")
    note = "_".join([*(f"{s:g}" for s in settings), *(["coarse"] if coarse else []), *([] if counts else ["no_count"])])
    flags = {"spans": {"logits": (-4.0, 4.0)}, "error": _weight_error, **flags}
    return Case("sample_tokens", {"N": n, "V": v, "L": used}, absent=absent, arrays=arrays, note=note, **flags)


# temperature, top_k, top_p, min_p, repetition_penalty
PLAIN = (1.0, 0.0, 1.0, 0.0, 1.0)
SETTINGS = (
    *((0.0, 0.0, 1.0, 0.0, 1.0), (0.7, 3.0, 1.0, 0.0, 1.0), (1.0, 1.0, 1.0, 0.0, 1.0), (1.5, 1000.0, 1.0, 0.0, 1.0)),
    *((0.7, 0.0, 0.5, 0.0, 1.0), (2.0, 0.0, 0.0, 0.0, 1.0), (1.0, 0.0, 0.999, 0.0, 1.0), (1.0, 0.0, 1.0, 0.3, 1.0)),
    *((1.0, 0.0, 1.0, 2.0, 1.0), (0.8, 12.0, 0.8, 0.05, 1.0), (float("inf"), 5.0, 1.0, 0.0, 1.0)),
)

CASES = [
    *(_tokens(n, v, PLAIN) for n, v in ((0, 3), (3, 0), (1, 1), (2, 33))),
    *(_tokens(5, 37, settings, coarse=coarse) for settings in SETTINGS for coarse in (False, True)),
    *(_tokens(5, 37, (*settings[:4], 1.3), 6) for settings in ((0.0, 0, 1, 0), (0.8, 5.0, 0.9, 0.01))),
    *(_tokens(3, 20, settings, 4, edges=True) for settings in ((0.0, 0.0, 1.0, 0.0, 1.2), (0.8, 9.0, 0.9, 0.05, 0.8))),
    _tokens(3, 20, (0.8, 5.0, 1.0, 0.0, 1.3), 4, counts=False),
    _tokens(2, 5, (1.0, float("nan"), 1.0, 0.0, 1.0)),
    _tokens(3, 3001, (0.9, 200.0, 1.0, 0.0, 1.0)),
    _tokens(3, 3001, (0.9, 0.0, 0.9, 0.0, 1.0)),
    *(_tokens(1, 50257, settings, bench=True, test=False) for settings in (PLAIN, (0.8, 50.0, 1.0, 0.0, 1.0))),
    _tokens(1, 50257, (0.8, 0.0, 0.9, 0.0, 1.0), bench=True, test=False),
    _tokens(1, 50257, (0.8, 50.0, 0.9, 0.05, 1.1), 1000, bench=True, test=False),
]
