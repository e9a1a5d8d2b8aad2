"""The kernel contract in Python: every kernel in plain array code, written once for NumPy and CuPy.

Each family has a module in this package. The functions have the names and arguments of `fastnn.backends.spec.KERNELS`, after a
first argument ``xp``, the array module. Only their docstrings define what a kernel computes. They work in any dtype. In float64,
they are the reference with which the compiled kernels are compared in tests.
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
"""Function of a call's sizes, dtype and scalars. Returns shape and dtype of the array for backward, or None if there is none."""


def functions() -> dict[str, Callable[..., None]]:
    """Return the reference functions of all kernels, which take ``xp`` as the first argument."""
    return {name: getattr(MODULES[kernel.family], name) for name, kernel in KERNELS.items()}


def auxiliary() -> dict[str, Aux]:
    """Return the rules for arrays of the dtype ``own``, by the kernel's name: the functions ``<kernel>_aux``."""
    own = (kernel for kernel in KERNELS.values() if any(a.dtype == "own" for a in kernel.outputs))
    return {kernel.name: getattr(MODULES[kernel.family], f"{kernel.name}_aux") for kernel in own}


def table(xp: ModuleType) -> dict[str, Callable[..., None]]:
    """Return the table of reference kernels for an array module."""
    return {name: _quiet(f, xp) for name, f in functions().items()}


def _quiet(f: Callable[..., None], xp: Any) -> Callable[..., None]:
    """Return the kernel for arrays of xp, without NumPy's warnings: NaN and infinity pass through kernels. CuPy never warns."""
    errstate = getattr(xp, "errstate", np.errstate)

    @functools.wraps(f)
    def kernel(*args: Any) -> None:
        with errstate(all="ignore"):
            f(xp, *args)

    return kernel
