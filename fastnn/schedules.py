"""Numbers that change with the step: learning rates, and any other hyper-parameter.

A schedule is called with the number of a step, counted from 0, and returns a float. For an array of steps, it returns an array of
the same shape. If Keras has the schedule, its name, arguments and values are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .core.registry import Configured, Registry
from .ops.checks import check_number

__all__ = [
    "SCHEDULES",
    "Constant",
    "CosineDecay",
    "CosineDecayRestarts",
    "Cyclic",
    "ExponentialDecay",
    "InverseTimeDecay",
    "Join",
    "LinearWarmupDecay",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "Schedule",
    "StepDecay",
    "WarmupStableDecay",
    "get",
    "serialize",
]


def __dir__() -> list[str]:
    return sorted(__all__)


Steps = np.ndarray[Any, np.dtype[np.float64]]


class Schedule(Configured):
    """Base class. ``at`` returns the values for an array of steps, which are already checked.

    >>> import numpy as np
    >>> PolynomialDecay(1.0, decay_steps=4, end_learning_rate=0.0)(np.arange(6)).tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    def __call__(self, step: Any) -> Any:
        """Return the value at a step, or at each of an array of steps.

        Raises:
            ValueError: a step is negative.
        """
        steps = np.asarray(step)
        if steps.dtype.kind not in "iuf" or (steps < 0).any():
            raise ValueError(f"{type(self).__name__}: step {step!r} came, wanted numbers of at least 0")
        values = self.at(steps.astype(np.float64))
        return np.broadcast_to(values, steps.shape).copy() if steps.ndim else float(values)

    def at(self, step: Steps) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no at(step)")

    def _positive(self, *names: str) -> None:
        """Raise ValueError if one of these arguments is not above 0."""
        for name in names:
            if check_number(getattr(self, name), f"{type(self).__name__}: {name}", 0) == 0:
                raise ValueError(f"{type(self).__name__}: {name} is 0, wanted a number above 0")

    def _numbers(self, *names: str, low: float = 0.0) -> None:
        """Raise ValueError if one of these arguments is not a finite number of at least `low`."""
        for name in names:
            check_number(getattr(self, name), f"{type(self).__name__}: {name}", low)


def _line(a: float, b: float, share: Any) -> Any:
    """Return the value between a and b on a straight line."""
    return a + (b - a) * share


def _cosine(a: float, b: float, share: Any) -> Any:
    """Return the value between a and b on half a period of the cosine."""
    return _line(a, b, (1 - np.cos(np.pi * share)) / 2)


def _root(a: float, b: float, share: Any) -> Any:
    """Return the value between a and b on a curve that is fast at first (Hägele et al., arXiv 2405.18392, "1-sqrt")."""
    return _line(a, b, np.sqrt(share))


_SHAPES = {"linear": _line, "cosine": _cosine, "sqrt": _root}


def _shape(owner: object, name: str) -> Any:
    if name not in _SHAPES:
        raise ValueError(f"{type(owner).__name__}: {name!r} came, wanted one of {', '.join(_SHAPES)}")
    return _SHAPES[name]


def _share(step: Steps, begin: float, length: float) -> Steps:
    """Return the share of the steps from begin on that is done, from 0 to 1. If the length is 0, it is 1 at begin."""
    return np.clip((step - begin) / length, 0, 1) if length else (step >= begin).astype(np.float64)


class Constant(Schedule):
    """`value` at every step."""

    def __init__(self, value: float) -> None:
        self.value = value
        self._numbers("value", low=-math.inf)

    def at(self, step: Steps) -> Any:
        return self.value


class StepDecay(Schedule):
    """initial_learning_rate gamma^floor(step / step_size)."""

    def __init__(self, initial_learning_rate: float, step_size: int, gamma: float = 0.1) -> None:
        self.initial_learning_rate, self.step_size, self.gamma = initial_learning_rate, step_size, gamma
        self._numbers("initial_learning_rate", "gamma")
        self._positive("step_size")

    def at(self, step: Steps) -> Any:
        return self.initial_learning_rate * self.gamma ** np.floor(step / self.step_size)


