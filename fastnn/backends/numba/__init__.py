"""Kernels in Numba: compiled at first use, on machines without a C++ compiler too.

A family's module has its kernels under their names, as plain functions that call what `jit.jit` compiles. Numba itself is
imported when the backend is asked for, and nothing is compiled before it is called.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np

from ..base import Backend
from ..reference import table
from ..spec import KERNELS


class NumbaBackend(Backend):
    """Kernels that Numba compiles at their first call."""

    compiles = True


def unavailable() -> str:
    """Return why Numba cannot be used, in words; empty where it can."""
    try:
        numba = import_module("numba")
    except ImportError as error:  # Numba itself raises it for a NumPy that it does not know
        if isinstance(error, ModuleNotFoundError) and error.name == "numba":
            return "numba is not installed; install it with pip install 'fastnn[numba]'"
        return f"numba is installed, but does not import: {error}"
    return "NUMBA_DISABLE_JIT is set" if numba.config.DISABLE_JIT else ""


def load() -> Backend:
    native = {name: getattr(import_module(f"{__name__}.{kernel.family}"), name) for name, kernel in KERNELS.items()}
    return NumbaBackend("numba", np, table(np), native)
