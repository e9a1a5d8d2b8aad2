"""Cases of the random family: which elements are dropped is exact, to the bit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .case import Case

STATE = [0x0123456789ABCDEF, (1 << 32) - 32]
"""Seed and offset; the low word of the counter overflows soon."""


def _dropout(n: int, rate: float, **flags: Any) -> Iterable[Case]:
    yield Case("dropout_forward", {"n": n}, arrays={"state": STATE, "rate": [rate]}, error=2.0, note=f"rate_{rate:g}", **flags)
    yield Case("dropout_backward", {"n": n}, arrays={"aux": STATE, "rate": [rate]}, error=2.0, note=f"rate_{rate:g}", **flags)


CASES = [
    *(case for n in (0, 1, 15, 16, 17, 63, 64, 65, 129, 2048, 2049, 5003) for case in _dropout(n, 0.25)),
    *(case for rate in (0.0, 0.5, 0.9, 1.0) for case in _dropout(1009, rate, edges=True, grad=rate == 0.5)),
    *(case for n in (1 << 16, 1 << 20) for case in _dropout(n, 0.5, bench=True, test=False)),
]
