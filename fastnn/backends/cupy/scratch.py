"""Scratch memory of a device, for kernels that need memory in addition to their arguments."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .device import Device

ALIGNMENT = 256
"""Alignment of each part in bytes, as for CUDA's own allocations."""


class Scratch:
    """Memory that the calls of all families share, because the stream runs one call after the other.

    Use: ``with device.scratch.of(4 * m, 4 * n) as (sums, copies): device.launch(entry, blocks, threads, pack(sums, copies, x))``.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._buffers: list[Any] = []
        self._lock = threading.Lock()

    @contextmanager
    def of(self, *nbytes: int) -> Iterator[list[int]]:
        """Return the addresses of parts of these sizes in bytes. Start all launches that use them inside the block.

        The block holds a lock. Without it, the launches of two threads could alternate and overwrite each other's scratch.
        """
        with self._lock:
            yield self._addresses(nbytes)

    def _addresses(self, nbytes: tuple[int, ...]) -> list[int]:
        sizes = [-(-n // ALIGNMENT) * ALIGNMENT for n in nbytes]
        total = sum(sizes)
        if not total:
            return [0] * len(sizes)
        if not self._buffers or self._buffers[-1].size < total + ALIGNMENT:
            # Smaller buffers are kept, because recordings contain their addresses.
            before = self._buffers[-1].size if self._buffers else 0
            self._buffers.append(self._device.empty(max(total + ALIGNMENT, 2 * before), np.uint8))
        begin = self._device.pointer(self._buffers[-1], "scratch", "memory")
        begin += -begin % ALIGNMENT
        return [begin + sum(sizes[:i]) for i in range(len(sizes))]
