"""Checks a row's results, then times its contenders in turn: short blocks, round after round, medians over the rounds."""

from __future__ import annotations

import functools
import os
import statistics
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

from .job import Took
from .reference import WrongResultError, check, check_accuracies, expected, probabilities
from .rows import LIBRARIES, OURS, Row
from .worker import Worker, WorkerError

ROUNDS = (5, 10)
"""The fewest and the most."""
FAILED = "failed"


@dataclass
class Measured:
    """A row's figures, each by column.

    Args:
        took: the blocks' times; where several numbers of threads were tried, those of the fastest.
        threads: that number.
        errors: the results' errors.
        wrong: in words, what is wrong with results, for which a contender was not timed.
        left_out: why a contender is missing for other reasons.
        prepared: seconds of making and checking: compiling, above all.
        accuracy: mean test accuracies, of the digits.
        limit: the rate that the machine reaches at most, in the row's unit; on one core of a CPU.
        memory: for each of the row's `memory`, MiB of each contender; empty where the system does not report it.
    """

    row: Row
    took: dict[str, list[Took]] = field(default_factory=dict)
    threads: dict[str, int] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    prepared: dict[str, float] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    limit: float = 0.0
    memory: dict[tuple[Any, ...], dict[str, float]] = field(default_factory=dict)

    @property
    def seconds(self) -> dict[str, float]:
        """Medians of a step, by the device's events where it has them."""
        return {column: statistics.median(t.device for t in took) for column, took in self.took.items()}

    @property
    def wall(self) -> dict[str, float]:
        """Medians of a step by the host's clock."""
        return {column: statistics.median(t.wall for t in took) for column, took in self.took.items()}

    def fastest(self, *modules: str) -> str:
        """Returns the fastest column of these modules; empty where there is none."""
        found = self.seconds
        return min((c for c in found if c != OURS and self.row.columns[c].module in modules), key=found.__getitem__, default="")

    @property
    def ours(self) -> str:
        """fastnn's fastest column."""
        return self.fastest("fastnn")

    @property
    def best(self) -> str:
        """The fastest peer's column."""
        return self.fastest(*(way.module for way in self.row.columns.values() if way.module != "fastnn"))

    def times(self, peer: str, ours: str = "fastnn") -> float:
        """Returns how many times as fast as a peer fastnn is."""
        return self.seconds[peer] / self.seconds[ours]

    @property
    def share(self) -> float:
        """The share of what as many cores, or the device, can do at most."""
        return self.row.amount / self.seconds[self.ours] / (self.limit * (self.row.threads or 1))

    @property
    def failed(self) -> list[str]:
        """What must not be: wrong results of anyone, and fastnn left out."""
        peers = {column for column, way in self.row.columns.items() if way.module != "fastnn"}
        ours = (f"{column}: {why}" for column, why in self.left_out.items() if column not in peers)
        return [*(f"{column}: {why}" for column, why in self.wrong.items()), *ours]


def cores() -> int:
    return len(os.sched_getaffinity(0))


def installed(device: str) -> list[str]:
    """Lists the peers that are installed and have the device."""
    libraries = [name for name in LIBRARIES[device] if name != "fastnn"]
    return [name for name in libraries if all(map(find_spec, LIBRARIES[device][name].needs))]


@dataclass
class _Entry:
    """A contender of a row, with a number of threads."""

    column: str
    threads: int
    worker: Worker
    key: tuple[str, int]
    estimate: float = 0.0
    steps: int = 1
    took: list[Took] = field(default_factory=list)


