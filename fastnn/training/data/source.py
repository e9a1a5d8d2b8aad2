"""Sources of the batches of fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...autograd.tensor import Array
from ...backends import current
from ...backends.base import aligned
from ...backends.spec import TENSOR_DTYPES
from ...core.arrays import copy_array
from ...distributed.data import Deal, Share, alone

if TYPE_CHECKING:
    from ...core.structure import Structure
    from ..step import TrainStep
    from .order import Order, Place

Make = Callable[["list[Array]", "Callable[[list[Array]], None] | None", "Structure", str], "TrainStep"]
"""Type of the function that makes a training step. Its arguments are the buffers, a function that fills them, the structure of
the inputs, and the reason why Python may change values between steps that user code depends on ("" if it cannot)."""


class Source(Protocol):
    """Source of the batches of fit, as training steps that are ready to run."""

    steps: int | None
    """Number of batches in an epoch; None if it is not known yet."""
    length: int | None
    """Number of batches in a pass over the data; None if it is unknown."""
    began: int
    """Step of this epoch at which the pass over the data began; negative if it began in an earlier epoch."""

    @property
    def size(self) -> list[int]:
        """Return the sizes of the source. A source can continue where another one with equal sizes stopped."""
        ...

    def epoch(self, left: int, alone: bool) -> Iterator[tuple[TrainStep, int]]:
        """Begin an epoch. Return its steps, each with the number of times that it must run before the next step is taken.

        left: number of epochs left, including this one.
        alone: whether no user code runs between epochs.
        """
        ...

    def resume(self, config: dict[str, Any]) -> bool:
        """Go to the place of another source, from `Place.config`; return whether this is possible."""
        ...

    def state(self) -> Any:
        """Return the state of the user's object."""
        ...

    def ended(self, place: Place, epochs: int) -> bool:
        """Return whether the data ended for good, and warn if they ended too soon."""
        ...

    def close(self) -> None:
        """Stop fetching batches."""
        ...


class InMemory:
    """Source of batches from arrays in memory. A recorded step gathers its batches itself, so that one call runs many steps.

    Args:
        batches: inputs, targets and weights.
        inputs: structure of the inputs.
        steps: number of batches in an epoch, which continues where the last one stopped; None for a whole pass.
        order: shuffles the samples.
        make: makes the training steps.
    """

    def __init__(self, batches: Batches, inputs: Structure, batch_size: int, steps: int | None, order: Order, make: Make) -> None:
        self.batches = batches
        deal = self._deal = batches.deal or alone(batches.n, batch_size)
        self.length: int | None = deal.length
        self.steps: int | None = self.length if steps is None else steps
        self.began = 0
        self._at = self.length
        self._skip = self._done = 0  # batches of the first pass and steps of the first epoch that were done before loading
        self._order = order
        self.made: dict[Share, TrainStep] = {}
        for share in deal.shares:
            step = self.made[share] = make(self.batches.buffers(share.rows), self.batches.gather, inputs, "")
            step.dealt(share)

    @property
    def size(self) -> list[int]:
        return [self._deal.n, self._deal.batch_size]

    def epoch(self, left: int, alone: bool) -> Iterator[tuple[TrainStep, int]]:
        assert self.steps is not None and self.length is not None
        done, self._done = self._done, 0
        self.began = done - self._at
        if self._at >= self.length:
            self._begin(done)
        return self._runs(done, self.steps, left, alone)

    def passes(self, n: int) -> list[tuple[TrainStep, int]]:
        """Begin n whole passes. Return the steps of one of them, each with the number of times that it must run."""
        self.batches.start_epochs(self._order, n)
        return [(self.made[share], times) for times, share in self._deal.runs]

    def _begin(self, done: int) -> None:
        self._at, self._skip = self._skip, 0
        self.batches.start_epoch(self._order, self._deal.before(self._at))
        self.began = done - self._at

    def _runs(self, done: int, steps: int, left: int, alone: bool) -> Iterator[tuple[TrainStep, int]]:
        while done < steps:
            if self._at >= self._deal.length:
                self._begin(done)
            share, count = self._deal.at(self._at)
            count = min(count, steps - done)
            step = self.made[share]
            self.batches.fetch_ahead(share.rows)
            step.start_epoch(count, left, alone)
            yield step, count
            done += count
            self._at += count

    def resume(self, config: dict[str, Any]) -> bool:
        assert self.steps is not None and self.length is not None
        if config["size"] != self.size or config["steps"] >= self.steps or config["at"] >= self.length:
            return False
        self._skip, self._done = config["at"], config["steps"]
        return True

    def state(self) -> Any:
        return None

    def ended(self, place: Place, epochs: int) -> bool:
        return False

    def close(self) -> None:
        pass