class PiecewiseConstantDecay(Schedule):
    """values[i] for steps above boundaries[i - 1], up to and including boundaries[i].

    >>> PiecewiseConstantDecay([100, 200], [1.0, 0.5, 0.1])(101)
    0.5
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float]) -> None:
        if len(values) != len(boundaries) + 1:
            raise ValueError(
                f"PiecewiseConstantDecay: {len(boundaries)} boundaries and {len(values)} values, wanted one value more"
            )
        if sorted(boundaries) != list(boundaries):
            raise ValueError(f"PiecewiseConstantDecay: boundaries {list(boundaries)}, wanted numbers that rise")
        self.boundaries, self.values = list(boundaries), list(values)

    def at(self, step: Steps) -> Any:
        return np.asarray(self.values, np.float64)[np.searchsorted(self.boundaries, step, side="left")]


class ExponentialDecay(Schedule):
    """initial_learning_rate decay_rate^(step / decay_steps); with staircase the exponent is rounded down."""

    def __init__(self, initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.decay_rate, self.staircase = decay_rate, staircase
        self._numbers("initial_learning_rate", "decay_rate")
        self._positive("decay_steps")

    def at(self, step: Steps) -> Any:
        p = step / self.decay_steps
        return self._decayed(np.floor(p) if self.staircase else p)

    def _decayed(self, p: Steps) -> Any:
        return self.initial_learning_rate * self.decay_rate**p


class InverseTimeDecay(ExponentialDecay):
    """initial_learning_rate / (1 + decay_rate step / decay_steps); with staircase the quotient is rounded down."""

    def _decayed(self, p: Steps) -> Any:
        return self.initial_learning_rate / (1 + self.decay_rate * p)


class PolynomialDecay(Schedule):
    """From initial_learning_rate to end_learning_rate in decay_steps, as (1 - step / decay_steps)^power; constant afterwards.

    With cycle, decay_steps is replaced by its smallest multiple that is not less than the step.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.end_learning_rate, self.power, self.cycle = end_learning_rate, power, cycle
        self._numbers("initial_learning_rate", "end_learning_rate", "power")
        self._positive("decay_steps")

    def at(self, step: Steps) -> Any:
        length = self.decay_steps * np.maximum(1, np.ceil(step / self.decay_steps)) if self.cycle else self.decay_steps
        left = 1 - np.minimum(step, length) / length
        return self.end_learning_rate + (self.initial_learning_rate - self.end_learning_rate) * left**self.power


