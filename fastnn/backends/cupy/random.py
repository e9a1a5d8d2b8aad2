"""Files and numbers of blocks of the kernels of the random family."""

from __future__ import annotations

from ..spec import KERNELS
from .launch import MOST_STREAMS, Blocks, elements

FILES = ("elements.cuh", "philox.cuh", "random.cu")

BLOCKS: dict[str, Blocks] = {
    kernel.name: elements("n", each=16, most=MOST_STREAMS) for kernel in KERNELS.values() if kernel.family == "random"
}
