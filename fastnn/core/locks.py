"""Locks that are free in a forked process. The thread that held one in the parent does not exist there, and cannot release it."""

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
    """Make a reentrant lock."""
    made = threading.RLock()
    _locks.add(made)
    return made


def _free() -> None:
    for made in _locks:
        own = getattr(made, "_is_owned", None)
        if own is None or not own():  # a lock that the forking thread holds stays locked, since that thread still exists
            made._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free)
