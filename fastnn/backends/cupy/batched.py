"""Files and numbers of blocks of the kernels of the batched family."""

from __future__ import annotations

from .launch import Blocks, elements

FILES = ("product.cuh", "batched.cu")

BLOCKS: dict[str, Blocks] = {"matmul_batched": elements("n", each=2)}
"""A tile has two elements for each thread of its block; c may be larger than what is written."""
