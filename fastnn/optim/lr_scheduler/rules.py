"""Schedulers with one rule for the whole training, and ReduceLROnPlateau, which monitors a number."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...ops.checks import check_number
from .base import LRScheduler, above_zero, between, half_cosine


class LambdaLR(LRScheduler):
    """base lr_lambda(epoch); a list has a function for each group."""

    _fixed = {"lr_lambda": "lr_lambdas"}  # noqa: RUF012

    def __init__(
        self, optimizer: Any, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]], last_epoch: int = -1
    ) -> None:
        self.optimizer = optimizer
        self.lr_lambdas = self._per_group("lr_lambda", lr_lambda)
        super().__init__(optimizer, last_epoch)

    def lr_at(self, epoch: float, group: int) -> float:
        return self.base_lrs[group] * float(self.lr_lambdas[group](int(epoch)))


class MultiplicativeLR(LRScheduler):
    """The rate of the epoch before times lr_lambda(epoch); a list has a function for each group."""

    _fixed = {"lr_lambda": "lr_lambdas"}  # noqa: RUF012

    def __init__(
        self, optimizer: Any, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]], last_epoch: int = -1
    ) -> None:
        self.optimizer = optimizer
        self.lr_lambdas = self._per_group("lr_lambda", lr_lambda)
        self.factors = [group["lr"] / group.get("initial_lr", group["lr"]) for group in self._groups()]
        super().__init__(optimizer, last_epoch)

    def _go_to(self, epoch: float) -> None:
        if epoch == 0:
            self.factors = [1.0] * len(self.lr_lambdas)
        else:
            self.factors = [f * float(fn(int(epoch))) for f, fn in zip(self.factors, self.lr_lambdas, strict=True)]
        super()._go_to(epoch)

    def _take_over(self) -> None:  # as in PyTorch, it has no rate of its own to begin with
        pairs = zip(self._groups(), self.lr_lambdas, self.base_lrs, strict=True)
        self.factors = [group["lr"] * float(fn(0)) / base for group, fn, base in pairs]
        super()._go_to(0)

    def lr_at(self, epoch: float, group: int) -> float:
        return float(self.base_lrs[group] * self.factors[group])

    def _chained(self, rate: float, group: int) -> float:
        return rate * float(self.lr_lambdas[group](self.last_epoch)) if self.last_epoch else rate


class StepLR(LRScheduler):
    """base gamma^floor(epoch / step_size)."""

    def __init__(self, optimizer: Any, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = above_zero(self, "step_size", step_size), gamma
        super().__init__(optimizer, last_epoch)

    def scale_at(self, epoch: float) -> float:
        return float(self.gamma ** (epoch // self.step_size))


class MultiStepLR(LRScheduler):
    """base gamma^(number of reached milestones)."""

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
    """Linear change from base start_factor to base end_factor in total_iters epochs."""

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
        self.total_iters = above_zero(self, "total_iters", total_iters)
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
        self.total_iters, self.power = above_zero(self, "total_iters", total_iters), power
        super().__init__(optimizer, last_epoch)

    def scale_at(self, epoch: float) -> float:
        return float((1 - min(epoch, self.total_iters) / self.total_iters) ** self.power)


class CosineAnnealingLR(LRScheduler):
    """Cosine with half period T_max between base and eta_min (Loshchilov and Hutter, arXiv 1608.03983)."""

    def __init__(self, optimizer: Any, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = above_zero(self, "T_max", T_max), eta_min
        super().__init__(optimizer, last_epoch)

    def lr_at(self, epoch: float, group: int) -> float:
        return between(self.base_lrs[group], self.eta_min, half_cosine(epoch / self.T_max))

    def _chained(self, rate: float, group: int) -> float:
        before, now = (1 - half_cosine(e / self.T_max) for e in (self.last_epoch - 1, self.last_epoch))
        if self.last_epoch == 0:
            return rate
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # it was at the bottom, where no factor leads from
            return rate + (self.base_lrs[group] - self.eta_min) * now
        return (rate - self.eta_min) * now / before + self.eta_min


class CosineAnnealingWarmRestarts(LRScheduler):
    """Cosine from base to eta_min in T_0 epochs with restarts; each cycle is T_mult times as long (SGDR, arXiv 1608.03983)."""

    def __init__(
        self,
        optimizer: Any,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.T_0, self.T_mult, self.eta_min = above_zero(self, "T_0", T_0), T_mult, eta_min
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
        return between(self.base_lrs[group], self.eta_min, half_cosine(epoch / length))

    def step(self, epoch: float | None = None) -> None:
        """Go to the next epoch, or to the given one, which may be fractional."""
        self._go_to(self.last_epoch + 1 if epoch is None else check_number(epoch, "CosineAnnealingWarmRestarts: epoch", 0))


class ReduceLROnPlateau(LRScheduler):
    """Scheduler that multiplies the learning rates by factor when a number has not improved for more than patience epochs.

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

    _fixed = {"min_lr": "min_lrs", "mode": ""}  # noqa: RUF012
    mode: str

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
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        vars(self)["mode"] = mode
        self.best = -math.inf if mode == "max" else math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._last_lr = [group["lr"] for group in self._groups()]

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """Update with the monitored number of an epoch."""
        value = float(metrics)
        self.last_epoch += 1
        least = self.threshold if self.mode == "max" else -self.threshold
        bound = self.best * (1 + least) if self.threshold_mode == "rel" else self.best + least
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
