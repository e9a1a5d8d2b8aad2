"""PyTorch's learning-rate schedulers: objects that hold an optimizer and set its learning rate at each `step`.

They give the learning rates of `torch.optim.lr_scheduler` for the same arguments. Each computes the rate of a group from the
number of the step and from the rate that the group had first; a rate that is written by hand lasts until the next step.

>>> import fastnn
>>> model = fastnn.nn.Linear(2, 1)
>>> optimizer = fastnn.optim.SGD(model.parameters(), lr=0.1)
>>> scheduler = StepLR(optimizer, step_size=2, gamma=0.5)
>>> rates = []
>>> for epoch in range(4):
...     rates += scheduler.get_last_lr()  # the epoch's steps would stand here
...     scheduler.step()
>>> rates
[0.1, 0.1, 0.05, 0.05]
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .ops.door import check_number
from .settings import groups

_UNSAVED = frozenset({"optimizer", "lr_lambdas", "schedulers", "_scale"})
"""Attributes of schedulers that are no part of their state."""


class LRScheduler:
    """Base class: ``lr_at`` gives the learning rate of a group at an epoch (or step, whatever `step` is called for).

    Args:
        optimizer: an object of `fastnn.optim`.
        last_epoch: the epoch before the first; -1 begins with the optimizer's rate, another goes on where a scheduler that the
            optimizer had stopped.
    """

    def __init__(self, optimizer: Any, last_epoch: int = -1) -> None:
        self.optimizer = optimizer
        for group in self._groups():
            if "initial_lr" not in group:
                if last_epoch != -1:
                    words = f"last_epoch is {last_epoch}, but the optimizer had no scheduler; load_state_dict() restores one"
                    raise ValueError(f"{type(self).__name__}: {words}")
                group["initial_lr"] = group["lr"]
        self.base_lrs: list[float] = [group["initial_lr"] for group in self._groups()]
        self.last_epoch = last_epoch
        self.step()

    def _groups(self) -> list[Any]:
        if not hasattr(self.optimizer, "lr"):
            raise TypeError(f"{type(self).__name__}: {type(self.optimizer).__name__} came, wanted an optimizer")
        return groups(self.optimizer)

    def _per_group(self, name: str, value: Any) -> list[Any]:
        """One value for each group, from one for all of them or from a list."""
        count = len(self._groups())
        if not isinstance(value, list | tuple):
            return [value] * count
        if len(value) != count:
            raise ValueError(f"{type(self).__name__}: {name} has {len(value)} values for {count} groups")
        return list(value)

    def lr_at(self, epoch: float, group: int) -> float:
        """base_lrs[group] times the scale of the epoch, where a scheduler has no other rule."""
        return self.base_lrs[group] * self.scale_at(epoch)

    def scale_at(self, epoch: float) -> float:
        raise NotImplementedError(f"{type(self).__name__} defines neither lr_at(epoch, group) nor scale_at(epoch)")

    def step(self) -> None:
        """Goes to the next epoch."""
        self._go_to(self.last_epoch + 1)

    def _go_to(self, epoch: float) -> None:
        self.last_epoch = math.floor(epoch)
        self._last_lr = [self.lr_at(epoch, i) for i in range(len(self.base_lrs))]
        for group, rate in zip(self._groups(), self._last_lr, strict=True):
            group["lr"] = rate

    def get_last_lr(self) -> list[float]:
        """The rates that were set last, one for each group."""
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """All but the optimizer and functions."""
        return {k: v for k, v in vars(self).items() if k not in _UNSAVED}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what state_dict gave; the optimizer's rates are its own to restore."""
        vars(self).update(state)


class LambdaLR(LRScheduler):
    """base lr_lambda(epoch); a list has a function for each group."""

    def __init__(
        self, optimizer: Any, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]], last_epoch: int = -1
    ) -> None:
        self.optimizer = optimizer
        self.lr_lambdas = self._per_group("lr_lambda", lr_lambda)
        super().__init__(optimizer, last_epoch)

    def lr_at(self, epoch: float, group: int) -> float:
        return self.base_lrs[group] * float(self.lr_lambdas[group](int(epoch)))


