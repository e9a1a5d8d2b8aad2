"""Fixtures and tables of the benchmarks. Results are checked before a kernel is timed; rates are compared with measured peaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cases.check import check
from cases.rates import Run

import fastnn
from fastnn.backends import get_isa, load

LEGEND = "GFLOP/s of multiply-adds in registers, or GB/s of reading as many bytes, on as many cores"


@pytest.fixture
def bench(benchmark: Any) -> Iterator[Callable[[Run], None]]:
    """Return a function that checks and times a case of a kernel on a backend."""
    before = fastnn.get_num_threads()

    def timed(run: Run) -> None:
        backend, case = load(run.backend), run.case
        fastnn.set_num_threads(run.threads)
        if backend.native:  # backends that are not native are the reference itself
            check(backend, case, run.dtype)
        benchmark.group = case.kernel
        kernel, args = backend.table[case.kernel], tuple(case.make(run.dtype).values())
        benchmark(kernel, *args)
        if benchmark.stats:  # they are missing with --benchmark-disable
            rate, unit, share = run.rate(benchmark.stats.stats.median)
            name = str(case).removeprefix(case.kernel + "-").removesuffix("-bench")
            isa = f" {get_isa()}" if run.backend == "cpp" else ""
            benchmark.extra_info.update(case=name, backend=run.backend + isa, threads=run.threads)
            benchmark.extra_info.update(rate=rate, unit=unit, share=share)

    yield timed
    fastnn.set_num_threads(before)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave benchmarks out of test runs, and tests out of benchmark runs, without reporting each of them as skipped."""
    only = bool(config.getoption("benchmark_only"))
    if only or config.getoption("benchmark_skip"):
        left_out = [item for item in items if ("benchmark" in getattr(item, "fixturenames", ())) != only]
        items[:] = [item for item in items if item not in set(left_out)]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print one table for each group. pytest-benchmark's own table is only shown for comparisons with earlier runs."""
    session = config._benchmarksession  # type: ignore[attr-defined]
    session.quiet = not config.getoption("benchmark_compare")
    groups: dict[str, list[list[str]]] = {}
    for done in session.benchmarks:
        if not done.has_error and done.stats.data:
            groups.setdefault(done.group or "others", []).append(_columns(done))
    if not groups:
        return
    terminalreporter.section("benchmarks")
    terminalreporter.write_line(f"peak: {LEGEND}, measured in this run")
    for group, rows in groups.items():
        terminalreporter.section(group, sep="-")
        table = [["case", "backend", "threads", "median", "rate", "% of peak"], *rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for row in table:
            cells = [cell.ljust(n) if i < 2 else cell.rjust(n) for i, (cell, n) in enumerate(zip(row, widths, strict=True))]
            terminalreporter.write_line("  ".join(cells).rstrip())


def _columns(done: Any) -> list[str]:
    info = done.extra_info
    rate = [f"{info['rate']:.2f} {info['unit']}", f"{100 * info['share']:.1f}"] if "rate" in info else ["", ""]
    return [info.get("case", done.name), info.get("backend", ""), str(info.get("threads", "")), _time(done.stats.median), *rate]


def _time(seconds: float) -> str:
    unit, name = next((u, n) for u, n in ((1e-9, "ns"), (1e-6, "us"), (1e-3, "ms"), (1.0, "s")) if seconds < 1e3 * u or u == 1.0)
    return f"{seconds / unit:.4g} {name}"
