"""Launches of the kernels of the contract: the program of their dtypes, the number of blocks, the arguments as bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from ..spec import KERNELS, Kernel
from .device import Device
from .source import letters, program

THREADS = 256
MOST_BLOCKS = 1024
"""As in common.cuh: enough to fill the device several times."""

MOST_STREAMS = 2048
"""Blocks of a kernel without sums over blocks: several times what runs at once, so that the last round is a small part."""

Blocks = Callable[[Mapping[str, int]], int]
"""Function: sizes of a call -> its number of blocks of THREADS threads. The device must not matter, as it would change sums."""


def elements(*sizes: str, each: int = 4, most: int = MOST_BLOCKS) -> Blocks:
    """Return the rule with one thread for every few elements of an array with these sizes."""

    def blocks(of: Mapping[str, int]) -> int:
        n = 1
        for size in sizes:
            n *= of[size]
        return min(most, max(1, -(-n // (THREADS * each))))

    return blocks


def rows(*sizes: str) -> Blocks:
    """Return the rule with one block for each row."""

    def blocks(of: Mapping[str, int]) -> int:
        n = 1
        for size in sizes:
            n *= of[size]
        return min(MOST_BLOCKS, max(1, n))

    return blocks


def strips(columns: str, *sizes: str) -> Blocks:
    """Return the rule with one block for every 32 columns of the matrices, for `Strip` of elements.cuh."""

    def blocks(of: Mapping[str, int]) -> int:
        n = -(-of[columns] // 32)
        for size in sizes:
            n *= of[size]
        return min(MOST_BLOCKS, max(1, n))

    return blocks


def short_rows(count: str, length: str) -> Blocks:
    """Return the rule for `for_rows` of rows.cuh: a warp for each short row, a block for each long row."""

    def blocks(of: Mapping[str, int]) -> int:
        each = THREADS // 32 if of[length] <= 256 else 1
        return min(MOST_BLOCKS, max(1, -(-of[count] // each)))

    return blocks


def one(of: Mapping[str, int]) -> int:
    """Return 1, the rule of a single block."""
    return 1


class Launch:
    """Kernel of the contract as a function of its arguments.

    Args:
        kernel: signature of the kernel.
        blocks: rule for the number of blocks of a call.
        device: device that runs it.
    """

    def __init__(self, kernel: Kernel, blocks: Blocks, device: Device) -> None:
        self._kernel, self._blocks, self._device = kernel, blocks, device
        self._letters = letters(kernel)
        self._entries: dict[Any, Any] = {}
        codes = {"array": "Q", "float": "d", "act": "qdd", "loss": "qdd"}
        layout = struct.Struct("<" + "".join(codes.get(a.kind, "q") for a in kernel.args) + "q" * len(kernel.sizes))
        self._pack = layout.pack
        self._flat = [tuple(s.lstrip("*") for s in a.shape) if a.kind == "array" else () for a in kernel.args]
        self._any_shape = [a.kind == "array" and a.shape[0].startswith("*") for a in kernel.args]

    def __call__(self, *args: Any) -> None:
        kernel, device = self._kernel, self._device
        slots: list[Any] = []
        sizes: dict[str, int] = dict.fromkeys(kernel.sizes, 0)
        found: dict[str, str] = {}
        function = -1
        for arg, value, shape, flat in zip(kernel.args, args, self._flat, self._any_shape, strict=True):
            if arg.kind == "array":
                absent = arg.optional and not value.size
                slots.append(0 if absent else device.pointer(value, kernel.name, arg.name))
                if not absent:
                    if arg.letter:
                        found.setdefault(arg.letter, value.dtype.name)
                    if flat:
                        sizes[shape[0]] = value.size
                    else:
                        for letter, n in zip(shape, value.shape, strict=True):
                            if letter in sizes:
                                sizes[letter] = n
            elif arg.kind in ("act", "loss"):
                function = value.id
                slots += value
            else:
                slots.append(value)
        # An absent array has no dtype; that of the others is used.
        dtypes = tuple(found.get(letter) or next(iter(found.values())) for letter in self._letters)
        entry = self._entries.get((dtypes, function))
        if entry is None:
            source = program(kernel.name, dtypes, function)
            entry = self._entries[dtypes, function] = device.compile(source, f"{kernel.name}_entry")
        device.launch(entry, self._blocks(sizes), THREADS, self._pack(*slots, *sizes.values()))


def table(device: Device, blocks: Mapping[str, Blocks]) -> dict[str, Launch]:
    """Return the kernels that have a rule for the number of blocks."""
    return {name: Launch(KERNELS[name], rule, device) for name, rule in blocks.items()}
