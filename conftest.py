"""How pytest shares work out: tests among all cores, benchmarks not at all."""

from __future__ import annotations

import os

import pytest


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the processes of `-n auto`, the setting in pyproject.toml; `-n 0` runs tests in pytest's own."""
    if config.getoption("benchmark_only", False):
        return 0
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
