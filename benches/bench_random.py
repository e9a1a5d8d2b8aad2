"""Dropout and noise: the benchmarks of tests/cases/random.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cases.rates import Run, runs


@pytest.mark.parametrize("run", runs("random"), ids=str)
def bench_random(bench: Callable[[Run], None], run: Run) -> None:
    bench(run)
