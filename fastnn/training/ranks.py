"""Train on several ranks: equal weights at the start, this rank's part of each loss, and ranks without rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..backends import current, shared_array
from ..core.arrays import copy_array
from ..distributed.data import Deal, Share, dealt, sharded
from ..distributed.gradients import Sum
from ..distributed.normalization import synchronize
from ..ops.loss import reduce_loss

if TYPE_CHECKING:
    from ..distributed import Comm
    from ..optim.base import Optimizer


class Ranks:
    """Share one batch among the ranks.

    The loss of the whole batch is the sum of the parts of all ranks, and so are its gradients. The part of a mean over rows is
    the rank's mean times its share of the rows. For a mean over weights or over elements that count, it is its share of their
    sum; the ranks add this up in a message between forward and backward. A sum is its own part.
    """

    def __init__(self, comm: Comm, share: Share) -> None:
        self._comm, self.share = comm, share
        self._sums: list[Array] = []  # this rank's divisors, as the kernels write them
        self._factors: list[Array] = []
        self._exchange = self._exchanged  # the same object for each step, which recordings compare

    def parts(self, losses: Sequence[Tensor], kinds: Sequence[tuple[bool, Array | None]]) -> list[Tensor]:
        """Return this rank's parts of the losses of outputs, and of the penalty if it follows them.

        kinds: for each output, whether its loss is a sum, and the weights whose sum is its divisor; None for the rows.
        """
        if self._comm.average_every:  # each rank trains on its own for some steps
            return list(losses)
        rows, whole, _ = self.share
        if self.fixed([counted for _, counted in kinds]):
            return [loss if i < len(kinds) and kinds[i][0] else loss * (rows / whole) for i, loss in enumerate(losses)]
        if not self._sums:
            self._reserve(len(kinds), losses[0].dtype)
        for own, (_, counted) in zip(self._sums, kinds, strict=True):
            if counted is not None:
                copy_array(current(), own, reduce_loss(Tensor(counted), "sum").data.reshape(1))
        current().host_call(self._exchange)
        factors = [*self._factors[1:], *self._factors[:1]]
        return [
            loss if i < len(kinds) and kinds[i][0] else loss * Tensor(factor.reshape(()))
            for i, (loss, factor) in enumerate(zip(losses, factors, strict=False))
        ]

    def fixed(self, counted: Sequence[Array | None]) -> bool:
        """Return whether the shares of the losses are known before the step, on all ranks alike."""
        return bool(self.share.whole) and not self.share.lacking and all(c is None for c in counted)

    def lack(self, outputs: int) -> None:
        """Take part in the messages of `parts`, without rows.

        Raises:
            ValueError: batch normalization expects a message of each rank, in forward.
        """
        if self._comm.sync_batch_norm:
            raise ValueError(
                f"fit: rank {self._comm.rank} has no rows of a batch, and init(sync_batch_norm=True) wants rows on every rank; "
                "leave out the last samples, or take another batch_size"
            )
        if self._comm.average_every:
            return
        if not self._sums:
            self._reserve(outputs, np.float64)
        self._exchanged()

    def before_step(self, optimizer: Optimizer) -> bool:
        """Make the gradients ready for the optimizer, which adds them up over all ranks. Return whether there are any.

        If a rank may have no rows, a parameter that has a gradient on another rank alone gets a gradient of 0.
        """
        if not self.share.lacking:
            return True
        k, params = current(), optimizer.params
        k.host_reads("the messages of ranks")
        own = np.array([k.has_grad(p) for p in params], np.int64)
        found = own.copy()
        self._comm.maximum(found)
        for i in np.flatnonzero(found > own):
            k.fill(params[i].grad_buffer(), 0.0)
            k.set_has_grad(params[i], True)
        return bool(found.any())

    def _reserve(self, outputs: int, dtype: Any) -> None:
        rows = self.share.rows
        self._sums = [shared_array([float(rows)], dtype) for _ in range(outputs)]
        self._factors = [shared_array([0.0], dtype) for _ in range(outputs + 1)]  # the first is that of the rows

    def _exchanged(self) -> None:
        """Add up the rows and the divisors of all ranks, and compute this rank's factors."""
        own = np.array([self.share.rows, *(float(s[0]) for s in self._sums)])
        total = own.copy()
        self._comm.sum(total)
        for factor, mine, all_ranks in zip(self._factors, own, total, strict=True):
            factor[0] = mine / all_ranks if all_ranks else 0.0


def deal(comm: Comm | None, n: int, batch_size: int) -> Deal | None:
    """Deal n samples to batches and ranks; return None for a process alone.

    Raises:
        ValueError: some rank has no rows of the first batch, or the ranks have different numbers of samples.
    """
    if comm is None:
        return None
    sizes = comm.all_gather(n)
    if batch_size < comm.size:
        raise ValueError(f"fit: batch_size is {batch_size}, and {comm.size} ranks share each batch; wanted at least {comm.size}")
    if comm.sync_batch_norm and comm.data == "all" and 0 < n % batch_size < comm.size:
        raise ValueError(
            f"fit: the last batch has {n % batch_size} rows for {comm.size} ranks, and init(sync_batch_norm=True) wants rows on "
            "every rank; leave them out, or take another batch_size"
        )
    if comm.data == "sharded":
        return sharded(sizes, batch_size, comm.rank)
    if min(sizes) < max(sizes):
        raise ValueError(
            f"fit: x has {min(sizes)} samples on one rank and {max(sizes)} on another; wanted the same on all ranks, or "
            "init(data='sharded')"
        )
    if n < comm.size:
        raise ValueError(f"fit: x has {n} samples for {comm.size} ranks; wanted at least {comm.size}")
    return dealt(n, batch_size, comm.rank, comm.size)


def begin(model: Any, comm: Comm) -> None:
    """Give all ranks the weights and the optimizer's state of rank 0.

    Raises:
        ValueError: the model of this rank has other weights than that of rank 0.
    """
    optimizer = model._compiled.optimizer
    state = model.state_dict()
    shapes = {name: np.shape(value) for name, value in state.items()}
    wanted, values, steps = comm.broadcast((shapes, state, optimizer.state_dict()))
    if shapes != wanted:
        name = next(name for name in [*wanted, *shapes] if shapes.get(name) != wanted.get(name))
        raise ValueError(
            f"fit: {name} has shape {shapes.get(name)} on rank {comm.rank} and {wanted.get(name)} on rank 0; wanted one model"
        )
    if comm.rank:
        model.load_state_dict(values)
        optimizer.load_state_dict(steps)
    synchronize(model, comm if comm.sync_batch_norm else None)
    optimizer.distribute = comm


def meet(optimizer: Optimizer, comm: Comm | None) -> None:
    """Average the weights at the end of an epoch, if the ranks do so every few steps: what is evaluated and saved is the mean."""
    if comm is not None and comm.average_every and comm.size > 1:
        Sum(comm, (run.w for s in optimizer.segments for run in s.stepped()), 1 / comm.size, rounds=False)()


def salt(model: Any, comm: Comm) -> None:
    """Give random layers the numbers of rank 0, mixed with the number of this rank, so that each rank draws others."""
    layers = [m for m in model.modules() if m._draws]
    if layers:
        for m, (seed, counter) in zip(layers, comm.broadcast([m._state.tolist() for m in layers]), strict=True):
            m._state[:] = seed if not comm.rank else _mixed(seed, comm.rank), counter


def _mixed(seed: int, rank: int) -> int:
    return int(np.random.SeedSequence(seed, spawn_key=(rank,)).generate_state(1, np.uint64)[0])
