"""Files and numbers of blocks of the kernels of the activation family."""

from __future__ import annotations

from .launch import Blocks, elements, short_rows

FILES = ("functions.cuh", "map.cuh", "rows.cuh", "fold.cuh", "activation.cu", "softmax.cu")

_ROWS = short_rows("M", "N")

BLOCKS: dict[str, Blocks] = {
    "activation_forward": elements("n"),
    "activation_backward": elements("n"),
    "glu_forward": elements("A", "C"),
    "glu_backward": elements("A", "C"),
    "prelu_forward": elements("M", "N"),
    "prelu_backward": elements("M", "N"),
    "softmax_forward": _ROWS,
    "softmax_backward": _ROWS,
    "log_softmax_forward": _ROWS,
    "log_softmax_backward": _ROWS,
    "sparsemax_forward": _ROWS,
    "sparsemax_backward": _ROWS,
}
