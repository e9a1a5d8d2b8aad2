"""Epochs of recorded steps on arrays in memory, with nothing between the epochs but the rule that ends training."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np

from ..backends import current
from ..core.structure import Structure
from ..replay.plan import run_in_turn
from ..training import sanity
from ..training.data.order import Order
from ..training.data.source import Batches, InMemory
from ..training.step import SLICE, TrainStep

Array = np.ndarray[Any, Any]

MOST = 64
"""Largest number of epochs that run without a look at their losses."""
MOST_ROWS = 1 << 16
"""Largest number of samples in the orders of these epochs."""


class Steps:
    """Training of a compiled model on samples, epoch by epoch, as `fit` without callbacks does it.

    Once the steps are recorded, several epochs run in one call. A plan after each epoch stores its losses.

    Args:
        model: the model.
        X, targets, weights: samples, targets as the loss wants them, and a weight for each sample or None.
        batch: number of samples in a step.
        shuffle: whether each epoch has a new order. In a batch of all samples the order has no effect.
    """

    def __init__(self, model: Any, X: Array, targets: Array, weights: Array | None, batch: int, shuffle: bool) -> None:
        self._model, self._compiled = model, model._need("fit")
        arrays = model._prepare("fit", X, targets, weights)
        sanity.check(model, self._compiled, arrays.inputs, arrays, (X, targets), ("X", "y"))
        k = self._backend = current()
        arrays = arrays.on(k)
        self._source: InMemory | None = None
        if batch == len(X):
            batches = Batches(arrays, model.dtype)
            buffers = batches.buffers(batch)
            batches.gather(buffers)
            self._most = MOST
            self._whole = self._make(buffers, None, arrays.inputs, "")
        else:
            self._most = 1 if any(map(k.is_streamed, arrays)) else max(1, min(MOST, MOST_ROWS // len(X)))
            batches = Batches(arrays, model.dtype, self._most)
            self._source = InMemory(batches, arrays.inputs, batch, None, Order(shuffle), self._make)
        self._seconds = SLICE  # of an epoch
        self._totals = [self._compiled.penalty, *(o.total for o in self._compiled.objectives)]
        self._stored = [k.shared_array(np.zeros((self._most, 2))) for _ in self._totals]
        self._number = k.shared_array(np.zeros(1), np.int64)
        self._storing = self._store()

    def _make(self, buffers: list[Array], fetch: Any, inputs: Structure, unsafe: str) -> TrainStep:
        step: TrainStep = self._model._train_step(buffers, fetch, False, inputs, unsafe)
        return step

    def _store(self) -> Any:
        """Return a plan that stores the sums of an epoch's losses, and sets them to 0."""
        k = self._backend
        calls: list[tuple[str, tuple[Any, ...]]] = []
        for stored, total in zip(self._stored, self._totals, strict=True):
            calls.append(("take_backward", (stored, k.absent, total.reshape(1, 2), self._number, 1)))
            calls.append(("fill", (total, 0.0)))
        calls.append(("advance", (self._number, 1)))
        for name, args in calls:  # a backend may have to compile them before it makes a plan
            k.table[name](*args)
        return k.plan(calls)

    def epochs(self, left: int, alone: bool, most: float) -> Iterator[dict[str, Any]]:
        """Train on each sample once, or several times; yield the logs of each time.

        Args:
            left: number of epochs left.
            alone: whether no user code runs between epochs.
            most: number of epochs after which the caller has to see the logs.
        """
        start = time.perf_counter()
        count = max(1, int(min(left, most, self._most, SLICE / self._seconds)))  # Ctrl-C is seen between the calls
        if alone and self._seconds < SLICE and all(step.repeats for step in self._made()):
            logs = self._replay(count)
        else:
            logs = iter((self._epoch(left, alone),))
            count = 1
        self._seconds = (time.perf_counter() - start) / count
        yield from logs

    def _made(self) -> Collection[TrainStep]:
        """Return the steps, for batches of different sizes."""
        return [self._whole] if self._source is None else self._source.made.values()

    def _epoch(self, left: int, alone: bool) -> dict[str, Any]:
        """Train on each sample once, and return the logs."""
        self._compiled.reset()
        if self._source is None:
            self._whole.start_epoch(1, left, alone)
        for step, count in [(self._whole, 1)] if self._source is None else self._source.epoch(left, alone):
            step.run_sliced(count, _go_on)  # Ctrl-C is seen between slices
        logs: dict[str, Any] = self._compiled.logs()
        return logs

    def _replay(self, count: int) -> Iterator[dict[str, Any]]:
        """Train on each sample `count` times in one call, and return the logs of each time."""
        c = self._compiled
        c.reset()
        self._number[:] = 0
        for rows in self._stored:
            rows[:] = 0
        steps = [(self._whole, 1)] if self._source is None else self._source.passes(count)
        run_in_turn([(step.recorded, times) for step, times in steps], self._storing, count)
        stored = [self._backend.to_numpy(rows)[:count].copy() for rows in self._stored]
        return map(self._logs, zip(*stored, strict=True))

    def _logs(self, sums: Iterable[Array]) -> dict[str, Any]:
        """Return the logs of an epoch with these sums of losses."""
        for total, value in zip(self._totals, sums, strict=True):
            total[:] = value
        logs: dict[str, Any] = self._compiled.logs()
        return logs

    def finish(self) -> None:
        """End training."""
        self._compiled.optimizer.finalize()


def _go_on(done: int) -> bool:
    return True
