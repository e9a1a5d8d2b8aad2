"""Files and numbers of blocks of the kernels of the elementwise family."""

from __future__ import annotations

from .launch import Blocks, elements

FILES = ("map.cuh", "walk.cuh", "fold.cuh", "elementwise.cu", "reduce.cu", "scan.cu", "sort.cu")

BLOCKS: dict[str, Blocks] = {
    "binary_forward": elements("n"),
    "compare_forward": elements("n"),
    "where_forward": elements("n"),
    "strided_copy": elements("n"),
    "fill": elements("n", each=16),
    "cast": elements("n"),
    "reduce_forward": elements("A", "B", "C", each=8),
    "argmax_forward": elements("A", "B", "C", each=8),
    "cumulate": elements("A", "B", "C", each=8),
    "argsort": elements("A", "B", "C", each=1),
}
