"""Detection of Python code that changes, between two kernels, memory from outside of a recorded step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from .recorder import Recorder

MOST = 1 << 26
"""Bytes of the largest array that is compared."""


class Guard:
    """Checksums of the arrays from outside, on the host, that the kernels of a step have written.

    They are compared before a kernel uses an array, and at the end of the step. A difference means that something else than a
    kernel has written, as a message to other processes does that takes a gradient's memory.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._sums: dict[tuple[int, int], tuple[Any, int]] = {}  # extent of an array -> the array and its checksum

    def check(self, args: Sequence[Any] | None = None) -> None:
        """Compare the arrays that these arguments of a call share, or all."""
        touched = None if args is None else [extent for extent, _ in self._outside(args)]
        for extent, (array, known) in self._sums.items():
            if (touched is None or any(_meet(extent, other) for other in touched)) and _checksum(array) != known:
                self._recorder.hinder(
                    f"Python changes memory of parameters or gradients (an array of shape {array.shape}) between kernels, "
                    "which a replay would omit; use operations on Tensors, or fastnn.distributed.average_gradients"
                )

    def written(self, args: Sequence[Any] | None = None) -> None:
        """Store the checksums of the arrays that a call writes; without arguments, of all arrays, which may have changed."""
        new = dict(self._sums) if args is None else {}
        for extent, array in () if args is None else self._outside(args):
            self._sums.setdefault(extent, (array, 0))
            new |= {other: kept for other, kept in self._sums.items() if _meet(extent, other)}
        for extent, (array, _) in new.items():
            self._sums[extent] = array, _checksum(array)

    def _outside(self, args: Sequence[Any]) -> list[tuple[tuple[int, int], Any]]:
        memory, found = self._recorder.memory, []
        for a in args:
            if isinstance(a, np.ndarray) and a.flags.c_contiguous and 0 < a.nbytes <= MOST:
                extent = memory.extent(a)
                if memory.find(*extent) is None:
                    found.append((extent, a))
        return found


def _meet(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _checksum(array: Any) -> int:
    return crc32(array.reshape(-1).view(np.uint8))
