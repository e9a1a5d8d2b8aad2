"""mpirun as the tests use it: results, outputs and errors of ranks."""

import os
import time
from typing import Any

import pytest
import ranks

pytestmark = ranks.needed


def _sums(scale: float) -> tuple[int, int, float]:
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    return comm.rank, comm.size, comm.allreduce(scale * (comm.rank + 1))


def _alone(variable: str) -> str | None:
    return os.environ.get(variable)


def _fails(how: str) -> None:
    from mpi4py import MPI

    rank = MPI.COMM_WORLD.rank
    print("this is rank", rank, flush=True)
    if rank == 1 and how == "error":
        raise ValueError("bad row")
    if rank == 1 and how == "exit":
        os._exit(7)
    time.sleep(60)


def test_results_of_each_rank() -> None:
    assert ranks.run(3, __file__, "_sums", 0.5) == [(rank, 3, 3.0) for rank in range(3)]


def test_one_rank_starts_without_mpirun() -> None:
    assert ranks.run(1, __file__, "_alone", "PMIX_RANK") == [None]


@pytest.mark.parametrize("how", ["error", "exit", "hang"])
def test_errors_of_a_rank(how: str) -> None:
    wanted: dict[str, Any] = {"error": "ValueError: bad row", "exit": "this is rank 1", "hang": "_fails"}
    start = time.monotonic()
    with pytest.raises(ranks.RankError) as caught:
        ranks.run(2, __file__, "_fails", how, seconds=3 if how == "hang" else 40)
    assert time.monotonic() - start < 30
    assert wanted[how] in caught.value.outputs[1] and "this is rank 0" in str(caught.value)
