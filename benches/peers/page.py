"""Formats the results of a run as text, Markdown and JSON. Every number in them was measured in the run."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from inspect import cleandoc
from typing import Any

from . import cpu, notes
from .figures import digits, factor, time
from .measure import Measured, cores
from .process import Cost
from .row import LIBRARIES
from .targets import speedups, target


@dataclass
class Run:
    """Description of a run: the facts that its page lists in addition to the rows.

    Args:
        device: "cpu" or "cuda".
        hardware: lines that name the CPU, its cores and its instruction set, or the GPUs with driver and memory.
        system: operating system and Python version.
        contenders: names of all contenders, with package versions, or a note that the contender does not take part.
        load: mean load of the machine in the minute before the run.
        command: the command line of the run.
        seconds: time spent on each contender in each row.
        packages: versions of the installed packages, by name.
    """

    device: str
    hardware: list[str]
    system: str
    contenders: list[str]
    load: float
    command: str = ""
    seconds: float = 0.0
    packages: dict[str, str] = field(default_factory=dict)

    @classmethod
    def this(cls, device: str, isa: str, backend: str, peers: Sequence[str], command: str, seconds: float) -> Run:
        """Return a description of this machine and of the packages that are installed."""
        hardware = _gpus() if device == "cuda" else [f"{cpu.name(cpu.info())}, {cores()} cores, {isa}"]
        system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
        packages = _versions(package for library in LIBRARIES[device].values() for package in library.packages)
        contenders = []
        for name, library in LIBRARIES[device].items():
            found = ", ".join(f"{package} {packages[package]}" for package in library.packages if package in packages)
            if name == "fastnn":
                contenders.append(f"fastnn {packages.get('fastnn', '')} ({'cupy' if device == 'cuda' else backend})")
            else:
                contenders.append(f"{name} ({found if name in peers else 'does not take part'})")
        return cls(device, hardware, system, contenders, os.getloadavg()[0], command, seconds, packages)

    def __str__(self) -> str:
        return f"{'; '.join(self.hardware)}; {self.system}; load {self.load:.2f}; {', '.join(self.contenders)}"


def _gpus() -> list[str]:
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip().splitlines()
    except (OSError, subprocess.SubprocessError):
        return ["nvidia-smi reports no GPU"]


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def memory(m: Measured) -> list[str]:
    """List the memory of the contenders, one line for each number of rows or images."""
    lines = [(args[-1], found) for args, found in m.memory.items() if found]
    what = m.row.counted
    return [f"{n} {what}: " + ", ".join(f"{name} {digits(mib)} MiB" for name, mib in found.items()) for n, found in lines]


def _figure(m: Measured, column: str) -> str:
    """Format the figure of a contender: a rate for products on a CPU (with the share for fastnn), otherwise a time."""
    if column not in m.seconds:
        return "wrong" if column in m.wrong else ""
    if column in m.percentiles:
        return percentiles(m, column)
    seconds = m.seconds[column]
    rate = digits(m.row.amount / seconds)
    if m.row.kind != "matmul":
        return time(seconds) + ("*" if not m.row.threads and m.threads.get(column) == 1 and column != "fastnn" else "")
    if not m.row.limit:
        return f"{time(seconds)} ({rate})"
    return f"{rate} ({100 * m.share:.1f} %)" if column == "fastnn" and m.limit else rate


def percentiles(m: Measured, column: str) -> str:
    """Format the percentiles of single calls, in microseconds."""
    return " / ".join(digits(1e6 * s) for s in m.percentiles[column]) + " us"


def _compared(m: Measured) -> str:
    """Compare the fastest column of fastnn with that of the peers."""
    if m.percentiles:
        return " / ".join(map(factor, speedups(m)))
    return f"{factor(m.times(m.best, m.ours))} {m.best}" if m.ours and m.best else ""


def _columns(measured: Sequence[Measured]) -> list[str]:
    """List the columns of all rows, sorted by library."""
    every = dict.fromkeys(column for m in measured for column in m.row.columns)
    libraries = list(LIBRARIES["cpu"])
    return sorted(every, key=lambda c: next(i for i, name in enumerate(libraries) if c.startswith(name)))


def _section(measured: Sequence[Measured]) -> list[str]:
    columns = _columns(measured)
    head = ["work", *columns, "fastnn over the best peer", "target", "outcome"]
    cells = [[m.row.name, *(_figure(m, column) for column in columns), _compared(m), *target(m)] for m in measured]
    return table([head, *cells])


def table(lines: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table, without the empty columns."""
    kept = [i for i in range(len(lines[0])) if i == 0 or any(line[i] for line in lines[1:])]
    rows = ["| " + " | ".join(line[i] for i in kept) + " |" for line in lines]
    return [rows[0], "|" + "---|" * len(kept), *rows[1:]]


def absences(m: Measured) -> list[str]:
    """List the contenders without a figure, with the reasons."""
    return [f"{column}: {why}" for column, why in {**m.wrong, **m.left_out}.items()]


def _share(m: Measured) -> str:
    if not m.row.limit or not m.limit or not m.ours:
        return ""
    return f"fastnn at {100 * m.share:.1f} % of {m.row.limit_name}, {digits(m.limit)} {m.row.unit}"


def accuracy(m: Measured) -> str:
    values = ", ".join(f"{name} {value:.3f}" for name, value in m.accuracy.items())
    return f"mean test accuracy on the digits: {values}" if values else ""


