"""Replay of a recorded step: its kernel calls run without Python, if the conditions before them are true."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..backends.base import Backend, Plan
from ..core import versions
from ..core.tree import flatten, replace, unflatten
from ..nn.mode import mode_override
from ..nn.parameter import stored
from .arena import in_arena
from .fused_step import fused_step
from .lookups import Bindings
from .recorder import Recorder

_version, _training, _data, _requires_grad, _has_grad = map(
    operator.attrgetter, ("_version", "_training", "data", "requires_grad", "has_grad")
)


class Step:
    """A recording that can be replayed: its plan, the conditions before it, and the state of gradients after it.

    The memory of the recording is freed. The plan uses an arena, of `arena_bytes`, in which arrays share memory.
    """

    def __init__(self, recorder: Recorder, buffers: list[Array], output: Any, bindings: Bindings | None = None) -> None:
        # A function is in the list several times if an optimizer takes several steps in one call.
        self._prepare = tuple(Counter(recorder.prepare).items())
        self._real, self._changed = recorder.real, tuple(recorder.changed)
        self.buffers = buffers
        # Leaves of the output that the recording did not make have no array, and are returned unchanged.
        # A container without arrays of the recording is one leaf.
        self._tree, given = flatten(output, lambda value: all(_array(leaf, recorder) is None for leaf in flatten(value)[1]))
        self._outputs = [(leaf, _array(leaf, recorder), isinstance(leaf, Tensor)) for leaf in given]
        held = recorder.held()
        self.bindings = bindings  # names that the user's code reads; None if they are not compared between calls
        self.used = 0  # time of the last use, by the owner's clock
        self._settings = versions.settings
        called, before = recorder.modules, recorder.grads_before
        modules = dict.fromkeys(m for c in called for m in c.modules())
        parameters = dict.fromkeys(stored(p) for m in modules for p in m._parameters.values() if p is not None)
        leaves: dict[Tensor, None] = dict.fromkeys([*parameters, *(b for m in modules for b in m._buffers.values())])
        leaves |= dict.fromkeys(before)
        self._mode_override = recorder.mode_override
        self._modules, self._versions, self._modes = tuple(called), tuple(map(_version, called)), tuple(map(_training, called))
        self._places, self._arrays, self._trained = tuple(leaves), tuple(map(_data, leaves)), tuple(map(_requires_grad, leaves))
        self._leaves, self._before = tuple(before), tuple(before.values())
        self._after = [(leaf, value) for leaf, value in recorder.grads_after.items() if before.get(leaf) is not value]
        # Last, since it frees the memory of the recording.
        made = [array for _, array, _ in self._outputs if array is not None]
        calls, flags, overlapping = fused_step(recorder, made)
        used = [recorder.memory.find(*recorder.memory.extent(array)) for array in (*made, *flags.values())]
        apart = [*held, *(block for block in used if block is not None)]
        calls, self.arena_bytes = in_arena(recorder, calls, overlapping, apart)
        self.plan = self._real.plan(calls, flags, overlapping)

    def fits(self) -> bool:
        """Return whether layers, modes, parameters, gradients and the values that user code reads are unchanged."""
        return (
            self.lasts()
            and mode_override.get() is self._mode_override
            and tuple(map(_training, self._modules)) == self._modes
            and tuple(map(_requires_grad, self._places)) == self._trained
            and tuple(map(_has_grad, self._leaves)) == self._before
            and (self.bindings is None or self.bindings.hold())
        )

    def lasts(self) -> bool:
        """Return whether the step may fit again. It never does after a layer, an array of parameters or a setting changes."""
        return (
            tuple(map(_version, self._modules)) == self._versions
            and all(map(operator.is_, map(_data, self._places), self._arrays))
            and self._settings == versions.settings
        )

    def replay(self, inputs: list[Array]) -> Any:
        for buffer, array in zip(self.buffers, inputs, strict=True):
            self._real.write(buffer, array)
        self.run(1)
        for i in self._changed:
            give_back(self._real, inputs[i], self.buffers[i])
        made = [
            leaf if array is None else Tensor(array.copy()) if is_tensor else array.copy()
            for leaf, array, is_tensor in self._outputs
        ]
        return unflatten(self._tree, made)

    def run(self, n: int) -> None:
        """Run the plan n times, then set `has_grad` of the leaves."""
        while n:
            part = _prepared(self._prepare, n)
            if not part:
                raise RuntimeError("capture: one call takes more scheduled steps than can be prepared; take fewer in a call")
            self.plan.run(part)
            n -= part
        for leaf, value in self._after:
            leaf.has_grad = value


def run_in_turn(steps: Sequence[tuple[Step, int]], last: Plan, n: int) -> None:
    """Run steps in turn, each as often as its pair (step, times) says, then a plan; and all of this n times, in one call."""
    needed: Counter[Any] = Counter()
    for step, times in steps:
        for prepare, calls in step._prepare:
            needed[prepare] += calls * times
    plans = (*((step.plan, times) for step, times in steps), (last, 1))
    while n:
        part = _prepared(needed.items(), n)
        steps[0][0]._real.run_in_turn(plans, part)
        if not part:  # one round needs more values than can be prepared
            for step, times in steps:
                step.run(times)
            last.run(1)
        n -= part or 1
    for step, _ in steps:
        for leaf, value in step._after:
            leaf.has_grad = value


def _prepared(functions: Iterable[tuple[Any, int]], n: int) -> int:
    """Prepare the values for n rounds, from pairs (function, its uses in a round); return for how many rounds there are some."""
    part = n
    for prepare, times in functions:
        part = min(part, prepare(times * n) // times)
    return part


def give_back(k: Backend, given: Array, changed: Array) -> None:
    """Write an array that was changed in place back into the argument that it is a copy of."""
    if not isinstance(given, np.ndarray):
        given[...] = k.xp.asarray(changed)
    elif given.flags.writeable:
        given[...] = k.to_numpy(changed)


def copied(value: Any, recorder: Recorder) -> Any:
    """Return copies of the outputs, since the next replay overwrites the buffers."""
    return _changed(value, recorder, operator.methodcaller("copy"))


def own(value: Any, recorder: Recorder) -> Any:
    """Return the output as views that the recording counts, without its tape."""
    return _changed(value, recorder, recorder.memory.own)


def _array(leaf: Any, recorder: Recorder) -> Array | None:
    """Return the array of an output that the recording made; None for an output that is returned unchanged."""
    if isinstance(leaf, Tensor):
        return leaf.data if leaf.node is not None or recorder.owns(leaf.data) else None
    return leaf if isinstance(leaf, recorder.xp.ndarray) and recorder.owns(leaf) else None


def _changed(value: Any, recorder: Recorder, change: Any) -> Any:
    def changed(leaf: Any) -> Any:
        array = _array(leaf, recorder)
        return leaf if array is None else Tensor(change(array)) if isinstance(leaf, Tensor) else change(array)

    return replace(value, changed)
