"""Broadcasting arithmetic, copies and reductions: the benchmarks of tests/cases/elementwise.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cases.rates import Run, runs


@pytest.mark.parametrize("run", runs("elementwise"), ids=str)
def bench_elementwise(bench: Callable[[Run], None], run: Run) -> None:
    bench(run)
