"""Epochs of recorded steps on arrays in memory, with nothing between the epochs but the rule that ends training."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import current
from ..core.structure import Structure
from ..training import sanity
from ..training.data.order import Order
from ..training.data.source import Batches, InMemory
from ..training.step import TrainStep

Array = np.ndarray[Any, Any]


class Steps:
    """Training of a compiled model on samples, epoch by epoch, as `fit` without callbacks does it.

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
        arrays = arrays.on(current())
        order = Order(shuffle and batch < len(X))
        self._source = InMemory(Batches(arrays, model.dtype), arrays.inputs, batch, None, order, self._make)

    def _make(self, buffers: list[Array], fetch: Any, inputs: Structure, unsafe: str) -> TrainStep:
        step: TrainStep = self._model._train_step(buffers, fetch, False, inputs, unsafe)
        return step

    def epoch(self, left: int, alone: bool) -> dict[str, Any]:
        """Train on each sample once, and return the logs.

        Args:
            left: number of epochs left, including this one.
            alone: whether no user code runs between epochs.
        """
        runs = self._source.epoch(left, alone)
        self._compiled.reset()
        for step, count in runs:
            if not (alone and step.repeated(count)):
                step.run_sliced(count, _go_on)  # Ctrl-C is seen between slices
        logs: dict[str, Any] = self._compiled.logs()
        return logs

    def finish(self) -> None:
        """End training."""
        self._compiled.optimizer.finalize()


def _go_on(done: int) -> bool:
    return True
