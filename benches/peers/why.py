"""Reasons why rows miss their targets, found by profiling on a CPU, and profiles of training steps measured in the run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import nets, sequences
from .figures import item
from .measure import Measured
from .results import Machine
from .targets import target

REASONS = {
    "": {
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
        "step in fit, 400-15-15-15-10": """
            Layers of 15 units fill 15 of 16 lanes, and the first layer's products take over half of the step (see the
            profile below). The profile does not show the time to gather the rows of the batch, from data larger than the
            second-level cache.
        """,
        "step in fit, 8-64-64-4": """
            The products of the 64x64 layer are over half of the step, near the peak of one core. A second core costs more
            than it saves. The rest are calls of less than a microsecond.
        """,
        "LM head": """
            fastnn holds half of the logits at a time. PyTorch frees its gradients before each step and needs little more
            memory than that of the logits. With smaller chunks, more logits would be computed twice.
        """,
    },
    "Zen 3": {
        "sgemm 64^3": """
            It is so short that the time of the call from Python matters. The rest is spent at the start and end of eleven
            tiles, each only 64 steps long.
        """,
        "sgemm": """
            The cores of this host also run other virtual machines, and at times both virtual cores run on one of them. The
            multiply-add peak, which needs registers only, stays the same then, while products of all libraries become slower,
            as they share caches and queues. fastnn reads a in place and a panel of b from the second-level cache for each
            tile. OpenBLAS copies both factors, which loses less at such times. Smaller and larger blocks of K, groups of
            panels in the first-level cache, loops with several steps and copies of every a did not help. An a is copied if it
            is far larger than the second-level cache, where this helps at such times, or if its columns drive each other out
            of the first-level cache.
        """,
        "step in fit, 784": """
            Most of the time is products, with the same limits as the rows of matrix products. At times two threads are not
            faster than one, because both run on one real core.
        """,
        "step in fit, 1024": """
            Most of the time is products, with the same limits as the rows of matrix products. Adam transfers seven arrays as
            large as all weights between memory and the cores.
        """,
        "frozen, 1024-2048-2048-1024": """
            The weights are larger than the third-level cache, which other virtual machines use, too. Each call reads them from
            memory.
        """,
        "frozen, 784-512-512-10": "Most of the time is products, with the same limits as the rows of matrix products.",
        "frozen, 17-256-256-6": """
            A call at batch 1 takes as long as reading the weights from the second-level cache of one core. Sharing them with
            a second core costs as much as it saves. At larger batches, the limits are those of matrix products. Of the longest
            calls, the host interrupts some.
        """,
    },
    "Zen 5": {
        "sgemm 512^3": """
            This is within the spread of the runs: the peak is the best of twenty measurements, the figures are medians. On two
            threads, the same build gave 92 % an hour before.
        """,
        "sgemm 1024^3": """
            Rows of 4 KB in a and c map to the same sets of the first-level cache, because the rows of a tile are this far
            apart. In addition, b is packed. Deeper and shallower blocks of K, larger groups of panels, copies of a and
            prefetching did not help.
        """,
        "sgemm 2048^3": "As for 1024^3, with rows of 8 KB. In addition, all three matrices are read from memory.",
        "sgemm 128x784x512": "Tiles of six rows by 64 columns read b from the second-level cache, for 128 rows only.",
        "512, NT": """
            All of b is transposed while it is packed, and only 128 rows use it. On two threads, each worker packs half of it,
            and the figure changes from run to run, between 65 and 86 %.
        """,
        "TN, ": """
            The columns of a are 3 or 8 KB apart, so that each step of K reads another line and page of it.
        """,
        "gemv": """
            The weights are read from the third-level cache, which other machines on this host may use too. The figure
            changes from run to run.
        """,
        "step in fit, 784-512-512-10": """
            The large products take nine tenths of the step, at 92 % of the peak of both cores forward and 85 % backward (see
            the profile below). The profile does not show the beginning of a call of `fit`, which records the step anew.
        """,
        "frozen, 17-256-256-6, batch 1": """
            Each sample reads 286 KB of weights from the second-level cache. At 64 bytes a cycle and about 4.2 GHz, as the peak
            implies, this alone takes 1.1 us, and 5x would be 0.9 us. A second core costs more than it saves.
        """,
        "frozen, 784-512-512-10, batch 256": """
            Both libraries multiply at over 90 % of the peak of both cores; the difference is within the spread of the runs.
        """,
        "step in fit, 1024-2048-2048-1024": """
            Rows of 4 and 8 KB map to the same sets of the caches. In addition, Adam transfers seven arrays as large as all
            weights between memory and the cores.
        """,
        "frozen, 784-512-512-10, batch 128": """
            The threads get new work between the three layers, and the figure depends on the load of the host.
        """,
        "frozen, 784-512-512-10, batch 1": """
            The weights are read from the third-level cache for each sample. In two of the three layers, the other thread
            reads half of them.
        """,
    },
}
"""Reasons by a part of the CPU's name, and by a part of the row's name. The first parts that the names contain are used; the
reasons for any CPU are the last to be tried."""


def reason(cpu: str, row: str) -> str:
    """Return the reason why a row misses its target on a CPU, as one line."""
    every = [reasons for part, reasons in REASONS.items() if part and part in cpu] + [REASONS[""]]
    text = next((text for reasons in every for part, text in reasons.items() if part in row), "Not analysed yet.")
    return " ".join(text.split())


def _training_nets(measured: Sequence[Measured]) -> list[tuple[tuple[int, ...], int]]:
    """List the layer sizes and the batch of the rows that train with `fit` in float32."""
    rows = [m.row for m in measured if m.row.kind == "train" and m.row.precision == "float32"]
    return list(dict.fromkeys(row.args for row in rows if row.columns["fastnn"].mode == "fit"))


def profile(sizes: tuple[int, ...], batch: int) -> str:
    """Return the table of `model.profile` for the net of a row."""
    from .fastnn import compiled

    x, y = nets.samples(sizes, batch)
    return str(compiled(sizes, "float32").profile(x, y.astype(np.int64), print_fn=None))


def text_profile(net: str, batch: int) -> str:
    """Return the table of `model.profile` for the net of a row of sequences."""
    from .fastnn_sequences import compiled

    return str(compiled(net).profile(*sequences.data(net, batch)[0], print_fn=None))


def profiles(measured: Sequence[Measured]) -> dict[str, str]:
    """Return the profiles of training steps that miss their targets, by their titles."""
    found = _training_nets(_missed(measured))
    made = {f"{nets.title(sizes)}, batch {batch}": profile(sizes, batch) for sizes, batch in found}
    texts = [m.row.args for m in _missed(measured) if m.row.kind == "text_train"]
    return made | {f"{net}, batch {batch}": text_profile(net, batch) for net, batch in texts}


def section(machine: Machine, measured: Sequence[Measured]) -> list[str]:
    """Return the lines of the page's section about rows that miss their targets on a machine."""
    missed = _missed(measured)
    if not missed:
        return []
    lines = ["", f"## Why rows miss their targets on {machine.heading}", ""]
    reasons: dict[str, list[Measured]] = {}
    for m in missed:
        reasons.setdefault(reason(machine.heading, m.row.name), []).append(m)
    for text, rows in reasons.items():
        lines.append(item(f"{'; '.join(m.row.name for m in rows)}. {text}"))
    for title, text in machine.profiles.items():
        lines += ["", f"A training step of {title}, by `model.profile(x, y)`:", "", "```", *text.splitlines(), "```"]
    return lines


def _missed(measured: Sequence[Measured]) -> list[Measured]:
    return [m for m in measured if target(m)[1].startswith("missed")]
