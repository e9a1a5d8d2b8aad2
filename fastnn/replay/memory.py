"""Memory of a recording: its blocks by address, and whether code outside still refers to them."""

from __future__ import annotations

import sys
from bisect import bisect_right
from typing import Any

from ..backends.base import Backend

Array = Any


class Block:
    """Contiguous range of memory that a recording allocated, or one of its inputs.

    Args:
        number: index of the block, in order of creation.
        begin, end: first address, and address after the last byte.
        where: line outside of fastnn that made the block, as file:line; "" for inputs.
        root: object that lives as long as the memory is used; None if there is none.
    """

    __slots__ = ("begin", "end", "expected", "number", "root", "where")

    def __init__(self, number: int, begin: int, end: int, where: str, root: Any) -> None:
        self.number, self.begin, self.end, self.where, self.root = number, begin, end, where, root
        self.expected = 0  # number of references to the root that the recording itself holds

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
