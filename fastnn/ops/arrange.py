"""Tensors turned, joined, split and combined in further ways, with PyTorch's names."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, torch_names
from ..backends import current
from .cast import promoted
from .checks import as_tensor, axis_of, whole_number
from .create import zeros
from .data import gather
from .dense import matmul, outer
from .elementwise import add, mul, sub
from .index import ALL, flip, getitem, roll, split
from .logic import where
from .matrices import meshgrid, mv, plus
from .reduce import sum as total
from .shape import broadcast_to, concatenate, reshape, stack, swap_axes, transpose, unsqueeze


def ravel(x: Any) -> Tensor:
    """Return the elements in one dimension."""
    return reshape(as_tensor(x, "ravel"), -1)


def fliplr(x: Any) -> Tensor:
    """Reverse the order along the second axis."""
    return flip(_at_least("fliplr", x, 2), 1)


def flipud(x: Any) -> Tensor:
    """Reverse the order along the first axis."""
    return flip(_at_least("flipud", x, 1), 0)


def _at_least(op: str, x: Any, ndim: int) -> Tensor:
    t = as_tensor(x, op)
    if t.ndim < ndim:
        raise ValueError(f"{op}: shape {t.shape} came, wanted at least {ndim} dimensions")
    return t


@torch_names
def rot90(x: Any, k: int = 1, axis: Sequence[int] = (0, 1)) -> Tensor:
    """Turn x by 90 degrees k times in the plane of two axes, from the first towards the second.

    >>> import fastnn
    >>> fastnn.rot90(fastnn.tensor([[1, 2], [3, 4]])).tolist()
    [[2, 4], [1, 3]]
    """
    x = _at_least("rot90", x, 2)
    axes = [axis_of(a, x.ndim, "rot90") for a in axis]
    if len(axes) != 2 or axes[0] == axes[1]:
        raise ValueError(f"rot90: axes {tuple(axis)} came, wanted two different ones")
    times = whole_number(k, "rot90: k") % 4
    if times % 2 == 0:
        return flip(x, axes) if times else x
    return swap_axes(flip(x, axes[1]), *axes) if times == 1 else flip(swap_axes(x, *axes), axes[1])


def atleast_1d(*tensors: Any) -> Any:
    """Return Tensors with at least one dimension: one, or a tuple of several."""
    return _each("atleast_1d", tensors, lambda t: reshape(t, 1) if not t.ndim else t)


def atleast_2d(*tensors: Any) -> Any:
    """Return Tensors with at least two dimensions, new ones in front: one, or a tuple of several."""
    return _each("atleast_2d", tensors, lambda t: reshape(t, (1, -1)) if t.ndim < 2 else t)


def atleast_3d(*tensors: Any) -> Any:
    """Return Tensors with at least three dimensions; vectors become (1, n, 1) and matrices (n, m, 1)."""

    def whole(t: Tensor) -> Tensor:
        return reshape(t, (1, -1, 1)) if t.ndim < 2 else unsqueeze(t, -1) if t.ndim < 3 else t

    return _each("atleast_3d", tensors, whole)


def _each(op: str, tensors: tuple[Any, ...], f: Any) -> Any:
    several = len(tensors) != 1 or isinstance(tensors[0], tuple | list)
    made = tuple(f(as_tensor(t, op)) for t in (tensors[0] if len(tensors) == 1 and several else tensors))
    return made if several else made[0]


def column_stack(tensors: Sequence[Any]) -> Tensor:
    """Concatenate Tensors along the second axis; vectors become columns."""
    parts = [as_tensor(t, "column_stack") for t in tensors]
    return concatenate([reshape(t, (-1, 1)) if t.ndim < 2 else t for t in parts], 1)


def dstack(tensors: Sequence[Any]) -> Tensor:
    """Concatenate Tensors along the third axis; matrices are layers of it."""
    return concatenate([atleast_3d(t) for t in tensors], 2)


@torch_names
def tensor_split(x: Any, sections: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """Split x along an axis into so many parts, whose sizes differ by at most 1, or at the indices in a list.

    >>> import fastnn
    >>> [t.tolist() for t in fastnn.tensor_split(fastnn.arange(5), 2)]
    [[0, 1, 2], [3, 4]]
    """
    x = _at_least("tensor_split", x, 1)
    axis = axis_of(axis, x.ndim, "tensor_split")
    n = x.shape[axis]
    if isinstance(sections, int):
        parts = whole_number(sections, "tensor_split: sections", 1)
        return split(x, [n // parts + (i < n % parts) for i in range(parts)], axis)
    bounds = [0, *sections, n]
    return tuple(getitem(x, (*[ALL] * axis, slice(a, b))) for a, b in itertools.pairwise(bounds))


def hsplit(x: Any, sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Split x along its second axis, a vector along its only one; see `tensor_split`."""
    x = _at_least("hsplit", x, 1)
    return tensor_split(x, sections, 0 if x.ndim == 1 else 1)


