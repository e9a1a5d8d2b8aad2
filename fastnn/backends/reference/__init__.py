"""The kernel contract in Python: what every kernel computes, in plain array code, written once for NumPy and CuPy.

Each family has a module here; the functions have the names of `fastnn.backends.spec.KERNELS` and its arguments, after a first
argument ``xp``, the array module. Their docstrings are the only place that says what a kernel means. They work in any dtype,
and in float64 they are the oracle that the compiled kernels are tested against.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from ..spec import FAMILIES, KERNELS

MODULES = {family: import_module(f".{family}", __name__) for family in FAMILIES}

Aux = Callable[..., tuple[Any, Any] | None]
"""From a call's sizes, dtype and scalars: the shape and dtype of what a kernel leaves for its backward, or None."""


def functions() -> dict[str, Callable[..., None]]:
    """Return every kernel's reference function, with ``xp`` as its first argument."""
    return {name: getattr(MODULES[kernel.family], name) for name, kernel in KERNELS.items()}


def auxiliary() -> dict[str, Aux]:
    """Return by the kernel's name the rules of arrays of the dtype ``own``: functions ``<kernel>_aux``."""
    own = (kernel for kernel in KERNELS.values() if any(a.dtype == "own" for a in kernel.outputs))
    return {kernel.name: getattr(MODULES[kernel.family], f"{kernel.name}_aux") for kernel in own}


def table(xp: ModuleType) -> dict[str, Callable[..., None]]:
    """Return the reference over an array module, as a table of kernels."""
    return {name: _quiet(f, xp) for name, f in functions().items()}


def _quiet(f: Callable[..., None], xp: Any) -> Callable[..., None]:
    """NaN and infinity pass through kernels without a warning; CuPy never gives one."""
    errstate = getattr(xp, "errstate", np.errstate)

    @functools.wraps(f)
    def kernel(*args: Any) -> None:
        with errstate(all="ignore"):
            f(xp, *args)

    return kernel
