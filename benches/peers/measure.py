"""Checks a row's results, then times its contenders in turn: short blocks, round after round, medians over the rounds."""

from __future__ import annotations

import os
import statistics
from collections.abc import Collection
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

from . import nets
from .numpy import reference
from .rows import MODULES, OURS, Row, Way
from .worker import Worker

ROUNDS = (5, 10)
"""The fewest and the most."""
ACCURACY = 0.03
"""How far mean test accuracies of the digits may lie apart: a seed more or less moves one by 0.02."""


@dataclass
class Measured:
    """A row's figures.

    Args:
        seconds: medians, of fastnn under "fastnn"; of each peer with its better number of threads.
        threads: that number.
        limit: what one core can do, in the row's unit; 0 where the row has none.
        accuracy: mean test accuracies, of the digits.
        memory: for each of the row's `memory`, MiB of each contender; empty where the system does not tell.
        rounds: how many.
    """

    row: Row
    rounds: int
    seconds: dict[str, float] = field(default_factory=dict)
    threads: dict[str, int] = field(default_factory=dict)
    limit: float = 0.0
    accuracy: dict[str, float] = field(default_factory=dict)
    memory: dict[tuple[Any, ...], dict[str, float]] = field(default_factory=dict)

    @property
    def ours(self) -> float:
        return self.seconds["fastnn"]

    @property
    def share(self) -> float:
        """Of what as many cores can do."""
        return self.row.amount / self.ours / (self.limit * (self.row.threads or 1))

    @property
    def best(self) -> str:
        """The fastest peer; empty where there is none."""
        return min((p for p in self.seconds if p not in ("fastnn", OURS)), key=self.seconds.__getitem__, default="")

    def times(self, peer: str) -> float:
        """How many times as fast as the peer."""
        return self.seconds[peer] / self.ours


def cores() -> int:
    return len(os.sched_getaffinity(0))


def installed() -> list[str]:
    """The peers that are here."""
    needs = {"jax": ("jax", "optax"), "onnxruntime": ("onnxruntime", "onnx")}
    return [name for name, module in MODULES.items() if all(map(find_spec, needs.get(module, (module,))))]