class Batches:
    """Arrays in memory, with the order of samples and the position of the next batch.

    Order and position are arrays that `gather_batch` reads, so that each replay of a step takes another batch. Arrays of uint8
    become floats of the dtype `floats` batch by batch. There is room for the orders of `passes` passes. The order has the samples
    that this rank takes of each batch, if `deal` deals them to several ranks.
    """

    def __init__(self, arrays: Sequence[Array], floats: np.dtype[Any], passes: int = 1, deal: Deal | None = None) -> None:
        self.arrays = list(arrays)  # missing arrays have size 0
        self.floats = floats
        self.n = len(arrays[0])
        self.deal = deal
        k = current()
        own = np.arange(self.n, dtype=np.int64)
        self.index = k.asarray(np.tile(own if deal is None else deal.own(own), passes))
        self.cursor = k.asarray(np.zeros(1, np.int64))
        self._ahead: dict[int, list[Array]] = {}  # number of rows -> next batch of the streamed arrays
        self._bytes: dict[tuple[int, ...], Array] = {}  # shape -> a batch of uint8, before the cast

    def start_epoch(self, order: Order, first: int = 0) -> None:
        """Go to this rank's sample `first` of a pass, in a new order if the samples are shuffled."""
        self._draw(order, 1)
        current().write(self.cursor, np.full(1, first, np.int64))

    def start_epochs(self, order: Order, n: int) -> None:
        """Go to the start of n passes, each in a new order if the samples are shuffled."""
        self._draw(order, n)
        current().write(self.cursor, np.zeros(1, np.int64))

    def _draw(self, order: Order, n: int) -> None:
        for i in range(n):
            drawn = order.draw(self.n)
            if drawn is not None:
                own = drawn if self.deal is None else self.deal.own(drawn)
                current().write(self.index[i * len(own) : (i + 1) * len(own)], own)

    def buffers(self, rows: int) -> list[Array]:
        """Return buffers for a batch."""
        k = current()
        made = [aligned(k, (rows, *a.shape[1:]), self._dtype(a)) if a.size else a for a in self.arrays]
        for a in self.arrays:
            if a.size and self._dtype(a) != a.dtype:
                self._bytes[(rows, *a.shape[1:])] = k.empty((rows, *a.shape[1:]), a.dtype)
        return made

    def fetch_ahead(self, rows: int) -> None:
        """Fetch the next batch of the streamed arrays, from the cursor on, for the next call of `gather`."""
        k = current()
        streamed = [a for a in self.arrays if a.size and k.is_streamed(a)]
        if streamed and rows not in self._ahead:
            self._ahead[rows] = [k.empty((rows, *a.shape[1:]), a.dtype) for a in streamed]
        for a, ahead in zip(streamed, self._ahead.get(rows, ()), strict=True):
            self._take(a, ahead)

    def gather(self, buffers: list[Array]) -> None:
        """Write the next batch into the buffers. For streamed arrays, also start to fetch the batch after it."""
        k, rows = current(), len(buffers[0])
        fetched = iter(self._ahead.get(rows, ()))
        for a, buffer in zip(self.arrays, buffers, strict=True):
            if not a.size:
                continue
            if k.is_streamed(a):
                taken: Array = next(fetched)
            else:
                taken = buffer if buffer.dtype == a.dtype else self._bytes[buffer.shape]
                self._take(a, taken)
            if taken.dtype != buffer.dtype:
                k.cast(buffer, taken, TENSOR_DTYPES.index(buffer.dtype.name))
            elif taken is not buffer:
                copy_array(k, buffer, taken)
        k.advance(self.cursor, rows)
        with k.overlap():
            streamed = (a for a in self.arrays if a.size and k.is_streamed(a))
            for a, ahead in zip(streamed, self._ahead.get(rows, ()), strict=True):
                self._take(a, ahead)

    def _dtype(self, a: Array) -> np.dtype[Any]:
        """Return the dtype of batches of an array."""
        return self.floats if a.dtype == np.uint8 else a.dtype

    def _take(self, a: Array, buffer: Array) -> None:
        rows = len(buffer)
        current().gather_batch(buffer.reshape(rows, -1), a.reshape(self.n, -1), self.index, self.cursor)
