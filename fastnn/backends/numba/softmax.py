"""Functions of whole rows: the kernels of softmax, log-softmax and sparsemax, and what losses share with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .rows import add
from .vmath import exp, high, inline, log, rank, unrank

_BLOCK = 4096
"""Elements whose exponentials are taken together: so short rows fill vectors, and long ones stay in the cache."""


@inline
def row_sum(a: Any, i: int) -> Any:
    """Return the sum of row i."""
    total = a.dtype.type(0)
    for j in range(a.shape[1]):
        total = add(total, a[i, j])
    return total


@inline
def row_dot(a: Any, b: Any, i: int) -> Any:
    """Return the sum of the products of row i of both."""
    total = a.dtype.type(0)
    for j in range(a.shape[1]):
        total = add(total, a[i, j] * b[i, j])
    return total


@inline
def row_max(a: Any, i: int) -> Any:
    """Return the largest of row i, which has one; where there is a NaN, that or any other."""
    T = a.dtype.type
    top = rank(T, a[i, 0])
    for j in range(a.shape[1]):
        r = rank(T, a[i, j])
        top = r if r > top else top
    return unrank(T, top)


@inline
def subtract_max(y: Any, x: Any, i: int) -> None:
    """y = x - max in row i; y may be x."""
    top = row_max(x, i)
    for j in range(x.shape[1]):
        y[i, j] = x[i, j] - top


@inline
def _block_rows(columns: int) -> int:
    return max(1, _BLOCK // max(1, columns))


@jit
def softmax_forward(y: Any, x: Any) -> None:
    T = x.dtype.type
    M, N = x.shape
    flat = y.reshape(M * N)
    rows = _block_rows(N)
    for begin in range(0, M if N else 0, rows):
        end = min(M, begin + rows)
        for i in range(begin, end):
            subtract_max(y, x, i)
        part = flat[begin * N : end * N]  # counted from 0, or LLVM would see indices that may be negative
        for k in range(part.size):
            part[k] = exp(T, part[k])
        for i in range(begin, end):
            total = row_sum(y, i)
            for j in range(N):
                y[i, j] /= total


@jit
def softmax_backward(dx: Any, dy: Any, y: Any) -> None:
    for i in range(y.shape[0]):
        dot = row_dot(dy, y, i)
        for j in range(y.shape[1]):
            dx[i, j] = y[i, j] * (dy[i, j] - dot)


@jit
def log_softmax_forward(y: Any, x: Any) -> None:
    T = x.dtype.type
    M, N = x.shape
    rows = _block_rows(N)
    e = np.empty((rows, N), x.dtype)
    for begin in range(0, M if N else 0, rows):
        count = min(rows, M - begin)
        for i in range(begin, begin + count):
            subtract_max(y, x, i)
        from_y, to_e = y[begin : begin + count].reshape(count * N), e.reshape(rows * N)
        for k in range(count * N):
            to_e[k] = exp(T, from_y[k])
        for i in range(count):
            log_sum = log(T, row_sum(e, i))
            for j in range(N):
                y[begin + i, j] -= log_sum


@jit
def log_softmax_backward(dx: Any, dy: Any, y: Any) -> None:
    T = y.dtype.type
    for i in range(y.shape[0]):
        total = row_sum(dy, i)
        for j in range(y.shape[1]):
            dx[i, j] = dy[i, j] - exp(T, y[i, j]) * total


# ---- sparsemax: the nearest point of the simplex ----


@inline
def _sift_down(heap: Any, root: int, n: int) -> None:
    """Move the root of a heap of n numbers, whose largest is to stand first, down to its place."""
    moved = heap[root]
    child = 2 * root + 1
    while child < n:
        if child + 1 < n and heap[child + 1] > heap[child]:
            child += 1
        if not heap[child] > moved:
            break
        heap[root] = heap[child]
        root = child
        child = 2 * root + 1
    heap[root] = moved


@inline
def _threshold(z: Any, i: int, heap: Any) -> Any:
    """Return what is taken off the numbers of row i, the largest of which is 0, so that the positive rests sum to 1.

    NaN, if one of them is. Those that remain positive are the largest: a heap of those above -1, which alone come into question,
    hands them out.
    """
    T = z.dtype.type
    count, taken, total, nan = 0, 0, 0.0, False
    for j in range(z.shape[1]):
        nan |= z[i, j] != z[i, j]
        if z[i, j] > T(-1):
            heap[count] = z[i, j]
            count += 1
    if nan:
        return T(np.nan)
    for j in range(count // 2 - 1, -1, -1):
        _sift_down(heap, j, count)
    while count and 1 + (taken + 1) * np.float64(heap[0]) > total + heap[0]:
        total += heap[0]
        taken += 1
        count -= 1
        heap[0] = heap[count]
        _sift_down(heap, 0, count)
    return T((total - 1) / taken)


@jit
def sparsemax_forward(y: Any, x: Any) -> None:
    T = x.dtype.type
    M, N = x.shape
    heap = np.empty(N, x.dtype)
    for i in range(M if N else 0):
        subtract_max(y, x, i)
        t = _threshold(y, i, heap)
        for j in range(N):
            y[i, j] = high(y[i, j] - t, T(0))


@inline
def _support(dy: Any, y: Any, i: int) -> Any:
    """Return the sum of dy where row i of y is positive, and how many those are."""
    T = y.dtype.type
    total, count = T(0), T(0)
    for j in range(y.shape[1]):
        total = add(total, dy[i, j] if y[i, j] > T(0) else T(0))
        count = add(count, T(1) if y[i, j] > T(0) else T(0))
    return total, count


@jit
def sparsemax_backward(dx: Any, dy: Any, y: Any) -> None:
    T = y.dtype.type
    for i in range(y.shape[0]):
        total, count = _support(dy, y, i)
        mean = total / count
        for j in range(y.shape[1]):
            dx[i, j] = dy[i, j] - mean if y[i, j] > T(0) else T(0)
