"""Files and numbers of blocks of the kernels of the metrics family."""

from __future__ import annotations

from collections.abc import Mapping

from .launch import MOST_BLOCKS, THREADS, Blocks, elements, one, rows, strips

FILES = ("elements.cuh", "metrics.cu", "metrics_counts.cu")

WARP = 32


def _sum_of_rows(of: Mapping[str, int]) -> int:
    """Return a thread for each row, or a warp for long ones."""
    each = THREADS if of["N"] <= WARP else THREADS // WARP
    return min(MOST_BLOCKS, max(1, -(-of["M"] // each)))


BLOCKS: dict[str, Blocks] = {
    "mean_metric": one,
    "mean_rows": elements("M", each=1),
    **dict.fromkeys(
        ("sparse_accuracy", "categorical_accuracy", "binary_accuracy", "error_metric", "top_k_accuracy"), _sum_of_rows
    ),
    "confusion_matrix": rows("N"),
    "threshold_counts": strips("N", "H"),
    "r2_metric": strips("N"),
    "collect_scores": elements("M", "N"),
}
