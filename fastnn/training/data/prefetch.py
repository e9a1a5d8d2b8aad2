"""Batches that are fetched on a thread while the one before them is computed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any

import numpy as np

from ...core.block import Finally
from ...core.tree import replace
from ...ops.checks import positive_int

PATIENCE = 5.0
"""Seconds that the end of a pass waits for the batch that is being fetched; its thread then ends by itself."""


class Prefetch:
    """Fetches the batches of an iterable on a thread, so that the next ones are ready when a step is done.

    It is for iterables that take long to make a batch, and use neither the model nor what belongs to a thread. The order stays
    the same. An error in the iterable is raised where its batch was to be taken. Arrays are copied, as many iterables write each
    batch into the same ones.

    Args:
        data: what fit, evaluate and predict take, but arrays: a generator, a Sequence, a DataLoader, ...
        ahead: how many batches are fetched before they are asked for.

    >>> import fastnn
    >>> list(fastnn.Prefetch(range(3)))
    [0, 1, 2]
    """

    def __init__(self, data: Any, ahead: int = 1) -> None:
        from .feed import gives_batches

        if not gives_batches(data):
            raise TypeError(f"Prefetch: data is a {type(data).__name__}; wanted an iterable of batches: arrays need none")
        self.data = data
        self.ahead = positive_int(ahead, "Prefetch: ahead")

    def __iter__(self) -> Iterator[Any]:
        return ahead_of(iter(self.data), self.ahead)


class _End:
    """What a thread leaves last: the error that ended the iterator, if there was one."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead_of(batches: Iterator[Any], ahead: int) -> Iterator[Any]:
    """Yield the items of an iterator, of which a thread fetches so many before they are asked for."""
    ready: SimpleQueue[Any] = SimpleQueue()
    room = threading.Semaphore(ahead)
    ended = threading.Event()

    def fetch() -> None:
        error: BaseException | None = None
        try:
            while room.acquire() and not ended.is_set():
                ready.put(_copied(next(batches)))
        except StopIteration:
            pass
        except BaseException as e:  # whatever ends the iterator is raised in the thread that waits for the batch
            error = e
        ready.put(_End(error))

    # The blocks that the caller is in, such as use_backend, hold for the iterator too.
    thread = threading.Thread(target=copy_context().run, args=(fetch,), name="fastnn-prefetch", daemon=True)

    def end() -> None:
        ended.set()
        room.release()  # for a thread that waits for room
        if thread.ident is not None:
            thread.join(PATIENCE)

    with Finally(end, thread.start):
        while not isinstance(item := ready.get(), _End):
            room.release()
            yield item
        if item.error is not None:
            raise item.error


def _copied(item: Any) -> Any:
    """Return an item with copies of its NumPy arrays."""
    return replace(item, lambda a: a.copy() if isinstance(a, np.ndarray) else a)
