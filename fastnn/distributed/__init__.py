"""Train one model with several processes, on one machine or many: MPI's ranks, each with its part of every batch.

::

    mpirun --bind-to none -n 4 python train.py

    comm = fastnn.distributed.init()                      # in train.py
    model.compile("adam", "mse", distribute=comm)
    model.fit(x, y, batch_size=256)                       # the whole batch, of which each rank takes its part

Training with ranks needs the ``distributed`` extra (mpi4py and Open MPI).
"""

from __future__ import annotations

from .comm import Comm
from .gradients import average_gradients
from .mpi import init
from .normalization import synchronize

__all__ = ["Comm", "average_gradients", "init", "synchronize"]


def __dir__() -> list[str]:
    return sorted(__all__)
