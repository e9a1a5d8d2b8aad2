"""Locks that a forked process finds free: the thread that held one in the parent is not there to release it."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

_locks: weakref.WeakSet[Any] = weakref.WeakSet()


def lock() -> threading.Lock:
    """Make a lock."""
    made = threading.Lock()
    _locks.add(made)
    return made


def rlock() -> threading.RLock:
    """Make a lock that its own thread may take several times."""
    made = threading.RLock()
    _locks.add(made)
    return made


def _free() -> None:
    for made in _locks:
        own = getattr(made, "_is_owned", None)
        if own is None or not own():  # else it is the forking thread's, which is here
            made._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free)
