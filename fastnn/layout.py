"""How kernels walk arrays: shapes and strides, counted in elements."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides in elements of a C-contiguous array."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


@lru_cache(maxsize=4096)
def layout(shape: tuple[int, ...], *strides: tuple[int, ...], offsets: tuple[int, int] | None = None) -> np.ndarray[Any, Any]:
    """The layout of a walk as kernels take it (see the reference's elementwise module), with at least two dimensions."""
    pad = max(2 - len(shape), 0)
    rows = [(1,) * pad + shape] + [(0,) * pad + s for s in strides]
    if offsets is not None:
        rows.append(offsets + (0,) * (len(rows[0]) - 2))
    table = np.array(rows, np.int64)
    table.setflags(write=False)
    return table


def broadcast_strides(shape: tuple[int, ...], to: tuple[int, ...]) -> tuple[int, ...]:
    """Strides with which an array of this shape is walked in a larger shape: 0 where it repeats."""
    own = strides_of(shape)
    pad = len(to) - len(shape)
    return (0,) * pad + tuple(0 if shape[i] == 1 and to[pad + i] != 1 else own[i] for i in range(len(shape)))