def vsplit(x: Any, sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Split x along its first axis; see `tensor_split`."""
    return tensor_split(_at_least("vsplit", x, 2), sections, 0)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """Return the shape to which all shapes broadcast.

    Raises:
        ValueError: there is none.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"broadcast_shapes: shapes {', '.join(map(str, shapes))} do not broadcast") from None


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Repeat Tensors along axes of size 1, to their common shape."""
    given = [as_tensor(t, "broadcast_tensors") for t in tensors]
    shape = broadcast_shapes(*(t.shape for t in given))
    return tuple(broadcast_to(t, shape) for t in given)


def cartesian_prod(*vectors: Any) -> Tensor:
    """Return all combinations of elements of the vectors, one a row; of a single vector the vector."""
    grids = meshgrid(*vectors)
    return reshape(grids[0], -1) if len(grids) == 1 else stack([reshape(g, -1) for g in grids], 1)


def combinations(x: Any, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Return all combinations of r elements of a vector, one a row.

    >>> import fastnn
    >>> fastnn.combinations(fastnn.tensor([1, 2, 3])).tolist()
    [[1, 2], [1, 3], [2, 3]]
    """
    x = as_tensor(x, "combinations")
    if x.ndim != 1:
        raise ValueError(f"combinations: shape {x.shape} came, wanted a vector")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    r = whole_number(r, "combinations: r", 0)
    return getitem(x, np.array(list(choose(range(x.size), r)), np.int64).reshape(-1, r))


def kron(x: Any, y: Any) -> Tensor:
    """Return the Kronecker product: y times each element of x, in blocks.

    >>> import fastnn
    >>> fastnn.kron(fastnn.tensor([[1, 2]]), fastnn.tensor([[1], [1]])).tolist()
    [[1, 2], [1, 2]]
    """
    x, y = as_tensor(x, "kron"), as_tensor(y, "kron")
    n = max(x.ndim, y.ndim)
    a, b = ((1,) * (n - t.ndim) + t.shape for t in (x, y))
    left, right = reshape(x, [s for size in a for s in (size, 1)]), reshape(y, [s for size in b for s in (1, size)])
    return reshape(mul(left, right), [p * q for p, q in zip(a, b, strict=True)])


def tensordot(x: Any, y: Any, dims: Any = 2) -> Tensor:
    """Multiply and sum over axes: the last `dims` of x with the first of y, or pairs of axes in two lists.

    >>> import fastnn
    >>> fastnn.tensordot(fastnn.ones(2, 3, 4), fastnn.ones(4, 3), ([1, 2], [1, 0])).tolist()
    [12.0, 12.0]
    """
    x, y = as_tensor(x, "tensordot"), as_tensor(y, "tensordot")
    if isinstance(dims, int):
        n = whole_number(dims, "tensordot: dims", 0)
        if n > min(x.ndim, y.ndim):
            raise ValueError(f"tensordot: dims is {n} for shapes {x.shape} and {y.shape}")
        dims = range(x.ndim - n, x.ndim), range(n)
    own, others = ([axis_of(a, t.ndim, "tensordot") for a in axes] for t, axes in zip((x, y), dims, strict=True))
    sizes = [x.shape[a] for a in own]
    if sizes != [y.shape[a] for a in others]:
        raise ValueError(f"tensordot: axes {own} of shape {x.shape} and {others} of shape {y.shape} have different sizes")
    left, right = ([a for a in range(t.ndim) if a not in used] for t, used in ((x, own), (y, others)))
    length = int(np.prod(sizes))
    a = reshape(transpose(x, (*left, *own)) if x.ndim else x, (-1 if x.size else 0, length))
    b = reshape(transpose(y, (*others, *right)) if y.ndim else y, (length, -1 if y.size else 0))
    return reshape(matmul(a, b), [*(x.shape[i] for i in left), *(y.shape[i] for i in right)])


def inner(x: Any, y: Any) -> Tensor:
    """Multiply and sum over the last axes of x and y; with a number, multiply."""
    x, y = as_tensor(x, "inner"), as_tensor(y, "inner")
    return mul(x, y) if not x.ndim or not y.ndim else tensordot(x, y, ([-1], [-1]))


