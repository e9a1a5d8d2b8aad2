"""Products of many matrices that lie in larger arrays: each factor is copied, and multiplied as those of the dense family are."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.layout import within
from ..reference.dense import rounded
from . import team
from .gemm import multiply
from .jit import jit

Array = Any

_SHARE = 4e6
"""Multiplications that are worth a thread."""


def matmul_batched(c: Array, a: Array, b: Array, layout: Array, alpha: float, beta: float, precision: int) -> None:
    sizes = layout[0].tolist()
    if not within(sizes, layout[1:].tolist(), (c.size, a.size, b.size)):
        c[...] = np.nan
        return
    *batch, m, n, k = sizes
    added = [size != 1 and stride == 0 for size, stride in zip(batch, layout[1, 1:].tolist(), strict=False)]
    items = each = 1
    for size, of_sum in zip(batch, added, strict=True):
        items, each = (items, each * size) if of_sum else (items * size, each)
    a, b = rounded(np, a, precision).ravel(), rounded(np, b, precision).ravel()
    numbers = c.ravel(), a, b, np.array(layout), np.array([*added, False]), each, alpha, beta
    team.share(_products, numbers, items, items * each * m * n * k / _SHARE)


@jit
def _products(
    c: Array,
    a: Array,
    b: Array,
    layout: Array,
    added: Array,
    each: int,
    alpha: float,
    beta: float,
    begin: int,
    end: int,
) -> None:
    """Compute the matrices of c from begin to end, each the sum of so many products."""
    R = layout.shape[1] - 3
    M, N, K = layout[0, R], layout[0, R + 1], layout[0, R + 2]
    if each == 0:
        K = 0
    left, right, product = np.empty((M, K), c.dtype), np.empty((K, N), c.dtype), np.empty((M, N), c.dtype)
    row, column = layout[1, R + 1], layout[1, R + 2]
    for item in range(begin, end):
        for part in range(max(each, 1)):
            to, at_a, at_b, rest, rest_added = layout[1, 0], layout[2, 0], layout[3, 0], item, part
            for axis in range(R - 1, -1, -1):
                size = layout[0, axis]
                if size == 0:
                    continue
                if added[axis]:
                    at, rest_added = rest_added % size, rest_added // size
                else:
                    at, rest = rest % size, rest // size
                to += at * layout[1, 1 + axis]
                at_a += at * layout[2, 1 + axis]
                at_b += at * layout[3, 1 + axis]
            _copy(left, a, at_a, layout[2, R + 1], layout[2, R + 2])
            _copy(right, b, at_b, layout[3, R + 1], layout[3, R + 2])
            if part == 0 and beta != 0:
                _copy(product, c, to, row, column)
            multiply(product, left, right, alpha, beta if part == 0 else 1.0)
        for i in range(M):
            for j in range(N):
                c[to + i * row + j * column] = product[i, j]


@jit
def _copy(matrix: Array, x: Array, begin: int, row: int, column: int) -> None:
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            matrix[i, j] = x[begin + i * row + j * column]
