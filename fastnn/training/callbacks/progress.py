"""Progress bar and lines that fit shows while it runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any


class Progress:
    """Display of the progress of fit.

    verbose: 0 shows nothing, 1 a bar on stderr with a line for each epoch above it, 2 prints a line for each epoch; "auto" is 1
    on a terminal and 0 elsewhere. steps: number of batches in an epoch; None if it is unknown until the end of the first epoch.

    >>> p = Progress(2, epochs=30, steps=125)
    >>> p.epoch_end(2, {"loss": 0.4321, "accuracy": 0.8712}, 0.04)
    Epoch 3/30  0.04 s  loss 0.4321  accuracy 0.8712
    """

    def __init__(self, verbose: int | str, epochs: int, steps: int | None) -> None:
        self.verbose = shown(verbose, "fit")
        self.epochs = epochs
        self.steps = steps
        self._epoch = 0
        self._before = 0  # number of batches in earlier epochs
        self._bar: Any = None
        if self.verbose == 1:
            from tqdm import tqdm

            self._bar = tqdm(
                total=None if steps is None else epochs * steps, leave=False, unit="batch", dynamic_ncols=True, file=sys.stderr
            )

    def epoch_begin(self, epoch: int) -> None:
        """Show the start of an epoch; epochs count from 0."""
        self._epoch = epoch
        self._before = epoch * (self.steps or 0)
        if self._bar is not None:
            self._bar.set_description(f"Epoch {epoch + 1}/{self.epochs}", refresh=False)

    def update(self, steps_done: int, logs: Mapping[str, float]) -> None:
        """Show the number of batches that are done in this epoch, and the logs so far."""
        if self._bar is not None:
            self._bar.set_postfix_str(_numbers(logs), refresh=False)
            self._bar.update(self._before + steps_done - self._bar.n)

    def epoch_end(self, epoch: int, logs: Mapping[str, float], seconds: float, steps: int | None = None) -> None:
        """Show the time and the logs of an epoch; steps: its number of batches."""
        if self.steps is None and steps:
            self.steps = steps
            if self._bar is not None:
                self._bar.total = self.epochs * steps
        if self.verbose == 0:
            return
        line = f"Epoch {epoch + 1}/{self.epochs}  {seconds:.2f} s  {_numbers(logs)}"
        if self._bar is None:
            print(line, flush=True)
        else:
            self._bar.write(line, file=sys.stderr)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()


def shown(verbose: Any, op: str) -> int:
    """Return the argument verbose as a number.

    >>> shown(True, "fit")
    1
    """
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f"{op}: verbose is {verbose!r}; wanted 'auto', 0, 1 or 2")
    if verbose == "auto":
        return 1 if sys.stderr is not None and sys.stderr.isatty() else 0
    return int(verbose)


def _numbers(logs: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" if 1e-3 <= abs(value) < 1e4 else f"{name} {value:.4g}" for name, value in logs.items())
