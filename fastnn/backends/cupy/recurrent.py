"""Files and numbers of blocks of the kernels of the recurrent family."""

from __future__ import annotations

from .launch import Blocks

BLOCKS: dict[str, Blocks] = {}
