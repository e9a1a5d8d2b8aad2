"""Files and numbers of blocks of the kernels of the pooling family."""

from __future__ import annotations

from .launch import MOST_STREAMS, Blocks, elements

FILES = ("pooling.cu",)

_PLACES = elements("N", "E", "P", "Q", "C", each=1, most=MOST_STREAMS)
_PIXELS = elements("N", "D", "H", "W", "C", each=1, most=MOST_STREAMS)

BLOCKS: dict[str, Blocks] = {
    "max_pool_forward": _PLACES,
    "max_pool_backward": _PIXELS,
    "avg_pool_forward": _PLACES,
    "avg_pool_backward": _PIXELS,
}