class CosineDecay(Schedule):
    """Half a period of the cosine, from initial_learning_rate to alpha times it (Loshchilov and Hutter, arXiv 1608.03983).

    With warmup_target, the schedule starts with a line from initial_learning_rate to warmup_target in warmup_steps. Then the
    decay starts from warmup_target.

    >>> CosineDecay(0.0, decay_steps=100, warmup_target=1.0, warmup_steps=10)(10)
    1.0
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        *,
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate, self.decay_steps, self.alpha = initial_learning_rate, decay_steps, alpha
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps
        self._numbers("initial_learning_rate", "alpha", "warmup_steps")
        self._positive("decay_steps")
        if warmup_target is not None:
            self._numbers("warmup_target")

    def at(self, step: Steps) -> Any:
        if self.warmup_target is None:
            return self._decay(step, self.initial_learning_rate)
        rising = _line(self.initial_learning_rate, self.warmup_target, _share(step, 0, self.warmup_steps))
        return np.where(step < self.warmup_steps, rising, self._decay(step - self.warmup_steps, self.warmup_target))

    def _decay(self, step: Steps, top: float) -> Any:
        return _cosine(top, self.alpha * top, _share(step, 0, self.decay_steps))


class CosineDecayRestarts(Schedule):
    """Cosine decay with restarts. Each period is t_mul times as long and m_mul times as high (SGDR, arXiv 1608.03983)."""

    def __init__(
        self, initial_learning_rate: float, first_decay_steps: int, t_mul: float = 2.0, m_mul: float = 1.0, alpha: float = 0.0
    ) -> None:
        self.initial_learning_rate, self.first_decay_steps = initial_learning_rate, first_decay_steps
        self.t_mul, self.m_mul, self.alpha = t_mul, m_mul, alpha
        self._numbers("initial_learning_rate", "m_mul", "alpha")
        self._numbers("t_mul", low=1.0)
        self._positive("first_decay_steps")

    def at(self, step: Steps) -> Any:
        periods = step / self.first_decay_steps
        if self.t_mul == 1:
            restart = np.floor(periods)
            share = periods - restart
        else:  # the first n periods are (t_mul^n - 1) / (t_mul - 1) long
            restart = np.floor(np.log1p(periods * (self.t_mul - 1)) / math.log(self.t_mul) + 1e-12)
            before = (self.t_mul**restart - 1) / (self.t_mul - 1)
            share = (periods - before) / self.t_mul**restart
        height = self.m_mul**restart
        return self.initial_learning_rate * ((1 - self.alpha) * height * (1 + np.cos(np.pi * share)) / 2 + self.alpha)


class LinearWarmupDecay(Schedule):
    """Line from start to peak in warmup_steps, then a line to end at total_steps; constant afterwards."""

    def __init__(self, peak: float, warmup_steps: int, total_steps: int, start: float = 0.0, end: float = 0.0) -> None:
        self.peak, self.warmup_steps, self.total_steps, self.start, self.end = peak, warmup_steps, total_steps, start, end
        self._numbers("peak", "warmup_steps", "start", "end")
        self._numbers("total_steps", low=warmup_steps)

    def at(self, step: Steps) -> Any:
        rising = _line(self.start, self.peak, _share(step, 0, self.warmup_steps))
        falling = _line(self.peak, self.end, _share(step, self.warmup_steps, self.total_steps - self.warmup_steps))
        return np.where(step < self.warmup_steps, rising, falling)


class WarmupStableDecay(Schedule):
    """WSD: a line from start to peak, then constant at peak, then a decay to end (Hu et al., arXiv 2404.06395).

    Args:
        peak, start, end: the values.
        warmup_steps, stable_steps, decay_steps: the lengths of the three parts.
        decay: the shape of the last part: "linear", "cosine" or "sqrt".

    >>> WarmupStableDecay(1.0, 10, 80, 10)([0, 5, 50, 95, 200]).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    def __init__(
        self,
        peak: float,
        warmup_steps: int,
        stable_steps: int,
        decay_steps: int,
        start: float = 0.0,
        end: float = 0.0,
        decay: str = "linear",
    ) -> None:
        self.peak, self.warmup_steps, self.stable_steps, self.decay_steps = peak, warmup_steps, stable_steps, decay_steps
        self.start, self.end, self.decay = start, end, decay
        self._numbers("peak", "warmup_steps", "stable_steps", "decay_steps", "start", "end")
        self._shape = _shape(self, decay)

    def at(self, step: Steps) -> Any:
        rising = _line(self.start, self.peak, _share(step, 0, self.warmup_steps))
        falling = self._shape(self.peak, self.end, _share(step, self.warmup_steps + self.stable_steps, self.decay_steps))
        return np.where(step < self.warmup_steps, rising, falling)


