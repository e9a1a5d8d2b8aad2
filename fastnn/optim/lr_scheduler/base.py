"""Base class of all schedulers."""

from __future__ import annotations

import math
from typing import Any

_UNSAVED = frozenset({"optimizer", "lr_lambdas", "schedulers", "_scale"})
"""Attributes of schedulers that are not part of their state."""


class LRScheduler:
    """Base class of schedulers: ``lr_at`` returns the learning rate of a group at an epoch (or step, if `step` counts steps).

    Args:
        optimizer: an object of `fastnn.optim`.
        last_epoch: the epoch before the first one. -1 starts with the optimizer's rate. Another number continues an earlier
            scheduler of the optimizer.
    """

    _fixed: dict[str, str] = {}  # noqa: RUF012 (never changed)
    """Arguments that cannot be set later, with the attribute that can; "" if there is none."""

    def __init__(self, optimizer: Any, last_epoch: int = -1) -> None:
        self.optimizer = optimizer
        for group in self._groups():
            group.refuse_schedule("lr", type(self).__name__)
            if "initial_lr" not in group:
                if last_epoch != -1:
                    words = f"last_epoch is {last_epoch}, but the optimizer had no scheduler; load_state_dict() restores one"
                    raise ValueError(f"{type(self).__name__}: {words}")
                group["initial_lr"] = group["lr"]
        self._rebase()
        self.last_epoch = last_epoch
        self.step()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._fixed:
            instead = self._fixed[name]
            hint = f"set {instead}, which has a value for each group" if instead else "make another one"
            raise AttributeError(f"{type(self).__name__}: {name} is fixed once the scheduler is made; {hint}")
        object.__setattr__(self, name, value)

    def _rebase(self) -> None:
        """Start from the initial rates of the optimizer, or from those that another scheduler set instead."""
        self.base_lrs: list[float] = [group["initial_lr"] for group in self._groups()]

    def _groups(self) -> list[Any]:
        if not hasattr(self.optimizer, "lr"):
            raise TypeError(f"{type(self).__name__}: {type(self.optimizer).__name__} came, wanted an optimizer")
        groups: list[Any] = self.optimizer.param_groups
        return groups

    def _per_group(self, name: str, value: Any) -> list[Any]:
        """Return one value for each group, from one for all of them or from a list."""
        count = len(self._groups())
        if not isinstance(value, list | tuple):
            return [value] * count
        if len(value) != count:
            raise ValueError(f"{type(self).__name__}: {name} has {len(value)} values for {count} groups")
        return list(value)

    def lr_at(self, epoch: float, group: int) -> float:
        """Return the rate of a group at an epoch; by default, base_lrs[group] times the scale of the epoch."""
        return self.base_lrs[group] * self.scale_at(epoch)

    def scale_at(self, epoch: float) -> float:
        raise NotImplementedError(f"{type(self).__name__} defines neither lr_at(epoch, group) nor scale_at(epoch)")

    def step(self) -> None:
        """Go to the next epoch."""
        self._go_to(self.last_epoch + 1)

    def _go_to(self, epoch: float) -> None:
        self.last_epoch = math.floor(epoch)
        self._write([self.lr_at(epoch, i) for i in range(len(self.base_lrs))])

    def _write(self, rates: list[float]) -> None:
        self._last_lr = rates
        for group, rate in zip(self._groups(), rates, strict=True):
            group["lr"] = rate

    # ---- inside of other schedulers ----

    @property
    def _absolute(self) -> bool:
        """Return whether the rates do not depend on earlier rates."""
        return type(self)._chained is LRScheduler._chained and type(self).lr_at is not LRScheduler.lr_at

    def _restart(self) -> None:
        """Start again at epoch 0."""
        self._go_to(0)

    def _take_over(self) -> None:
        """Start where another scheduler ends."""
        self._restart()

    def _initial(self, rates: list[float]) -> list[float]:
        """Go to epoch 0, and return its rates, computed from the given ones."""
        self.last_epoch = 0
        return self._all_chained(rates)

    def _from(self, rates: list[float]) -> list[float]:
        """Go to the next epoch, and return its rates, computed from the given ones."""
        self.last_epoch += 1
        return self._all_chained(rates)

    def _all_chained(self, rates: list[float]) -> list[float]:
        self._last_lr = [self._chained(rate, i) for i, rate in enumerate(rates)]
        return self._last_lr

    def _chained(self, rate: float, group: int) -> float:
        """Return the rate of this epoch, given the rate of the epoch before."""
        if self._absolute:
            return self.lr_at(self.last_epoch, group)
        before = self.scale_at(self.last_epoch - 1) if self.last_epoch else 1.0
        return rate * self.scale_at(self.last_epoch) / before if before else rate

    def get_last_lr(self) -> list[float]:
        """Return the rates that were last set, one for each group."""
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """Return all attributes except the optimizer and functions."""
        return {k: v for k, v in vars(self).items() if k not in _UNSAVED}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the result of state_dict. The optimizer's rates must be restored by its own load_state_dict."""
        vars(self).update(state)


def above_zero(owner: object, name: str, value: int) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{type(owner).__name__}: {name} is {value!r}, wanted a whole number of at least 1")
    return value


def half_cosine(share: float) -> float:
    return (1 - math.cos(math.pi * share)) / 2


def between(a: float, b: float, share: float) -> float:
    return a + (b - a) * share
