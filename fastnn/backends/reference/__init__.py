"""The kernel contract in Python: what every kernel computes, in plain array code, written once for NumPy and CuPy.

Each family has a module here; the functions have the names of `fastnn.backends.spec.KERNELS` and its arguments, after a first
argument ``xp``, the array module. Their docstrings are the only place that says what a kernel means. They work in any dtype,
and in float64 they are the oracle that the compiled kernels are tested against.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from ..spec import KERNELS
from . import activation, data, dense, elementwise, loss, metrics, optim, random, regularization

MODULES = {
    m.__name__.rpartition(".")[2]: m for m in (activation, data, dense, elementwise, loss, metrics, optim, random, regularization)
}


def functions() -> dict[str, Callable[..., None]]:
    """Every kernel's reference function, with ``xp`` as its first argument."""
    return {name: getattr(MODULES[kernel.family], name) for name, kernel in KERNELS.items()}


def table(xp: ModuleType) -> dict[str, Callable[..., None]]:
    """The reference over an array module, as a table of kernels."""
    return {name: _quiet(f, xp) for name, f in functions().items()}


def _quiet(f: Callable[..., None], xp: Any) -> Callable[..., None]:
    """NaN and infinity pass through kernels without a warning; CuPy never gives one."""
    errstate = getattr(xp, "errstate", np.errstate)

    @functools.wraps(f)
    def kernel(*args: Any) -> None:
        with errstate(all="ignore"):
            f(xp, *args)

    return kernel