def addmv(x: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return beta x + alpha a @ b, for a matrix and a vector; x broadcasts."""
    return plus(x, mv(a, b), beta, alpha)


def addr(x: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return beta x + alpha outer(a, b), for vectors; x broadcasts."""
    return plus(x, outer(a, b), beta, alpha)


@torch_names
def cross(x: Any, y: Any, axis: int = -1) -> Tensor:
    """Return the cross products of vectors of 3 numbers along an axis, with broadcasting.

    >>> import fastnn
    >>> fastnn.cross(fastnn.tensor([1.0, 0.0, 0.0]), fastnn.tensor([0.0, 1.0, 0.0])).tolist()
    [0.0, 0.0, 1.0]
    """
    x, y = broadcast_tensors(x, y)
    axis = axis_of(axis, x.ndim, "cross")
    if x.shape[axis] != 3:
        raise ValueError(f"cross: axis {axis} of shape {x.shape} has size {x.shape[axis]}, wanted 3")
    return sub(mul(roll(x, -1, axis), roll(y, 1, axis)), mul(roll(x, 1, axis), roll(y, -1, axis)))


def block_diag(*tensors: Any) -> Tensor:
    """Return a matrix with these matrices on its diagonal and 0 elsewhere; numbers and vectors count as one row.

    >>> import fastnn
    >>> fastnn.block_diag(fastnn.tensor([[1.0]]), fastnn.tensor([[2.0, 3.0]])).tolist()
    [[1.0, 0.0, 0.0], [0.0, 2.0, 3.0]]
    """
    blocks = promoted(*(atleast_2d(t) for t in tensors))
    if not blocks:
        raise ValueError("block_diag: no matrix came, wanted at least one")
    width, at, rows = sum(b.shape[1] for b in blocks), 0, []
    for b in blocks:
        n, m = b.shape
        left, right = (zeros(n, k, dtype=b.dtype) for k in (at, width - at - m))
        rows.append(concatenate([left, b, right], 1))
        at += m
    return concatenate(rows)


def diag_embed(x: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Return matrices with the vectors along the last axis on a diagonal; the matrices are in the axes dim1 and dim2."""
    x = _at_least("diag_embed", x, 1)
    n = x.shape[-1] + abs(offset)
    a, b = (axis_of(d, x.ndim + 1, "diag_embed") for d in (dim1, dim2))
    if a == b:
        raise ValueError(f"diag_embed: dim1 and dim2 are both {dim1}, wanted different axes")
    pad = zeros(*x.shape[:-1], abs(offset), dtype=x.dtype)
    padded = concatenate([x, pad] if offset < 0 else [pad, x], -1)
    mask = Tensor(current().asarray(np.eye(n, k=offset, dtype=np.bool_)))
    made = where(mask, unsqueeze(padded, -2), False if x.dtype == np.bool_ else 0)
    order = list(range(x.ndim - 1))
    for at, axis in sorted([(a, x.ndim - 1), (b, x.ndim)]):
        order.insert(at, axis)
    return transpose(made, tuple(order))


def diagflat(x: Any, offset: int = 0) -> Tensor:
    """Return a matrix with all elements of x on a diagonal."""
    return diag_embed(ravel(x), offset)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """Return the powers of a vector as columns, N of them, by default the highest first."""
    x = as_tensor(x, "vander")
    n = x.shape[0] if N is None else whole_number(N, "vander: N", 0)
    columns = [x**i for i in range(n)]
    return stack(columns if increasing else columns[::-1], 1) if n else zeros(x.shape[0], 0, dtype=x.dtype)


def tril_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """Return the indices (2, n) of the elements of a matrix on and below a diagonal."""
    return Tensor(current().asarray(np.stack(np.tril_indices(row, offset, col))))


def triu_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """Return the indices (2, n) of the elements of a matrix on and above a diagonal."""
    return Tensor(current().asarray(np.stack(np.triu_indices(row, offset, col))))


@torch_names
def take_along_dim(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Return the elements with these indices along an axis, or of all elements; the other axes broadcast.

    >>> import fastnn
    >>> x = fastnn.tensor([[3.0, 1.0], [2.0, 4.0]])
    >>> fastnn.take_along_dim(x, x.argsort(1), 1).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    x, indices = as_tensor(x, "take_along_dim"), as_tensor(indices, "take_along_dim")
    if axis is None:
        return gather(ravel(x), 0, ravel(indices))
    axis = axis_of(axis, x.ndim, "take_along_dim")
    if indices.ndim != x.ndim:
        raise ValueError(f"take_along_dim: indices of shape {indices.shape} for shape {x.shape}, wanted as many dimensions")
    common = list(broadcast_shapes(*([*s[:axis], 1, *s[axis + 1 :]] for s in (x.shape, indices.shape))))
    own, index = ((*common[:axis], t.shape[axis], *common[axis + 1 :]) for t in (x, indices))
    return gather(broadcast_to(x, own), axis, broadcast_to(indices, index))


@torch_names
def trapezoid(y: Any, x: Any = None, *, dx: float = 1.0, axis: int = -1) -> Tensor:
    """Integrate y along an axis by the trapezoidal rule, at points x or with a distance dx.

    >>> import fastnn
    >>> fastnn.trapezoid(fastnn.tensor([1.0, 2.0, 4.0])).item()
    4.5
    """
    y = as_tensor(y, "trapezoid")
    axis = axis_of(axis, y.ndim, "trapezoid")
    before, after = [ALL] * axis, y.ndim - 1 - axis
    middle = mul(add(getitem(y, (*before, slice(1, None))), getitem(y, (*before, slice(None, -1)))), 0.5)
    if x is None:
        return mul(total(middle, axis), dx)
    x = as_tensor(x, "trapezoid")
    if x.ndim == 1:
        steps = reshape(sub(x[1:], x[:-1]), (-1, *[1] * after))
    else:
        steps = sub(getitem(x, (*before, slice(1, None))), getitem(x, (*before, slice(None, -1))))
    return total(mul(middle, steps), axis)


def result_type(x: Any, y: Any) -> np.dtype[Any]:
    """Return the dtype of the result of an operation of two Tensors or numbers."""
    return add(as_tensor(x, "result_type"), y).dtype