class OneCycle(Schedule):
    """One cycle: a rise to max_learning_rate, then a decay (Smith and Topin, arXiv 1708.07120), as PyTorch's OneCycleLR.

    Args:
        max_learning_rate: the largest value.
        total_steps: the length of the cycle; the value is constant afterwards.
        pct_start: the share of the steps with rising values.
        shape: "cosine" or "linear".
        div_factor: the first value is max_learning_rate / div_factor.
        final_div_factor: the last value is the first value / final_div_factor.
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        pct_start: float = 0.3,
        shape: str = "cosine",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        self.max_learning_rate, self.total_steps, self.pct_start, self.shape = max_learning_rate, total_steps, pct_start, shape
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        self._numbers("max_learning_rate")
        check_number(pct_start, "OneCycle: pct_start", 0, 1)
        self._positive("total_steps", "div_factor", "final_div_factor")
        self._between = _shape(self, shape)

    def at(self, step: Steps) -> Any:
        top = self.max_learning_rate
        start = top / self.div_factor
        turn = self.pct_start * self.total_steps - 1
        rising = self._between(start, top, _share(step, 0, turn) if turn > 0 else 1.0)
        falling = self._between(top, start / self.final_div_factor, _share(step, turn, self.total_steps - 1 - turn))
        return np.where(step <= turn, rising, falling)


class Cyclic(Schedule):
    """Cycles of a line from base to max and a line back (Smith, arXiv 1506.01186), as PyTorch's CyclicLR.

    Args:
        base_learning_rate, max_learning_rate: the bounds.
        step_size_up, step_size_down: the number of steps up and down; equal if the second is not given.
        mode: "triangular" cycles are equal, those of "triangular2" are half as high each time, and "exp_range" shrinks by
            gamma^step.
        gamma: for "exp_range".
    """

    def __init__(
        self,
        base_learning_rate: float,
        max_learning_rate: float,
        step_size_up: int,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
    ) -> None:
        self.base_learning_rate, self.max_learning_rate = base_learning_rate, max_learning_rate
        self.step_size_up, self.step_size_down, self.mode, self.gamma = step_size_up, step_size_down, mode, gamma
        self._numbers("base_learning_rate", "max_learning_rate", "gamma")
        self._positive("step_size_up", *(["step_size_down"] if step_size_down is not None else []))
        if mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(f"Cyclic: mode is {mode!r}, wanted triangular, triangular2 or exp_range")

    def at(self, step: Steps) -> Any:
        length = self.step_size_up + (self.step_size_up if self.step_size_down is None else self.step_size_down)
        cycle, place = np.divmod(step, length)
        height = np.where(place <= self.step_size_up, place / self.step_size_up, (length - place) / (length - self.step_size_up))
        if self.mode == "triangular2":
            height = height / 2**cycle
        elif self.mode == "exp_range":
            height = height * self.gamma**step
        return _line(self.base_learning_rate, self.max_learning_rate, height)


class Join(Schedule):
    """Sequence of schedules. At each boundary, the next schedule starts, and its steps are counted from there.

    >>> Join([Constant(1.0), PolynomialDecay(1.0, 10, 0.0)], [5])(10)
    0.5
    """

    def __init__(self, schedules: Sequence[Any], boundaries: Sequence[int]) -> None:
        if len(schedules) != len(boundaries) + 1:
            raise ValueError(f"Join: {len(schedules)} schedules and {len(boundaries)} boundaries, wanted one boundary less")
        if sorted(boundaries) != list(boundaries) or (boundaries and boundaries[0] < 0):
            raise ValueError(f"Join: boundaries {list(boundaries)}, wanted numbers of at least 0 that rise")
        self.schedules, self.boundaries = [get(s) for s in schedules], [int(b) for b in boundaries]

    def at(self, step: Steps) -> Any:
        which = np.searchsorted(self.boundaries, step, side="right")
        begins = [0, *self.boundaries]
        parts = [s.at(np.maximum(step - b, 0)) for s, b in zip(self.schedules, begins, strict=True)]
        table = np.stack([np.broadcast_to(p, step.shape) for p in parts])
        return np.take_along_axis(table, which[None], 0)[0]

    def get_config(self) -> dict[str, Any]:
        return {"schedules": [serialize(s) for s in self.schedules], "boundaries": self.boundaries}


_REGISTRY: Registry[Schedule] = Registry(
    "schedule",
    Schedule,
    (
        *(Constant, StepDecay, PiecewiseConstantDecay, ExponentialDecay, InverseTimeDecay, PolynomialDecay, CosineDecay),
        *(CosineDecayRestarts, LinearWarmupDecay, WarmupStableDecay, OneCycle, Cyclic, Join),
    ),
)
get = _REGISTRY.get
serialize = _REGISTRY.serialize
SCHEDULES = _REGISTRY.classes
