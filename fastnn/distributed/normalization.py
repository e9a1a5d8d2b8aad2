"""Compute the statistics of batch normalization over the rows of all ranks: one message in forward, one in backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends import shared_array
from ..core.versions import settings_changed

if TYPE_CHECKING:
    from ..nn.module import Module
    from .comm import Comm


def synchronize(model: Module, comm: Comm | None) -> None:
    """Let the batch normalizations of a model use mean and variance of all ranks' rows in training; None ends that.

    `fit` does this for the ranks of `compile` with the option sync_batch_norm. Programs with loops of their own call it once.

    Args:
        model: a layer or model, on every rank the same.
        comm: the ranks. They then call the layers in the same order, in forward and in backward.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.BatchNormalization(input_shape=(2,))])
    >>> fastnn.distributed.synchronize(model, fastnn.distributed.init(sync_batch_norm=True))
    """
    together = None if comm is None or comm.size == 1 else Together(comm)
    for m in model.modules():
        if hasattr(m, "_together") and getattr(m._together, "comm", None) is not (together and together.comm):
            object.__setattr__(m, "_together", together)
            settings_changed()  # recorded steps are without the messages, or with them


class Together:
    """The ranks of a model's batch normalizations, and the memory of their messages. Copies and files are without it."""

    def __init__(self, comm: Comm) -> None:
        self.comm = comm
        self._made: dict[tuple[int, str], Statistics] = {}

    def of(self, channels: int, dtype: Any) -> Statistics:
        """Return the memory for this number of channels; layers with the same number share it."""
        key = channels, np.dtype(dtype).name
        if key not in self._made:
            self._made[key] = Statistics(self.comm, channels, dtype)
        return self._made[key]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()


class Statistics:
    """Sums over the ranks for one number of channels.

    Kernels write rows, mean and variance of the own rows; after `forward`, these are those of all ranks. `spread` is the variance
    for the running averages. Kernels write `sums`, (2, C), of dy normal and of dy; after `backward`, `means` are their means.
    The messages are float64, so that a sum of squares loses nothing that a float32 has.
    """

    def __init__(self, comm: Comm, channels: int, dtype: Any) -> None:
        self.rows, self.momentum, self.unbiased = (shared_array([0.0]) for _ in range(3))
        self.mean, self.variance, self.spread = (shared_array(np.zeros(channels), dtype) for _ in range(3))
        self.sums, self.means = (shared_array(np.zeros((2, channels)), dtype) for _ in range(2))
        message = np.zeros(1 + 2 * channels)

        def forward() -> None:
            n, mean = self.rows[0], np.asarray(self.mean, np.float64)
            message[0] = n
            message[1 : channels + 1] = n * mean
            message[channels + 1 :] = n * (self.variance + mean * mean)
            comm.sum(message)
            n = message[0]
            mean = message[1 : channels + 1] / n
            variance = np.maximum(message[channels + 1 :] / n - mean * mean, 0)
            self.rows[0], self.mean[...], self.variance[...] = n, mean, variance
            self.spread[...] = variance * (n / max(1, n - 1) if self.unbiased[0] else 1)

        def backward() -> None:
            message[1:] = self.sums.reshape(-1)
            comm.sum(message)
            self.means[...] = message[1:].reshape(2, channels) / self.rows[0]

        # The same objects in each step: a recording knows them by their identity.
        self.forward, self.backward = forward, backward
