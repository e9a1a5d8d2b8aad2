"""Show the progress of fit in a notebook: a table and a bar in one place, which is updated."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from ...core.html import escaped, table
from .lines import line, number

ROWS = 10
"""Number of epochs that the table shows: the last ones."""
PAUSE = 0.1
"""Smallest time between two updates in seconds: a browser shows no more, and each update takes time."""


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook. IPython is not imported for the answer."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class Table:
    """A table of the last epochs, with a bar below it while fit runs."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._rows: list[tuple[int, float, dict[str, float]]] = []
        self._bar = ""
        self._handle: Any = None
        self._shown = 0.0

    def batches(self, epoch: int, done: int, steps: int | None, logs: Mapping[str, float]) -> None:
        share = (epoch + (done / steps if steps else 0)) / self._epochs
        words = f"epoch {epoch + 1} of {self._epochs}, {done} of {steps or '?'} batches"
        self._bar = f'<progress value="{share:.4f}" max="1"></progress> {words}'
        self._show()

    def epoch(self, epoch: int, steps: int | None, logs: Mapping[str, float], seconds: float) -> None:
        self._rows.append((epoch, seconds, dict(logs)))
        self._show()

    def close(self) -> None:
        self._bar = ""
        self._show(last=True)

    def _show(self, last: bool = False) -> None:
        now = time.perf_counter()
        if not last and now - self._shown < PAUSE:
            return
        self._shown = now
        from IPython.display import display

        data = {"text/html": self.html(), "text/plain": self.text()}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def html(self) -> str:
        """Return the table, and the bar while fit runs."""
        names = list(dict.fromkeys(name for _, _, logs in self._rows for name in logs))
        rows = [
            [f"{epoch + 1}/{self._epochs}", f"{seconds:.2f} s", *(number(logs[n]) if n in logs else "" for n in names)]
            for epoch, seconds, logs in self._rows[-ROWS:]
        ]
        total = sum(seconds for _, seconds, _ in self._rows)
        hidden = len(self._rows) - ROWS
        notes = [f"{hidden} earlier epochs are not shown"] if hidden > 0 else []
        if not self._bar and self._rows:
            notes.append(f"{len(self._rows)} epochs in {total:.2f} s")
        below = "".join(f"<div>{escaped(note)}</div>" for note in notes)
        return (table(["epoch", "time", *names], rows) if rows else "") + self._bar + below

    def text(self) -> str:
        """Return the last epoch in one line, for what shows no HTML."""
        if not self._rows:
            return "training"
        epoch, seconds, logs = self._rows[-1]
        return line(epoch, self._epochs, logs, seconds)
