"""Parts and products of matrices, and grids, with PyTorch's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, torch_names
from ..backends import current
from .checks import as_tensor, axis_of, whole_number
from .dense import matmul
from .elementwise import add, div, maximum, mul, sqrt, square, sub
from .index import getitem
from .logic import where
from .reduce import norm
from .reduce import sum as total
from .shape import broadcast_to, concatenate, reshape, swap_axes, transpose, unsqueeze


def tril(x: Any, diagonal: int = 0) -> Tensor:
    """Return matrices (..., n, m) with 0 above a diagonal: the main one for 0, one above it for 1, one below it for -1.

    >>> import fastnn
    >>> fastnn.tril(fastnn.ones(2, 2)).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return _triangle("tril", x, diagonal)


def triu(x: Any, diagonal: int = 0) -> Tensor:
    """Return matrices (..., n, m) with 0 below a diagonal: the main one for 0, one above it for 1, one below it for -1."""
    return _triangle("triu", x, diagonal)


def _triangle(op: str, x: Any, diagonal: int) -> Tensor:
    x = _matrices(op, x)
    n, m = x.shape[-2:]
    lower = np.tri(n, m, whole_number(diagonal, f"{op}: diagonal") - (op == "triu"), dtype=np.bool_)
    mask = Tensor(current().asarray(lower if op == "tril" else ~lower))
    return where(mask, x, False if x.dtype == np.bool_ else 0)


def _matrices(op: str, x: Any, dims: int = 0) -> Tensor:
    t = as_tensor(x, op)
    if t.ndim < 2 or (dims and t.ndim != dims):
        raise ValueError(f"{op}: shape {t.shape} came, wanted {f'{dims} dimensions' if dims else 'matrices (..., n, m)'}")
    return t


def diagonals(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Return the diagonal of the matrices in two axes, as a last axis; an offset of 1 is the diagonal above the main one."""
    x = _matrices("diagonal", x)
    a, b = axis_of(dim1, x.ndim, "diagonal"), axis_of(dim2, x.ndim, "diagonal")
    n, m = x.shape[a], x.shape[b]
    rest = [d for d in range(x.ndim) if d not in (a, b)]
    start = offset if offset >= 0 else -offset * m
    length = max(min(n, m - offset) if offset >= 0 else min(n + offset, m), 0)
    flat = reshape(transpose(x, (*rest, a, b)), (*(x.shape[d] for d in rest), n * m))
    return getitem(flat, (..., slice(start, start + max(length * (m + 1) - m, 0), m + 1)))


def diag(x: Any, diagonal: int = 0) -> Tensor:
    """Return the diagonal of a matrix, or for a vector the matrix that has it as its diagonal.

    >>> import fastnn
    >>> fastnn.diag(fastnn.tensor([1.0, 2.0])).tolist(), fastnn.diag(fastnn.ones(2, 2)).tolist()
    ([[1.0, 0.0], [0.0, 2.0]], [1.0, 1.0])
    """
    x = as_tensor(x, "diag")
    if x.ndim != 1:
        return diagonals(_matrices("diag", x, 2), diagonal)
    n = x.size + abs(diagonal)
    mask = np.eye(n, k=diagonal, dtype=np.bool_)
    zeros = Tensor(current().asarray(np.zeros(abs(diagonal), x.dtype)))
    padded = concatenate([x, zeros]) if diagonal < 0 else concatenate([zeros, x])
    return where(Tensor(current().asarray(mask)), reshape(padded, (1, n)), False if x.dtype == np.bool_ else 0)


def trace(x: Any) -> Tensor:
    """Return the sum of the diagonal of a matrix."""
    return total(diagonals(_matrices("trace", x, 2)))


def mm(x: Any, y: Any) -> Tensor:
    """Multiply two matrices: (n, k) @ (k, m)."""
    return matmul(_matrices("mm", x, 2), _matrices("mm", y, 2))


def bmm(x: Any, y: Any) -> Tensor:
    """Multiply batches of matrices: (b, n, k) @ (b, k, m).

    Raises:
        ValueError: they do not have three dimensions, or different numbers of matrices.

    >>> import fastnn
    >>> fastnn.bmm(fastnn.ones(5, 2, 3), fastnn.ones(5, 3, 4)).shape
    (5, 2, 4)
    """
    x, y = _matrices("bmm", x, 3), _matrices("bmm", y, 3)
    if x.shape[0] != y.shape[0]:
        raise ValueError(f"bmm: shapes {x.shape} and {y.shape} have different numbers of matrices")
    return matmul(x, y)


def mv(x: Any, y: Any) -> Tensor:
    """Multiply a matrix and a vector: (n, k) @ (k,)."""
    y = as_tensor(y, "mv")
    if y.ndim != 1:
        raise ValueError(f"mv: shape {y.shape} came, wanted a vector")
    return matmul(_matrices("mv", x, 2), y)


def addmm(x: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Beta x + alpha a @ b, for matrices; x broadcasts."""
    return plus(x, mm(a, b), beta, alpha)


def baddbmm(x: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Beta x + alpha a @ b, for batches of matrices; x broadcasts."""
    return plus(x, bmm(a, b), beta, alpha)


def plus(x: Any, product: Tensor, beta: float, alpha: float) -> Tensor:
    """Return beta x + alpha times a product; without x if beta is 0, so that its NaN do not count."""
    product = product if alpha == 1 else mul(product, alpha)
    return product if beta == 0 else add(x if beta == 1 else mul(x, beta), product)


def cdist(x: Any, y: Any, p: float = 2.0) -> Tensor:
    """Return the distances of all rows of x (..., n, d) and y (..., m, d): (..., n, m).

    p: 2 for the root of the sum of squares, 1 for the sum of absolute differences.

    >>> import fastnn
    >>> fastnn.cdist(fastnn.tensor([[0.0, 0.0]]), fastnn.tensor([[3.0, 4.0], [0.0, 1.0]])).tolist()
    [[5.0, 1.0]]
    """
    if p not in (1, 2):
        raise ValueError(f"cdist: p is {p!r}, wanted 1 or 2")
    x, y = _matrices("cdist", x), _matrices("cdist", y)
    return norm(sub(unsqueeze(x, -2), unsqueeze(y, -3)), p, -1)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Return a Tensor of coordinates for each vector, all of the shape of the grid that the vectors span.

    Args:
        tensors: vectors, as arguments or in one list.
        indexing: "ij" for axes in the order of the vectors, "xy" to swap the first two.

    >>> import fastnn
    >>> y, x = fastnn.meshgrid(fastnn.arange(2), fastnn.arange(3))
    >>> x.tolist()
    [[0, 1, 2], [0, 1, 2]]
    """
    if indexing not in ("ij", "xy"):
        raise ValueError(f"meshgrid: indexing is {indexing!r}, wanted 'ij' or 'xy'")
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], list | tuple) else tensors
    vectors = [reshape(as_tensor(t, "meshgrid"), -1) for t in given]
    shape = tuple(t.size for t in vectors)
    grids = [broadcast_to(reshape(t, (1,) * i + (t.size,) + (1,) * (len(shape) - 1 - i)), shape) for i, t in enumerate(vectors)]
    return tuple(swap_axes(g, 0, 1) if indexing == "xy" and len(shape) > 1 else g for g in grids)


