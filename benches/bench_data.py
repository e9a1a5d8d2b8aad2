"""Batches and look-ups: the benchmarks of tests/cases/data.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cases.rates import Run, runs


@pytest.mark.parametrize("run", runs("data"), ids=str)
def bench_data(bench: Callable[[Run], None], run: Run) -> None:
    bench(run)
