"""Losses, their gradients and their reduction: the benchmarks of tests/cases/loss.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cases.rates import Run, runs


@pytest.mark.parametrize("run", runs("loss"), ids=str)
def bench_loss(bench: Callable[[Run], None], run: Run) -> None:
    bench(run)
