"""What the tests of the comparison with other libraries share: the modules of the benches, their rows, and made-up results."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

BENCHES = Path(__file__).parents[1] / "benches"
"""Folder that has to be on the path."""


def peers(module: str) -> Any:
    return importlib.import_module(f"peers.{module}")


def row(name: str, device: str = "cpu") -> Any:
    return next(r for r in peers("rows").rows(device) if name in r.name)


def measured(found: Any, **seconds: float) -> Any:
    """Two blocks for each column; underscores are spaces."""
    took = {name.replace("_", " "): [peers("job").Took(s, s)] * 2 for name, s in seconds.items()}
    return peers("measure").Measured(found, took)


def run_of(device: str) -> Any:
    contenders = ["fastnn 1", "PyTorch 2"]
    return peers("page").Run(device, ["a processor"], "a system", contenders, 0.0, "a command", 0.3, {"numpy": "2"})
