"""Ranks that `mpirun` starts, with MPI's messages between them (the package mpi4py)."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from functools import cache
from types import ModuleType, TracebackType
from typing import Any, NoReturn

import numpy as np

from ..backends import get_num_threads, set_num_threads
from ..backends.threads import cores
from .comm import Comm, _check

STARTED = ("OMPI_COMM_WORLD_", "PMI_", "PMIX_", "PMI2_", "MV2_COMM_WORLD_", "MPI_LOCALRANKID", "SLURM_PROCID", "PALS_RANKID")
"""Beginnings of the environment variables that launchers of MPI programs set for each rank."""


def init(**options: Any) -> Comm:
    """Return the ranks of this job: those that `mpirun` has started, or this process alone.

    Each rank then uses its part of the machine's cores, unless FASTNN_NUM_THREADS is set. An error that nothing catches ends all
    ranks, with its traceback, so that the others do not wait for the failed one for ever.

    Args:
        options: how the ranks train; `Comm` describes them: data, compress, average_every, sync_batch_norm.

    Raises:
        ImportError: mpirun has started this process, and mpi4py is not installed.
        ValueError: an option has a value that `Comm` does not know.
        TypeError: `Comm` has no option of this name.

    ::

        mpirun --bind-to none -n 4 python train.py

    >>> import fastnn
    >>> comm = fastnn.distributed.init()
    >>> comm.rank, comm.size
    (0, 1)
    """
    if "mpi4py.MPI" not in sys.modules and not any(name.startswith(STARTED) for name in os.environ):
        _latest[:] = [Comm(**options)]
        return _latest[0]
    comm = MPIComm(**options)
    _latest[:] = [comm]
    _share_cores(comm)
    if comm.size > 1 and sys.excepthook is not _end_all:
        sys.excepthook = _end_all
    return comm


_latest: list[Comm] = []  # the result of the last call of `init`


def latest() -> Comm:
    """Return the result of the last call of `init`."""
    if not _latest:
        raise RuntimeError("average_gradients: fastnn.distributed.init() comes first; it finds the ranks")
    return _latest[0]


class MPIComm(Comm):
    """Send messages between the ranks of MPI's COMM_WORLD; arguments as for `Comm`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        mpi, self._world, local = _started()
        self._in_place, self._sum, self._maximum = mpi.IN_PLACE, mpi.SUM, mpi.MAX
        self.rank, self.size = self._world.rank, self._world.size
        self.local_rank, self.local_size = local.rank, local.size

    def __reduce__(self) -> tuple[Any, ...]:
        names = ("data", "compress", "average_every", "sync_batch_norm")
        return _again, ({name: getattr(self, name) for name in names},)

    def sum(self, array: Any) -> None:
        _check(array, "sum")
        self._reduce(array, self._sum)

    def maximum(self, array: Any) -> None:
        _check(array, "maximum")
        self._reduce(array, self._maximum)

    def _reduce(self, array: Any, op: Any) -> None:
        if isinstance(array, np.ndarray):
            self._world.Allreduce(self._in_place, array, op)
        else:  # on a GPU: by way of the host
            host = array.get()
            self._world.Allreduce(self._in_place, host, op)
            array.set(host)

    def all_to_all(self, sent: Any, received: Any) -> None:
        _exchange(self._world.Alltoall, sent, received)

    def join(self, part: Any, whole: Any) -> None:
        _exchange(self._world.Allgather, part, whole)

    def broadcast(self, value: Any, root: int = 0) -> Any:
        return self._world.bcast(super().broadcast(value, root), root)

    def gather(self, value: Any) -> list[Any] | None:
        values: list[Any] | None = self._world.gather(value)
        return values

    def all_gather(self, value: Any) -> list[Any]:
        values: list[Any] = self._world.allgather(value)
        return values

    def barrier(self) -> None:
        self._world.Barrier()

    def abort(self, code: int = 1) -> NoReturn:
        sys.stdout.flush()
        sys.stderr.flush()
        self._world.Abort(code)
        os._exit(code)  # Abort does not return; if some MPI's does, this process still ends


def _exchange(message: Callable[[Any, Any], None], sent: Any, received: Any) -> None:
    """Send a message of one array into another; arrays on a GPU by way of the host."""
    if isinstance(sent, np.ndarray):
        message(sent, received)
    else:
        host = np.empty(received.shape, received.dtype)
        message(sent.get(), host)
        received.set(host)


@cache
def _started() -> tuple[ModuleType, Any, Any]:
    """Start MPI. Return its module, a communicator of our own of all ranks, and one of those on this machine."""
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            f"fastnn.distributed.init: ranks need the package mpi4py: install it with pip install 'fastnn[distributed]' ({error})"
        ) from None
    world = MPI.COMM_WORLD.Dup()  # messages of the user's own on COMM_WORLD do not meet ours
    return MPI, world, world.Split_type(MPI.COMM_TYPE_SHARED)


def _again(options: dict[str, Any]) -> Comm:
    return MPIComm(**options)


def _share_cores(comm: MPIComm) -> None:
    """Give this rank its part of the machine's cores."""
    own = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(cores()))
    limit = cores()  # below the affinity if the container has a quota
    _, _, local = _started()
    node = len(set().union(*local.allgather(own)))
    if not os.environ.get("FASTNN_NUM_THREADS") and comm.local_size > 1:
        total = node if limit >= len(own) else limit
        set_num_threads(max(1, min(get_num_threads(), total // comm.local_size)))  # OMP_NUM_THREADS may allow fewer


def _end_all(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of an error that nothing has caught, and end all ranks."""
    comm = MPIComm()
    print(f"rank {comm.rank} of {comm.size} ends all:", file=sys.stderr)
    traceback.print_exception(kind, error, trace)
    comm.abort(1)
