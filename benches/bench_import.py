"""Time `import fastnn`, and a first model, beside `import numpy`: the import is to cost at most a fifth of that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODEL = "fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])"


def start(code: str) -> None:
    """Run a Python process away from the checkout."""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(sys.executable).parent)


@pytest.mark.parametrize("code", ["pass", "import numpy", "import numpy, fastnn", f"import numpy, fastnn; {MODEL}"])
def bench_import(benchmark: Any, code: str) -> None:
    benchmark.group = "import"
    benchmark.extra_info["case"] = f"python -c '{code}'"
    benchmark.pedantic(start, args=(code,), rounds=20, warmup_rounds=2)
