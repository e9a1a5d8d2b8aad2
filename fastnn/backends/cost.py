"""The cost of a kernel call in arithmetic and memory traffic, for profiles and benchmarks."""

from __future__ import annotations

import math
from typing import Any

from . import spec


def flops(name: str, args: tuple[Any, ...]) -> int:
    """Count floating-point operations by the kernel's line in the contract; 0 for kernels that memory limits."""
    if name == "matmul_batched":  # its sizes are values of an array
        return 2 * math.prod(int(n) for n in args[3][0])
    kernel = spec.KERNELS[name]
    formula = kernel.formulas.get("flops")
    return formula(kernel.values(args)) if formula else 0


def precision(name: str, args: tuple[Any, ...]) -> str:
    """Return what the factors of a product are rounded to; "float32" where nothing is."""
    for arg, value in zip(spec.KERNELS[name].args, args, strict=True):
        if arg.name == "precision":
            return spec.PRECISIONS[value]
    return spec.PRECISIONS[0]


def traffic(name: str, args: tuple[Any, ...]) -> int:
    """Count the bytes read and written, each array once for either."""
    total = 0
    for arg, value in zip(spec.KERNELS[name].args, args, strict=True):
        if arg.kind == "array":
            total += int(value.nbytes) * (arg.reads + arg.writes)
    return total
