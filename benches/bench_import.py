"""Time `import fastnn` and a first model, and `import numpy` for comparison, of which the import may cost a fifth at most."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODEL = "fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])"


def start(code: str) -> None:
    """Run code in a Python process outside of the checkout."""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(sys.executable).parent)


@pytest.mark.parametrize("code", ["pass", "import numpy", "import numpy, fastnn", f"import numpy, fastnn; {MODEL}"])
def bench_import(benchmark: Any, code: str) -> None:
    benchmark.group = "import"
    benchmark.extra_info["case"] = f"python -c '{code}'"
    benchmark.pedantic(start, args=(code,), rounds=20, warmup_rounds=2)
