"""Prefetching: a thread fetches the next batches while the current one is computed."""

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
"""Seconds that the end of a pass waits for a batch that is being fetched. After that, nothing waits for the thread."""


class Prefetch:
    """Iterable that fetches the batches of another iterable on a thread, so that the next ones are ready when a step is done.

    Use it for iterables that are slow and use neither the model nor thread-local objects. The order does not change. An error in
    the iterable is raised when its batch is taken. Arrays are copied, since many iterables write every batch into the same
    arrays.

    Args:
        data: a source of batches for fit, evaluate and predict: a generator, a Sequence, a DataLoader, ... (not arrays).
        ahead: number of batches to fetch ahead.

    >>> import fastnn
    >>> list(fastnn.Prefetch(range(3)))
    [0, 1, 2]
    """

    def __init__(self, data: Any, ahead: int = 1) -> None:
        from .feed import gives_batches

        if not gives_batches(data):
            raise TypeError(f"Prefetch: data is a {type(data).__name__}; wanted an iterable of batches; arrays need no Prefetch")
        self.data = data
        self.ahead = positive_int(ahead, "Prefetch: ahead")

    def __iter__(self) -> Iterator[Any]:
        return ahead_of(iter(self.data), self.ahead)


class _End:
    """Last item from the thread, with the error that ended the iterator, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead_of(batches: Iterator[Any], ahead: int) -> Iterator[Any]:
    """Yield the items of an iterator, while a thread fetches up to `ahead` items in advance."""
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
        except BaseException as e:  # any error is raised in the thread that waits for the batch
            error = e
        ready.put(_End(error))

    # The iterator runs in the caller's context, so that its blocks, such as use_backend, apply.
    thread = threading.Thread(target=copy_context().run, args=(fetch,), name="fastnn-prefetch", daemon=True)

    def end() -> None:
        ended.set()
        room.release()  # wake a thread that waits for the semaphore
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
