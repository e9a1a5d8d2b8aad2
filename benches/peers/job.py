"""A piece of work that can be timed and checked."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import repeat
from typing import Any


class Job:
    """Calls of one function.

    Args:
        call: what is timed.
        args: its arguments.
        result: what it computes, as an array, for the check; None where there is nothing to compare.
        finish: waits for calls that may still be under way; part of the time.
    """

    def __init__(
        self,
        call: Callable[..., Any],
        args: tuple[Any, ...] = (),
        result: Callable[[], Any] = lambda: None,
        finish: Callable[[], Any] | None = None,
    ) -> None:
        self.call, self.args, self.result, self.finish = call, args, result, finish

    def seconds(self, n: int) -> float:
        """The time of one of n calls."""
        call, args = self.call, self.args
        start = time.perf_counter()
        for _ in repeat(None, n):
            call(*args)
        if self.finish:
            self.finish()
        return (time.perf_counter() - start) / n

    def warm(self, n: int) -> None:
        """Brings caches, threads and the clock of the cores back to where they are in the middle of such calls."""
        self.seconds(max(1, n // 2))


class Epochs(Job):
    """Training by a call that takes whole epochs.

    Args:
        train: trains for a number of epochs.
        steps: steps in an epoch.
        result: as in Job.
    """

    def __init__(self, train: Callable[[int], Any], steps: int, result: Callable[[], Any] = lambda: None) -> None:
        super().__init__(train, result=result)
        self.steps = steps

    def seconds(self, n: int) -> float:
        """The time of one step, from as many epochs as come closest to n steps."""
        epochs = max(1, round(n / self.steps))
        start = time.perf_counter()
        self.call(epochs)
        return (time.perf_counter() - start) / (epochs * self.steps)

    def warm(self, n: int) -> None:
        """Nothing: an epoch is long."""


class Rate(Job):
    """A measurement that gives its own number, such as a peak; `seconds` hands it on."""

    def seconds(self, n: int) -> float:
        return float(self.call(*self.args))

    def warm(self, n: int) -> None:
        """Nothing."""


class Digits(Rate):
    """30 epochs of the digits, a seed for each call; the result is the mean of the test accuracies.

    Args:
        run: seed -> (seconds, accuracy), from bench_training.py.
    """

    def __init__(self, run: Callable[[int], tuple[float, float]]) -> None:
        super().__init__(self._next, result=lambda: sum(self.accuracies) / len(self.accuracies))
        self.run = run
        self.accuracies: list[float] = []

    def _next(self) -> float:
        seconds, accuracy = self.run(len(self.accuracies))
        self.accuracies.append(accuracy)
        return seconds
