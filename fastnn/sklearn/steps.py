"""Epochs of recorded steps on arrays in memory, with nothing between the epochs but the rule that ends training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..backends import current
from ..core.structure import Structure
from ..training import sanity
from ..training.data.order import Order
from ..training.data.source import Batches, InMemory
from ..training.step import TrainStep

Array = np.ndarray[Any, Any]

MOST = 64
"""Largest number of epochs of one step that run without a look at their losses."""


class Steps:
    """Training of a compiled model on samples, epoch by epoch, as `fit` without callbacks does it.

    If a batch has all samples, several epochs run in one call: each step first stores the loss of the step before.

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
        arrays, k = arrays.on(current()), current()
        batches = Batches(arrays, model.dtype)
        self._whole = batch == len(X)
        if self._whole:
            buffers = batches.buffers(batch)
            batches.gather(buffers)
            self._totals = [self._compiled.penalty, *(o.total for o in self._compiled.objectives)]
            self._stored = [k.shared_array(np.zeros((MOST, 2))) for _ in self._totals]
            self._number = k.shared_array(np.zeros(1), np.int64)
            self._step = self._make(buffers, self._store, arrays.inputs, "")
        else:
            self._source = InMemory(batches, arrays.inputs, batch, None, Order(shuffle), self._make)

    def _make(self, buffers: list[Array], fetch: Any, inputs: Structure, unsafe: str) -> TrainStep:
        step: TrainStep = self._model._train_step(buffers, fetch, False, inputs, unsafe)
        return step

    def _store(self, buffers: list[Array]) -> None:
        """Store the sums of the losses since the last step, and set them to 0."""
        k = current()
        for stored, total in zip(self._stored, self._totals, strict=True):
            k.take_backward(stored, k.absent, total.reshape(1, 2), self._number, 1)
            k.fill(total, 0.0)
        k.advance(self._number, 1)

    def epochs(self, left: int, alone: bool, most: float) -> Iterator[dict[str, Any]]:
        """Train on each sample once, or several times; yield the logs of each time.

        Args:
            left: number of epochs left.
            alone: whether no user code runs between epochs.
            most: number of epochs after which the caller has to see the logs.
        """
        c = self._compiled
        c.reset()
        if not self._whole:
            for step, count in self._source.epoch(left, alone):
                if not (alone and step.repeated(count)):
                    step.run_sliced(count, _go_on)  # Ctrl-C is seen between slices
            yield c.logs()
            return
        count = int(min(left, most, MOST))
        self._number[:] = 0
        if not (alone and self._step.repeated(count)):
            count = 1
            self._step.start_epoch(1, left, alone)
            self._step.run_sliced(1, _go_on)
        stored = [np.concatenate([rows[1:count], total[None]]) for rows, total in zip(self._stored, self._totals, strict=True)]
        for rows in self._stored:
            rows[:] = 0
        for epoch in zip(*stored, strict=True):
            for total, value in zip(self._totals, epoch, strict=True):
                total[:] = value
            yield c.logs()

    def finish(self) -> None:
        """End training."""
        self._compiled.optimizer.finalize()


def _go_on(done: int) -> bool:
    return True