class Bench:
    """The contenders' processes, each started when it is first needed.

    Args:
        device: "cpu" or "cuda".
        peers: those that take part beside fastnn, such as "PyTorch"; all that are installed if not given.
        seconds: to be spent on timing each contender in each row.
    """

    def __init__(self, device: str = "cpu", peers: Collection[str] | None = None, seconds: float = 1.0) -> None:
        self.device, self.seconds = device, seconds
        self.peers = installed(device) if peers is None else list(peers)
        self.modules = {"fastnn", *(LIBRARIES[device][name].module for name in self.peers)}
        self._workers: dict[tuple[str, int, str, str], Worker] = {}
        self._absent: dict[str, WorkerError] = {}
        self._expected = functools.lru_cache(maxsize=4)(expected)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers.values():
            worker.close()

    def worker(self, module: str, threads: int, isa: str = "", precision: str = "") -> Worker:
        """Returns the process of a module; where a row has the module with two precisions, the second has its own.

        Raises:
            WorkerError: the library does not load.
        """
        key = (module, threads, isa, precision)
        if key not in self._workers:
            if module in self._absent:
                raise self._absent[module]
            worker = Worker(module, self.device, threads, isa)
            try:
                worker("load")
            except WorkerError as error:
                worker.close()
                self._absent[module] = error
                raise
            self._workers[key] = worker
        return self._workers[key]

    def measure(self, row: Row) -> Measured:
        """Returns the row's figures; what goes wrong is in `wrong` and `left_out`."""
        measured = Measured(row)
        entries: list[_Entry] = []
        for column, way in row.columns.items():
            for threads in self._counts(row, way.module):
                if entry := self._prepared(measured, column, threads):
                    entries.append(entry)
        entries = [entry for entry in entries if entry.column not in measured.wrong]
        limit = self._limit(measured, entries)
        self._time(measured, entries, limit)
        for entry in entries:
            if row.kind == "digits":
                accuracy = float(np.mean(entry.worker("accuracies", entry.key)))
                measured.accuracy[entry.column] = min(accuracy, measured.accuracy.get(entry.column, accuracy))
            if statistics.median(t.device for t in entry.took) < measured.seconds.get(entry.column, float("inf")):
                measured.took[entry.column], measured.threads[entry.column] = entry.took, entry.threads
        if limit and limit.took:
            measured.limit = 1 / statistics.median(t.device for t in limit.took)
        self._clear()
        if "fastnn" in measured.accuracy:
            try:
                check_accuracies(measured.accuracy)
            except WrongResultError as error:
                measured.wrong["fastnn"] = str(error)
        for args in row.memory:
            measured.memory[args] = self._memory(measured, args)
        return measured

    def _counts(self, row: Row, module: str) -> list[int]:
        """Lists the numbers of threads to try. fastnn gets no choice: with all threads it must be as fast as with one."""
        if module not in self.modules:
            return []
        most = min(2, cores()) if self.device == "cpu" else cores()
        return [row.threads or most] if row.threads or module == "fastnn" or self.device == "cuda" else sorted({1, most})

    def _prepared(self, measured: Measured, column: str, threads: int) -> _Entry | None:
        """Makes and checks a contender's job; where that fails, the reason is in measured."""
        row, way = measured.row, measured.row.columns[column]
        precision = way.precision or row.precision
        start = time.perf_counter()
        try:
            worker = self.worker(way.module, threads, row.isa if way.module == "fastnn" else "", way.precision)
            entry = _Entry(column, threads, worker, (column, threads))
            got = worker("make", entry.key, row.kind, (*row.args, precision, way.mode))
            if got is not None:
                want = self._expected(row.kind, row.args)
                want = [*map(probabilities, want)] if way.module == "sklearn" else want
                measured.errors[column] = check(row.kind, precision, got, want, self.device)
            return entry
        except WrongResultError as error:
            measured.wrong[column] = f"wrong: {error}"
        except WorkerError as error:
            measured.left_out[column] = str(error)
        finally:
            measured.prepared[column] = time.perf_counter() - start
        return None

    def _limit(self, measured: Measured, entries: list[_Entry]) -> _Entry | None:
        """Makes the job that measures what the machine can do, in fastnn's process."""
        row = measured.row
        worker = next((e.worker for e in entries if row.columns[e.column].module == "fastnn"), None)
        if not row.limit or worker is None:
            return None
        entry = _Entry(row.limit_name, row.threads or 1, worker, (row.limit, 0))
        made = self._ask(measured, entry, "make", row.limit, row.limit_args)
        return entry if made != FAILED else None

    def _ask(self, measured: Measured, entry: _Entry, command: str, *args: Any) -> Any:
        """Returns the answer of a contender's process; FAILED, with the reason in measured, where there is none."""
        try:
            return entry.worker(command, entry.key, *args)
        except WorkerError as error:
            measured.left_out[entry.column] = str(error)
            return FAILED

    def _time(self, measured: Measured, entries: list[_Entry], limit: _Entry | None) -> None:
        """Fills in the times; takes contenders that fail out of the entries."""

        def ask(entry: _Entry, command: str, *args: Any) -> Any:
            answer = self._ask(measured, entry, command, *args)
            if answer == FAILED:
                entries.remove(entry)
            return answer

        for entry in list(entries):
            entry.estimate = ask(entry, "start")
        if not entries:
            return
        rounds = int(min(max(self.seconds / max(e.estimate for e in entries), ROUNDS[0]), ROUNDS[1]))
        for entry in list(entries):
            n = max(1, int(self.seconds / rounds / entry.estimate))
            if n > 1 and (took := ask(entry, "block", max(1, n // 8))) != FAILED:  # the first calls are not the fastest
                n = max(1, int(self.seconds / rounds / took[1]))
            entry.steps = n
        for _ in range(rounds):
            for entry in list(entries):
                if (took := ask(entry, "block", entry.steps)) != FAILED:
                    entry.took.append(Took(*took))
            if limit and (took := self._ask(measured, limit, "block", 1)) != FAILED:
                limit.took.append(Took(*took))

    def _clear(self) -> None:
        """Gives the memory of a row's jobs back; a process that cannot is ended, and the next row starts a new one."""
        for key, worker in list(self._workers.items()):
            try:
                worker("drop")
            except WorkerError:
                self._workers.pop(key).close()

    def _memory(self, measured: Measured, args: tuple[Any, ...]) -> dict[str, float]:
        """Returns the MiB that calls need for a while, each contender in a process that has done nothing else."""
        found, row = {}, measured.row
        for column in measured.seconds:
            way = row.columns[column]
            worker = Worker(way.module, self.device, self._counts(row, way.module)[-1])
            try:
                worker("load")
                how = row.precision, way.mode
                mib = worker("memory", row.kind, (*args, *how), (*args[:-2], 64, 64, *how))
            except WorkerError as error:
                measured.left_out[column] = str(error)
            else:
                found |= {column: mib} if mib is not None else {}
            finally:
                worker.close()
        return found
