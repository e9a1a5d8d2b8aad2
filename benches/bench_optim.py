"""Optimizer steps and gradient clipping: the benchmarks of tests/cases/optim.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cases.rates import Run, runs


@pytest.mark.parametrize("run", runs("optim"), ids=str)
def bench_optim(bench: Callable[[Run], None], run: Run) -> None:
    bench(run)
