"""Ranks, the processes that train one model together, and the messages between them; here for one rank, without MPI."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np

from ..ops.checks import whole_number

if TYPE_CHECKING:
    from .compression import Compressed

DATA = ("all", "sharded")
COMPRESS = (None, "bfloat16", "float16")


class Comm:
    """All ranks of a job, as one of them sees the others. `init` makes it; without arguments it is a job of one rank.

    All ranks call the methods in the same order. A method returns when this rank's part is done.

    Args:
        data: "all" if each rank has all rows of the data, "sharded" if it has its own rows.
        compress: dtype of gradients on their way, "bfloat16" or "float16"; None sends them as they are.
        average_every: number of steps after which the ranks average their weights, in place of gradients in each step; None
            sums gradients in each step. `fit` also averages at the end of each epoch. The optimizer's moments are not averaged.
        sync_batch_norm: whether batch normalization uses the statistics of all ranks' rows, with one message in forward and one
            in backward for each layer. Otherwise each rank normalizes its own rows, and the averages of rank 0 are saved.

    Raises:
        ValueError: an option has another value than these.

    >>> comm = Comm()
    >>> comm.rank, comm.size, comm.all_gather("me")
    (0, 1, ['me'])
    """

    rank = 0
    """Number of this rank, from 0."""
    size = 1
    """Number of ranks."""
    local_rank = 0
    """Number of this rank among those on its machine."""
    local_size = 1
    """Number of ranks on this machine."""

    def __init__(
        self,
        data: Literal["all", "sharded"] = "all",
        compress: Literal["bfloat16", "float16"] | None = None,
        average_every: int | None = None,
        sync_batch_norm: bool = False,
    ) -> None:
        if data not in DATA:
            raise ValueError(f"distributed.init: data is {data!r}, wanted 'all' or 'sharded'")
        if compress not in COMPRESS:
            raise ValueError(f"distributed.init: compress is {compress!r}, wanted None, 'bfloat16' or 'float16'")
        if average_every is not None:
            whole_number(average_every, "distributed.init: average_every", 1)
        self.data, self.compress, self.average_every = data, compress, average_every
        self.sync_batch_norm = bool(sync_batch_norm)
        self._compressed: Compressed | None = None  # made by the first message

    def __repr__(self) -> str:
        return f"{type(self).__name__}(rank {self.rank} of {self.size})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Comm:
        return self  # a copy of a model trains with the same ranks

    def sum(self, array: Any) -> None:
        """Replace an array by its sum over all ranks, in place. All ranks get the same bits.

        Args:
            array: contiguous array of floats or whole numbers, of the same shape and dtype on all ranks.

        Raises:
            ValueError: the array is not contiguous or not writeable.
            TypeError: it is not an array of numbers.

        >>> a = np.array([1.0, 2.0])
        >>> Comm().sum(a)
        >>> a
        array([1., 2.])
        """
        _check(array, "sum")

    def maximum(self, array: Any) -> None:
        """Replace an array by its maximum over all ranks, in place; arguments and errors as for `sum`."""
        _check(array, "maximum")

    def sum_gradients(self, array: Any) -> None:
        """Replace a flat array by its sum over all ranks, rounded on its way if `compress` says so; errors as for `sum`.

        An element's error is then at most u (sum of its absolute values on the ranks + absolute value of the sum), where u is
        2^-8 for bfloat16 and 2^-11 for float16. Numbers beyond 65504 become infinite in float16. All ranks get the same bits.

        >>> a = np.array([1.0, 2.0])
        >>> Comm(compress="bfloat16").sum_gradients(a)
        >>> a
        array([1., 2.])
        """
        if self.compress is None or self.size == 1:
            self.sum(array)
            return
        if self._compressed is None:
            from .compression import Compressed

            self._compressed = Compressed(self, self.compress)
        self._compressed.sum(array)

    def all_to_all(self, sent: Any, received: Any) -> None:
        """Send row i of an array to rank i, and receive each rank's row for this rank, in the order of the ranks.

        Args:
            sent, received: contiguous arrays of the same shape (size, n) and dtype.

        >>> received = np.zeros((1, 2))
        >>> Comm().all_to_all(np.array([[1.0, 2.0]]), received)
        >>> received
        array([[1., 2.]])
        """
        received[...] = sent

    def join(self, part: Any, whole: Any) -> None:
        """Write the parts (n,) of all ranks into the rows of an array (size, n), on every rank.

        >>> whole = np.zeros((1, 2))
        >>> Comm().join(np.array([1.0, 2.0]), whole)
        >>> whole
        array([[1., 2.]])
        """
        whole[...] = part

    def broadcast(self, value: Any, root: int = 0) -> Any:
        """Return the value that the rank `root` passes; the other ranks' values are not used.

        >>> Comm().broadcast({"lr": 0.1})
        {'lr': 0.1}
        """
        if not 0 <= root < self.size:
            raise ValueError(f"broadcast: root is {root}, wanted a rank from 0 to {self.size - 1}")
        return value

    def gather(self, value: Any) -> list[Any] | None:
        """Return the list of all ranks' values on rank 0, and None on the others.

        >>> Comm().gather(3)
        [3]
        """
        return [value]

    def all_gather(self, value: Any) -> list[Any]:
        """Return the list of all ranks' values on every rank.

        >>> Comm().all_gather(3)
        [3]
        """
        return [value]

    def barrier(self) -> None:
        """Wait until all ranks have come here."""

    def abort(self, code: int = 1) -> NoReturn:
        """End all ranks at once, with this exit code of the job. Only what is printed before is kept."""
        sys.exit(code)


def _check(array: Any, op: str) -> None:
    """Raise an error unless the array can be changed in place by a message."""
    dtype = getattr(array, "dtype", None)
    if dtype is None or not hasattr(array, "flags") or np.dtype(dtype).kind not in "fiu" or np.dtype(dtype).itemsize < 4:
        got = type(array).__name__ if dtype is None else f"{type(array).__name__} of {dtype}"
        raise TypeError(f"{op}: got {got}, wanted an array of float32, float64 or whole numbers of 32 or 64 bits")
    if not array.flags.c_contiguous or not getattr(array.flags, "writeable", True):
        raise ValueError(f"{op}: the array of shape {array.shape} is not contiguous or not writeable; pass its copy")
