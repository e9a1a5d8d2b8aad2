"""A CUDA device for machines without one: the kernels' own programs, compiled for the CPU and run by fibers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from fastnn.backends import _local, cupy
from fastnn.backends.cupy import CupyBackend
from fastnn.backends.cupy.launch import MOST_STREAMS, Blocks, table
from fastnn.backends.spec import FAMILIES

from .device import COMPILER, FORWARD, REVERSED, EmulatedDevice

TARGETS = {"emulated": (FORWARD, False), "emulated_reversed": (REVERSED, True)}
"""The order of blocks and threads, and where arrays lie in their pages; what a kernel computes depends on neither."""

FEW = 3
"""The blocks of a launch on the reversed device at most, so that the loops over what is left go round; any number must do."""


def runs_here() -> bool:
    """Whether programs can be compiled for this machine, and run as its loader and its signals are."""
    return sys.platform == "linux" and bool(COMPILER)


def kernels(device: Any, most: int = MOST_STREAMS) -> dict[str, Any]:
    """The kernels of the families that there are, in so many blocks at most."""
    found: dict[str, Any] = {}
    for family in FAMILIES:
        if find_spec(f"fastnn.backends.cupy.{family}"):
            module = import_module(f"fastnn.backends.cupy.{family}")
            found |= module.table(device) if family == "dense" else table(device, _limited(module.BLOCKS, most))
    return found


def _limited(rules: dict[str, Blocks], most: int) -> dict[str, Blocks]:
    return {name: lambda of, rule=rule: min(most, rule(of)) for name, rule in rules.items()}


@cache
def load(target: str) -> CupyBackend:
    """The cupy backend on an emulated device."""
    device = EmulatedDevice(*TARGETS[target])
    return CupyBackend(device, kernels(device, FEW if TARGETS[target][0] == REVERSED else MOST_STREAMS))


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
