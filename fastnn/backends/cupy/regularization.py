"""Files and numbers of blocks of the kernels of the regularization family."""

from __future__ import annotations

from .launch import MOST_STREAMS, Blocks, elements, strips

FILES = ("elements.cuh", "regularization.cu")

BLOCKS: dict[str, Blocks] = {
    "penalty_forward": elements("n", each=16),
    "penalty_backward": elements("n", each=16, most=MOST_STREAMS),
    "limit_norms": strips("C", "A"),
}
