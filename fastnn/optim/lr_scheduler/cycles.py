"""Schedulers with rates that go up and down, and momentum that goes in the opposite direction."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from ...ops.checks import check_number
from .base import LRScheduler, above_zero, between, half_cosine


class _WithMomentum(LRScheduler):
    """Base of schedulers that may move the momentum (for Adam, the first of betas) opposite to the learning rate."""

    cycle_momentum: bool

    def __init__(self, optimizer: Any, last_epoch: int, cycle_momentum: bool, base_momentum: Any, max_momentum: Any) -> None:
        vars(self)["cycle_momentum"] = cycle_momentum
        self.base_momentums = self._per_group("base_momentum", base_momentum)
        self.max_momentums = self._per_group("max_momentum", max_momentum)
        for group in self._groups() if cycle_momentum else ():
            group.refuse_schedule("betas" if "betas" in group else "momentum", type(self).__name__)
            if "betas" not in group and not ("momentum" in group and group["momentum"] > 0):
                words = "the optimizer has no momentum; make it with one, or pass cycle_momentum=False"
                raise ValueError(f"{type(self).__name__}: {words}")
        super().__init__(optimizer, last_epoch)

    def _set_momentum(self, group: int, height: float) -> None:
        """Set the momentum of a group: max_momentum for height 0, base_momentum for height 1, linear in between."""
        if self.cycle_momentum:
            settings, value = self._groups()[group], between(self.max_momentums[group], self.base_momentums[group], height)
            if "betas" in settings:
                settings["betas"] = (value, settings["betas"][1])
            else:
                settings["momentum"] = value


class CyclicLR(_WithMomentum):
    """Scheduler with linear cycles between base_lr and max_lr (Smith, arXiv 1506.01186).

    Args:
        optimizer, last_epoch: as in `LRScheduler`.
        base_lr, max_lr: the bounds.
        step_size_up, step_size_down: number of steps up and down; by default equal.
        mode: "triangular", "triangular2" (half the height in each new cycle) or "exp_range" (height times gamma^step).
        gamma: base of the height for "exp_range".
        scale_fn, scale_mode: instead of mode, the height as a function of the "cycle" (from 1) or of "iterations".
        cycle_momentum, base_momentum, max_momentum: move the momentum in the opposite direction; a list has a value for each
            group.
    """

    _fixed = dict.fromkeys(
        ("base_lr", "max_lr", "step_size_up", "step_size_down", "mode", "gamma", "scale_fn", "scale_mode", "cycle_momentum"), ""
    ) | {"base_momentum": "base_momentums", "max_momentum": "max_momentums"}

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
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = optimizer
        self.low, self.high = self._per_group("base_lr", base_lr), self._per_group("max_lr", max_lr)
        self.up = above_zero(self, "step_size_up", step_size_up)
        self.length = self.up + (self.up if step_size_down is None else above_zero(self, "step_size_down", step_size_down))
        modes: dict[str, tuple[Callable[[float], float], str]] = {
            "triangular": (lambda cycle: 1.0, "cycle"),
            "triangular2": (lambda cycle: 0.5 ** (cycle - 1), "cycle"),
            "exp_range": (lambda step: float(gamma**step), "iterations"),
        }
        if scale_fn is None and mode not in modes:
            raise ValueError(f"CyclicLR: mode is {mode!r}, wanted one of {', '.join(modes)}, or a scale_fn")
        self._scale, self._scale_by = modes[mode] if scale_fn is None else (scale_fn, scale_mode)
        if last_epoch == -1:
            self._write(list(self.low))  # what other schedulers begin with, where none has set it yet
        super().__init__(optimizer, last_epoch, cycle_momentum, base_momentum, max_momentum)

    def lr_at(self, epoch: float, group: int) -> float:
        cycle, place = divmod(epoch, self.length)
        height = place / self.up if place <= self.up else (self.length - place) / (self.length - self.up)
        height *= self._scale(cycle + 1 if self._scale_by == "cycle" else epoch)
        self._set_momentum(group, height)
        return between(self.low[group], self.high[group], height)


class OneCycleLR(_WithMomentum):
    """One cycle from max_lr / div_factor to max_lr, then down to almost 0 (arXiv 1708.07120); call `step` for each batch.

    Args:
        optimizer, last_epoch: as in `LRScheduler`.
        max_lr: the greatest rate.
        total_steps: the length of the cycle; or epochs times steps_per_epoch.
        pct_start: the share of the steps that rise.
        anneal_strategy: "cos" or "linear".
        cycle_momentum, base_momentum, max_momentum: moves the momentum the other way; a list has a value for each group.
        div_factor, final_div_factor: it starts at max_lr / div_factor and ends at that / final_div_factor.
        three_phase: first back to the start, then down.
    """

    _fixed = dict.fromkeys(
        (
            "cycle_momentum",
            "max_lr",
            "total_steps",
            "epochs",
            "steps_per_epoch",
            "pct_start",
            "div_factor",
            "final_div_factor",
            "three_phase",
        ),
        "",
    ) | {"base_momentum": "base_momentums", "max_momentum": "max_momentums"}
    total_steps: int

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
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: wanted total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        vars(self)["total_steps"] = above_zero(self, "total_steps", total_steps)
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
        if last_epoch == -1:
            for group, high in zip(self._groups(), self.high, strict=True):
                group["initial_lr"] = high * start  # what other schedulers begin with
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
            share = half_cosine(share)
        self._set_momentum(group, between(before, after, share))
        return float(self.high[group] * between(low, high, share))
