"""Memory of replayed steps: arrays that are never in use at the same time share an arena."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..backends.base import Call, aligned
from ..backends.spec import arguments
from .memory import Block
from .recorder import Recorder

STEP = 512
"""Multiple of bytes at which the arrays of an arena begin: that of CuPy's arrays, and of a cache line."""


class Use(NamedTuple):
    """Use of a range of memory: its bytes, and the first and the last call that need it."""

    nbytes: int
    first: int
    last: int


class Place(NamedTuple):
    """Place of an array in an arena."""

    begin: int
    nbytes: int
    shape: tuple[int, ...]
    dtype: Any


def in_arena(
    recorder: Recorder, calls: list[Call], overlapping: Collection[int], apart: Collection[Block]
) -> tuple[list[Call], int]:
    """Return the calls of a recorded step with arrays in an arena instead of its own blocks, and the bytes of the arena.

    The list of calls is emptied and the memory of the recording is freed, before the arena is made.

    Args:
        recorder: the recorded step.
        calls: its calls.
        overlapping: indices of the calls that may run at the same time as all later calls.
        apart: blocks that stay where they are, since others than the calls use them.
    """
    placed, nbytes = _placed(recorder, calls, overlapping, apart)
    calls.clear()
    recorder.forget()
    arena = aligned(recorder.real, -(-nbytes // 8), np.float64).view(np.uint8)

    def array(a: Any) -> Any:
        return arena[a.begin : a.begin + a.nbytes].view(a.dtype).reshape(a.shape) if isinstance(a, Place) else a

    return [(name, tuple(map(array, args))) for name, args in placed], nbytes


def _placed(
    recorder: Recorder, calls: Sequence[Call], overlapping: Collection[int], apart: Collection[Block]
) -> tuple[list[Call], int]:
    """Return the calls with places instead of the arrays that move, and the bytes that these need."""
    memory, address = recorder.memory, recorder.real.address
    uses: dict[Block, Use] = {}
    stay = {*memory.blocks[: recorder.inputs], *apart}
    for i, (name, args) in enumerate(calls):
        written: dict[Block, bool] = {}
        for arg, a in zip(arguments(name), args, strict=True):
            if arg.kind == "array" and a.size and (block := memory.find(*memory.extent(a))) is not None:
                written[block] = written.get(block, False) or arg.writes
                if not a.flags.c_contiguous:
                    stay.add(block)
        for block, writes in written.items():
            first = uses[block].first if block in uses else i
            uses[block] = Use(block.end - block.begin, first, len(calls) if i in overlapping else i)
            if first == i and not writes:  # no call of the step has written it
                stay.add(block)
    moved = [block for block in uses if block not in stay]
    offsets, nbytes = layout([uses[block] for block in moved])
    offset_of = dict(zip(moved, offsets, strict=True))

    def place(a: Any) -> Any:
        block = memory.find(*memory.extent(a)) if hasattr(a, "shape") and a.size else None
        return a if block not in offset_of else Place(offset_of[block] + address(a) - block.begin, a.nbytes, a.shape, a.dtype)

    return [(name, tuple(map(place, args))) for name, args in calls], nbytes


def layout(uses: Sequence[Use]) -> tuple[list[int], int]:
    """Return an offset for each use, such that no two overlap in memory and time, and the bytes of all together.

    The largest is placed first, and each in the smallest gap between those that are in use at the same time.
    """
    order = sorted(range(len(uses)), key=lambda i: -uses[i].nbytes)
    first, last = (np.array([use[n] for use in uses], np.int64)[order] for n in (1, 2))
    sizes = np.array([-(-uses[i].nbytes // STEP) * STEP for i in order], np.int64)
    begins = np.zeros(len(uses), np.int64)
    for n, size in enumerate(sizes):
        others = np.flatnonzero((first[:n] <= last[n]) & (last[:n] >= first[n]))
        others = others[np.argsort(begins[others])]
        ends = np.concatenate([[0], np.maximum.accumulate(begins[others] + sizes[others])])
        gaps = begins[others] - ends[:-1]
        fits = np.flatnonzero(gaps >= size)
        begins[n] = ends[fits[np.argmin(gaps[fits])]] if len(fits) else ends[-1]
    offsets = np.empty(len(uses), np.int64)
    offsets[order] = begins
    return offsets.tolist(), int((begins + sizes).max(initial=0))
