"""Files and numbers of blocks of the kernels of the normalization family."""

from __future__ import annotations

from .launch import Blocks, elements, rows

FILES = ("functions.cuh", "normalization.cu")

BLOCKS: dict[str, Blocks] = {
    "norm_forward": rows("A", "C"),
    "norm_backward": rows("C"),
    "norm_fold": elements("C", each=1),
    "norm_apply": elements("A", "C"),
}
"""A block for each set of numbers that are normalized together; in backward, for the sets that have gamma in common."""
