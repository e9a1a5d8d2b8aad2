"""Memory of a recording: its blocks by address, and whether code outside still refers to them."""

from __future__ import annotations

import math
import mmap
import sys
from bisect import bisect_right
from typing import Any

import numpy as np

from ..backends.base import Backend, aligned

Array = Any
LARGE = 1 << 18
"""Size in bytes from which an array of a recording has pages of its own, which are given back before its addresses are."""
OFTEN = 1 << 22
"""Bytes of such arrays after which the pages of those that are not needed any more are given back."""


class Pages(mmap.mmap):
    """Pages of one array."""


def paged(k: Backend, shape: int | tuple[int, ...], dtype: Any) -> Array:
    """Return an array in pages of its own, if it is large, on the host, and the system (Linux) takes single pages back."""
    nbytes = math.prod(shape if isinstance(shape, tuple) else (shape,)) * np.dtype(dtype).itemsize
    if nbytes < LARGE or k.xp is not np or sys.platform != "linux":
        return aligned(k, shape, dtype)
    try:
        pages = Pages(-1, nbytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:  # no memory, or too many ranges of pages
        return aligned(k, shape, dtype)
    return np.ndarray(nbytes, np.uint8, pages).view(dtype).reshape(shape)


class Block:
    """Contiguous range of memory that a recording allocated, or one of its inputs.

    Args:
        number: index of the block, in order of creation.
        begin, end: first address, and address after the last byte.
        where: line outside of fastnn that made the block, as file:line; "" for inputs.
        root: object that lives as long as the memory is used; None if there is none.
    """

    __slots__ = ("begin", "end", "expected", "number", "root", "where", "written")

    def __init__(self, number: int, begin: int, end: int, where: str, root: Any) -> None:
        self.number, self.begin, self.end, self.where, self.root = number, begin, end, where, root
        self.expected = 0  # number of references to the root that the recording itself holds
        self.written = False  # whether a kernel has written to it

    @property
    def references(self) -> int:
        return sys.getrefcount(self.root)

    def own(self, array: Array) -> Array:
        """Return a view of an array in the block; the recording counts it as its own reference."""
        if self.root is None:
            return array
        self.expected += 1
        return array.view()


class Memory:
    """Blocks of a recording, sorted by address.

    Code that uses an array of a block holds a reference to the block's root, directly or through a view. The recording counts
    its own references. After the recorded function returns, it can therefore see whether other references are left.
    """

    def __init__(self, k: Backend) -> None:
        self._address = k.address
        self.blocks: list[Block] = []
        self._begins: list[int] = []
        self._by_address: list[Block] = []
        self._resident: list[Block] = []  # blocks with pages of their own that were not given back
        self._new = 0  # bytes of such blocks since the last look at all of them

    def add(self, array: Array, where: str = "") -> Block:
        """Make and add the block of an array."""
        begin, end = self.extent(array)
        base = getattr(array, "base", None)
        block = Block(len(self.blocks), begin, end, where, (array if base is None else base) if end > begin else None)
        self.blocks.append(block)
        if end > begin:
            at = bisect_right(self._begins, begin)
            self._begins.insert(at, begin)
            self._by_address.insert(at, block)
        return block

    def shrinks(self, block: Block) -> None:
        """Give back the pages of this new block, and of others, once the step has dropped their arrays.

        The addresses stay reserved: what the step makes later is elsewhere. Nobody can read the values any more. A replay writes
        them before it reads them, except values that no kernel wrote, which are kept.
        """
        if not isinstance(getattr(block.root, "base", None), Pages):
            return
        self._new += block.end - block.begin
        if self._new >= OFTEN:
            self._new, resident = 0, self._resident
            self._resident = []
            for b in resident:
                if b.written and b.references == b.expected:
                    b.root.base.madvise(mmap.MADV_DONTNEED)
                else:
                    self._resident.append(b)
        self._resident.append(block)

    def find(self, begin: int, end: int) -> Block | None:
        """Return the block that contains this range of addresses; None if no block does."""
        at = bisect_right(self._begins, begin) - 1
        if at < 0 or end > (block := self._by_address[at]).end:
            return None
        return block

    def own(self, array: Array) -> Array:
        """Return a view of an array that the recording counts as its own reference; the array itself if it is in no block."""
        block = self.find(*self.extent(array))
        return array if block is None else block.own(array)

    def held(self) -> list[Block]:
        """Return the blocks to which code outside of the recording still refers."""
        return [b for b in self.blocks if b.root is not None and b.references > b.expected]

    def extent(self, array: Array) -> tuple[int, int]:
        """Return the address of the first byte of an array, and the address after its last byte."""
        begin = self._address(array)
        return begin, begin + array.nbytes
