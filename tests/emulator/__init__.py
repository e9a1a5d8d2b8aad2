"""A CUDA device for machines without one: the kernels' own programs, compiled for the CPU and run by fibers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from fastnn.backends import _local, cupy
from fastnn.backends.cupy import CupyBackend, blas, dense

from .cublaslt import CublasLt
from .device import COMPILER, FORWARD, REVERSED, EmulatedDevice

TARGETS = {"emulated": (FORWARD, False), "emulated_reversed": (REVERSED, True, 3)}
"""The order of blocks and threads, where arrays lie in their pages, and the most blocks: results depend on none of it."""


why_no_gpu = cupy.unavailable
"""What tells whether there is a GPU, also once the emulated device is installed in its place."""


def runs_here() -> bool:
    """Whether programs can be compiled for this machine, and run as its loader and its signals are."""
    return sys.platform == "linux" and bool(COMPILER)


@cache
def load(target: str) -> CupyBackend:
    """The cupy backend on an emulated device."""
    device = EmulatedDevice(*TARGETS[target])
    products = blas.CublasLt(device, CublasLt(device.start))
    return CupyBackend(device, {**cupy.kernels(device), **dense.table(device, products)})


def install() -> None:
    """From now on the cupy backend of this process is the emulated one."""
    cupy.load, cupy.unavailable = lambda: load("emulated"), lambda: ""


@contextmanager
def using(target: str) -> Iterator[CupyBackend]:
    """Operations in this block run on an emulated device."""
    token = _local.set(backend := load(target))
    try:
        yield backend
    finally:
        _local.reset(token)
