"""Files and numbers of blocks of the kernels of the resample family."""

from __future__ import annotations

from .launch import MOST_STREAMS, Blocks, elements

FILES = ("resample.cu",)

BLOCKS: dict[str, Blocks] = {"resample": elements("A", "J", "C", each=1, most=MOST_STREAMS)}
