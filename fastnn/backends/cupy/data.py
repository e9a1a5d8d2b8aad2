"""Files and numbers of blocks of the kernels of the data family."""

from __future__ import annotations

from collections.abc import Mapping

from .launch import MOST_STREAMS, Blocks, elements

FILES = ("elements.cuh", "data.cu")

MOST_SCANS = 264
"""Number of blocks, each of which reads the whole index. More blocks would cost more reading than they save."""


def _rows_of_dx(of: Mapping[str, int]) -> int:
    """Return a warp for each 128 elements of a row."""
    return min(MOST_SCANS, max(1, -(-of["B"] * -(-of["C"] // 128) // 8)))


BLOCKS: dict[str, Blocks] = {
    "gather_batch": elements("J", "C", most=MOST_STREAMS),
    "take_forward": elements("J", "C", most=MOST_STREAMS),
    "take_backward": _rows_of_dx,
    "take_backward_marked": lambda of: min(MOST_SCANS, max(1, -(-of["B"] // 8))),
    "gather_forward": elements("I", "J", "L", each=1, most=MOST_STREAMS),
    "gather_backward": elements("I", "K", "L", each=1, most=MOST_SCANS),
}
