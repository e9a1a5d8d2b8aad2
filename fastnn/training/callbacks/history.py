"""History: the losses and metrics of each epoch, which fit returns."""

from __future__ import annotations

from typing import Any

from .base import Callback, Logs


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
    _state = ("epoch", "history")

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"model": None}  # a saved history is a table of numbers
