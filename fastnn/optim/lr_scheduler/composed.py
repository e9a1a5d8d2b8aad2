"""Schedulers made of schedulers: one after the other, or all at the same time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from .base import LRScheduler
from .rules import ReduceLROnPlateau


class _Composed(LRScheduler):
    """Base of composed schedulers. The schedulers that act first start from the initial rates of the optimizer."""

    _at_once: int | None = None
    """Number of schedulers that act from the beginning; None for all."""

    def __init__(self, optimizer: Any, schedulers: Sequence[LRScheduler], last_epoch: int) -> None:
        name = type(self).__name__
        if any(s.optimizer is not optimizer for s in schedulers):
            raise ValueError(f"{name}: a scheduler belongs to another optimizer")
        if any(isinstance(s, ReduceLROnPlateau) for s in schedulers):
            raise ValueError(f"{name}: ReduceLROnPlateau goes by a number that step() would need; call it beside the others")
        self.schedulers = list(schedulers)
        super().__init__(optimizer, last_epoch)

    def _rebase(self) -> None:
        super()._rebase()
        for s in self.schedulers[: self._at_once]:
            if not s._absolute:
                s._rebase()

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"states": [s.state_dict() for s in self.schedulers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for scheduler, own in zip(self.schedulers, state["states"], strict=True):
            scheduler.load_state_dict(own)
        super().load_state_dict({k: v for k, v in state.items() if k != "states"})


class SequentialLR(_Composed):
    """Scheduler that runs schedulers one after the other. At each milestone, the next one starts.

    Args:
        optimizer, last_epoch: as in `LRScheduler`.
        schedulers: schedulers of this optimizer.
        milestones: the epochs at which the next scheduler starts; one fewer than schedulers.
    """

    _at_once = 1

    def __init__(
        self, optimizer: Any, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"SequentialLR: {len(schedulers)} schedulers and {len(milestones)} milestones, wanted one less")
        self.milestones = list(milestones)
        super().__init__(optimizer, schedulers, last_epoch)

    def _begins(self) -> tuple[LRScheduler, bool]:
        """Return the scheduler of the next epoch, and whether it begins there."""
        self.last_epoch += 1
        scheduler = self.schedulers[bisect_right(self.milestones, self.last_epoch)]
        return scheduler, self.last_epoch == 0 or self.last_epoch in self.milestones

    def step(self) -> None:
        """Go to the next epoch."""
        scheduler, begins = self._begins()
        (scheduler.step if not begins else scheduler._take_over if self.last_epoch else scheduler._restart)()
        self._last_lr = scheduler.get_last_lr()

    def _restart(self) -> None:
        self.last_epoch = -1
        self.step()

    def _initial(self, rates: list[float]) -> list[float]:
        self.last_epoch = 0
        return self.schedulers[bisect_right(self.milestones, 0)]._initial(rates)

    def _from(self, rates: list[float]) -> list[float]:
        scheduler, begins = self._begins()
        return scheduler._initial(list(self.base_lrs)) if begins else scheduler._from(rates)


class ChainedScheduler(_Composed):
    """Scheduler that runs several schedulers in each epoch. Each one changes the rate of the one before.

    Schedulers with a factor (`ExponentialLR`, `ConstantLR`, ...) multiply the rate by the change of their factor. Others
    (`LambdaLR`, `CyclicLR`, ...) replace the rate by their own, as in PyTorch.

    Args:
        schedulers: schedulers of one optimizer.
        optimizer: the optimizer; by default that of the first scheduler.

    >>> import fastnn
    >>> from fastnn.optim.lr_scheduler import ConstantLR, ExponentialLR
    >>> optimizer = fastnn.optim.SGD([fastnn.nn.Parameter([1.0])], lr=1.0)
    >>> scheduler = ChainedScheduler([ConstantLR(optimizer, 0.5, 2), ExponentialLR(optimizer, 0.9)])
    >>> rates = []
    >>> for epoch in range(3):
    ...     rates += [round(rate, 4) for rate in scheduler.get_last_lr()]
    ...     scheduler.step()
    >>> rates
    [0.5, 0.45, 0.81]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Any = None) -> None:
        if not schedulers:
            raise ValueError("ChainedScheduler: there are no schedulers")
        super().__init__(schedulers[0].optimizer if optimizer is None else optimizer, schedulers, -1)

    def step(self) -> None:
        """Go to the next epoch."""
        if self.last_epoch == -1:
            self._restart()
        else:
            self._write(self._from([group["lr"] for group in self._groups()]))

    def _restart(self) -> None:
        self._write(self._initial(list(self.base_lrs)))

    def _initial(self, rates: list[float]) -> list[float]:
        self.last_epoch = 0
        for s in self.schedulers:
            rates = s._initial(rates)
        return rates

    def _from(self, rates: list[float]) -> list[float]:
        self.last_epoch += 1
        for s in self.schedulers:
            rates = s._from(rates)
        return rates
