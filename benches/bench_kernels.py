"""Time the kernels of every family on every backend, by the cases of tests/cases that are benchmarks; `-k dense` takes one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cases.rates import Run, runs

from fastnn.backends.spec import FAMILIES

RUNS = [pytest.param(run, id=f"{family}-{run}") for family in FAMILIES for run in runs(family)]


@pytest.mark.parametrize("run", RUNS)
def bench_kernel(bench: Callable[[Run], None], run: Run) -> None:
    bench(run)
