"""Files and numbers of blocks of the kernels of the optim family."""

from __future__ import annotations

from .launch import MOST_STREAMS, Blocks, elements, one

FILES = ("elements.cuh", "optim.cu", "optim_adaptive.cu", "optim_average.cu", "optim_rows.cu")

_step = elements("n", each=8, most=MOST_STREAMS)
_scale = elements("n", each=16, most=MOST_STREAMS)

BLOCKS: dict[str, Blocks] = {
    "advance": one,
    "every": one,
    "scheduled": one,
    "nadam_product": one,
    "schedule_free_weight": one,
    **dict.fromkeys(("adam_rows_step", "sparse_adam_step"), lambda of: min(MOST_STREAMS, max(1, of["B"]))),
    "sum_squares": elements("n", each=16),
    **dict.fromkeys(
        (
            *("sgd_step", "adam_step", "amsgrad_step", "radam_step", "adamax_step", "nadam_step", "rmsprop_step"),
            *("adagrad_step", "adadelta_step", "lion_step", "schedule_free_step", "muon_momentum", "muon_step"),
            *("lerp", "ema_step", "accumulate"),
        ),
        _step,
    ),
    **dict.fromkeys(("clip_norm", "unit_norm", "clip_value"), _scale),
}
