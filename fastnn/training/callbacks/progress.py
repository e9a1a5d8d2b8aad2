"""Show how far fit, evaluate and predict are: a bar on a terminal, a table in a notebook, lines in a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from .base import Callback
from .lines import line, numbers
from .notebook import Table, in_notebook

DELAY = 1.0
"""Seconds after which predict and evaluate show a bar. Most calls are over sooner."""
T = TypeVar("T")


class Display(Protocol):
    """What shows the progress of fit."""

    def batches(self, epoch: int, done: int, steps: int | None, logs: Mapping[str, float]) -> None:
        """Show that `done` of `steps` batches of an epoch are done; epochs count from 0."""

    def epoch(self, epoch: int, steps: int | None, logs: Mapping[str, float], seconds: float) -> None:
        """Show the results of an epoch."""

    def close(self) -> None:
        """Show that training has ended."""


class Progress:
    """Display of the progress of fit.

    verbose: 0 shows nothing, 1 a table in a notebook and elsewhere a bar on stderr with a line for each epoch above it, 2 prints
    a line for each epoch; "auto" is 1 on a terminal and in a notebook, and 2 elsewhere. steps: number of batches in an epoch;
    None if it is unknown until the end of the first epoch.

    >>> p = Progress(2, epochs=30, steps=125)
    >>> p.epoch_end(2, {"loss": 0.4321, "accuracy": 0.8712}, 0.04)
    Epoch 3/30  0.04 s  loss 0.4321  accuracy 0.8712
    """

    def __init__(self, verbose: int | str, epochs: int, steps: int | None) -> None:
        self.verbose = shown(verbose, "fit")
        self.steps = steps
        self._epoch = 0
        self._display: Display | None = None
        if self.verbose == 1:
            self._display = Table(epochs) if in_notebook() else _Bar(epochs, steps)
        elif self.verbose == 2:
            self._display = _Lines(epochs)

    def epoch_begin(self, epoch: int) -> None:
        """Show the start of an epoch; epochs count from 0."""
        self._epoch = epoch
        self.update(0, {})

    def update(self, steps_done: int, logs: Mapping[str, float]) -> None:
        """Show the number of batches that are done in this epoch, and the logs so far."""
        if self._display is not None:
            self._display.batches(self._epoch, steps_done, self.steps, logs)

    def epoch_end(self, epoch: int, logs: Mapping[str, float], seconds: float, steps: int | None = None) -> None:
        """Show the time and the logs of an epoch; steps: its number of batches."""
        self.steps = self.steps or steps
        if self._display is not None:
            self._display.epoch(epoch, self.steps, logs, seconds)

    def close(self) -> None:
        """Remove the bar."""
        if self._display is not None:
            self._display.close()


class ProgressBar(Callback):
    """Callback with which `fit` shows its progress as with verbose=1, whatever verbose is: a bar, or a table in a notebook.

    It is for programs that choose what is shown by a list of callbacks. Keras calls it ProgbarLogger.

    >>> bar = ProgressBar()
    """

    _alone = True


class _Lines:
    """A line for each epoch on stdout."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def batches(self, epoch: int, done: int, steps: int | None, logs: Mapping[str, float]) -> None:
        pass

    def epoch(self, epoch: int, steps: int | None, logs: Mapping[str, float], seconds: float) -> None:
        print(line(epoch, self._epochs, logs, seconds), flush=True)

    def close(self) -> None:
        pass


class _Bar:
    """A bar on stderr for all epochs, with a line for each epoch above it."""

    def __init__(self, epochs: int, steps: int | None) -> None:
        self._epochs = epochs
        self._bar = _bar(total=None if steps is None else epochs * steps)

    def batches(self, epoch: int, done: int, steps: int | None, logs: Mapping[str, float]) -> None:
        if not done:
            self._bar.set_description(f"Epoch {epoch + 1}/{self._epochs}", refresh=False)
            return
        self._bar.set_postfix_str(numbers(logs), refresh=False)
        self._bar.update(epoch * (steps or 0) + done - self._bar.n)

    def epoch(self, epoch: int, steps: int | None, logs: Mapping[str, float], seconds: float) -> None:
        self._bar.total = None if steps is None else self._epochs * steps
        self._bar.write(line(epoch, self._epochs, logs, seconds), file=sys.stderr)

    def close(self) -> None:
        self._bar.close()


def watched(batches: Iterable[T], verbose: int, op: str) -> Iterator[T]:
    """Yield batches, and with verbose 1 show a bar with their number if they take longer than `DELAY`."""
    if verbose != 1:
        yield from batches
        return
    bar = _bar(desc=op, delay=DELAY)
    try:
        for batch in batches:
            yield batch
            bar.update()
    finally:
        bar.close()


def _bar(**how: Any) -> Any:
    from tqdm import tqdm

    return tqdm(leave=False, unit="batch", dynamic_ncols=True, file=sys.stderr, **how)


def shown(verbose: Any, op: str) -> int:
    """Return the argument verbose as a number.

    >>> shown(True, "fit")
    1
    """
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f"{op}: verbose is {verbose!r}; wanted 'auto', 0, 1 or 2")
    if verbose == "auto":
        terminal = sys.stderr is not None and sys.stderr.isatty()
        return 1 if terminal or in_notebook() else 2
    return int(verbose)
