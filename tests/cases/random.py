"""Cases of the random family: which elements are dropped is exact, to the bit."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np

from .case import Case, Values

STATE = [0x0123456789ABCDEF, (1 << 32) - 32]
"""Seed and offset; the low word of the counter overflows soon."""
LENGTHS = (0, 1, 15, 16, 17, 63, 64, 65, 129, 2048, 2049, 5003)


def _alpha(v: SimpleNamespace, want: Values) -> Values:
    return {"y": 3 * v.eps * (np.abs(v.x) + 2)}


def _noise(v: SimpleNamespace, want: Values) -> Values:
    """The normal numbers are right within a few units of the last place of 1, and those far out of themselves."""
    z = np.abs(want["y"] - v.x)
    return {"y": v.eps * (2 * np.abs(v.x) + 8 * z + 8 * v.stddev)}


def _factor(v: SimpleNamespace, want: Values) -> Values:
    name, x = ("y", v.x) if "y" in want else ("dx", v.dy)
    stddev = np.sqrt(v.rate / (1 - v.rate))
    return {name: v.eps * (8 * np.abs(want[name]) + (4 + 8 * stddev) * np.abs(x))}


def _dropout(n: int, rate: float, kind: str = "dropout", **flags: Any) -> Iterable[Case]:
    errors: dict[str, Any] = {"alpha_dropout": (_alpha, 2.0), "gaussian_dropout": (_factor, _factor)}
    forward, backward = errors.get(kind, (2.0, 2.0))
    note = f"rate_{rate:g}"
    yield Case(f"{kind}_forward", {"n": n}, arrays={"state": STATE, "rate": [rate]}, error=forward, note=note, **flags)
    yield Case(f"{kind}_backward", {"n": n}, arrays={"aux": STATE, "rate": [rate]}, error=backward, note=note, **flags)


def _normal(v: SimpleNamespace, want: Values) -> Values:
    return {"y": v.eps * (8 * np.abs(want["y"]) + 8)}


def _integers(n: int, low: int, last: int, **flags: Any) -> Case:
    return Case("random_integers", {"n": n}, {"low": low, "last": last}, arrays={"state": STATE}, **flags)


def _gaussian_noise(n: int, stddev: float, **flags: Any) -> Case:
    arrays = {"state": STATE, "stddev": [stddev]}
    return Case("gaussian_noise_forward", {"n": n}, arrays=arrays, error=_noise, note=f"stddev_{stddev:g}", **flags)


CASES = [
    *(case for n in LENGTHS for kind in ("dropout", "alpha_dropout", "gaussian_dropout") for case in _dropout(n, 0.25, kind)),
    *(case for rate in (0.0, 0.5, 0.9, 1.0) for case in _dropout(1009, rate, edges=True, grad=rate == 0.5)),
    *(case for rate in (0.0, 0.5, 1.0) for case in _dropout(1009, rate, "alpha_dropout", edges=True, grad=rate == 0.5)),
    *(case for rate in (0.0, 0.5, 0.9) for case in _dropout(1009, rate, "gaussian_dropout", edges=True, grad=rate == 0.5)),
    *(_gaussian_noise(n, 0.5) for n in LENGTHS),
    *(_gaussian_noise(1009, stddev, edges=True) for stddev in (0.0, 2.0)),
    *(_gaussian_noise(1 << 18, stddev) for stddev in (1.0,)),
    *(Case("random_uniform", {"n": n}, arrays={"state": STATE}) for n in LENGTHS),
    *(Case("random_normal", {"n": n}, arrays={"state": STATE}, error=_normal) for n in LENGTHS),
    *(_integers(n, -3, 12) for n in LENGTHS),
    *(_integers(1009, low, last) for low, last in ((5, 5), (0, 1), (-(1 << 63), (1 << 63) - 1), (-(1 << 62), 1 << 62))),
    *(Case(f"random_{kind}", {"n": 1 << 16}, arrays={"state": STATE}, bench=True, test=False) for kind in ("uniform", "normal")),
    _integers(1 << 16, 0, 9, bench=True, test=False),
    *(case for n in (1 << 16, 1 << 20) for case in _dropout(n, 0.5, bench=True, test=False)),
    *(case for kind in ("alpha_dropout", "gaussian_dropout") for case in _dropout(1 << 16, 0.5, kind, bench=True, test=False)),
    _gaussian_noise(1 << 16, 0.5, bench=True, test=False),
]