def vstack(tensors: Sequence[Any]) -> Tensor:
    """Concatenate Tensors along the first axis; vectors become rows."""
    parts = [as_tensor(t, "vstack") for t in tensors]
    return concatenate([reshape(t, (1, -1)) if t.ndim < 2 else t for t in parts])


def hstack(tensors: Sequence[Any]) -> Tensor:
    """Concatenate Tensors along the second axis; vectors along their only one."""
    parts = [as_tensor(t, "hstack") for t in tensors]
    parts = [reshape(t, (1,)) if t.ndim < 1 else t for t in parts]
    return concatenate(parts, 0 if parts and parts[0].ndim == 1 else 1)


@torch_names
def cosine_similarity(x: Any, y: Any, axis: int = 1, eps: float = 1e-8) -> Tensor:
    """Return the cosine of the angles between the vectors along an axis; norms below eps count as eps."""
    x, y = as_tensor(x, "cosine_similarity"), as_tensor(y, "cosine_similarity")
    squares = (maximum(total(square(v), axis), eps**2) for v in (x, y))
    return div(total(mul(x, y), axis), mul(*map(sqrt, squares)))


@torch_names
def select(x: Any, axis: int, index: int) -> Tensor:
    """Return the part of x with this index along an axis, without the axis."""
    x = as_tensor(x, "select")
    return getitem(x, (*[slice(None)] * axis_of(axis, x.ndim, "select"), whole_number(index, "select: index")))


@torch_names
def narrow(x: Any, axis: int, start: int, length: int) -> Tensor:
    """Return so many elements along an axis, from start on.

    Raises:
        ValueError: they are not all in x.
    """
    x = as_tensor(x, "narrow")
    axis = axis_of(axis, x.ndim, "narrow")
    start = start + x.shape[axis] if start < 0 else start
    if not 0 <= start <= start + length <= x.shape[axis]:
        raise ValueError(f"narrow: {length} elements from {start} on, but axis {axis} of shape {x.shape} has {x.shape[axis]}")
    return getitem(x, (*[slice(None)] * axis, slice(start, start + length)))


def movedim(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Move axes to other positions; the others stay in order."""
    x = as_tensor(x, "movedim")
    pairs = [[axis_of(a, x.ndim, "movedim") for a in ((v,) if isinstance(v, int) else v)] for v in (source, destination)]
    order = [d for d in range(x.ndim) if d not in pairs[0]]
    for to, axis in sorted(zip(pairs[1], pairs[0], strict=True)):
        order.insert(to, axis)
    return transpose(x, tuple(order))


@torch_names
def unflatten(x: Any, axis: int, shape: Sequence[int]) -> Tensor:
    """Replace an axis by several; one size may be -1."""
    x = as_tensor(x, "unflatten")
    axis = axis_of(axis, x.ndim, "unflatten")
    return reshape(x, (*x.shape[:axis], *sizes_of(shape, x.shape[axis]), *x.shape[axis + 1 :]))


def sizes_of(shape: Sequence[int], n: int) -> list[int]:
    """Return the sizes into which an axis of size n is split; one of them may be -1."""
    sizes = list(shape)
    if sizes.count(-1) == 1:
        rest = int(np.prod([m for m in sizes if m != -1]))
        sizes[sizes.index(-1)] = n // rest if rest else 0
    return sizes
