"""The threads that share large calls with their caller: they are started when first needed, and again after a fork."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Any

from .. import get_num_threads

_pool: ThreadPoolExecutor | None = None
_size = 0


def _forget() -> None:
    """Forget the threads: a forked process has none of them."""
    global _pool, _size
    _pool, _size = None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _work(function: Callable[..., Any], left: deque[tuple[Any, ...]]) -> None:
    while left:
        try:
            args = left.popleft()
        except IndexError:  # another thread took the last one
            return
        function(*args)


def share(function: Callable[..., Any], args: tuple[Any, ...], items: int, work: float) -> None:
    """Call function(*args, begin, end) for parts of the items, on at most as many threads as `work` says it is worth."""
    threads = max(1, min(get_num_threads(), items, int(work)))
    run(function, [(*args, begin, end) for begin, end in pairwise(items * i // threads for i in range(threads + 1))])


def run(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> None:
    """Call a function that releases the GIL with each of these arguments, side by side; the caller takes part.

    Where threads cannot be started, those that there are do all of it; it may be the caller alone.
    """
    global _pool, _size
    left = deque(calls)
    others: list[Future[None]] = []
    try:
        if len(calls) > _size + 1:
            _pool, _size = ThreadPoolExecutor(len(calls) - 1, "fastnn"), len(calls) - 1
        if _pool:
            for _ in calls[1:]:
                others.append(_pool.submit(_work, function, left))
    except RuntimeError:  # a thread could not be started, or the interpreter is ending
        pass
    try:
        _work(function, left)
    finally:  # after Ctrl-C too: they write into arrays that the caller will use again
        errors = [other.exception() for other in others]
    for error in errors:
        if error:
            raise error
