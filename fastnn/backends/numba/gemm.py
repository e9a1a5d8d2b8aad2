"""Matrix products in tiles: blocks, packing, and the threads that share them.

Only rows or columns of the result are shared out, in whole tiles: the bits do not depend on the number of threads. Packing
costs a pass over both factors: products that read the numbers of b only once do without, those with a vector and those with few
rows. `pytest --benchmark-only benches/bench_kernels.py -k dense-` measures all of it beside numpy.matmul and the C++ kernels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import get_num_threads
from . import team
from .jit import jit
from .rows import add
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
    if c.shape[1] == 1:  # a row of results, from the factors in turn
        c, d, a, b, ta, tb = c.reshape(1, -1), d.reshape(1, -1), b.reshape(1, -1), a, 0, not ta
    elif len(c) == 1:
        a, ta = a.reshape(1, -1), 0
    M, N = c.shape
    if tb and M <= _FEW_ROWS:
        tiles = _dots
    elif M == 1 and N > _NARROW:
        tiles = _sum_of_rows
    else:
        tiles = _direct if N <= _NARROW or M <= _LOW else _packed
    most = a.size * N / _SHARE
    if most < 2:
        tiles(c, d, a, b, ta, tb, alpha, beta, 0, M, 0, N)
        return
    threads = min(get_num_threads(), int(most))
    rows = _parts(M, ROWS, threads) if M >= N else [(0, M)]
    columns = _parts(N, 2 * VECTOR // c.itemsize, threads) if M < N else [(0, N)]
    team.run(tiles, [(c, d, a, b, ta, tb, alpha, beta, *r, *s) for r in rows for s in columns])


@jit
def multiply(c: Array, a: Array, b: Array, alpha: float, beta: float) -> None:
    """c = alpha a b + beta c, for kernels that are compiled and share their work out themselves."""
    M, N = c.shape
    if N <= _NARROW or M <= _LOW:
        _direct(c, c, a, b, 0, 0, alpha, beta, 0, M, 0, N)
    else:
        _packed(c, c, a, b, 0, 0, alpha, beta, 0, M, 0, N)


def _parts(size: int, tile: int, count: int) -> list[tuple[int, int]]:
    """Ranges of whole tiles that are about equal."""
    tiles = -(-size // tile)
    count = min(count, tiles)
    return [(i * tiles // count * tile, min(size, (i + 1) * tiles // count * tile)) for i in range(count)]


@jit
def _dots(
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
    """`product` with b transposed, and d of the rows and columns of c or one for all: rows of both, multiplied."""
    T = c.dtype.type
    alpha, beta = T(alpha), T(beta)
    for j in range(left, right):
        for i in range(top, bottom):
            total = T(0)
            for k in range(b.shape[1]):
                total = add(total, a[i, k] * b[j, k])
            total *= alpha
            if beta != 0:
                total += beta * d[min(i, d.shape[0] - 1), min(j, d.shape[1] - 1)]
            c[i, j] = total


@jit
def _sum_of_rows(
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
    """`product` with one row in a: the rows of b, added up four at a time."""
    T, K = c.dtype.type, b.shape[0]
    alpha, beta = T(alpha), T(beta)
    sums = np.empty(min(_N, right - left), c.dtype)
    for begin in range(left, right, _N):
        end = min(begin + _N, right)
        part = sums[: end - begin]
        part[:] = 0
        for k in range(0, K // 4 * 4, 4):
            w, x, y, z = b[k, begin:end], b[k + 1, begin:end], b[k + 2, begin:end], b[k + 3, begin:end]
            for j in range(part.size):
                part[j] += a[0, k] * w[j] + a[0, k + 1] * x[j] + a[0, k + 2] * y[j] + a[0, k + 3] * z[j]
        for k in range(K // 4 * 4, K):
            w = b[k, begin:end]
            for j in range(part.size):
                part[j] += a[0, k] * w[j]
        to, more = c[0, begin:end], d[0, begin:end]
        for j in range(part.size):
            to[j] = alpha * part[j] + beta * more[j] if beta != 0 else alpha * part[j]


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
