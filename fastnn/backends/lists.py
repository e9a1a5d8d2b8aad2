"""Plans and frozen models that Python runs call by call, for backends without native plans."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.locks import lock
from .spec import HOST_CALL

if TYPE_CHECKING:
    from ..replay.frozen import Snapshot
    from ..replay.ports import Ports
    from .base import Backend, Call, Plan

_ALWAYS = (1,)


class ListPlan:
    """Runs a recorded list of calls one by one."""

    def __init__(self, backend: Backend, calls: Sequence[Call], flags: Mapping[int, Any]) -> None:
        self._calls = [(backend.table[name], args, flags.get(i, _ALWAYS)) for i, (name, args) in enumerate(calls)]

    def run(self, n: int = 1) -> None:
        for _ in range(n):
            for kernel, args, flag in self._calls:
                if flag[0]:
                    kernel(*args)

    def profile(self, n: int) -> list[float]:
        times: list[list[int]] = [[] for _ in self._calls]
        for _ in range(n):
            for own, (kernel, args, flag) in zip(times, self._calls, strict=True):
                start = time.perf_counter_ns()
                if flag[0]:
                    kernel(*args)
                own.append(time.perf_counter_ns() - start)
        return [float(sorted(own)[n // 2]) for own in times]


class PartedPlan:
    """Plans of the kernel calls between host calls, and these, in turn.

    Args:
        plan: makes a plan of kernel calls, from calls, flags and overlapping ones; see `Backend.plan`.
        calls, flags, overlapping: the calls, as for `Backend.plan`.
    """

    def __init__(
        self, plan: Callable[..., Plan], calls: Sequence[Call], flags: Mapping[int, Any], overlapping: Collection[int]
    ) -> None:
        self._parts: list[Callable[[], Any]] = []
        self._profiled: list[Callable[[int], list[float]]] = []
        begin = 0
        for end in [*(i for i, (name, _) in enumerate(calls) if name == HOST_CALL), len(calls)]:
            if end > begin:
                own = {i - begin: flag for i, flag in flags.items() if begin <= i < end}
                part = plan(calls[begin:end], own, {i - begin for i in overlapping if begin <= i < end})
                self._parts.append(part.run)
                self._profiled.append(part.profile)
            if end < len(calls):
                call = calls[end][1][0]
                self._parts.append(_flagged(call, flags[end]) if end in flags else call)
                self._profiled.append(_timed(self._parts[-1]))
            begin = end + 1

    def run(self, n: int = 1) -> None:
        parts = self._parts
        for _ in range(n):
            for part in parts:
                part()

    def profile(self, n: int) -> list[float]:
        return [nanoseconds for profile in self._profiled for nanoseconds in profile(n)]


def _flagged(call: Callable[[], Any], flag: Any) -> Callable[[], None]:
    """Return a host call that runs only if the flag is set."""

    def part() -> None:
        if flag[0]:
            call()

    return part


def _timed(call: Callable[[], Any]) -> Callable[[int], list[float]]:
    """Return a function that calls a host call n times, and returns its median nanoseconds as the only one of a list."""

    def profile(n: int) -> list[float]:
        times = []
        for _ in range(n):
            start = time.perf_counter_ns()
            call()
            times.append(time.perf_counter_ns() - start)
        return [float(sorted(times)[n // 2])]

    return profile


class FrozenList:
    """Runs a frozen model: the recorded calls, from inputs to outputs."""

    def __init__(self, backend: Backend, plan: Any, xs: list[Any], outs: list[Any], ports: Ports, owner: Snapshot | None) -> None:
        self._backend, self._plan, self._ports, self._owner = backend, plan, ports, owner
        self._xs, self._states = xs[: len(ports.xs)], xs[len(ports.xs) :]
        self._outs, self._next = outs[: len(ports.outs)], outs[len(ports.outs) :]
        self._lock = owner.lock if owner else lock()
        self.batch_size = ports.batch_size
        if self._states:
            self.reset()

    def __call__(self, *x: Any, out: Any = None) -> Any:
        given, single = self._ports.convert(x)
        targets = None if out is None else [out] if self._ports.alone else self._ports.arrays(out)
        with self._lock:  # one caller at a time uses the intermediate arrays
            for own, a in zip(self._xs, given, strict=True):
                self._backend.write(own, a)
            self._plan.run()
            results = [self._backend.to_numpy(y) for y in self._outs]
            if single:
                results = [a.reshape(a.shape[1:]) if a.shape[:1] == (1,) else a for a in results]
            if targets is None:
                results = [np.array(a) for a in results]
            else:
                self._copy(results, targets, single)
            if self._states:
                from ..core.block import completed

                completed(self._carry)
        return self._ports.build(results) if targets is None else out

    def _copy(self, results: list[Any], targets: list[Any], single: bool) -> None:
        """Copy the results into the arrays of `out`."""
        for i, (target, a) in enumerate(zip(targets, results, strict=True)):
            fits = isinstance(target, np.ndarray) and target.shape == a.shape and target.dtype == a.dtype
            if not fits or not target.flags.carray:
                self._ports.refuse(i, target, single)
        for target, a in zip(targets, results, strict=True):
            target[...] = a

    def _carry(self) -> None:
        for own, y in zip(self._states, self._next, strict=True):
            self._backend.write(own, y)

    @property
    def state(self) -> dict[str, Any]:
        """Return the states that are carried from call to call, by the names of inputs."""
        with self._lock:
            return self._ports.named_state([np.array(self._backend.to_numpy(a)) for a in self._states])

    @state.setter
    def state(self, value: Any) -> None:
        arrays = self._ports.state_arrays(value)
        with self._lock:
            for own, a in zip(self._states, arrays, strict=True):
                self._backend.write(own, a)

    def reset(self) -> None:
        """Set the states that are carried from call to call to 0."""
        with self._lock:
            for own in self._states:
                self._backend.write(own, 0)

    def update(self, weights: Any) -> None:
        """Take the weights of a model of the same structure, or of a state_dict. A call uses all old or all new weights."""
        assert self._owner is not None
        self._owner.update((self,), weights)

    def __reduce__(self) -> Any:
        assert self._owner is not None
        return self._owner.reduce(self)

    def __repr__(self) -> str:
        return str(self._ports)
