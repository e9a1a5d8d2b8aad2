"""Callbacks that monitor the logs of the epochs, and those that stop training."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import metrics
from .base import Callback, Logs

NUMBER = int | float | None
"""Type of the best value so far in the states of callbacks."""


class Monitor(Callback):
    """Base class of callbacks that monitor a number in the logs of the epochs.

    monitor: name of the number, or a function of the logs that returns it. mode: "min", "max", or "auto", which uses the
    direction of the metric with this name. min_delta: smallest change that counts as an improvement. NaN is never an improvement.
    """

    def __init__(
        self, monitor: str | Callable[[dict[str, float]], float] | None, mode: str = "auto", min_delta: float = 0.0
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{type(self).__name__}: mode is {mode!r}; wanted 'auto', 'min' or 'max'")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = min_delta

    def _epochs(self, patience: Any, name: str) -> int:
        if isinstance(patience, bool) or not isinstance(patience, (int, np.integer)) or patience < 0:
            raise ValueError(f"{type(self).__name__}: {name} is {patience!r}; wanted a number of epochs")
        return int(patience)

    def _current(self, logs: Logs) -> float | None:
        """Return the monitored number; warn and return None if it is not in the logs."""
        if (found := self._found(logs or {})) is None:
            have, name = ", ".join(logs or {}) or "none", type(self).__name__
            warnings.warn(f"{name}: {self._label()} is not in the logs, which contain: {have}", RuntimeWarning, stacklevel=3)
        return found

    def _found(self, logs: dict[str, float]) -> float | None:
        return float(self.monitor(logs)) if callable(self.monitor) else logs.get(str(self.monitor))

    def _label(self) -> str:
        return str(getattr(self.monitor, "__name__", self.monitor))

    def _improves(self, value: float, reference: float | None) -> bool:
        if reference is None:
            return not math.isnan(value)
        if self._direction() == "min":
            return value + abs(self.min_delta) < reference
        return value - abs(self.min_delta) > reference

    def _direction(self) -> str:
        if self.mode != "auto":
            return self.mode
        name = "" if callable(self.monitor) else str(self.monitor).removeprefix("val_")
        if name == "loss":
            return "min"
        compiled = getattr(self.model, "_compiled", None)
        of_model = {m.name: m.direction for m in getattr(self.model, "metrics", ())}
        of_model |= {} if compiled is None else {key: m.direction for key, m in compiled.named_metrics()}
        direction = of_model.get(name) or metrics.direction(name)
        if direction is None:
            raise ValueError(f"{type(self).__name__}: should {self._label()} rise or fall? Pass mode='max' or mode='min'")
        return direction


class EarlyStopping(Monitor):
    """Callback that stops training when a monitored number has not improved for ``patience`` epochs.

    monitor: a name in the logs, or a function of the logs that returns a number; a function needs a mode. min_delta: smallest
    change that counts as an improvement. mode: "min", "max", or "auto", which uses the direction of the metric with this name.
    baseline: patience restarts only at improvements that are also better than the baseline. restore_best_weights: training ends
    with the weights of the best epoch, whether it was stopped or not. start_from_epoch: earlier epochs are ignored. verbose: 1
    prints a line when training stops or weights are restored. rule: a function of the logs that decides instead of the monitored
    number. Training stops when it has returned True for more than ``patience`` epochs in a row. The monitored number then only
    selects the best weights.

    Afterwards, ``stopped_epoch``, ``best_epoch`` and ``best`` contain the results. NaN is never an improvement.

    >>> stop = EarlyStopping("val_accuracy", patience=3, restore_best_weights=True)
    >>> overfits = EarlyStopping(rule=lambda logs: logs["val_loss"] > 1.2 * logs["loss"], patience=2)
    >>> gap = EarlyStopping(lambda logs: logs["val_loss"] - logs["loss"], mode="min", patience=5)
    """

    _alone = True
    _state: Mapping[str, Any] = {
        **dict.fromkeys(("wait", "stopped_epoch", "best_epoch", "_weights_epoch"), int),
        "best": NUMBER,
        "best_weights": list | None,
    }

    def __init__(
        self,
        monitor: str | Callable[[dict[str, float]], float] = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
        rule: Callable[[dict[str, float]], Any] | None = None,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = self._epochs(patience, "patience")
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        if rule is not None and not callable(rule):
            raise TypeError(f"EarlyStopping: rule is a {type(rule).__name__}; wanted a function of the logs")
        self.rule = rule
        self._start()

    def _start(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best: float | None = None
        self.best_epoch = 0
        self.best_weights: Any = None
        self._weights_epoch = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        self._start()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if epoch < self.start_from_epoch:
            return
        if self.rule is not None:
            self._apply(self.rule, epoch, logs or {})
            return
        if (current := self._current(logs)) is None:
            return
        self.wait += 1
        improved = self._note(current, epoch)
        if improved and self._improves(current, self.baseline):
            self.wait = 0
        elif not improved and self.wait >= self.patience and epoch > 0:
            self._stop(epoch)

    def _apply(self, rule: Callable[[dict[str, float]], Any], epoch: int, logs: dict[str, float]) -> None:
        if self.restore_best_weights and (current := self._current(logs)) is not None:
            self._note(current, epoch)
        self.wait = self.wait + 1 if rule(logs) else 0
        if self.wait > self.patience:
            self._stop(epoch)

    def _stop(self, epoch: int) -> None:
        self.stopped_epoch = epoch
        self.model.stop_training = True

    def _note(self, current: float, epoch: int) -> bool:
        """Keep the value and the weights of an epoch if they are the best so far; return whether they are."""
        improves = self._improves(current, self.best)
        if self.restore_best_weights and (improves or self.best_weights is None):
            self.best_weights, self._weights_epoch = self.model.get_weights(), epoch
        if improves:
            self.best, self.best_epoch = current, epoch
        return improves

    def on_train_end(self, logs: Logs = None) -> None:
        verbose = self.verbose and self._writes
        if self.stopped_epoch and verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if verbose:
                print(f"Restoring the weights of the best epoch, {self._weights_epoch + 1}")
            self.model.set_weights(self.best_weights)


class TerminateOnNaN(Callback):
    """Callback that stops training, with a warning, when the loss of an epoch is NaN or infinite.

    If another callback has batch hooks, the loss is checked after every batch.

    Args:
        raise_error: whether training ends with a RuntimeError instead.
    """

    _alone = True

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    @property
    def wants_batches(self) -> bool:
        return False  # a check after every epoch is enough, and costs nothing

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._check(f"batch {batch}", logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._check(f"epoch {epoch + 1}", logs)

    def _check(self, where: str, logs: Logs) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss) and not getattr(self.model, "stop_training", False):
            if self.raise_error:
                raise RuntimeError(f"TerminateOnNaN: the loss is {loss} at {where}")
            warnings.warn(f"TerminateOnNaN: the loss is {loss} at {where}; training stops", RuntimeWarning, stacklevel=2)
            self.model.stop_training = True
