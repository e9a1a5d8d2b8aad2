"""Make batches of windows of token ids that are in memory: a recorded step gathers them by their first positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...autograd.tensor import Array
from ...backends import current
from ...backends.base import aligned
from ...backends.spec import BINARY_OPS, TENSOR_DTYPES
from ...core.layout import broadcast_strides, layout
from ...core.structure import Structure
from ...distributed.data import Deal
from .. import sanity
from .feed import TokenWindows
from .order import Order
from .source import Batches

LOOKED_AT = 64
"""Number of windows that are checked before the first step, besides those with the smallest and the largest id."""


class WindowBatches(Batches):
    """Batches of windows and their next tokens.

    A pass has the array of the windows' first positions. A step takes those of its batch, adds 0, 1, 2 and so on, and looks up
    the ids at these positions.

    Args:
        feed: the windows.
        deal: deals them to several ranks; None for a process alone.
        like: some of them as the model takes them, x and then y, whose dtypes and shapes the batches have; missing arrays of
            size 0 may follow.
    """

    def __init__(self, feed: TokenWindows, like: Sequence[Array], deal: Deal | None = None) -> None:
        k, ids = current(), feed.given.ids
        self.feed, self.like, self.n, self.context = feed, like, feed.n, feed.given.context
        self.deal = deal
        self._tokens = [k.asarray(np.ascontiguousarray(part)) for part in (ids[:-1], ids[1:])]
        self._starts = k.asarray(np.zeros((self.n, 1), np.int64))
        self._offsets = k.asarray(np.arange(self.context, dtype=np.int64))
        own = np.arange(self.n, dtype=np.int64)
        self.index = k.asarray(own if deal is None else deal.own(own))
        self.cursor = k.asarray(np.zeros(1, np.int64))
        self._made: dict[int, tuple[Array, Array, Array]] = {}  # number of rows -> first positions, all positions, ids

    def start_epoch(self, order: Order, first: int = 0) -> None:
        k = current()
        k.write(self._starts, self.feed.starts(order, first).reshape(-1, 1))
        k.write(self.cursor, np.full(1, first, np.int64))

    def buffers(self, rows: int) -> list[Array]:
        k, shape = current(), (rows, self.context)
        self._made[rows] = k.empty((rows, 1), np.int64), k.empty(shape, np.int64), k.empty(shape, np.int64)
        return [aligned(k, (rows, *a.shape[1:]), a.dtype) if a.size else a for a in self.like]

    def fetch_ahead(self, rows: int) -> None:
        pass

    def gather(self, buffers: list[Array]) -> None:
        k, rows = current(), len(buffers[0])
        first, positions, ids = self._made[rows]
        k.gather_batch(first, self._starts, self.index, self.cursor)
        shape = positions.shape
        steps = [broadcast_strides(a.shape, shape) for a in (first, self._offsets)]
        k.binary_forward(positions, first, self._offsets, k.constant(layout(shape, *steps)), BINARY_OPS.index("add"))
        for tokens, buffer in zip(self._tokens, buffers, strict=False):
            taken = buffer if buffer.dtype == ids.dtype else ids
            k.take_forward(taken.reshape(-1, 1), tokens.reshape(-1, 1), positions.reshape(-1))
            if taken is not buffer:
                k.cast(buffer.reshape(shape), ids, TENSOR_DTYPES.index(buffer.dtype.name))
        k.advance(self.cursor, rows)


def gathered_windows(
    model: Any, feed: Any, check_data: bool, deal: Callable[[int, int], Deal | None]
) -> tuple[WindowBatches, Structure, int] | None:
    """Return the batches of windows in memory, the structure of the model's inputs, and the number of windows in a batch.

    deal: deals a number of windows to the ranks, as batches of this size; it returns None for a process alone.

    The result is None if kernels cannot gather the batches: the feed has other data, its ids are in a file, or the model takes
    or trains on something else than x and y.

    Raises:
        ValueError: the windows do not fit the model, or an id is larger than its outputs.
    """
    if not isinstance(feed, TokenWindows) or not feed.given.fits:
        return None
    x, y = _looked_at(feed)
    names = ("x", "y of some windows")
    like = model._prepare("fit", x, y, None, names)
    there = [a for a in like if a.size]
    if len(there) != 2 or there[0] is not like[0] or there[1] is not like[1] or {a.size for a in there} != {x.size}:
        return None
    if check_data:
        sanity.check(model, model._need("fit"), like.inputs, like, (x, y), names)
    return WindowBatches(feed, like, deal(feed.n, feed.batch_size)), like.inputs, feed.batch_size


def _looked_at(feed: TokenWindows) -> tuple[Array, Array]:
    """Return windows for the checks of fit: some from all over the text, and those with the smallest and the largest id."""
    w = feed.given
    some = w.starts(np.linspace(0, feed.n - 1, min(LOOKED_AT, feed.n)).astype(np.int64))
    extremes = [min(max(int(i) - 1, 0), w.places - 1) for i in (w.ids.argmin(), w.ids.argmax())]
    return w.batch(np.concatenate([some, extremes]))
