"""Recorded calls as CUDA graphs: one launch for all kernels of a step."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from itertools import groupby
from typing import Any

from ..base import Backend, Call
from .device import Device


class _Part:
    """Consecutive calls with the same flag, or without a flag."""

    def __init__(self, device: Device, calls: Sequence[Any]) -> None:
        self._device, self._calls = device, calls
        self.flag = calls[0][2]
        # Calls with a flag may not have run yet. They run once first, because no program can be loaded during a capture.
        self.start = self._capture if self.flag is None else self._first
        """Function that runs the calls."""

    def _first(self) -> None:
        for kernel, args, *_ in self._calls:
            kernel(*args)
        self.start = self._capture

    def _capture(self) -> None:
        self.start = self._device.capture(self._work)
        self.start()

    def _work(self) -> None:
        for kernel, args, _, overlaps in self._calls:
            with self._device.overlap() if overlaps else nullcontext():
                kernel(*args)


class GraphPlan:
    """Plan of recorded calls, with one graph for consecutive calls with the same flag.

    The calls ran while they were recorded, or they run once without a graph. So programs are compiled and the algorithms of
    products are chosen before the capture. The host reads the flags between two graphs.

    Args:
        backend: backend of the kernels.
        device: device that runs them.
        calls: kernel calls.
        flags: arrays that determine whether a call runs, by its index.
        overlapping: indices of the calls that may run at the same time as all later calls.
    """

    def __init__(
        self, backend: Backend, device: Device, calls: Sequence[Call], flags: Mapping[int, Any], overlapping: Collection[int]
    ) -> None:
        self._calls = [(backend.table[name], args, flags.get(i), i in overlapping) for i, (name, args) in enumerate(calls)]
        self._device = device
        self._parts = [_Part(device, list(together)) for _, together in groupby(self._calls, lambda call: id(call[2]))]

    def run(self, n: int = 1) -> None:
        for _ in range(n):
            for part in self._parts:
                if part.flag is None or int(part.flag[0]):
                    part.start()

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
