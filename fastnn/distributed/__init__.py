"""Train one model with several processes, on one machine or many: MPI's ranks, each with its part of every batch.

::

    mpirun --bind-to none -n 4 python train.py

    comm = fastnn.distributed.init()                      # in train.py
    model.compile("adam", "mse", distribute=comm)
    model.fit(x, y, batch_size=256)                       # the whole batch, of which each rank takes its part

Training with ranks needs the ``distributed`` extra (mpi4py and Open MPI).

`predict` computes the outputs of a trained model for more rows than memory holds, on the workers of joblib, Ray or Dask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.lazy import lazily

if TYPE_CHECKING:
    from .comm import Comm as Comm
    from .gradients import average_gradients as average_gradients
    from .inference import predict as predict
    from .mpi import init as init
    from .normalization import synchronize as synchronize

__all__, __getattr__, __dir__ = lazily(
    __name__,
    {
        ".comm": "Comm",
        ".gradients": "average_gradients",
        ".inference": "predict",
        ".mpi": "init",
        ".normalization": "synchronize",
    },
)
