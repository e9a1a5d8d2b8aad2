"""Why a row misses its target, as profiling showed, and the profiles of training steps as measured in the run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import nets
from .measure import Measured
from .page import target

REASONS = {
    "train_on_batch": """
        The rest of it is Python: the checks of the arguments, the copies into the step's buffers, the loss as a number.
    """,
    "loop by hand": "What is left is Python: many small calls of NumPy and of kernels for a step.",
    "bfloat16, 784": """
        Only the products are faster. Packing and rounding their factors, Adam, which moves as many bytes as before, and
        the last layer are not.
    """,
    "bfloat16, 1024": """
        Only the products are faster. Adam moves as many bytes through memory as before, and the factors are rounded
        from float32 each time that they are packed.
    """,
    "sgemm 64^3": """
        It takes so short a time that the call from Python counts; the rest goes into the beginnings and ends of eleven
        tiles, each only 64 steps long.
    """,
    "sgemm 512^3": "Within the spread of the runs: the peak is the best of twenty measurements, the figures are medians.",
    "sgemm 1024^3": """
        Rows of 4 KB fall into the same sets of the first-level cache, in a and in c: tiles are stored row over row at
        such distances; besides, b is packed. Deeper and shallower blocks of K, larger groups of panels, copies of a and
        fetching ahead brought nothing.
    """,
    "sgemm 2048^3": "As 1024^3, with rows of 8 KB; besides, all three matrices come out of memory.",
    "sgemm 128x784x512": "Tiles of six rows by 64 columns read b from the second-level cache, for 128 rows only.",
    "gemv": """
        The weights come from the third-level cache, which other machines on this host may use too: the figure moves
        from run to run.
    """,
    "400-15-15-15-10, batch 32": """
        Layers of 15 units fill 15 of 16 lanes, and the first layer's products take over half of the step, as the
        profile below shows; what it does not show is the gathering of the batch's rows from data larger than the
        second-level cache.
    """,
    "8-64-64-4": """
        The products of the 64x64 layer are over half of the step, near the peak of one core; a second core costs more
        than it brings. The rest are calls of less than a microsecond.
    """,
    "1024-2048-2048-1024": """
        Rows of 4 and 8 KB collide in the caches, and Adam moves seven arrays as large as all weights through memory.
    """,
    "784-512-512-10, batch 128": """
        Between the three layers the threads are handed their work anew, and the figure moves with the load of the host.
    """,
    "784-512-512-10, batch 1": """
        The weights are read from the third-level cache for each sample, and two of the three layers hand half of that
        to the other thread.
    """,
    "LM head": """
        fastnn holds half of the logits at a time; PyTorch, which gives its gradients back before each step, needs
        hardly more than the logits once. Smaller chunks would compute more logits twice.
    """,
}
"""By what the row's name contains; the first that fits counts."""


def _training_nets(measured: Sequence[Measured]) -> list[tuple[tuple[int, ...], int]]:
    """List sizes and batch of the training rows."""
    rows = [m.row for m in measured if m.row.kind == "train" and m.row.precision == "float32"]
    return list(dict.fromkeys(row.args for row in rows if row.columns["fastnn"].mode == "fit"))


def profile(sizes: tuple[int, ...], batch: int) -> str:
    """Return the table of `model.profile` for the net of a row."""
    from .fastnn import compiled

    x, y = nets.samples(sizes, batch)
    return str(compiled(sizes, "float32").profile(x, y.astype(np.int64), print_fn=None))


def section(measured: Sequence[Measured]) -> list[str]:
    """Return the page's section on the rows that miss their targets."""
    missed = [m for m in measured if target(m)[1].startswith("missed")]
    if not missed:
        return []
    lines = ["", "## Why rows miss their targets", ""]
    for m in missed:
        reason = next((text for part, text in REASONS.items() if part in m.row.name), "Not looked into.")
        lines.append(f"- {m.row.name} ({target(m)[1]}). {' '.join(reason.split())}")
    for sizes, batch in _training_nets(missed):
        lines += ["", f"A training step of {nets.title(sizes)}, batch {batch}, by `model.profile(x, y)`:", "", "```"]
        lines += [*profile(sizes, batch).splitlines(), "```"]
    return lines
