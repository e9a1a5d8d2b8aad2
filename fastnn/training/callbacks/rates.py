"""Callbacks that change the learning rate, or any other hyper-parameter, while fit trains."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from .base import Callback, Logs
from .stopping import NUMBER, Monitor


def _refuse_schedule(callback: Callback, name: str) -> None:
    """Raise ValueError if the optimizer's setting that the callback will change follows a schedule."""
    for group in callback.model.optimizer.param_groups:
        group.refuse_schedule(name, type(callback).__name__)


class LearningRateScheduler(Callback):
    """Callback that sets the learning rate before each epoch.

    schedule: a function of the epoch, counted from 0, and of the learning rate, or only of the epoch, such as the objects of
    `fastnn.schedules`. verbose: 1 prints the rate. The logs get ``learning_rate``. All callbacks of this module raise an error
    if the optimizer's setting already follows a schedule.

    >>> halve = LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch else lr)
    """

    _state: Mapping[str, Any] = {"_epoch": int, "_before": float}

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose
        self._start()

    def _start(self) -> None:
        self._epoch = -1
        self._before = 0.0  # rate before this epoch

    def on_train_begin(self, logs: Logs = None) -> None:
        _refuse_schedule(self, "lr")
        self._start()

    def _takes_rate(self) -> bool:
        try:
            inspect.signature(self.schedule).bind(0, 0.0)
        except TypeError:
            return False
        return True

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        if epoch == self._epoch:  # a backup continues in the middle of this epoch
            optimizer.lr = self._before
        self._epoch, self._before = epoch, optimizer.lr
        rate = self.schedule(epoch, optimizer.lr) if self._takes_rate() else self.schedule(epoch)
        optimizer.lr = float(rate)
        if self.verbose and self._writes:
            print(f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {float(rate)}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.lr


class ReduceLROnPlateau(Monitor):
    """Callback that multiplies the learning rate by factor when a monitored number has not improved for ``patience`` epochs.

    monitor: a name in the logs, or a function of the logs. factor: below 1. min_delta: smallest change that counts as an
    improvement. mode: "min", "max" or "auto". cooldown: number of epochs after a reduction in which patience does not count.
    min_lr: smallest rate. verbose: 1 prints reductions. The logs get ``learning_rate``.

    >>> reduce = ReduceLROnPlateau("val_loss", factor=0.2, patience=5, min_lr=1e-5)
    """

    _alone = True
    _state: Mapping[str, Any] = {"best": NUMBER, "wait": int, "cooldown_counter": int}

    def __init__(
        self,
        monitor: str | Callable[[dict[str, float]], float] = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not 0 <= factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor is {factor!r}; wanted a number from 0 to below 1")
        self.factor = factor
        self.patience = self._epochs(patience, "patience")
        self.cooldown = self._epochs(cooldown, "cooldown")
        self.verbose = verbose
        self.min_lr = min_lr
        self._start()

    def _start(self) -> None:
        self.best: float | None = None
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        _refuse_schedule(self, "lr")
        self._start()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        if logs is not None:
            logs["learning_rate"] = optimizer.lr
        current = self._current(logs)
        if current is None:
            return
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.wait = 0
        if self._improves(current, self.best):
            self.best, self.wait = current, 0
        elif not self.cooldown_counter:
            self.wait += 1
            if self.wait >= self.patience and optimizer.lr > self.min_lr:
                optimizer.lr = max(optimizer.lr * self.factor, self.min_lr)
                self.cooldown_counter, self.wait = self.cooldown, 0
                if self.verbose and self._writes:
                    print(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {optimizer.lr}.")


class HyperparameterScheduler(Callback):
    """Callback that sets a hyper-parameter of the optimizer, or an attribute of a layer or another object, by a schedule.

    name: "lr", "momentum", "weight_decay", ..., "rate" of a dropout layer, "l2" of a regularizer. schedule: a function of the
    number of the epoch or step, such as the objects of `fastnn.schedules`. of: the object with the attribute; by default the
    model's optimizer. per: "epoch" or "step". Steps are numbered from the first epoch on, and training returns to Python after
    each step.

    >>> import fastnn
    >>> drop = fastnn.Dropout(0.5)
    >>> less = HyperparameterScheduler("rate", fastnn.schedules.PolynomialDecay(0.5, 10, 0.0), of=drop)
    >>> less.on_epoch_begin(5)
    >>> drop.rate
    0.25
    """

    def __init__(self, name: str, schedule: Callable[[int], float], of: Any = None, per: str = "epoch") -> None:
        super().__init__()
        if per not in ("epoch", "step"):
            raise ValueError(f"HyperparameterScheduler: per is {per!r}; wanted 'epoch' or 'step'")
        if of is not None and not hasattr(of, name):
            raise ValueError(f"HyperparameterScheduler: {type(of).__name__} has no {name!r}")
        self.name = name
        self.schedule = schedule
        self.of = of
        self.per = per
        self._first = 0  # the number of the epoch's first step

    @property
    def wants_batches(self) -> bool:
        return self.per == "step"

    def on_train_begin(self, logs: Logs = None) -> None:
        if self.of is None:
            _refuse_schedule(self, self.name)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self.per == "epoch":
            self._set(epoch)
        self._first = epoch * int(self.params.get("steps", 0))

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        if self.per == "step":
            self._set(self._first + batch)

    def _set(self, number: int) -> None:
        value = float(self.schedule(number))
        if self.of is not None:
            setattr(self.of, self.name, value)
            return
        for group in self.model.optimizer.param_groups:
            if self.name not in group:
                raise ValueError(f"HyperparameterScheduler: {type(self.model.optimizer).__name__} has no {self.name!r}")
            group[self.name] = value