def text(m: Measured) -> str:
    """Format a row as a few lines."""
    figures = ", ".join(f"{column} {_figure(m, column)}" for column in m.row.columns if column in m.seconds)
    prepared = ", ".join(f"{column} {seconds:.1f} s" for column, seconds in m.prepared.items() if seconds >= 1)
    parts = [figures, _share(m), accuracy(m), _compared(m), *memory(m), target(m)[1]]
    lines = [f"{m.row.name}: " + "; ".join(part for part in parts if part), *(f"  {line}" for line in absences(m))]
    return "\n".join([*lines, f"  prepared in: {prepared}"] if prepared else lines)


def costs(found: dict[str, Cost], wheel: int) -> list[str]:
    """Return the lines of the page's section about processes."""
    return ["", "## Processes", "", cleandoc(notes.COSTS), "", *cost_table(found, wheel)] if found else []


def cost_table(costs: dict[str, Cost], wheel: int) -> list[str]:
    """Return the table of import times, memory, first results and sizes of the libraries."""
    lines = [["", "import", "resident after it", "first prediction", "first training step", "installed", "wheel"]]
    for name, c in costs.items():
        size = f"{wheel / 1e6:.2f} MB" if wheel and name == "fastnn" else ""
        firsts = [time(s) if s else "" for s in (c.prediction, c.step)]
        lines.append([name, time(c.importing), f"{c.memory:.0f} MiB", *firsts, f"{digits(c.size)} MB", size])
    return table(lines)


def page(measured: Sequence[Measured], run: Run, more: Sequence[str] = ()) -> str:
    """Return the text of docs/performance.md or docs/performance-gpu.md; `more` contains lines to add after the tables."""
    rounds = sorted(len(took) for m in measured for took in m.took.values()) or [0]
    aimed = [m for m in measured if m.row.target]
    met = [m for m in aimed if target(m)[1] == "met"]
    lines = [
        "# Performance on a GPU" if run.device == "cuda" else "# Performance",
        "",
        f"Measured on {date.today().isoformat()} by `{run.command}`, which writes this page.",
        "",
        f"- {'GPU' if run.device == 'cuda' else 'Machine'}: {'; '.join(run.hardware)}; {run.system}",
        f"- Load of the machine in the minute before: {run.load:.2f}",
        *(f"- Measured: {line}" for line in limits(measured)),
        f"- Contenders: {', '.join(run.contenders)}",
        "",
        cleandoc(notes.TIMED[run.device]),
        f"There were {rounds[0]} to {rounds[-1]} rounds, about {run.seconds:g} s in total for each contender in each row."
        + (" `*`: on one thread." if run.device == "cpu" else ""),
        "",
        cleandoc(notes.CHECKED),
        "",
        f"Targets met: {len(met)} of {len(aimed)}.",
    ]
    for title in dict.fromkeys(m.row.section for m in measured):
        chosen = [m for m in measured if m.row.section == title]
        lines += ["", f"## {title}", "", cleandoc(notes.SECTIONS[title]), "", *_section(chosen)]
        for m in chosen:
            if m.row.limit == "copy" and (share := _share(m)):
                lines += ["", f"{share}."]
            if found := accuracy(m):
                lines += ["", f"{found[0].upper()}{found[1:]}."]
            if any(m.memory.values()):
                lines += ["", cleandoc(notes.MEMORY[m.row.counted]), "", *(f"- {line}" for line in memory(m))]
    if absent := [f"- {m.row.name}: {line}" for m in measured for line in absences(m)]:
        lines += ["", "## Left out", "", *absent]
    return "\n".join([*lines, *more]) + "\n"


def limits(measured: Sequence[Measured]) -> list[str]:
    """List the peak rates of one CPU core, which were measured together with the rows."""
    found: dict[str, list[float]] = {}
    for m in measured:
        if m.limit and m.row.kind == "matmul":
            what = f"{m.row.limit_name} of one core{f' with {m.row.isa}' if m.row.isa else ''}, {m.row.unit}"
            found.setdefault(what, []).append(m.limit)
    ends = {what: (digits(min(rates)), digits(max(rates))) for what, rates in found.items()}
    return [f"{what}: {low}" + (f" to {high}" if low != high else "") for what, (low, high) in ends.items()]


def as_json(measured: Sequence[Measured], run: Run) -> dict[str, Any]:
    """Return all numbers of a run as an object for JSON."""
    return {
        "date": date.today().isoformat(),
        "command": run.command,
        "seconds": run.seconds,
        "machine": {"gpus" if run.device == "cuda" else "cpu": run.hardware, "system": run.system, "packages": run.packages},
        "contenders": run.contenders,
        "rows": [_row(m) for m in measured],
    }


def _row(m: Measured) -> dict[str, Any]:
    aim, outcome = target(m)
    return {
        "name": m.row.name,
        "kind": m.row.kind,
        "args": m.row.args,
        "precision": m.row.precision,
        "seconds": m.seconds,
        "wall_seconds": m.wall,
        "blocks": {column: [t.device for t in took] for column, took in m.took.items()},
        "errors": m.errors,
        "wrong": m.wrong,
        "left_out": m.left_out,
        "prepared_seconds": m.prepared,
        "accuracy": m.accuracy,
        "copy_bytes_per_second": 1e12 * m.limit if m.row.limit == "copy" else 0.0,
        "target": aim,
        "outcome": outcome,
    }
