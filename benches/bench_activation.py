"""Element-wise functions, softmax and log-softmax: the benchmarks of tests/cases/activation.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cases.rates import Run, runs


@pytest.mark.parametrize("run", runs("activation"), ids=str)
def bench_activation(bench: Callable[[Run], None], run: Run) -> None:
    bench(run)
