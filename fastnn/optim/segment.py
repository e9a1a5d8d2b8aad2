"""Segments of flat buffers with an optimizer's parameters, and the runs of parameters in them that take a step together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array
from ..backends import current
from ..nn.parameter import Parameter
from .group import Group

if TYPE_CHECKING:
    from ..backends.base import Backend


LEAST_TABLE = 1 << 15
"""Number of elements from which on it is worth a kernel call to leave out rows."""


class Segment:
    """Adjacent parameters of one flat buffer and group, with their state in buffers of the same layout.

    Args:
        group: the group of the parameters.
        parameters: adjacent parameters of a flat buffer.
        states: names of the state buffers, with initial values.
        carried: number of values that are stored for each parameter in addition to its step count.

    ``seen`` has the rows of large tables that have had a gradient: the state of the others is as it was at the beginning.
    """

    def __init__(self, group: Group, parameters: list[Parameter], states: dict[str, float], carried: int) -> None:
        assert parameters[0].flat is not None
        self.group = group
        self.flat = parameters[0].flat
        self.parameters = parameters
        self.first = parameters[0].start
        size = parameters[-1].start + parameters[-1].size - self.first
        k = current()
        self.states: dict[str, Array] = {}
        for name, value in states.items():
            self.states[name] = k.empty(size, self.flat.dtype)
            k.fill(self.states[name], value)
        self.seen: dict[Parameter, Array] = {}
        for p in parameters:
            if p.touched is not None and p.size >= LEAST_TABLE:
                self.seen[p] = k.empty(p.shape[0], np.bool_)
                k.fill(self.seen[p], 0.0)
        self.steps = k.shared_array(np.zeros(len(parameters)), np.int64)
        self.carried = k.shared_array(np.zeros((len(parameters), carried)))

    def runs(self, k: Backend) -> list[Run]:
        """Return runs of adjacent parameters that have a gradient and the same number of steps."""
        runs: list[Run] = []
        marks: list[Any] = self.steps.tolist()
        if self.carried.size:
            marks = list(zip(marks, map(tuple, self.carried.tolist()), strict=True))
        begin = end = 0  # the current run
        for i, p in enumerate(self.parameters):
            if not (p.requires_grad and k.has_grad(p)):
                continue
            if end != i or marks[begin] != marks[i]:
                if end:
                    runs.append(self.run(begin, end))
                begin = i
            end = i + 1
        if end:
            runs.append(self.run(begin, end))
        return runs

    def stepped(self) -> list[Run]:
        """Return runs of adjacent parameters that have taken a step."""
        taken = np.flatnonzero(self.steps)
        parts = np.split(taken, np.flatnonzero(np.diff(taken) > 1) + 1) if taken.size else []
        return [self.run(int(part[0]), int(part[-1]) + 1) for part in parts]

    def run(self, begin: int, end: int) -> Run:
        """Return the run of the parameters with these indices, with views of all buffers."""
        first, last = self.parameters[begin], self.parameters[end - 1]
        there = slice(first.start, last.start + last.size)
        here = slice(there.start - self.first, there.stop - self.first)
        states = {name: state[here] for name, state in self.states.items()}
        own = slice(begin, end)
        flat = self.flat
        return Run(self, self.parameters[own], flat.values[there], flat.grads[there], states, self.steps[own], self.carried[own])


class Run:
    """Adjacent parameters that take a step together: flat views of their values, gradients and states."""

    __slots__ = ("carried", "dw", "grads", "parameters", "segment", "states", "steps", "w")

    def __init__(
        self,
        segment: Segment,
        parameters: list[Parameter],
        w: Array,
        dw: Array,
        states: dict[str, Array],
        steps: Array,
        carried: Array,
    ) -> None:
        self.segment, self.parameters, self.w, self.dw = segment, parameters, w, dw
        self.grads = dw  # stays when the step puts another array in place of dw
        self.states, self.steps, self.carried = states, steps, carried

    @property
    def group(self) -> Group:
        return self.segment.group

    def of(self, p: Parameter, flat: Array) -> Array:
        """Return one parameter's part of a buffer of the run."""
        start = p.start - self.parameters[0].start
        return flat[start : start + p.size]


def neighbours(members: Iterable[Parameter]) -> list[list[Parameter]]:
    """Split parameters of one flat buffer into runs of adjacent ones."""
    runs: list[list[Parameter]] = []
    for p in sorted(members, key=lambda p: p.start):
        if runs and runs[-1][-1].end == p.start:
            runs[-1].append(p)
        else:
            runs.append([p])
    return runs
