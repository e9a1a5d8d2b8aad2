"""Files and numbers of blocks of the kernels of the loss family."""

from __future__ import annotations

from collections.abc import Mapping

from .launch import Blocks, elements, short_rows

FILES = ("functions.cuh", "map.cuh", "rows.cuh", "pointwise_loss.cuh", "loss.cu")

_ROWS, _THREADS = short_rows("M", "N"), elements("M", each=1)


def _once(of: Mapping[str, int]) -> int:
    """As `for_rows_once` of rows.cuh shares rows out."""
    return (_THREADS if of["N"] <= 4 else _ROWS)(of)


BLOCKS: dict[str, Blocks] = {
    "sparse_cross_entropy_forward": _ROWS,
    "sparse_cross_entropy_backward": _once,
    "cross_entropy_forward": _ROWS,
    "cross_entropy_backward": _ROWS,
    "pointwise_loss_forward": _once,
    "pointwise_loss_backward": _once,
    "gaussian_nll_forward": _once,
    "gaussian_nll_backward": _once,
    "reduce_loss_forward": elements("M", each=16),
    "reduce_loss_backward": elements("M"),
}
