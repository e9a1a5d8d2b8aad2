"""Compilation of the kernels of this backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from .cache import KernelCache

_compiled = njit(nogil=True, error_model="numpy", fastmath={"contract"})


def jit(function: Callable[..., Any]) -> Any:
    """Return the function, compiled at its first call: without the GIL, kept on disk, dividing by zero as NumPy does.

    Products and sums may become one operation, and nothing else may change: NaN and infinity pass through, and sums keep their
    order but where `rows.add` makes them. A function made by another one takes from it what Python finds by name only, such as
    functions of a module: then the machine code is found again in other processes.
    """
    dispatcher = _compiled(function)
    dispatcher._cache = KernelCache(dispatcher.py_func)
    return dispatcher
