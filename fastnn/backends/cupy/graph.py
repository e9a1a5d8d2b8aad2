"""Recorded calls as CUDA graphs: one launch for all kernels of a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from itertools import groupby
from typing import Any

from ..base import Backend, Call
from .device import Device


class GraphPlan:
    """Recorded calls, as a graph for each run of calls under the same flag.

    The calls have run before, while they were recorded: programs are compiled and products have their algorithms. A flag that
    says whether calls run is read by the host, between two graphs.

    Args:
        backend: whose kernels they are.
        device: where they run.
        calls: kernel calls.
        flags: by a call's index, the array that says whether it runs.
        asides: the indices of calls that may run beside all that follow.
    """

    def __init__(
        self, backend: Backend, device: Device, calls: Sequence[Call], flags: Mapping[int, Any], asides: Collection[int]
    ) -> None:
        self._calls = [(backend.table[name], args, flags.get(i), i in asides) for i, (name, args) in enumerate(calls)]
        self._device = device
        self._parts: list[tuple[Any, Callable[[], None]]] | None = None

    def _captured(self) -> list[tuple[Any, Callable[[], None]]]:
        parts = []
        for _, together in groupby(self._calls, lambda call: id(call[2])):
            calls = list(together)

            def work(calls: list[Any] = calls) -> None:
                for kernel, args, _, aside in calls:
                    with self._device.aside() if aside else nullcontext():
                        kernel(*args)

            parts.append((calls[0][2], self._device.capture(work)))
        return parts

    def run(self, n: int = 1) -> None:
        parts = self._parts = self._parts or self._captured()
        for _ in range(n):
            for flag, start in parts:
                if flag is None or int(flag[0]):
                    start()

    def profile(self, n: int) -> list[float]:
        wait = self._device.wait
        times: list[list[int]] = [[] for _ in self._calls]
        for _ in range(n):
            for own, (kernel, args, flag, _) in zip(times, self._calls, strict=True):
                runs = flag is None or int(flag[0])
                wait()
                start = time.perf_counter_ns()
                if runs:
                    kernel(*args)
                    wait()
                own.append(time.perf_counter_ns() - start)
        return [float(sorted(own)[n // 2]) for own in times]
