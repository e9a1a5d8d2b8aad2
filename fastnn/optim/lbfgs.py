"""L-BFGS: steps by an estimate of the curvature from the last gradients, with a line search."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tape import changed
from ..backends import current
from ..core.block import Finally
from ..nn.parameter import Parameter
from .base import Optimizer
from .group import Layout

Vector = Any
LEAST_CURVATURE = 1e-10
"""Least product of a step and the change of the gradient along it; pairs with a smaller product are not stored."""
SUFFICIENT, CURVATURE, MOST_TRIALS = 1e-4, 0.9, 25
"""Constants of the strong Wolfe conditions, and the maximal number of evaluations in a line search."""


class LBFGS(Optimizer):
    """L-BFGS (Liu and Nocedal, Mathematical Programming 45, 1989): for few data and smooth losses, with all data in a batch.

    Each call of `step` takes up to max_iter iterations. Each iteration evaluates the loss once or more, by a closure that clears
    the gradients, computes the loss, calls backward and returns the loss. Vectors are stored in float64. With fit, all data are
    one batch by default, and an epoch is one call of `step`; nothing is recorded.

    Args:
        params: parameters; None if the optimizer is passed to `compile`.
        lr: first trial step length of the line search; without a line search, the step length.
        max_iter: maximal number of iterations in a step.
        max_eval: number of evaluations in a step after which no iteration begins; 5/4 max_iter by default.
        tolerance_grad: the step ends if no element of the gradient is larger.
        tolerance_change: the step ends if loss or parameters change less in an iteration.
        history_size: number of past iterations that are used for the curvature.
        line_search_fn: "strong_wolfe", or None for steps of length lr.

    >>> import fastnn
    >>> p = fastnn.nn.Parameter([3.0, -2.0])
    >>> optimizer = fastnn.optim.LBFGS([p], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((p - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> first = optimizer.step(closure)
    >>> [round(x, 4) for x in p.tolist()]
    [1.0, 1.0]
    """

    layout = Layout(("lr",), ("max_iter", "max_eval", "tolerance_grad", "tolerance_change", "history_size", "line_search_fn"))
    takes_closure = True

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(f"LBFGS: line_search_fn is {line_search_fn!r}; there are: None, 'strong_wolfe'")
        counts = {"max_iter": max_iter, "max_eval": 1 if max_eval is None else max_eval, "history_size": history_size}
        for name, value in counts.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"LBFGS: {name} is {value!r}, wanted a whole number of at least 1")
        tolerances = {"tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change}
        limits = {"max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval}
        self._memory = Memory()
        settings = {"lr": lr, **limits, **tolerances, "history_size": history_size, "line_search_fn": line_search_fn}
        super().__init__(params, settings)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if self.params:
            raise ValueError("LBFGS: all parameters are one group")
        super().add_param_group(param_group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take up to max_iter iterations.

        Args:
            closure: clears the gradients, computes the loss, calls backward, and returns the loss.

        Returns:
            The loss before the first iteration.
        """
        if closure is None:
            raise ValueError("LBFGS: step: the closure is missing; it evaluates the loss and calls backward")
        current().host_reads("L-BFGS")
        trained = [p for p in self.params if p.requires_grad]
        if not trained:
            return closure()
        places = np.flatnonzero([p.requires_grad for p in self.params])
        if self._memory.places is None or not np.array_equal(self._memory.places, places):
            self._memory = Memory(places=places)  # the old memory belongs to other parameters
        options, memory, lr = self.param_groups[0].options, self._memory, self.param_groups[0].number("lr")
        first = closure()
        loss, g, evaluations, begun = float(first), _gradient(trained), 1, 0
        for s in self.segments:
            s.steps += 1
        begin: list[tuple[Vector, dict[str, Any]]] = []  # weights and memory at the start of the current line search

        def go_back() -> None:
            for weights, known in begin:
                _put(trained, weights)
                vars(memory).update(known)

        with Finally(go_back):
            while begun < options["max_iter"] and evaluations < options["max_eval"]:
                if not np.abs(g).max(initial=0.0) > options["tolerance_grad"]:
                    break
                begun += 1
                fresh = memory.gradient is None
                w, before = _values(trained), loss
                begin[:] = [(w, dict(vars(memory)))]
                d = memory.direction(g, options["history_size"])
                slope = float(g @ d)
                if slope > -options["tolerance_change"]:
                    memory.length = 0.0  # there was no step
                    begin.clear()
                    break
                t = lr * min(1.0, 1.0 / float(np.abs(g).sum())) if fresh else lr

                def at(length: float, w: Vector = w, d: Vector = d) -> Point:
                    _put(trained, w + length * d)
                    value = float(closure())
                    gradient = _gradient(trained)
                    return Point(length, value, float(gradient @ d), gradient)

                if options["line_search_fn"]:
                    point, tried = strong_wolfe(at, t, Point(0.0, loss, slope, g), options["tolerance_change"])
                    _put(trained, w + point.t * d)
                    evaluations += tried
                    t, loss, g = point.t, point.value, point.gradient
                else:
                    _put(trained, w + t * d)
                    if begun < options["max_iter"]:  # after the last iteration they are not needed
                        loss, g = float(closure()), _gradient(trained)
                        evaluations += 1
                memory.length = t
                begin.clear()
                if np.abs(t * d).max() <= options["tolerance_change"] or abs(loss - before) < options["tolerance_change"]:
                    break
        return first

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "memory": self._memory.as_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        memory = Memory(**{name: _copied(value) for name, value in state_dict.get("memory", {}).items()})
        if self.params and memory.places is not None:
            size = sum(self.params[i].size for i in memory.places)
            vectors = [v for v in (*memory.steps, *memory.changes, memory.towards, memory.gradient) if v is not None]
            if len(memory.steps) != len(memory.changes) or any(np.shape(v) != (size,) for v in vectors):
                raise ValueError(f"LBFGS: load_state_dict: the memory is not that of {size} numbers")
        super().load_state_dict(state_dict)
        self._memory = memory


class Memory:
    """Memory of L-BFGS: the last steps, the changes of the gradient along them, the latest direction, and their parameters."""

    def __init__(
        self,
        steps: list[Vector] | None = None,
        changes: list[Vector] | None = None,
        towards: Vector | None = None,
        length: float = 0.0,
        gradient: Vector | None = None,
        places: Vector | None = None,
    ) -> None:
        self.steps, self.changes = steps or [], changes or []
        self.towards, self.length, self.gradient, self.places = towards, length, gradient, places

    def as_dict(self) -> dict[str, Any]:
        return {name: _copied(value) for name, value in vars(self).items()}

    def direction(self, g: Vector, most: int) -> Vector:
        """Return the direction from a point with gradient g, by the two loops of Nocedal and Wright (2006), algorithm 7.4."""
        if self.gradient is not None and self.towards is not None:
            s, y = self.length * self.towards, g - self.gradient
            if s @ y > LEAST_CURVATURE:
                self.steps, self.changes = [*self.steps, s][-most:], [*self.changes, y][-most:]
        q, shares = -g, []
        pairs = [(s, y, 1.0 / float(s @ y)) for s, y in zip(self.steps, self.changes, strict=True)]
        for s, y, weight in reversed(pairs):
            shares.append(weight * float(s @ q))
            q = q - shares[-1] * y
        if pairs:
            _, y, weight = pairs[-1]
            q = q / (weight * float(y @ y))
        for (s, y, weight), share in zip(pairs, reversed(shares), strict=True):
            q = q + (share - weight * float(y @ q)) * s
        self.gradient, self.towards = g.copy(), q
        return q


class Point(NamedTuple):
    """Point on a line: its distance along the line, and value, slope and gradient there."""

    t: float
    value: float
    slope: float
    gradient: Vector


def strong_wolfe(at: Callable[[float], Point], t: float, start: Point, tolerance: float) -> tuple[Point, int]:
    """Return a point on the line that meets the strong Wolfe conditions, and the number of evaluations.

    Nocedal and Wright, Numerical Optimization (2006), algorithms 3.5 and 3.6, with cubic interpolation. If no such point is
    found, return the best point so far.
    """

    def too_high(p: Point) -> bool:
        return not p.value <= start.value + SUFFICIENT * p.t * start.slope  # also true for NaN

    low, high, tried = start, None, 0
    while high is None and tried < MOST_TRIALS:
        now = at(t)
        tried += 1
        if too_high(now) or (tried > 1 and now.value >= low.value):
            high = now
        elif abs(now.slope) <= -CURVATURE * start.slope:
            return now, tried
        elif now.slope >= 0:
            low, high = now, low
        else:
            t = _between(now, low, now.t + 0.01 * (now.t - low.t), 10 * now.t)
            low = now
    while high is not None and tried < MOST_TRIALS:
        width = abs(high.t - low.t)
        if width * np.abs(low.slope) <= tolerance:
            break
        near, far = min(low.t, high.t), max(low.t, high.t)
        now = at(_between(low, high, near + 0.1 * width, far - 0.1 * width))
        tried += 1
        if too_high(now) or now.value >= low.value:
            high = now
            continue
        if abs(now.slope) <= -CURVATURE * start.slope:
            return now, tried
        if now.slope * (high.t - low.t) >= 0:
            high = low
        low = now
    return low, tried


def _between(a: Point, b: Point, least: float, most: float) -> float:
    """Return the minimum of the cubic through two points, clipped to bounds; the middle of the bounds if there is no minimum."""
    middle = 0.5 * (least + most)
    if not all(map(math.isfinite, (a.value, b.value, a.slope, b.slope))):
        return middle
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if square < 0:
        return middle
    d2 = math.copysign(math.sqrt(square), b.t - a.t)
    divisor = b.slope - a.slope + 2 * d2
    if divisor == 0:
        return middle
    return min(max(b.t - (b.t - a.t) * (b.slope + d2 - d1) / divisor, least), most)


def _values(parameters: list[Parameter]) -> Vector:
    return np.concatenate([current().to_numpy(p.data).reshape(-1).astype(np.float64) for p in parameters])


def _gradient(parameters: list[Parameter]) -> Vector:
    """Return all gradients as one vector, with 0 for missing gradients."""
    to_numpy = current().to_numpy
    parts = [to_numpy(p.grad_buffer()).reshape(-1) if p.has_grad else np.zeros(p.size) for p in parameters]
    return np.concatenate([part.astype(np.float64) for part in parts])


def _put(parameters: list[Parameter], values: Vector) -> None:
    first = 0
    for p in parameters:
        current().write(p.data, values[first : first + p.size].reshape(p.shape))
        changed(p)
        first += p.size


def _copied(value: Any) -> Any:
    return [v.copy() for v in value] if isinstance(value, list) else value.copy() if isinstance(value, np.ndarray) else value
