"""What a kernel call costs in arithmetic and memory traffic: for profiles and benchmarks."""

from __future__ import annotations

from typing import Any

from . import spec


def flops(name: str, args: tuple[Any, ...]) -> int:
    """Multiply-adds counted twice, for products of matrices; 0 for kernels that memory limits."""
    if name in ("matmul_nn", "matmul_nt", "matmul_tn"):
        c, a = args[0], args[1]
        return 2 * int(a.size) * int(c.shape[1])
    if name == "dense_forward":
        x, w = args[2], args[3]
        return 2 * int(x.shape[0]) * int(w.size)
    if name == "dense_backward":
        x, w, need = args[5], args[6], args[10]
        return 2 * int(x.shape[0]) * int(w.size) * (bool(need & spec.NEED_DX) + bool(need & spec.NEED_DW))
    return 0


def precision(name: str, args: tuple[Any, ...]) -> str:
    """What the factors of a product are rounded to; "float32" where nothing is."""
    for arg, value in zip(spec.KERNELS[name].args, args, strict=True):
        if arg.name == "precision":
            return spec.PRECISIONS[value]
    return spec.PRECISIONS[0]


def traffic(name: str, args: tuple[Any, ...]) -> int:
    """Bytes read and written, each array once for either."""
    total = 0
    for arg, value in zip(spec.KERNELS[name].args, args, strict=True):
        if arg.kind == "array":
            total += int(value.nbytes) * (arg.reads + arg.writes)
    return total
