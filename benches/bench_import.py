"""What `import fastnn` costs over `import numpy`: 20 ms at most are meant."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.benchmark(group="import")
@pytest.mark.parametrize("module", ["numpy", "fastnn"])
def test_import(benchmark: Callable[..., Any], module: str) -> None:
    benchmark.pedantic(seconds, args=(module,), rounds=10, warmup_rounds=1)  # type: ignore[attr-defined]


def seconds(module: str) -> float:
    """Wall time of a process that imports the module, away from the checkout."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, cwd=Path(sys.executable).parent)
    return time.perf_counter() - start


if __name__ == "__main__":
    best = {"numpy": 9.0, "fastnn": 9.0}
    for _ in range(20):  # in turn, so that a change of the machine's load meets both
        for name in best:
            best[name] = min(best[name], seconds(name))
    print(f"import numpy {1e3 * best['numpy']:.1f} ms, import fastnn {1e3 * best['fastnn']:.1f} ms:", end=" ")
    print(f"{1e3 * (best['fastnn'] - best['numpy']):.1f} ms more")
