"""Checks the results of a row, then times its contenders. They take turns in short blocks; the medians of all rounds count."""

from __future__ import annotations

import functools
import os
import statistics
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

from . import cpu
from .job import Took
from .reference import WrongResultError, check, check_accuracies, expected, probabilities
from .row import LIBRARIES, OURS, Row
from .worker import Worker, WorkerError

ROUNDS = (5, 10)
"""Smallest and largest number of rounds."""
TRAINING = 0.1
"""Smallest number of seconds of a block of training steps. A call of `fit` has work before its first epoch."""
PAUSE = 0.03
"""Seconds between two blocks. The threads of most libraries spin for a while after a call, and would slow down the next one."""


@dataclass
class Measured:
    """Figures of a row. Most are dicts with the columns as keys.

    Args:
        row: the row that was measured.
        took: times of the blocks; if several numbers of threads were tried, those of the fastest number.
        threads: the fastest number of threads.
        errors: errors of the results.
        wrong: descriptions of wrong results; a contender with wrong results is not timed.
        left_out: other reasons why a contender has no figure.
        prepared: seconds spent on making and checking the jobs, mostly on compiling.
        accuracy: mean test accuracies on the digits.
        limit: the peak rate of the machine in the row's unit; on a CPU, that of one core.
        memory: MiB of each contender, for each entry of the row's `memory`; empty if the system does not report it.
        percentiles: percentiles of the times of single calls (`PERCENTILES` of job.py), in seconds. If several numbers of threads
            were tried, each percentile is that of the best number.
        amx: whether the CPU has AMX.
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
    percentiles: dict[str, list[float]] = field(default_factory=dict)
    amx: bool = False

    @property
    def seconds(self) -> dict[str, float]:
        """Return the median times of a step, by the events of the device if it has them."""
        return {column: statistics.median(t.device for t in took) for column, took in self.took.items()}

    @property
    def wall(self) -> dict[str, float]:
        """Return the median times of a step by the host's clock."""
        return {column: statistics.median(t.wall for t in took) for column, took in self.took.items()}

    def fastest(self, *modules: str) -> str:
        """Return the fastest column of these modules, or "" if none was measured."""
        found = self.seconds
        return min((c for c in found if c != OURS and self.row.columns[c].module in modules), key=found.__getitem__, default="")

    @property
    def ours(self) -> str:
        """Return the fastest column of fastnn."""
        return self.fastest("fastnn")

    @property
    def best(self) -> str:
        """Return the column of the fastest peer."""
        return self.fastest(*(way.module for way in self.row.columns.values() if way.module != "fastnn"))

    def times(self, peer: str, ours: str = "fastnn") -> float:
        """Return how many times as fast as a peer fastnn is."""
        return self.seconds[peer] / self.seconds[ours]

    @property
    def share(self) -> float:
        """Return the rate as a share of the peak of the same number of cores, or of the device."""
        return self.row.amount / self.seconds[self.ours] / (self.limit * (self.row.threads or 1))

    @property
    def failed(self) -> list[str]:
        """List the failures: wrong results of any contender, and reasons why fastnn has no figure."""
        peers = {column for column, way in self.row.columns.items() if way.module != "fastnn"}
        ours = (f"{column}: {why}" for column, why in self.left_out.items() if column not in peers)
        return [*(f"{column}: {why}" for column, why in self.wrong.items()), *ours]


def cores() -> int:
    return len(os.sched_getaffinity(0))


def installed(device: str) -> list[str]:
    """List the peers that are installed."""
    libraries = [name for name in LIBRARIES[device] if name != "fastnn"]
    return [name for name in libraries if all(map(find_spec, LIBRARIES[device][name].needs))]


