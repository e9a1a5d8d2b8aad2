"""Lists the engines of bfloat16 products that the CPU and the compiled kernels have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from fastnn.backends import get_isa, unavailable


def engines() -> list[str]:
    """List the engines of the instruction set in use, best first."""
    if unavailable("cpp"):
        return []
    from fastnn import _core

    get_isa()  # follows FASTNN_ISA
    return [name for name, lacking in _core.bf16_engines() if not lacking]


@contextmanager
def engine(name: str) -> Iterator[None]:
    """Request an engine in a ``with`` block."""
    from fastnn import _core

    _core.use_bf16(name)
    try:
        yield
    finally:
        _core.use_bf16(os.environ.get("FASTNN_BF16", ""))
