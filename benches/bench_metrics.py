"""Running metrics: the benchmarks of tests/cases/metrics.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cases.rates import Run, runs


@pytest.mark.parametrize("run", runs("metrics"), ids=str)
def bench_metrics(bench: Callable[[Run], None], run: Run) -> None:
    bench(run)
