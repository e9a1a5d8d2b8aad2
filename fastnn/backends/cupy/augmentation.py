"""Files and numbers of blocks of the kernels of the augmentation family."""

from __future__ import annotations

from .launch import MOST_STREAMS, Blocks, elements

FILES = ("augmentation.cu",)

BLOCKS: dict[str, Blocks] = {
    "affine_transform_forward": elements("N", "P", "Q", "C", each=1, most=MOST_STREAMS),
    "affine_transform_backward": elements("N", "C", each=1, most=MOST_STREAMS),
}