class StepLR(LRScheduler):
    """base gamma^floor(epoch / step_size)."""

    def __init__(self, optimizer: Any, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = _above_zero(self, "step_size", step_size), gamma
        super().__init__(optimizer, last_epoch)

    def scale_at(self, epoch: float) -> float:
        return float(self.gamma ** (epoch // self.step_size))


class MultiStepLR(LRScheduler):
    """base gamma^(how many of the milestones are reached)."""

    def __init__(self, optimizer: Any, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def scale_at(self, epoch: float) -> float:
        return float(self.gamma ** bisect_right(self.milestones, epoch))


class ConstantLR(LRScheduler):
    """base factor for total_iters epochs, then base."""

    def __init__(self, optimizer: Any, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        self.factor, self.total_iters = check_number(factor, "ConstantLR: factor", 0, 1), total_iters
        super().__init__(optimizer, last_epoch)

    def scale_at(self, epoch: float) -> float:
        return self.factor if epoch < self.total_iters else 1.0


class LinearLR(LRScheduler):
    """A line from base start_factor to base end_factor in total_iters epochs."""

    def __init__(
        self,
        optimizer: Any,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = check_number(start_factor, "LinearLR: start_factor", 0, 1)
        self.end_factor = check_number(end_factor, "LinearLR: end_factor", 0, 1)
        self.total_iters = _above_zero(self, "total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def scale_at(self, epoch: float) -> float:
        share = min(epoch, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * share


class ExponentialLR(LRScheduler):
    """base gamma^epoch."""

    def __init__(self, optimizer: Any, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def scale_at(self, epoch: float) -> float:
        return float(self.gamma**epoch)


class PolynomialLR(LRScheduler):
    """base (1 - epoch / total_iters)^power, and 0 from total_iters on."""

    def __init__(self, optimizer: Any, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters, self.power = _above_zero(self, "total_iters", total_iters), power
        super().__init__(optimizer, last_epoch)

    def scale_at(self, epoch: float) -> float:
        return float((1 - min(epoch, self.total_iters) / self.total_iters) ** self.power)


class CosineAnnealingLR(LRScheduler):
    """A cosine of half period T_max between base and eta_min (Loshchilov and Hutter, arXiv 1608.03983)."""

    def __init__(self, optimizer: Any, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = _above_zero(self, "T_max", T_max), eta_min
        super().__init__(optimizer, last_epoch)

    def lr_at(self, epoch: float, group: int) -> float:
        return _between(self.base_lrs[group], self.eta_min, _half_cosine(epoch / self.T_max))


class CosineAnnealingWarmRestarts(LRScheduler):
    """The cosine from base to eta_min in T_0 epochs, over and over, each time T_mult times as long (SGDR, arXiv 1608.03983)."""

    def __init__(
        self,
        optimizer: Any,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.T_0, self.T_mult, self.eta_min = _above_zero(self, "T_0", T_0), T_mult, eta_min
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(f"CosineAnnealingWarmRestarts: T_mult is {T_mult!r}, wanted a whole number of at least 1")
        super().__init__(optimizer, last_epoch)

    def lr_at(self, epoch: float, group: int) -> float:
        length: float = self.T_0
        if self.T_mult == 1:
            epoch %= length
        while epoch >= length:
            epoch -= length
            length *= self.T_mult
        return _between(self.base_lrs[group], self.eta_min, _half_cosine(epoch / length))

    def step(self, epoch: float | None = None) -> None:
        """Goes to the next epoch, or to one that is given and may have a fraction."""
        self._go_to(self.last_epoch + 1 if epoch is None else check_number(epoch, "CosineAnnealingWarmRestarts: epoch", 0))


class _WithMomentum(LRScheduler):
    """A scheduler that may move the momentum (of Adam, the first of betas) against the learning rate."""

    def __init__(self, optimizer: Any, last_epoch: int, cycle_momentum: bool, base_momentum: float, max_momentum: float) -> None:
        self.cycle_momentum, self.base_momentum, self.max_momentum = cycle_momentum, base_momentum, max_momentum
        for group in self._groups() if cycle_momentum else ():
            if "betas" not in group and not ("momentum" in group and group["momentum"] > 0):
                words = "the optimizer has no momentum; make it with one, or pass cycle_momentum=False"
                raise ValueError(f"{type(self).__name__}: {words}")
        super().__init__(optimizer, last_epoch)

    def _set_momentum(self, group: int, height: float) -> None:
        """From max_momentum where height is 0 to base_momentum where it is 1."""
        if self.cycle_momentum:
            settings, value = self._groups()[group], _between(self.max_momentum, self.base_momentum, height)
            if "betas" in settings:
                settings["betas"] = (value, settings["betas"][1])
            else:
                settings["momentum"] = value


class CyclicLR(_WithMomentum):
    """Lines between base_lr and max_lr, up in step_size_up steps and down in step_size_down (Smith, arXiv 1506.01186).

    Args:
        optimizer, last_epoch: as in `LRScheduler`.
        base_lr, max_lr: the bounds.
        step_size_up, step_size_down: the steps of a half; equal if the second is not given.
        mode: "triangular", "triangular2" (half as high in each cycle) or "exp_range" (gamma^step as high).
        gamma: for "exp_range".
        scale_fn, scale_mode: instead of mode, how high it is: a function of the "cycle" (from 1) or of "iterations".
        cycle_momentum, base_momentum, max_momentum: moves the momentum the other way.
    """

    def __init__(
        self,
        optimizer: Any,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float = 0.8,
        max_momentum: float = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = optimizer
        self.low, self.high = self._per_group("base_lr", base_lr), self._per_group("max_lr", max_lr)
        self.up = _above_zero(self, "step_size_up", step_size_up)
        self.length = self.up + (self.up if step_size_down is None else _above_zero(self, "step_size_down", step_size_down))
        modes: dict[str, tuple[Callable[[float], float], str]] = {
            "triangular": (lambda cycle: 1.0, "cycle"),
            "triangular2": (lambda cycle: 0.5 ** (cycle - 1), "cycle"),
            "exp_range": (lambda step: float(gamma**step), "iterations"),
        }
        if scale_fn is None and mode not in modes:
            raise ValueError(f"CyclicLR: mode is {mode!r}, wanted one of {', '.join(modes)}, or a scale_fn")
        self._scale, self._scale_by = modes[mode] if scale_fn is None else (scale_fn, scale_mode)
        super().__init__(optimizer, last_epoch, cycle_momentum, base_momentum, max_momentum)

    def lr_at(self, epoch: float, group: int) -> float:
        cycle, place = divmod(epoch, self.length)
        height = place / self.up if place <= self.up else (self.length - place) / (self.length - self.up)
        height *= self._scale(cycle + 1 if self._scale_by == "cycle" else epoch)
        self._set_momentum(group, height)
        return _between(self.low[group], self.high[group], height)


class OneCycleLR(_WithMomentum):
    """From max_lr / div_factor up to max_lr and far down (Smith and Topin, arXiv 1708.07120); `step` is called for each batch.

    Args:
        optimizer, last_epoch: as in `LRScheduler`.
        max_lr: the greatest rate.
        total_steps: the length of the cycle; or epochs times steps_per_epoch.
        pct_start: the share of the steps that rise.
        anneal_strategy: "cos" or "linear".
        cycle_momentum, base_momentum, max_momentum: moves the momentum the other way.
        div_factor, final_div_factor: it starts at max_lr / div_factor and ends at that / final_div_factor.
        three_phase: first back to the start, then down.
    """

    def __init__(
        self,
        optimizer: Any,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: wanted total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        self.total_steps = _above_zero(self, "total_steps", total_steps)
        check_number(pct_start, "OneCycleLR: pct_start", 0, 1)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy is {anneal_strategy!r}, wanted 'cos' or 'linear'")
        self.anneal_strategy = anneal_strategy
        self.optimizer = optimizer
        self.high = self._per_group("max_lr", max_lr)
        # End of each phase; at its ends, the shares of max_lr, and how far the momentum is towards base_momentum.
        turn, start = pct_start * total_steps - 1, 1 / div_factor
        self.phases: list[tuple[float, float, float, float, float]] = [(turn, start, 1, 0, 1)]
        if three_phase:
            self.phases.append((2 * turn, 1, start, 1, 0))
            self.phases.append((total_steps - 1, start, start / final_div_factor, 0, 0))
        else:
            self.phases.append((total_steps - 1, 1, start / final_div_factor, 1, 0))
        super().__init__(optimizer, last_epoch, cycle_momentum, base_momentum, max_momentum)

    def lr_at(self, epoch: float, group: int) -> float:
        if epoch > self.total_steps:
            raise ValueError(f"OneCycleLR: step {epoch} of a cycle of {self.total_steps} steps")
        ends = [phase[0] for phase in self.phases]
        i = min(bisect_left(ends, epoch), len(ends) - 1)
        begin = ends[i - 1] if i else 0.0
        end, low, high, before, after = self.phases[i]
        share = (epoch - begin) / (end - begin)
        if self.anneal_strategy == "cos":
            share = _half_cosine(share)
        self._set_momentum(group, _between(before, after, share))
        return float(self.high[group] * _between(low, high, share))


class SequentialLR(LRScheduler):
    """Schedulers one after the other: the next begins at each milestone.

    Args:
        optimizer, last_epoch: as in `LRScheduler`.
        schedulers: schedulers of this optimizer.
        milestones: the epochs at which the next takes over, one less than there are schedulers.
    """

    def __init__(
        self, optimizer: Any, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"SequentialLR: {len(schedulers)} schedulers and {len(milestones)} milestones, wanted one less")
        if any(s.optimizer is not optimizer for s in schedulers):
            raise ValueError("SequentialLR: a scheduler belongs to another optimizer")
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer, last_epoch)

    def step(self) -> None:
        """Goes to the next epoch."""
        self.last_epoch += 1
        scheduler = self.schedulers[bisect_right(self.milestones, self.last_epoch)]
        if self.last_epoch == 0 or self.last_epoch in self.milestones:
            scheduler._go_to(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"states": [s.state_dict() for s in self.schedulers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for scheduler, own in zip(self.schedulers, state["states"], strict=True):
            scheduler.load_state_dict(own)
        super().load_state_dict({k: v for k, v in state.items() if k != "states"})


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the learning rates by factor when a number has not improved for more than patience epochs.

    Args:
        optimizer: an object of `fastnn.optim`.
        mode: "min" or "max".
        factor: below 1.
        patience: epochs without improvement that are borne.
        threshold, threshold_mode: what counts as an improvement: a share of the best ("rel") or a difference to it ("abs").
        cooldown: epochs after a reduction in which none is counted.
        min_lr: the least rate, or one for each group.
        eps: smaller reductions are left out.
    """

    def __init__(
        self,
        optimizer: Any,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: factor is {factor!r}, wanted a number below 1")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(f"ReduceLROnPlateau: {mode!r} and {threshold_mode!r} came, wanted 'min' or 'max' and 'rel' or 'abs'")
        self.optimizer, self.factor, self.patience = optimizer, factor, patience
        self.min_lrs = self._per_group("min_lr", min_lr)
        self.threshold = threshold if mode == "max" else -threshold
        self.threshold_mode, self.mode, self.cooldown, self.eps = threshold_mode, mode, cooldown, eps
        self.best = -math.inf if mode == "max" else math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._last_lr = [group["lr"] for group in self._groups()]

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """Tells it the number of an epoch."""
        value = float(metrics)
        self.last_epoch += 1
        bound = self.best * (1 + self.threshold) if self.threshold_mode == "rel" else self.best + self.threshold
        if value > bound if self.mode == "max" else value < bound:
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            for group, least in zip(self._groups(), self.min_lrs, strict=True):
                new = max(group["lr"] * self.factor, least)
                if group["lr"] - new > self.eps:
                    group["lr"] = new
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [group["lr"] for group in self._groups()]


def _above_zero(owner: object, name: str, value: int) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{type(owner).__name__}: {name} is {value!r}, wanted a whole number of at least 1")
    return value


def _half_cosine(share: float) -> float:
    return (1 - math.cos(math.pi * share)) / 2


def _between(a: float, b: float, share: float) -> float:
    return a + (b - a) * share
