"""Stores the figures of each machine as a file of benches/results, from which docs/performance.md is written."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from . import cpu
from .job import Took
from .measure import Measured, cores
from .page import Run
from .process import Cost
from .row import Row

FOLDER = Path(__file__).resolve().parents[1] / "results"
DIGITS = 4
"""Significant digits of the stored times."""


@dataclass
class Machine:
    """Figures of one machine, with the facts about its run.

    Args:
        cpu: name of the CPU, such as "AMD EPYC (Zen 4)". The machine's file is named after it.
        title: heading of the machine's column; the name of the CPU if empty.
        hardware: the numbers of family and model, cores and instruction set.
        system: operating system and Python version.
        date: day of the run; empty if unknown.
        command: command line of the run; empty if unknown.
        fastnn: version, and the commit if it is known.
        seconds: time spent on each contender in each row; 0 if unknown.
        rounds: the smallest and the largest number of rounds; empty if unknown.
        load: mean load of the machine in the minute before the run.
        amx: whether the CPU has AMX.
        contenders: the contenders with the versions of their packages.
        note: what else a reader has to know.
        rows: figures of each row, by its name.
        processes: the costs of each library's process, by its name.
        wheel: size of fastnn's wheel in bytes; 0 if unknown.
        profiles: tables of `model.profile`, by their titles.
    """

    cpu: str
    title: str = ""
    hardware: str = ""
    system: str = ""
    date: str = ""
    command: str = ""
    fastnn: str = ""
    seconds: float = 0.0
    rounds: list[int] = field(default_factory=list)
    load: float | None = None
    amx: bool = False
    contenders: list[str] = field(default_factory=list)
    note: str = ""
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    processes: dict[str, dict[str, float]] = field(default_factory=dict)
    wheel: int = 0
    profiles: dict[str, str] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        return self.title or self.cpu

    @property
    def path(self) -> Path:
        return FOLDER / f"{cpu.slug(self.heading)}.json"

    def add(self, measured: Sequence[Measured]) -> None:
        """Store the figures of rows."""
        self.rows |= {m.row.name: _stored(m) for m in measured}
        rounds = [len(took) for m in measured for took in m.took.values()]
        self.rounds = [min(rounds), max(rounds)] if rounds else []

    def measured(self, row: Row) -> Measured | None:
        """Return the figures of a row, or None if it was not measured on this machine."""
        stored = self.rows.get(row.name)
        if stored is None:
            return None
        took = {column: [Took(s, s)] for column, s in stored["seconds"].items() if column in row.columns}
        memory = {args: stored["memory"][str(args[-1])] for args in row.memory if str(args[-1]) in stored.get("memory", {})}
        more = {key: stored.get(key, {}) for key in ("threads", "wrong", "left_out", "accuracy", "percentiles")}
        return Measured(row, took, memory=memory, limit=stored.get("limit", 0.0), amx=self.amx, **more)

    def costs(self) -> dict[str, Cost]:
        return {name: Cost(**numbers) for name, numbers in self.processes.items()}

    def save(self) -> Path:
        self.path.parent.mkdir(exist_ok=True)
        given = {key: value for key, value in asdict(self).items() if value}  # the others have their defaults
        self.path.write_text(json.dumps(given, indent=1) + "\n")
        return self.path


def here(isa: str, run: Run, seconds: float) -> Machine:
    """Return this machine and a run on it, without rows."""
    fields = cpu.info()
    return Machine(
        cpu.name(fields),
        hardware=", ".join(filter(None, [cpu.numbers(fields), f"{cores()} cores", isa])),
        system=run.system,
        date=date.today().isoformat(),
        command=run.command,
        fastnn=" ".join(filter(None, [run.packages.get("fastnn", ""), commit()])),
        seconds=seconds,
        load=round(run.load, 2),
        amx=cpu.amx(),
        contenders=run.contenders,
    )


def commit() -> str:
    """Return the commit of this checkout, with "-dirty" if files differ from it; "" outside of a checkout."""
    command = ["git", "-C", str(FOLDER.parent), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def load() -> list[Machine]:
    """Read the files of all machines, the newest first."""
    machines = [Machine(**json.loads(path.read_text())) for path in sorted(FOLDER.glob("*.json"))]
    return sorted(machines, key=lambda machine: machine.date, reverse=True)


def _stored(m: Measured) -> dict[str, Any]:
    """Return the figures of a row, without those that are empty."""
    numbers: Mapping[str, Any] = {
        "seconds": _rounded(m.seconds),
        "threads": m.threads,
        "limit": _number(m.limit),
        "percentiles": {column: [*map(_number, values)] for column, values in m.percentiles.items()},
        "accuracy": _rounded(m.accuracy),
        "memory": {str(args[-1]): _rounded(found) for args, found in m.memory.items()},
        "errors": _rounded(m.errors),
        "wrong": m.wrong,
        "left_out": m.left_out,
    }
    return {key: value for key, value in numbers.items() if value or key == "seconds"}


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
