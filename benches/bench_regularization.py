"""Penalties and limits on norms: the benchmarks of tests/cases/regularization.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cases.rates import Run, runs


@pytest.mark.parametrize("run", runs("regularization"), ids=str)
def bench_regularization(bench: Callable[[Run], None], run: Run) -> None:
    bench(run)