@dataclass(eq=False)
class _Entry:
    """Job of a contender with a number of threads, or the job that measures a limit."""

    column: str
    threads: int
    worker: Worker
    estimate: float = 0.0
    steps: int = 1
    took: list[Took] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, int]:
        return self.column, self.threads

    def start(self) -> None:
        self.estimate = self.worker("start", self.key)

    def calibrate(self, seconds: float) -> None:
        """Choose the number of steps so that a block takes about this time."""
        self.steps = max(1, int(seconds / self.estimate))
        if self.steps > 1:  # the first calls are slower than later ones
            self.steps = max(1, int(seconds / self.worker("block", self.key, max(1, self.steps // 8))[1]))

    def share_calls(self, calls: int) -> None:
        """Set the number of calls of a block, and forget the calls before."""
        self.steps = calls
        self.worker("percentiles", self.key)

    def block(self) -> None:
        time.sleep(PAUSE)
        self.took.append(Took(*self.worker("block", self.key, self.steps)))

    @property
    def median(self) -> float:
        return statistics.median(t.device for t in self.took)


class Bench:
    """Processes of the contenders. Each process starts when it is first needed.

    Args:
        device: "cpu" or "cuda".
        peers: names of the peers that take part, such as "PyTorch"; all that are installed by default.
        seconds: time spent on each contender in each row.
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
        """Return the process of a module. If a row uses the module with two precisions, the second one has a separate process.

        Raises:
            WorkerError: the library cannot be loaded.
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
        """Return the figures of a row; its `wrong` and `left_out` describe what failed."""
        measured, entries = Measured(row, amx=self.device == "cpu" and cpu.amx()), list[_Entry]()
        for column, way in row.columns.items():
            for threads in self._counts(row, way.module):
                with _noted(measured, column):
                    entries.append(self._made(measured, column, threads))
        entries = [entry for entry in entries if entry.column not in measured.wrong]
        self._time(measured, entries)
        for entry in entries:
            if row.limit and entry.column == row.limit_name:
                measured.limit = 1 / entry.median
                continue
            if row.kind == "digits":
                accuracy = float(np.mean(entry.worker("accuracies", entry.key)))
                measured.accuracy[entry.column] = min(accuracy, measured.accuracy.get(entry.column, accuracy))
            if row.kind == "latency":
                with _noted(measured, entry.column):
                    found = entry.worker("percentiles", entry.key)
                    before = measured.percentiles.get(entry.column, found)
                    measured.percentiles[entry.column] = [*map(min, found, before)]
            if entry.median < measured.seconds.get(entry.column, float("inf")):
                measured.took[entry.column], measured.threads[entry.column] = entry.took, entry.threads
        self._clear()
        if "fastnn" in measured.accuracy:
            with _noted(measured, "fastnn"):
                check_accuracies(measured.accuracy)
        for args in row.memory:
            measured.memory[args] = {}
            for column in measured.seconds:
                with _noted(measured, column):
                    if (mib := self._memory(row, column, args)) is not None:
                        measured.memory[args][column] = mib
        return measured

    def _counts(self, row: Row, module: str) -> list[int]:
        """List the numbers of threads to try. For fastnn it is one number: with all threads it must be as fast as with one."""
        if module not in self.modules:
            return []
        most = min(2, cores()) if self.device == "cpu" else cores()
        return [row.threads or most] if row.threads or module == "fastnn" or self.device == "cuda" else sorted({1, most})

    def _made(self, measured: Measured, column: str, threads: int) -> _Entry:
        """Make and check the job of a contender.

        Raises:
            WorkerError: the job cannot be made or fails.
            WrongResultError: its results are wrong.
        """
        row, way = measured.row, measured.row.columns[column]
        precision = way.precision or row.precision
        start = time.perf_counter()
        try:
            entry = _Entry(column, threads, self.worker(way.module, threads, row.isa, way.precision))
            got = entry.worker("make", entry.key, row.kind, (*row.args, precision, way.mode))
            if got is not None:
                want = self._expected(row.kind, row.args)
                want = [*map(probabilities, want)] if way.module == "sklearn" else want
                measured.errors[column] = check(row.kind, precision, got, want, self.device)
            return entry
        finally:
            measured.prepared[column] = time.perf_counter() - start

    def _time(self, measured: Measured, entries: list[_Entry]) -> None:
        """Measure the times, and add an entry for the row's limit. Remove the entries that fail."""

        def each(do: Callable[[_Entry], None]) -> None:
            for entry in list(entries):
                try:
                    do(entry)
                except WorkerError as error:
                    measured.left_out[entry.column] = str(error)
                    entries.remove(entry)

        each(_Entry.start)
        if not entries:
            return
        row = measured.row
        rounds = int(min(max(self.seconds / max(e.estimate for e in entries), ROUNDS[0]), ROUNDS[1]))
        if row.kind == "latency":
            rounds = ROUNDS[1]
            each(lambda entry: entry.share_calls(row.args[-1] // rounds))
        else:
            seconds = max(self.seconds / rounds, TRAINING if row.kind.endswith("train") else 0)
            each(lambda entry: entry.calibrate(seconds))
        if row.limit and (ours := next((e for e in entries if row.columns[e.column].module == "fastnn"), None)):
            limit = _Entry(row.limit_name, ours.threads, ours.worker)
            with _noted(measured, limit.column):
                limit.worker("make", limit.key, row.limit, row.limit_args)
                entries.append(limit)
        for _ in range(rounds):
            each(_Entry.block)

    def _clear(self) -> None:
        """Free the memory of a row's jobs. A process that cannot free it is ended, and the next row starts a new one."""
        for key, worker in list(self._workers.items()):
            try:
                worker("drop")
            except WorkerError:
                self._workers.pop(key).close()

    def _memory(self, row: Row, column: str, args: tuple[Any, ...]) -> float | None:
        """Return the memory of a contender in MiB, measured in a new process: of a head the temporary memory of its calls."""
        way = row.columns[column]
        worker, how = Worker(way.module, self.device, self._counts(row, way.module)[-1]), (row.precision, way.mode)
        try:
            worker("load")
            if row.kind == "head":
                mib: float | None = worker("memory", row.kind, (*args, *how), (*args[:-2], 64, 64, *how))
            else:
                mib = worker("all_memory", row.kind, (*args, *how))
            return mib
        finally:
            worker.close()


@contextmanager
def _noted(measured: Measured, column: str) -> Iterator[None]:
    """Catch the errors of a contender in this block and note them in `measured`."""
    try:
        yield
    except WrongResultError as error:
        measured.wrong[column] = f"wrong: {error}"
    except WorkerError as error:
        measured.left_out[column] = str(error)
