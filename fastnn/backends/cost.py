"""Counts the arithmetic operations and the memory traffic of kernel calls, for profiles and benchmarks."""

from __future__ import annotations

import math
from typing import Any

from . import spec


def flops(name: str, args: tuple[Any, ...]) -> int:
    """Count floating-point operations by the kernel's line in the contract; 0 for kernels that are limited by memory."""
    if name == "matmul_batched":  # its sizes are the values of an array
        return 2 * math.prod(int(n) for n in args[3][0])
    if name == spec.HOST_CALL:
        return 0
    kernel = spec.KERNELS[name]
    formula = kernel.formulas.get("flops")
    return formula(kernel.values(args)) if formula else 0


def precision(name: str, args: tuple[Any, ...]) -> str:
    """Return the type to which the factors of a product are rounded; "float32" if they are not rounded."""
    for arg, value in zip(spec.arguments(name), args, strict=True):
        if arg.name == "precision":
            return spec.PRECISIONS[value]
    return spec.PRECISIONS[0]


def traffic(name: str, args: tuple[Any, ...]) -> int:
    """Count the bytes read and written. Each array counts once for reading and once for writing."""
    total = 0
    for arg, value in zip(spec.arguments(name), args, strict=True):
        if arg.kind == "array":
            total += int(value.nbytes) * (arg.reads + arg.writes)
    return total
