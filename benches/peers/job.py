"""Jobs, which can be checked and timed, and the base class of the libraries that make them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple


class Took(NamedTuple):
    """Seconds of one step: `device` by the device's events where there are any, `wall` by the host's clock."""

    device: float
    wall: float


Clock = Callable[[Callable[[], int]], Took]
"""Times a function that starts work and returns the number of its steps; waits until the work is done."""


def host_clock(wait: Callable[[], Any] = lambda: None) -> Clock:
    """Time by the host's clock, until `wait` returns."""

    def timed(work: Callable[[], int]) -> Took:
        wait()
        start = time.perf_counter()
        steps = work()
        wait()
        seconds = (time.perf_counter() - start) / steps
        return Took(seconds, seconds)

    return timed


def event_clock(record: Callable[[], Any], wait: Callable[[], Any], elapsed: Callable[[Any, Any], float]) -> Clock:
    """Time by two events, before and after the work, in the stream of the work.

    Args:
        record: makes an event and puts it into the stream.
        wait: lets the device finish.
        elapsed: milliseconds between two events.
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
        result: returns a list of arrays, to be compared with the reference; called once, before any timing. None where there is
            nothing to compare.
        settle: called after the check: from now on nothing may be learnt (see `nets.STILL`).
        steps: the number of steps in a call.
    """

    call: Callable[..., Any]
    args: tuple[Any, ...] = ()
    result: Callable[[], Any] = lambda: None
    settle: Callable[[], Any] = lambda: None
    steps: int = 1

    def run(self, n: int) -> int:
        """Start about n steps; return how many they are."""
        calls = max(1, round(n / self.steps))
        call, args = self.call, self.args
        for _ in repeat(None, calls):
            call(*args)
        return calls * self.steps

    def block(self, clock: Clock, n: int) -> Took:
        """Time about n steps."""
        return clock(lambda: self.run(n))

    def warm(self, n: int) -> None:
        """Bring caches, threads and clock rates to where they are in the middle of such steps."""
        self.run(max(1, n // 2))


@dataclass
class Epochs(Job):
    """Training by a function of the number of epochs: a block is one call, with all that it does before and after the epochs.
    `steps` is an epoch's."""

    def run(self, n: int) -> int:
        epochs = max(1, round(n / self.steps))
        self.call(epochs)
        return epochs * self.steps

    def warm(self, n: int) -> None:
        """Do nothing: an epoch is long."""


class Rate(Job):
    """Job that measures a rate itself, such as a peak; its figure is the time of one unit."""

    def block(self, clock: Clock, n: int) -> Took:
        seconds = 1 / float(self.call(*self.args))
        return Took(seconds, seconds)

    def warm(self, n: int) -> None:
        """Do nothing."""


class Training(Job):
    """Training from new weights to a trained model, with a seed for each call, timed by the function itself.

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
    """Base of the libraries on a device. A subclass has a method, which returns a Job, for each kind of row it takes part in.

    Args:
        device: "cpu" or "cuda".
        threads: the number of threads that it may use.
    """

    def __init__(self, device: str, threads: int) -> None:
        self.device, self.threads = device, threads

    def clock(self) -> Clock:
        return host_clock()

    def free(self) -> None:
        """Give device memory that is not in use back."""
