"""Time all kernels on all backends, by the benchmark cases in tests/cases; `-k dense` chooses one family."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cases.rates import Run, runs

from fastnn.backends.spec import FAMILIES

RUNS = [pytest.param(run, id=f"{family}-{run}") for family in FAMILIES for run in runs(family)]


@pytest.mark.parametrize("run", RUNS)
def bench_kernel(bench: Callable[[Run], None], run: Run) -> None:
    bench(run)
