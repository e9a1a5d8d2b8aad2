"""Files and numbers of blocks of the kernels of the generation family."""

from __future__ import annotations

from .launch import Blocks, rows

FILES = ("elements.cuh", "philox.cuh", "generation.cu")

BLOCKS: dict[str, Blocks] = {"sample_tokens": rows("N")}
