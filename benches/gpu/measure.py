"""Checks a row's results, then times its contenders in turn: short blocks, round after round, medians over the rounds."""

from __future__ import annotations

import functools
import gc
import importlib
import statistics
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from peers.measure import check_accuracies

from .job import Job, Took
from .reference import WrongResultError, check, expected
from .rows import MODULES, Row

SECONDS = 0.2
"""Spent on each contender in each row; with fewer the blocks are shorter."""
ROUNDS = (5, 20)
"""The fewest and the most; of the digits, which take long, the fewest."""


@dataclass
class Measured:
    """A row's figures, each by column.

    Args:
        took: the blocks' times.
        errors: the results' errors.
        wrong: in words, what is wrong with results, for which a contender was not timed.
        left_out: why a contender is missing for other reasons.
        prepared: seconds of making and checking: compiling, above all.
        accuracy: mean test accuracies, of the digits.
        bandwidth: of a copy in device memory, in bytes a second, read and written.
    """

    row: Row
    took: dict[str, list[Took]] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    prepared: dict[str, float] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    bandwidth: float = 0.0

    @property
    def seconds(self) -> dict[str, float]:
        """Medians of a step, by the device's events where it has them."""
        return {column: statistics.median(t.device for t in took) for column, took in self.took.items()}

    @property
    def wall(self) -> dict[str, float]:
        """Medians of a step by the host's clock."""
        return {column: statistics.median(t.wall for t in took) for column, took in self.took.items()}

    def best(self, *modules: str) -> str:
        """The fastest column of these modules; empty where there is none."""
        found = self.seconds
        return min((c for c in found if MODULES[c] in modules), key=found.__getitem__, default="")

    @property
    def share(self) -> float:
        """The share of the copy bandwidth that fastnn has."""
        return self.row.nbytes / self.seconds[self.best("fastnn")] / self.bandwidth

    @property
    def failed(self) -> list[str]:
        """What must not be: wrong results of anyone, and fastnn left out."""
        ours = (f"{column}: {why}" for column, why in self.left_out.items() if MODULES[column] == "fastnn")
        return [*(f"{column}: {why}" for column, why in self.wrong.items()), *ours]


class Bench:
    """All contenders in this process.

    Args:
        device: "cuda" or "cpu".
        seconds: to be spent on timing each contender in each row.
        modules: who takes part.
    """

    def __init__(self, device: str, seconds: float = SECONDS, modules: Sequence[str] = ("fastnn", "torch", "jax")) -> None:
        self.seconds = seconds
        self.contenders: dict[str, Any] = {}
        self.absent: dict[str, str] = dict.fromkeys(MODULES.values(), "not asked for")
        for name in modules:
            try:
                self.contenders[name] = importlib.import_module(f"gpu.{name}").Contender(device)
            except Exception as error:
                traceback.print_exc()
                self.absent[name] = _words(error)
        self._expected = functools.lru_cache(maxsize=4)(expected)

    def measure(self, row: Row) -> Measured:
        """The row's figures."""
        measured, jobs = Measured(row), {}
        for column, mode in row.columns.items():
            start = time.perf_counter()
            job = self._prepared(measured, column, mode)
            measured.prepared[column] = time.perf_counter() - start
            if job:
                jobs[column] = job
        self._time(measured, jobs)
        for column, job in jobs.items():
            if accuracies := getattr(job, "accuracies", []):
                measured.accuracy[column] = float(np.mean(accuracies))
        if "fastnn" in measured.accuracy:
            try:
                check_accuracies(measured.accuracy)
            except ValueError as error:
                measured.wrong["fastnn"] = str(error)
        jobs.clear()
        self._free()
        if row.copied and "fastnn" in self.contenders:
            try:
                measured.bandwidth = self.bandwidth(row.copied)
            except Exception as error:
                traceback.print_exc()
                measured.wrong["copy in device memory"] = _words(error)
        return measured

    def bandwidth(self, nbytes: int) -> float:
        """Bytes a second that a copy in device memory reads and writes.

        Raises:
            WrongResultError: nothing was copied.
        """
        contender = self.contenders["fastnn"]
        job, clock = contender.copy(nbytes), contender.clock()
        if job.result()[0].any():
            raise WrongResultError("the copy is not one")
        n = job.steps_of(clock, self._block(job))
        seconds = statistics.median(job.block(clock, n).device for _ in range(self._rounds()))
        del job
        self._free()
        return 2 * nbytes / seconds

    def _block(self, job: Job) -> float:
        return job.least * min(1.0, self.seconds / SECONDS)

    def _rounds(self) -> int:
        return min(max(int(self.seconds / 0.03), ROUNDS[0]), ROUNDS[1])

    def _prepared(self, measured: Measured, column: str, mode: str) -> Job | None:
        """A contender's job, compiled and checked; None where that fails, and the reason in measured."""
        row, contender = measured.row, self.contenders.get(MODULES[column])
        if contender is None:
            measured.left_out[column] = self.absent[MODULES[column]]
            return None
        try:
            job: Job = getattr(contender, row.kind)(*row.args, row.precision, mode)
            if row.kind != "digits":
                measured.errors[column] = check(row.kind, row.precision, job.result(), self._expected(row.kind, row.args))
            job.settle()
            measured.took[column] = []
            return job
        except WrongResultError as error:
            measured.wrong[column] = f"wrong: {error}"
        except Exception as error:
            traceback.print_exc()
            measured.left_out[column] = _words(error)
        return None

    def _time(self, measured: Measured, jobs: dict[str, Job]) -> None:
        """Fills in the times; a contender that fails is taken out."""
        clocks = {column: self.contenders[MODULES[column]].clock() for column in jobs}
        steps: dict[str, int] = {}
        rounds = ROUNDS[0] if measured.row.kind == "digits" else self._rounds()
        for i in range(rounds + 1):
            for column, job in list(jobs.items()):
                try:
                    if i == 0:
                        steps[column] = job.steps_of(clocks[column], self._block(job))
                    else:
                        measured.took[column].append(job.block(clocks[column], steps[column]))
                except Exception as error:
                    traceback.print_exc()
                    measured.left_out[column] = _words(error)
                    del jobs[column], measured.took[column]

    def _free(self) -> None:
        gc.collect()
        for contender in self.contenders.values():
            contender.free()


def _words(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
