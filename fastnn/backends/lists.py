"""Recorded calls, walked by Python: plans and frozen models of backends that have none of their own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..locks import lock

if TYPE_CHECKING:
    from ..nn.ports import Ports
    from .base import Backend, Call

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


class FrozenList:
    """Runs a frozen model: the recorded calls, from inputs to outputs."""

    def __init__(self, backend: Backend, plan: Any, xs: list[Any], outs: list[Any], door: Ports, reduced: Any) -> None:
        self._backend, self._plan, self._xs, self._outs, self._door, self._reduced = backend, plan, xs, outs, door, reduced
        self._lock = lock()
        self.batch_size = door.batch_size

    def __call__(self, *x: Any, out: Any = None) -> Any:
        given, single = self._door.convert(x)
        targets = None if out is None else [out] if self._door.alone else self._door.arrays(out)
        with self._lock:  # the arrays between are one caller's at a time
            for own, a in zip(self._xs, given, strict=True):
                self._backend.write(own, a)
            self._plan.run()
            results = [self._backend.to_numpy(y) for y in self._outs]
            if single:
                results = [a.reshape(a.shape[1:]) if a.shape[:1] == (1,) else a for a in results]
            if targets is None:
                return self._door.build([np.array(a) for a in results])
            for i, (target, a) in enumerate(zip(targets, results, strict=True)):
                fits = isinstance(target, np.ndarray) and target.shape == a.shape and target.dtype == a.dtype
                if not fits or not target.flags.carray:
                    self._door.refuse(i, target, single)
            for target, a in zip(targets, results, strict=True):
                target[...] = a
            return out

    def __reduce__(self) -> Any:
        return self._reduced

    def __repr__(self) -> str:
        return str(self._door)
