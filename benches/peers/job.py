"""Jobs that are checked and timed, and the base class of the contenders that make them."""

from __future__ import annotations

import math
import statistics
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple


class Took(NamedTuple):
    """Seconds of one step: `device` by the events of the device, if it has them, and `wall` by the host's clock."""

    device: float
    wall: float


Clock = Callable[[Callable[[], int]], Took]
"""Function that times other functions. Each of these starts work and returns its number of steps; the clock waits for the end."""


def host_clock(wait: Callable[[], Any] = lambda: None) -> Clock:
    """Return a clock that measures with the host's clock, until `wait` returns."""

    def timed(work: Callable[[], int]) -> Took:
        wait()
        start = time.perf_counter()
        steps = work()
        wait()
        seconds = (time.perf_counter() - start) / steps
        return Took(seconds, seconds)

    return timed


def event_clock(record: Callable[[], Any], wait: Callable[[], Any], elapsed: Callable[[Any, Any], float]) -> Clock:
    """Return a clock that measures with two events, before and after the work, in the stream of the work.

    Args:
        record: makes an event and puts it into the stream.
        wait: waits until the device has finished.
        elapsed: returns the milliseconds between two events.
    """

    def timed(work: Callable[[], int]) -> Took:
        wait()
        start = time.perf_counter()
        first = record()
        steps = work()
        last = record()
        wait()
        return Took(elapsed(first, last) / 1e3 / steps, (time.perf_counter() - start) / steps)

    return timed


@dataclass
class Job:
    """Calls of one function.

    Args:
        call: starts one call's work.
        args: its arguments.
        result: returns a list of arrays, which are compared with the reference, or None if nothing is to be compared. It is
            called once, before any timing.
        settle: is called after the check and stops learning (see `nets.STILL`).
        steps: the number of steps in a call.
    """

    call: Callable[..., Any]
    args: tuple[Any, ...] = ()
    result: Callable[[], Any] = lambda: None
    settle: Callable[[], Any] = lambda: None
    steps: int = 1

    def run(self, n: int) -> int:
        """Start about n steps; return their exact number."""
        calls = max(1, round(n / self.steps))
        call, args = self.call, self.args
        for _ in repeat(None, calls):
            call(*args)
        return calls * self.steps

    def block(self, clock: Clock, n: int) -> Took:
        """Time about n steps."""
        return clock(lambda: self.run(n))

    def warm(self, n: int) -> None:
        """Run some steps first, so that caches, threads and clock rates are in the state of a running job."""
        self.run(max(1, n // 2))


@dataclass
class Epochs(Job):
    """Training by a function of the number of epochs. A block is one call, including its work before and after the epochs.
    `steps` is the number of steps of an epoch."""

    def run(self, n: int) -> int:
        epochs = max(1, round(n / self.steps))
        self.call(epochs)
        return epochs * self.steps

    def warm(self, n: int) -> None:
        """Do nothing: an epoch is long."""


class LaterEpochs(Epochs):
    """Training whose function takes one epoch more, and returns the seconds of those after the first. The figure is that of a
    step in them: steps of large nets are few in a block, and recording them takes as long as some of these."""

    def block(self, clock: Clock, n: int) -> Took:
        epochs = max(1, round(n / self.steps))
        seconds = self.call(epochs) / (epochs * self.steps)
        return Took(seconds, seconds)


class Rate(Job):
    """Job that measures a rate itself, such as a peak; its figure is the time of one unit."""

    def block(self, clock: Clock, n: int) -> Took:
        seconds = 1 / float(self.call(*self.args))
        return Took(seconds, seconds)

    def warm(self, n: int) -> None:
        """Do nothing."""


class Calls(Job):
    """Job that times each of its calls. The figure of a block is the median of its calls.

    Args:
        job: the calls.
        calls: the number of calls in all blocks together.
    """

    def __init__(self, job: Job, calls: int) -> None:
        super().__init__(job.call, job.args, job.result, job.settle)
        self.calls = calls
        self.nanoseconds = array("q")

    def block(self, clock: Clock, n: int) -> Took:
        call, args, now = self.call, self.args, time.perf_counter_ns
        took = array("q", bytes(8 * n))
        for i in range(n):
            start = now()
            call(*args)
            took[i] = now() - start
        self.nanoseconds.extend(took)
        seconds = 1e-9 * statistics.median(took)
        return Took(seconds, seconds)

    def percentiles(self) -> list[float]:
        """Return the percentiles of all calls that were timed, in seconds, and forget the calls."""
        ordered = sorted(self.nanoseconds)
        self.nanoseconds = array("q")
        return [1e-9 * percentile(ordered, share) for share in PERCENTILES]


PERCENTILES = (0.5, 0.99, 0.999)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed.

    Args:
        ordered: the values in ascending order.
        share: between 0 and 1.
    """
    return ordered[max(0, math.ceil(round(share * len(ordered), 6)) - 1)]


class Training(Job):
    """Training from new weights to a trained model, with a new seed in each call. The function measures the time.

    Args:
        train: seed -> (seconds, test accuracy).
    """

    def __init__(self, train: Callable[[int], tuple[float, float]]) -> None:
        super().__init__(train)
        self.accuracies: list[float] = []

    def block(self, clock: Clock, n: int) -> Took:
        seconds, accuracy = self.call(len(self.accuracies))
        self.accuracies.append(accuracy)
        return Took(seconds, seconds)

    def warm(self, n: int) -> None:
        """Do nothing: training is long."""


class Contender:
    """Base class of the contenders on a device. A subclass has one method that returns a Job for each kind of row it supports.

    Args:
        device: "cpu" or "cuda".
        threads: the largest number of threads.
    """

    def __init__(self, device: str, threads: int) -> None:
        self.device, self.threads = device, threads

    def clock(self) -> Clock:
        return host_clock()

    def free(self) -> None:
        """Free device memory that is not in use."""