class Bench:
    """The contenders' processes, each started when it is first needed.

    Args:
        peers: those that take part; all that are installed if not given.
        seconds: to be spent on timing each contender in each row.
    """

    def __init__(self, peers: Collection[str] | None = None, seconds: float = 1.0) -> None:
        self.modules = {MODULES[name] for name in (installed() if peers is None else peers)}
        self.budget = seconds
        self._workers: dict[tuple[str, int, str, str], Worker] = {}

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers.values():
            worker.close()

    def worker(self, module: str, threads: int, isa: str = "", name: str = "") -> Worker:
        """The process of a module; one of its own for each name, for a module that takes part twice."""
        key = (module, threads, isa, name)
        if key not in self._workers:
            self._workers[key] = Worker(module, threads, isa)
            self._workers[key]("load")
        return self._workers[key]

    def measure(self, row: Row) -> Measured:
        """The row's figures.

        Raises:
            ValueError: a contender's results are not what they should be.
        """
        most = min(2, cores())
        entries: list[tuple[str, int, Worker, str]] = []
        ways: dict[str, Way] = {"fastnn": ("fastnn", row.ours), **row.peers}
        for name, (module, function) in ways.items():
            if module == "fastnn" or module in self.modules:
                # fastnn is never given the choice: with all threads it must be as fast as with one.
                counts = {row.threads} if row.threads else {most} if module == "fastnn" else {1, most}
                isa, own = row.isa if module == "fastnn" else "", OURS if name == OURS else ""
                entries += [(name, n, self.worker(module, n, isa, own), function) for n in sorted(counts)]
        if row.kind != "digits":
            self._check(row, entries)
        rounds, times = self._times(row, entries)
        measured = Measured(row, rounds)
        for i, (name, threads, worker, _) in enumerate(entries):
            seconds = statistics.median(times[i])
            if row.kind == "digits":
                accuracy = worker("computed", i)
                measured.accuracy[name] = min(accuracy, measured.accuracy.get(name, accuracy))
            if seconds < measured.seconds.get(name, float("inf")):
                measured.seconds[name], measured.threads[name] = seconds, threads
            worker("drop", i)
        if row.limit:
            measured.limit = statistics.median(times[-1])
            entries[0][2]("drop", len(entries))
        check_accuracies(measured.accuracy)
        if row.memory:
            entered = {name: ways[name] for name in measured.seconds}
            measured.memory = {args: self._memory(entered, args, most) for args in row.memory}
        return measured

    def _memory(self, ways: dict[str, Way], args: tuple[Any, ...], threads: int) -> dict[str, float]:
        """MiB that calls need for a while, each contender in a process that has done nothing else."""
        found = {}
        for name, (module, function) in ways.items():
            worker = Worker(module, threads)
            try:
                worker("load")
                mib = worker("memory", function, args, (*args[:-2], 64, 64))
            finally:
                worker.close()
            if mib is not None:
                found[name] = mib
        return found

    def _times(self, row: Row, entries: list[tuple[str, int, Worker, str]]) -> tuple[int, list[list[float]]]:
        """Of each entry and round; the last list is the limit's, where the row has one."""
        args = (*row.args, nets.STILL) if row.kind == "train" else row.args
        jobs: list[tuple[Worker, int, int]] = []
        estimates = [worker("make", i, function, args) for i, (_, _, worker, function) in enumerate(entries)]
        rounds = int(min(max(self.budget / max(estimates), ROUNDS[0]), ROUNDS[1]))
        for i, ((_, _, worker, _), estimate) in enumerate(zip(entries, estimates, strict=True)):
            n = max(1, int(self.budget / rounds / estimate))
            if n > 1:  # the first calls are not the fastest
                n = max(1, int(self.budget / rounds / worker("block", i, max(1, n // 8))))
            jobs.append((worker, i, n))
        if row.limit:
            worker = entries[0][2]
            worker("make", len(entries), row.limit, row.args)
            jobs.append((worker, len(entries), 1))
        times: list[list[float]] = [[] for _ in jobs]
        for _ in range(rounds):
            for found, (worker, key, n) in zip(times, jobs, strict=True):
                found.append(worker("block", key, n))
        return rounds, times

    def _check(self, row: Row, entries: list[tuple[str, int, Worker, str]]) -> None:
        expected = reference(row.kind, row.args)
        args = (*row.args, nets.LR) if row.kind == "train" else row.args
        for name, _, worker, function in entries:
            value = worker("result", function, args)
            if value is not None:
                for got, want in zip(value, expected, strict=True) if row.kind == "head" else [(value, expected)]:
                    dtype = "float32" if name == OURS else row.dtype
                    check(f"{row.name}: {worker.name}", row.kind, name, got, np.asarray(want), dtype)


def check(what: str, kind: str, name: str, value: Any, expected: np.ndarray, dtype: str = "float32") -> None:
    """Compares a result with the reference's, computed in float64; dtype is that of the products' factors.

    Raises:
        ValueError: they differ by more than rounding explains.
    """
    value = np.asarray(value, np.float64)
    if kind == "predict" and name == "scikit-learn":  # probabilities
        expected = np.exp(expected - expected.max(1, keepdims=True))
        expected /= expected.sum(1, keepdims=True)
    if value.shape != expected.shape:
        raise ValueError(f"{what} gives shape {value.shape}, wanted {expected.shape}")
    error = np.abs(value - expected).max() / np.abs(expected).max()
    # Factors of 8 bits are off by up to 2^-9 each; of four steps' losses, about 1e-3 is left of it.
    most = 1e-5 if kind != "train" else 1e-3 if dtype == "float32" else 1e-2
    if not error <= most:
        raise ValueError(f"{what} is wrong: it differs by {error:.1e} of the greatest value, wanted {most:.0e} at most")


def check_accuracies(accuracy: dict[str, float]) -> None:
    """ValueError if fastnn's test accuracy is not that of the others."""
    for name, value in accuracy.items():
        if accuracy["fastnn"] < value - ACCURACY:
            raise ValueError(f"the digits: fastnn's test accuracy is {accuracy['fastnn']:.3f}, that of {name} {value:.3f}")
