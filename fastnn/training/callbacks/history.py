"""History: the losses and metrics of each epoch, which fit returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.html import table
from .base import Callback, Logs
from .lines import number
from .notebook import ROWS


class History(Callback):
    """Records the logs of every epoch.

    ``epoch`` lists the epochs' numbers, ``history`` maps each name in the logs to its values, one per epoch, and ``params``
    contains settings of fit. In a second fit, the same object continues its lists.

    >>> h = History()
    >>> h.on_epoch_end(0, {"loss": 0.5})
    >>> h.history
    {'loss': [0.5]}
    """

    _alone = True
    _state: Mapping[str, Any] = {"epoch": list, "history": dict}

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def _repr_html_(self) -> str:
        """Return a table of the last epochs, which notebooks show."""
        names = list(self.history)
        last = range(max(0, len(self.epoch) - ROWS), len(self.epoch))
        rows = [[self.epoch[i] + 1, *(_at(self.history[name], i, len(self.epoch)) for name in names)] for i in last]
        hidden = f"<div>{last.start} earlier epochs are not shown</div>" if last.start else ""
        return table(["epoch", *names], rows) + hidden

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if not all(isinstance(values, list) for values in self.history.values()):
            raise ValueError("History: the state has values that are not lists")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"model": None}  # a saved history is a table of numbers


def _at(values: list[float], i: int, epochs: int) -> str:
    """Return the value of an epoch. A number that came into the logs later has values for the last epochs."""
    place = i - (epochs - len(values))
    return number(values[place]) if 0 <= place < len(values) else ""
