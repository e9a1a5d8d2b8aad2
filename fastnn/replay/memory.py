"""The memory of a recording: what it made or was given, by address, and whether anyone outside still holds it."""

from __future__ import annotations

import sys
from bisect import bisect_right
from typing import Any

from ..backends.base import Backend

Array = Any


class Block:
    """A run of memory that a recording made, or one of its inputs.

    Args:
        number: its place in the order in which they came.
        begin, end: its addresses.
        where: the line outside of fastnn that made it, as file:line; "" for inputs.
        root: the object that lives as long as the memory is used; None if that is not looked at.
    """

    __slots__ = ("begin", "end", "expected", "number", "root", "where")

    def __init__(self, number: int, begin: int, end: int, where: str, root: Any) -> None:
        self.number, self.begin, self.end, self.where, self.root = number, begin, end, where, root
        self.expected = 0  # the references to the root that the recording itself holds

    @property
    def references(self) -> int:
        return sys.getrefcount(self.root)

    def own(self, array: Array) -> Array:
        """Return the recording's own view of an array that lies in the block."""
        if self.root is None:
            return array
        self.expected += 1
        return array.view()


class Memory:
    """The blocks of a recording, by address.

    Whoever uses an array of a block holds a reference to the block's root, directly or through a view. The recording counts its
    own, so that it sees whether others are left once the recorded function has returned.
    """

    def __init__(self, k: Backend) -> None:
        self._address = k.address
        self.blocks: list[Block] = []
        self._begins: list[int] = []
        self._by_address: list[Block] = []

    def add(self, array: Array, where: str = "", counted: bool = True) -> Block:
        """Make the block of an array, which others hold from now on."""
        begin, end = self.extent(array)
        base = getattr(array, "base", None)
        block = Block(len(self.blocks), begin, end, where, (array if base is None else base) if counted and end > begin else None)
        self.blocks.append(block)
        if end > begin:
            at = bisect_right(self._begins, begin)
            self._begins.insert(at, begin)
            self._by_address.insert(at, block)
        return block

    def find(self, begin: int, end: int) -> Block | None:
        """Find the block that holds these addresses."""
        at = bisect_right(self._begins, begin) - 1
        if at < 0 or end > (block := self._by_address[at]).end:
            return None
        return block

    def own(self, array: Array) -> Array:
        """Return the recording's own view of an array; the array itself where it lies in no block."""
        block = self.find(*self.extent(array))
        return array if block is None else block.own(array)

    def held(self) -> list[Block]:
        """Return the blocks that others still hold."""
        return [b for b in self.blocks if b.root is not None and b.references > b.expected]

    def extent(self, array: Array) -> tuple[int, int]:
        """Return the addresses of an array: where it begins and ends."""
        begin = self._address(array)
        return begin, begin + array.nbytes
