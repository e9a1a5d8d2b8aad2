"""Ranks and their messages: one rank without MPI, and several that mpirun starts."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import ranks

import fastnn
from fastnn.distributed import Comm


def test_one_rank() -> None:
    comm = fastnn.distributed.init(average_every=3)
    assert type(comm) is Comm and (comm.rank, comm.size, comm.local_rank, comm.local_size) == (0, 1, 0, 1)
    a = np.arange(3.0)
    comm.sum(a)
    comm.maximum(a)
    comm.barrier()
    assert a.tolist() == [0.0, 1.0, 2.0]
    assert comm.broadcast("x") == "x" and comm.gather(1) == [1] and comm.all_gather(1) == [1]
    assert copy.deepcopy(comm) is comm and pickle.loads(pickle.dumps(comm)).average_every == 3
    with pytest.raises(SystemExit) as ended:
        comm.abort(3)
    assert ended.value.code == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "some"}, "data is 'some', wanted 'all' or 'sharded'"),
        ({"compress": "float8"}, "compress is 'float8'"),
        ({"average_every": 0}, "average_every"),
    ],
)
def test_options(options: dict[str, object], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        fastnn.distributed.init(**options)


def test_arrays_that_cannot_be_summed() -> None:
    comm = Comm()
    with pytest.raises(ValueError, match=r"sum: the array of shape \(3, 2\) is not contiguous"):
        comm.sum(np.ones((2, 3)).T)
    with pytest.raises(TypeError, match="sum: got list, wanted an array"):
        comm.sum([1.0])
    with pytest.raises(TypeError, match="maximum: got ndarray of bool"):
        comm.maximum(np.ones(2, bool))
    with pytest.raises(ValueError, match="root is 1, wanted a rank from 0 to 0"):
        comm.broadcast(1, root=1)


def test_the_message_where_mpi_is_not_installed() -> None:
    code = "import sys; sys.modules['mpi4py'] = None; import fastnn; fastnn.distributed.init()"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    environment = {**os.environ, "OMPI_COMM_WORLD_SIZE": "2"}
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1 and "pip install 'fastnn[distributed]'" in done.stderr


def _messages() -> list[object]:
    comm = fastnn.distributed.init()
    a = np.full(5, comm.rank + 1.0, np.float32)
    comm.sum(a)
    b = np.array([comm.rank, -comm.rank])
    comm.maximum(b)
    values = comm.broadcast(comm.rank * 10 + 5, root=1), comm.gather(comm.rank), comm.all_gather("ab"[comm.rank])
    comm.barrier()
    return [str(comm), comm.local_rank, comm.local_size, a.tolist(), b.tolist(), *values]


@ranks.needed
def test_messages() -> None:
    first, second = ranks.run(2, __file__, "_messages")
    assert first == ["MPIComm(rank 0 of 2)", 0, 2, [3.0] * 5, [1, 0], 15, [0, 1], ["a", "b"]]
    assert second == ["MPIComm(rank 1 of 2)", 1, 2, [3.0] * 5, [1, 0], 15, None, ["a", "b"]]


def _threads() -> tuple[int, int]:
    before = fastnn.get_num_threads()
    fastnn.distributed.init()
    return before, fastnn.get_num_threads()


@ranks.needed
def test_threads_are_shared() -> None:
    for before, after in ranks.run(2, __file__, "_threads", env={"FASTNN_NUM_THREADS": "", "OMP_NUM_THREADS": ""}):
        assert after == max(1, before // 2)
    assert ranks.run(2, __file__, "_threads", env={"FASTNN_NUM_THREADS": "", "OMP_NUM_THREADS": "1"}) == [(1, 1), (1, 1)]
    assert ranks.run(2, __file__, "_threads", env={"FASTNN_NUM_THREADS": "3"}) == [(3, 3), (3, 3)]


def _fails_on_one_rank() -> None:
    comm = fastnn.distributed.init()
    if comm.rank == 1:
        raise ValueError("only here")
    comm.sum(np.ones(3))
    comm.barrier()


@ranks.needed
def test_an_error_on_one_rank_ends_all() -> None:
    with pytest.raises(ranks.RankError) as caught:
        ranks.run(2, __file__, "_fails_on_one_rank")
    assert "rank 1 of 2 ends all:\nTraceback" in caught.value.outputs[1] and "ValueError: only here" in caught.value.outputs[1]
