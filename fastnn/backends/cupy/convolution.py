"""Files and numbers of blocks of the kernels of the convolution family."""

from __future__ import annotations

from .launch import Blocks, elements

FILES = ("functions.cuh", "product.cuh", "convolution.cu")

BLOCKS: dict[str, Blocks] = {
    "conv_forward": elements("N", "E", "P", "Q", "O", each=2),
    "conv_backward": elements("N", "E", "P", "Q", "O", each=2),
}
"""A tile has two elements for each thread of its block."""
