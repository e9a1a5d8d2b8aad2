"""Matrix products and the dense layer: the benchmarks of tests/cases/dense.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cases.rates import Run, runs


@pytest.mark.parametrize("run", runs("dense"), ids=str)
def bench_dense(bench: Callable[[Run], None], run: Run) -> None:
    bench(run)
