"""What `import fastnn` costs over `import numpy`: 20 ms at most are meant."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def start(code: str) -> None:
    """A Python process, away from the checkout."""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(sys.executable).parent)


@pytest.mark.parametrize("code", ["pass", "import numpy", "import fastnn"])
def bench_import(benchmark: Any, code: str) -> None:
    benchmark.group = "import"
    benchmark.extra_info["case"] = f"python -c '{code}'"
    benchmark.pedantic(start, args=(code,), rounds=20, warmup_rounds=2)
