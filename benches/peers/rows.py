"""Lists the rows of the tables, for a CPU and for a GPU."""

from __future__ import annotations

from .cpu_rows import cpu_rows
from .gpu_rows import gpu_rows
from .row import Row


def rows(device: str, bfloat16: bool = True) -> list[Row]:
    """List all rows of a device, "cpu" or "cuda"; with `bfloat16`, those of a CPU include bfloat16 rows."""
    return cpu_rows(bfloat16) if device == "cpu" else gpu_rows()
