"""Matrix products in tiles: blocks, packing, and the threads that share them.

Only rows or columns of the result are shared out, in whole tiles: the bits do not depend on the number of threads. Products with
a vector, and those with few rows of a where b is transposed, are NumPy's: they read each number of b once, and packing would cost
more than it saves. NumPy's BLAS has threads of its own (OPENBLAS_NUM_THREADS).

Microseconds in float32, this and numpy.matmul, on one thread of an AMD EPYC with AVX-512 that does other work as well:

    M x K x N        a b           a b^T         a^T b         medians of nine rounds in turn, OPENBLAS_NUM_THREADS=1
    32 x 400 x 15    3.5    8.8    5.4    9.1    3.6    9.3
    32 x 15 x 15     1.2    1.1    1.3    1.3    1.2    1.2    a call in itself is 0.6 to 0.8
    32 x 15 x 10     1.2    1.1    1.3    1.1    1.2    1.1
    128 x 784 x 512  559    910    595    906    679    914
    256^3            166    284    181    279    167    300
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import get_num_threads
from . import team
from .jit import jit
from .tile import ROWS, VECTOR, direct_one, direct_two, packed_one, packed_two
from .vmath import inline

Array = Any

_K, _M, _N = 256, 8 * ROWS, 1024
"""Blocks: a panel of b of so many rows stays in the first cache, a block of a in the second, one of b in the third."""
_NARROW, _LOW = VECTOR, 4 * ROWS
"""Results of so few columns or rows are made of a as it is: packing would not be paid back."""
_FEW_ROWS = 8
_SHARE = 4e6
"""Multiplications that are worth a thread."""


def product(c: Array, d: Array, a: Array, b: Array, ta: int, tb: int, alpha: float, beta: float) -> None:
    """c = alpha a b + beta d, a and b transposed where ta and tb say so; d has the rows of c, or one for all of them."""
    M, N = c.shape
    if M == 1 or N == 1 or (tb and M <= _FEW_ROWS):
        _by_numpy(c, d, a.T if ta else a, b.T if tb else b, alpha, beta)
        return
    tiles = _direct if N <= _NARROW or M <= _LOW else _packed
    most = a.size * N / _SHARE
    if most < 2:
        tiles(c, d, a, b, ta, tb, alpha, beta, 0, M, 0, N)
        return
    threads = min(get_num_threads(), int(most))
    rows = _parts(M, ROWS, threads) if M >= N else [(0, M)]
    columns = _parts(N, 2 * VECTOR // c.itemsize, threads) if M < N else [(0, N)]
    team.run(tiles, [(c, d, a, b, ta, tb, alpha, beta, *r, *s) for r in rows for s in columns])


def _parts(size: int, tile: int, count: int) -> list[tuple[int, int]]:
    """Ranges of whole tiles that are about equal."""
    tiles = -(-size // tile)
    count = min(count, tiles)
    return [(i * tiles // count * tile, min(size, (i + 1) * tiles // count * tile)) for i in range(count)]


def _by_numpy(c: Array, d: Array, a: Array, b: Array, alpha: float, beta: float) -> None:
    if alpha == 1 and beta == 0:
        np.dot(a, b, c)
    else:
        _combine(c, d, np.dot(a, b), alpha, beta)


@jit
def _combine(c: Array, d: Array, ab: Array, alpha: float, beta: float) -> None:
    """c = alpha ab + beta d; without the warnings that NumPy has for what is not finite."""
    alpha, beta = c.dtype.type(alpha), c.dtype.type(beta)
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            value = alpha * ab[i, j]
            c[i, j] = value + beta * d[min(i, d.shape[0] - 1), j] if beta != 0 else value


@inline
def _strides(c: Array, d: Array, a: Array, ta: int, tb: int) -> Any:
    """N, K, and how far apart rows of d, rows and columns of a, and rows and columns of b are."""
    (M, N), K = c.shape, a.shape[0] if ta else a.shape[1]
    row_a, column_a = (1, M) if ta else (K, 1)
    row_b, column_b = (1, K) if tb else (N, 1)
    return N, K, N if d.shape[0] == M else 0, row_a, column_a, row_b, column_b


@jit
def _direct(
    c: Array,
    d: Array,
    a: Array,
    b: Array,
    ta: int,
    tb: int,
    alpha: float,
    beta: float,
    top: int,
    bottom: int,
    left: int,
    right: int,
) -> None:
    """`product` for the rows from top to bottom and the columns from left to right, with a as it is."""
    N, K, row_d, row_a, column_a, row_b, column_b = _strides(c, d, a, ta, tb)
    alpha, beta = c.dtype.type(alpha), c.dtype.type(beta)
    c, d, a, b = c.ravel(), d.ravel(), a.ravel(), b.ravel()
    lanes = VECTOR // c.itemsize
    panel = np.empty(K * 2 * lanes if tb else 0, c.dtype)
    for j in range(left, right, 2 * lanes):
        n = min(2 * lanes, right - j)
        if tb:
            _pack(panel, 0, b, j * column_b, n, n, column_b, K, row_b)
        right_factor, at_b, ldb = (panel, 0, n) if tb else (b, j, row_b)
        for i in range(top, bottom, ROWS):
            m = min(ROWS, bottom - i)
            at = (i * N + j, i * row_d + j, i * row_a, at_b)
            numbers = (*at, m, n, K, N, row_d, row_a, column_a, ldb, alpha, beta)
            if n > lanes:
                direct_two(c, d, a, right_factor, numbers)
            else:
                direct_one(c, d, a, right_factor, numbers)


@jit
def _packed(
    c: Array,
    d: Array,
    a: Array,
    b: Array,
    ta: int,
    tb: int,
    alpha: float,
    beta: float,
    top: int,
    bottom: int,
    left: int,
    right: int,
) -> None:
    """`product` for the rows from top to bottom and the columns from left to right, in blocks that are packed."""
    N, K, row_d, row_a, column_a, row_b, column_b = _strides(c, d, a, ta, tb)
    alpha, beta, one = c.dtype.type(alpha), c.dtype.type(beta), c.dtype.type(1)
    c, d, a, b = c.ravel(), d.ravel(), a.ravel(), b.ravel()
    lanes = VECTOR // c.itemsize
    wide, depth = 2 * lanes, max(1, min(_K, K))
    width = min(_N, (right - left + wide - 1) // wide * wide)
    height = min(_M, (bottom - top + ROWS - 1) // ROWS * ROWS)
    panels_a, panels_b = np.empty(height * depth, c.dtype), np.empty(width * depth, c.dtype)
    for j0 in range(left, right, width):
        j1 = min(j0 + width, right)
        for k0 in range(0, max(1, K), depth):
            k = min(depth, K - k0)
            before, ld_before, share = (c, N, one) if k0 else (d, row_d, beta)
            for j in range(j0, j1, wide):
                n = min(wide, j1 - j)
                filled = wide if n > lanes else lanes
                _pack(panels_b, (j - j0) * depth, b, k0 * row_b + j * column_b, n, filled, column_b, k, row_b)
            for i0 in range(top, bottom, height):
                i1 = min(i0 + height, bottom)
                for i in range(i0, i1, ROWS):
                    _pack(panels_a, (i - i0) * depth, a, i * row_a + k0 * column_a, min(ROWS, i1 - i), ROWS, row_a, k, column_a)
                for j in range(j0, j1, wide):
                    n = min(wide, j1 - j)
                    for i in range(i0, i1, ROWS):
                        m = min(ROWS, i1 - i)
                        at = (i * N + j, i * ld_before + j, (i - i0) * depth, (j - j0) * depth)
                        if n > lanes:
                            packed_two(c, before, panels_a, panels_b, (*at, m, n, k, N, ld_before, 0, 0, wide, alpha, share))
                        else:
                            packed_one(c, before, panels_a, panels_b, (*at, m, n, k, N, ld_before, 0, 0, lanes, alpha, share))


@inline
def _pack(to: Array, at: int, x: Array, begin: int, count: int, width: int, step: int, k: int, across: int) -> None:
    """k times `count` numbers, `step` apart, filled up to `width` with 0."""
    if step == 1:
        for p in range(k):
            here, origin = to[at + p * width :], x[begin + p * across :]
            for i in range(count):
                here[i] = origin[i]
    else:
        for p0 in range(0, k, 16):
            for i in range(count):
                for p in range(p0, min(k, p0 + 16)):
                    # Offsets are not negative, which Numba does not know of signed ones.
                    to[np.uint64(at + p * width + i)] = x[np.uint64(begin + i * step + p * across)]
    if count < width:
        for p in range(k):
            here = to[at + p * width + count : at + (p + 1) * width]
            for i in range(here.size):
                here[i] = 0
