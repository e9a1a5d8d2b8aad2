"""A piece of work on a device that can be checked and timed."""

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
"""Times a function that starts work on the device and says how many steps that is; waits until it is done."""


def host_clock(wait: Callable[[], Any]) -> Clock:
    """For devices without events: until `wait` returns."""

    def timed(work: Callable[[], int]) -> Took:
        wait()
        start = time.perf_counter()
        steps = work()
        wait()
        seconds = (time.perf_counter() - start) / steps
        return Took(seconds, seconds)

    return timed


def event_clock(record: Callable[[], Any], wait: Callable[[], Any], elapsed: Callable[[Any, Any], float]) -> Clock:
    """By two events, before and after the work in the stream that it goes to.

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
        call: starts one call's work on the device.
        result: what is compared with the reference; called once, before any timing.
        settle: called after the check: from now on nothing may be learnt (see `nets.STILL`).
        steps: how many steps a call takes.
        least: seconds that a block must last at least.
    """

    call: Callable[[], Any]
    result: Callable[[], Any]
    settle: Callable[[], Any] = lambda: None
    steps: int = 1
    least: float = 0.03

    def run(self, n: int) -> int:
        """Starts about n steps; how many they are."""
        calls = max(1, round(n / self.steps))
        call = self.call
        for _ in repeat(None, calls):
            call()
        return calls * self.steps

    def block(self, clock: Clock, n: int) -> Took:
        """The time of a step, from about n of them after a few others."""
        self.run(max(1, n // 8))
        return clock(lambda: self.run(n))

    def steps_of(self, clock: Clock, seconds: float) -> int:
        """How many steps a block has that lasts about so long."""
        n, wall = self.steps, 0.0
        while wall * n < seconds / 4:
            n = 4 * n if wall else n
            wall = min(self.block(clock, n).wall for _ in range(2))
        return max(1, round(seconds / wall))


@dataclass
class Epochs(Job):
    """Training by a function that takes the number of epochs: all of a block's are one call, with what it does before and after
    them in the time. `steps` is an epoch's."""

    least: float = 0.25

    def run(self, n: int) -> int:
        epochs = max(1, round(n / self.steps))
        self.call(epochs)
        return epochs * self.steps

    def block(self, clock: Clock, n: int) -> Took:
        return clock(lambda: self.run(n))


class Whole(Job):
    """Training from new weights to a trained model, a seed for each call; its figure is that of the host's clock.

    Args:
        train: seed -> (seconds, test accuracy).
        accuracies: those of the calls that were timed.
    """

    def __init__(self, train: Callable[[int], tuple[float, float]]) -> None:
        super().__init__(lambda: train(1000), lambda: None)  # the first one compiles
        self.train = train
        self.accuracies: list[float] = []

    def steps_of(self, clock: Clock, seconds: float) -> int:
        self.call()
        return 1

    def block(self, clock: Clock, n: int) -> Took:
        seconds, accuracy = self.train(len(self.accuracies))
        self.accuracies.append(accuracy)
        return Took(seconds, seconds)
