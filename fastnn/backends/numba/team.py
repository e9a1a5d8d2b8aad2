"""The threads that share large calls with their caller: they are started when first needed, and again after a fork."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_pool: ThreadPoolExecutor | None = None
_size = 0


def _forget() -> None:
    """A forked process has none of the threads."""
    global _pool, _size
    _pool, _size = None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def run(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> None:
    """Calls a function that releases the GIL with each of these arguments, side by side; the caller makes the first call."""
    global _pool, _size
    if len(calls) > _size + 1:
        _pool, _size = ThreadPoolExecutor(len(calls) - 1, "fastnn"), len(calls) - 1
    others = [_pool.submit(function, *args) for args in calls[1:]] if _pool else []
    try:
        function(*calls[0])
    finally:  # after Ctrl-C too: they write into arrays that the caller will use again
        errors = [other.exception() for other in others]
    for error in errors:
        if error:
            raise error
