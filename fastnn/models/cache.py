"""Keep keys and values of the tokens that a model has read, so that each new token costs the work of one token."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, no_grad
from ..backends import current
from ..core import arrays
from ..ops import logic
from ..ops.checks import positive_int
from ..ops.data import add_rows


class Cache:
    """Keys and values of the tokens that a model has read so far, for each layer and each sample.

    Args:
        layers: number of attention layers.
        batch: number of samples.
        context: greatest number of tokens of a sample.
        heads: number of heads of keys and values.
        size: number of columns of a head.
        dtype: "float32" or "float64".

    Attributes:
        keys, values: a Tensor (batch, context, heads, size) for each layer. Rows that were not written are 0.
        position: the number of tokens of each sample, int64 (batch,).

    All three are written by kernels, in place. A step that uses them can be recorded once and replayed: positions are read from
    the array. Tokens beyond the context are not written; the caller counts them. `reset` begins another text.

    >>> import fastnn
    >>> cache = fastnn.models.Cache(layers=1, batch=2, context=8, heads=1, size=4)
    >>> cache.keys[0].shape, cache.position.tolist()
    ((2, 8, 1, 4), [0, 0])
    """

    def __init__(self, layers: int, batch: int, context: int, heads: int, size: int, dtype: Any = "float32") -> None:
        given = {"layers": layers, "batch": batch, "context": context, "heads": heads, "size": size}
        layers, *shape = (positive_int(value, f"Cache: {name}") for name, value in given.items())
        k = current()
        self.context = shape[1]
        self.keys, self.values = (
            tuple(Tensor(arrays.filled(k, tuple(shape), np.dtype(dtype), 0.0)) for _ in range(layers)) for _ in range(2)
        )
        self.position = Tensor(arrays.filled(k, (shape[0],), np.dtype(np.int64), 0))

    @property
    def batch(self) -> int:
        """Return the number of samples."""
        return self.position.shape[0]

    def reset(self) -> None:
        """Forget all tokens."""
        k = current()
        for t in (*self.keys, *self.values, self.position):
            k.fill(t.data, 0.0)

    @no_grad()
    def select(self, samples: Any) -> None:
        """Replace each sample by the one with a given number, as beam search does with the samples that it keeps."""
        for t in (*self.keys, *self.values, self.position):
            t.copy_(t.take(samples))

    @no_grad()
    def step(self, tokens: int, lengths: Any = None) -> Step:
        """Return the places of the next tokens of all samples.

        Args:
            tokens: how many tokens each sample gets.
            lengths: how many of them count for each sample, int64 (batch,); those after them are padding. By default, all do.
        """
        return Step(self, tokens, lengths)


class Step:
    """Places of the tokens of one step in a cache.

    positions: position of each token in its text, int64 (batch, tokens).
    starts: position of the first one, int64 (batch,).
    """

    def __init__(self, cache: Cache, tokens: int, lengths: Any) -> None:
        batch, context = cache.batch, cache.context
        k = current()
        count = Tensor(k.constant(np.arange(tokens)[None]))
        first = Tensor(k.constant(np.arange(batch)[:, None] * context))
        self.cache, self.tokens, self.lengths = cache, tokens, lengths
        self._layer = 0
        self.starts = cache.position
        self.positions = cache.position.reshape(batch, 1) + count
        fits = self.positions < context
        if lengths is not None:
            fits = logic.logical_and(fits, count < lengths.reshape(batch, 1))
        self._rows = logic.where(fits, self.positions + first, batch * context)

    def write(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write the keys and values of these tokens, (batch, tokens, heads, size) each; return those of all tokens so far.

        The attention layers of a model call this method in turn.
        """
        held = self.cache.keys[self._layer], self.cache.values[self._layer]
        self._layer += 1
        for table, new in zip(held, (keys, values), strict=True):
            columns = math.prod(table.shape[2:])
            add_rows(table.reshape(-1, columns), self._rows.reshape(-1), new.reshape(-1, columns))  # the rows are 0
        return held

    def done(self) -> None:
        """Move the positions on, after all layers have written."""
        position = self.cache.position
        position.copy_(position + (self.tokens if self.lengths is None else self.lengths))
