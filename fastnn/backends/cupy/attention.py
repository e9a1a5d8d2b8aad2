"""Files and numbers of blocks of the kernels of the attention family."""

from __future__ import annotations

from collections.abc import Mapping

from .launch import MOST_BLOCKS, MOST_STREAMS, Blocks, elements

FILES = ("elements.cuh", "philox.cuh", "attention.cu")


def _queries(of: Mapping[str, int]) -> int:
    """Return a block for each 32 queries of a head."""
    return min(MOST_BLOCKS, max(1, of["B"] * of["H"] * -(-of["M"] // 32)))


BLOCKS: dict[str, Blocks] = {
    "attention_forward": _queries,
    "attention_backward": lambda of: min(MOST_BLOCKS, 2 * _queries(of)),
    "rotary": elements("B", "M", "H", "D", each=1, most=MOST_STREAMS),
}
