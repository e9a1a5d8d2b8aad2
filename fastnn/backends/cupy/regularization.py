"""How the kernels of the regularization family are launched."""

from __future__ import annotations

from collections.abc import Mapping

from .launch import MOST_BLOCKS, MOST_STREAMS, Blocks, elements


def _strips(of: Mapping[str, int]) -> int:
    """A block for every 32 columns of each matrix."""
    return min(MOST_BLOCKS, max(1, of["A"] * -(-of["C"] // 32)))


BLOCKS: dict[str, Blocks] = {
    "penalty_forward": elements("n"),
    "penalty_backward": elements("n", most=MOST_STREAMS),
    "limit_norms": _strips,
}
