"""Reasons why rows miss their targets, found by profiling, and profiles of training steps measured in the run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import nets
from .measure import Measured
from .page import target

REASONS = {
    "train_on_batch": """
        The rest of the time is Python: checking the arguments, copying into the step's buffers, and reading the loss as
        a number.
    """,
    "loop by hand": "The rest of the time is Python: a step makes many small calls of NumPy and of kernels.",
    "bfloat16, 784": """
        Only the products are faster. Packing and rounding their factors, the last layer, and Adam, which transfers as
        many bytes as before, are not.
    """,
    "bfloat16, 1024": """
        Only the products are faster. Adam transfers as many bytes as before, and the factors are rounded from float32
        whenever they are packed.
    """,
    "sgemm 64^3": """
        It is so short that the time of the call from Python matters. The rest is spent at the start and end of eleven
        tiles, each only 64 steps long.
    """,
    "sgemm 512^3": """
        This is within the spread of the runs: the peak is the best of twenty measurements, the figures are medians.
    """,
    "sgemm 1024^3": """
        Rows of 4 KB in a and c map to the same sets of the first-level cache, because the rows of a tile are this far
        apart. In addition, b is packed. Deeper and shallower blocks of K, larger groups of panels, copies of a and
        prefetching did not help.
    """,
    "sgemm 2048^3": "As for 1024^3, with rows of 8 KB. In addition, all three matrices are read from memory.",
    "sgemm 128x784x512": "Tiles of six rows by 64 columns read b from the second-level cache, for 128 rows only.",
    "gemv": """
        The weights are read from the third-level cache, which other machines on this host may use too. The figure
        changes from run to run.
    """,
    "400-15-15-15-10, batch 32": """
        Layers of 15 units fill 15 of 16 lanes, and the first layer's products take over half of the step (see the
        profile below). The profile does not show the time to gather the rows of the batch, from data larger than the
        second-level cache.
    """,
    "8-64-64-4": """
        The products of the 64x64 layer are over half of the step, near the peak of one core. A second core costs more
        than it saves. The rest are calls of less than a microsecond.
    """,
    "1024-2048-2048-1024": """
        Rows of 4 and 8 KB map to the same sets of the caches. In addition, Adam transfers seven arrays as large as all
        weights between memory and the cores.
    """,
    "784-512-512-10, batch 128": """
        The threads get new work between the three layers, and the figure depends on the load of the host.
    """,
    "784-512-512-10, batch 1": """
        The weights are read from the third-level cache for each sample. In two of the three layers, the other thread
        reads half of them.
    """,
    "LM head": """
        fastnn holds half of the logits at a time. PyTorch frees its gradients before each step and needs little more
        memory than that of the logits. With smaller chunks, more logits would be computed twice.
    """,
}
"""Reasons by a part of the row's name. The first part that the name contains is used."""


def _training_nets(measured: Sequence[Measured]) -> list[tuple[tuple[int, ...], int]]:
    """List the layer sizes and the batch of the rows that train with `fit` in float32."""
    rows = [m.row for m in measured if m.row.kind == "train" and m.row.precision == "float32"]
    return list(dict.fromkeys(row.args for row in rows if row.columns["fastnn"].mode == "fit"))


def profile(sizes: tuple[int, ...], batch: int) -> str:
    """Return the table of `model.profile` for the net of a row."""
    from .fastnn import compiled

    x, y = nets.samples(sizes, batch)
    return str(compiled(sizes, "float32").profile(x, y.astype(np.int64), print_fn=None))


def section(measured: Sequence[Measured]) -> list[str]:
    """Return the lines of the page's section about rows that miss their targets."""
    missed = [m for m in measured if target(m)[1].startswith("missed")]
    if not missed:
        return []
    lines = ["", "## Why rows miss their targets", ""]
    for m in missed:
        reason = next((text for part, text in REASONS.items() if part in m.row.name), "Not analysed yet.")
        lines.append(f"- {m.row.name} ({target(m)[1]}). {' '.join(reason.split())}")
    for sizes, batch in _training_nets(missed):
        lines += ["", f"A training step of {nets.title(sizes)}, batch {batch}, by `model.profile(x, y)`:", "", "```"]
        lines += [*profile(sizes, batch).splitlines(), "```"]
    return lines
