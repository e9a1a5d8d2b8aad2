"""What benchmarks run, and the measured peaks of this machine that they are rated by."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

import numpy as np

from fastnn.backends import backends, get_isa, unavailable

from . import benches
from .case import Case

DTYPE = "float32"


@dataclass(frozen=True)
class Run:
    """A case on a backend, with so many threads."""

    case: Case
    backend: str
    threads: int

    def __str__(self) -> str:
        return f"{self.case}-{self.backend}-{self.threads}"

    @property
    def dtype(self) -> str:
        return DTYPE if DTYPE in self.case.dtypes else self.case.dtypes[0]

    def rate(self, seconds: float) -> tuple[float, str, float]:
        """GFLOP/s or GB/s, which of them, and the share of what as many cores can do at most."""
        if self.case.flops:
            rate, unit, peak = self.case.flops / seconds * 1e-9, "GFLOP/s", _gflops(get_isa())
        else:
            size = max(self.case.bytes(self.dtype, twice=False), 4096)
            rate, unit, peak = self.case.bytes(self.dtype) / seconds * 1e-9, "GB/s", _gbytes(get_isa(), (size - 1).bit_length())
        return rate, unit, rate / (peak * self.threads)


@functools.cache
def _gflops(isa: str) -> float:
    if unavailable("cpp"):
        return np.nan
    from fastnn import _core

    return _core.peak_gflops(0)


@functools.cache
def _gbytes(isa: str, bits: int) -> float:
    """Of reading a buffer of 2^bits bytes: it lies in the same cache as a call that takes about as much memory."""
    if unavailable("cpp"):
        return np.nan
    from fastnn import _core

    return _core.read_gbytes(np.ones(1 << bits, np.uint8))


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def runs(family: str) -> list[Run]:
    """Native backends on one core, those that are worth it on all, and the reference."""
    result = []
    for case in benches(family):
        worth = case.flops > 1 << 21 or case.bytes(DTYPE if DTYPE in case.dtypes else case.dtypes[0]) > 1 << 19
        threads = sorted({1, cores()} if worth else {1})
        result += [Run(case, b.name, n) for b in backends().values() if b.native and b.name != "cupy" for n in threads]
        # NumPy's matrix products take all cores, its other functions one.
        result.append(Run(case, "numpy", cores() if case.kernel.startswith(("matmul", "dense")) else 1))
    return result
