"""Files and numbers of blocks of the kernels of the recurrent family."""

from __future__ import annotations

from .launch import Blocks, rows

FILES = ("functions.cuh", "recurrent.cu")

BLOCKS: dict[str, Blocks] = dict.fromkeys(
    ("rnn_forward", "rnn_backward", "lstm_forward", "lstm_backward", "gru_forward", "gru_backward"), rows("N")
)
"""Numbers of blocks: one for each sequence."""
