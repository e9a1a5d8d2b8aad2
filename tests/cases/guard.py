"""Run a family's cases with their arrays against pages that may not be touched: ``python -m cases.guard FAMILY ISA...``.

A kernel that reads or writes beyond an array ends the process; the last line that it printed names the case.
"""

from __future__ import annotations

import ctypes
import mmap
import sys

import numpy as np

from fastnn.backends import load, use_isa

from . import TESTS
from .case import Array
from .check import arrays

PROT_NONE = 0
ROOM = 1 << 25
"""Bytes of the largest array."""


class Room:
    """Memory between two pages that may not be touched."""

    def __init__(self) -> None:
        page = mmap.PAGESIZE
        self._map = mmap.mmap(-1, ROOM + 2 * page)
        begin = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc = ctypes.CDLL(None, use_errno=True)
        for fence in (begin, begin + page + ROOM):
            if libc.mprotect(ctypes.c_void_p(fence), ctypes.c_size_t(page), PROT_NONE):
                raise OSError(ctypes.get_errno(), "mprotect")
        self._bytes = np.frombuffer(self._map, np.uint8)[page : page + ROOM]

    def place(self, a: Array, at_end: bool) -> Array:
        part = self._bytes[ROOM - a.nbytes :] if at_end else self._bytes[: a.nbytes]
        view = part.view(a.dtype).reshape(a.shape)
        view[...] = a
        return view


def main(family: str, isas: list[str]) -> None:
    backend = load("cpp")
    cases = [case for case in TESTS if case.spec.family == family]
    rooms = [Room() for _ in range(max(len(case.spec.arrays) for case in cases))]
    for case in cases:
        for dtype in case.dtypes:
            values = case.make(dtype)
            before = arrays(case, values)
            for isa in isas:
                use_isa(isa)
                for at_end in (True, False):
                    print(isa, case, dtype, "at the end" if at_end else "at the beginning", flush=True)
                    mine = rooms[: len(before)]
                    placed = {n: room.place(a, at_end) for (n, a), room in zip(before.items(), mine, strict=True)}
                    getattr(backend, case.kernel)(*(values | placed).values())
    print("done")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
