"""Files and numbers of blocks of the kernels of the ctc family."""

from __future__ import annotations

from .launch import Blocks, rows

FILES = ("ctc.cu",)

BLOCKS: dict[str, Blocks] = {"ctc_loss": rows("N")}
