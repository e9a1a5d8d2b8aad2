"""Inverses, solutions and determinants of matrices: values by NumPy on the host, gradients by operations.

Steps that use them are not recorded, since they read values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..autograd.function import Function
from ..autograd.tensor import Tensor, is_grad_enabled
from .checks import as_tensor, floating
from .create import eye
from .dense import matmul
from .elementwise import mul, neg
from .logic import where
from .matrices import tril, triu
from .search import made, read
from .shape import broadcast_to, reshape, swap_axes, unsqueeze

LinAlgError = np.linalg.LinAlgError


class Slogdet(NamedTuple):
    """The sign of a determinant, and the logarithm of its size."""

    sign: Tensor
    logabsdet: Tensor


def matrices(op: str, x: Any, square: bool = False) -> Tensor:
    """Return float matrices (..., n, m); raise an error for other shapes, or unless they are square."""
    t = floating(f"linalg.{op}", as_tensor(x, f"linalg.{op}"))
    if t.ndim < 2 or (square and t.shape[-1] != t.shape[-2]):
        raise ValueError(f"linalg.{op}: shape {t.shape} came, wanted {'square ' if square else ''}matrices (..., n, m)")
    return t


def on_host(op: str, f: Callable[..., Any], *given: Tensor) -> tuple[Tensor, ...]:
    """Return what a function of `numpy.linalg` makes of the values; its errors name the operation."""
    try:
        found = f(*(read(t, f"linalg.{op}") for t in given))
    except LinAlgError as error:
        raise LinAlgError(f"linalg.{op}: {error}") from None
    many = found if isinstance(found, tuple) else (found,)
    return tuple(made(np.asarray(a, given[0].dtype)) for a in many)


def turned(x: Tensor) -> Tensor:
    """Swap the last two axes."""
    return swap_axes(x, -2, -1)


class InvOf(Function):
    """Inverse of matrices that were checked."""

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        (y,) = on_host("inv", np.linalg.inv, a)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        inverse = turned(ctx.saved_tensors[0])
        return neg(matmul(matmul(inverse, dy), inverse))


def inv(a: Any) -> Tensor:
    """Return the inverses of square matrices (..., n, n).

    Raises:
        numpy.linalg.LinAlgError: a matrix is singular.

    >>> import fastnn
    >>> fastnn.linalg.inv(fastnn.tensor([[2.0, 0.0], [0.0, 4.0]])).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    y: Tensor = InvOf.apply(matrices("inv", a, True))
    return y


class SolveOf(Function):
    """Solution for matrices that were checked, and have the same batches."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        (x,) = on_host("solve", np.linalg.solve, a, b)
        ctx.save_for_backward(a, x)
        return x

    @staticmethod
    def backward(ctx: Any, dx: Tensor) -> tuple[Tensor, Tensor]:
        a, x = ctx.saved_tensors
        db = SolveOf.apply(turned(a), dx)
        return neg(matmul(db, turned(x))), db


def solve(a: Any, b: Any, *, left: bool = True) -> Tensor:
    """Return the solutions x of a x = b, or with left=False of x a = b, for square matrices; batches broadcast.

    Args:
        a: (..., n, n).
        b: (..., n, k), or a vector (n,), or one for each matrix, (..., n).
        left: whether a is on the left of x.

    Raises:
        numpy.linalg.LinAlgError: a matrix is singular.
        ValueError: the shapes do not fit.

    >>> import fastnn
    >>> fastnn.linalg.solve(fastnn.tensor([[2.0, 0.0], [0.0, 4.0]]), fastnn.tensor([2.0, 2.0])).tolist()
    [1.0, 0.5]
    """
    a, b = matrices("solve", a, True), floating("linalg.solve", as_tensor(b, "linalg.solve"))
    if a.dtype != b.dtype:
        raise TypeError(f"linalg.solve: Tensors of dtype {a.dtype} and {b.dtype} came, wanted one dtype; use astype")
    vector = b.ndim == 1 or b.shape == a.shape[:-1]
    b = unsqueeze(b, -1) if vector else b
    if b.shape[-2 if left else -1] != a.shape[-1]:
        raise ValueError(f"linalg.solve: shapes {a.shape} and {b.shape} do not fit")
    if not left:
        a, b = turned(a), turned(b)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x: Tensor = SolveOf.apply(*(broadcast_to(t, (*batch, *t.shape[-2:])) for t in (a, b)))
    x = x if left else turned(x)
    return reshape(x, x.shape[:-1]) if vector else x


def solve_triangular(a: Any, b: Any, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """Return the solutions of a x = b for triangular matrices; the other triangle is not used. See `solve`.

    Args:
        a: (..., n, n).
        b: (..., n, k).
        upper: whether the upper triangle is used.
        left: whether a is on the left of x.
        unitriangular: whether the diagonal counts as 1.
    """
    a = matrices("solve_triangular", a, True)
    a = triu(a, int(unitriangular)) if upper else tril(a, -int(unitriangular))
    return solve(a + eye(a.shape[-1], dtype=a.dtype) if unitriangular else a, b, left=left)


class _Det(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        (y,) = on_host("det", np.linalg.det, a)
        ctx.save_for_backward(a, y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        a, y = ctx.saved_tensors
        dy = unsqueeze(unsqueeze(dy, -1), -1)
        if (read(y.detach(), "linalg.det") == 0).any():
            if is_grad_enabled():
                raise NotImplementedError("linalg.det: the determinant of a singular matrix has no second derivative here")
            return mul(dy, on_host("det", _cofactors, a)[0])
        return mul(mul(dy, unsqueeze(unsqueeze(y, -1), -1)), turned(InvOf.apply(a)))


def _cofactors(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the cofactors of matrices, also of singular ones, from their singular values."""
    u, s, vh = np.linalg.svd(a)
    n = s.shape[-1]
    others = [np.prod(np.delete(s, i, -1), -1) for i in range(n)]
    sign = np.linalg.det(u) * np.linalg.det(vh)
    cofactors: np.ndarray[Any, Any] = (u * np.stack(others, -1)[..., None, :]) @ vh * sign[..., None, None]
    return cofactors


def det(a: Any) -> Tensor:
    """Return the determinants of square matrices (..., n, n).

    >>> import fastnn
    >>> fastnn.linalg.det(fastnn.tensor([[2.0, 0.0], [0.0, 4.0]])).item()
    8.0
    """
    y: Tensor = _Det.apply(matrices("det", a, True))
    return y


class _LogDet(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(a)
        return on_host("slogdet", lambda v: tuple(np.linalg.slogdet(v)), a)

    @staticmethod
    def backward(ctx: Any, _: Tensor, dy: Tensor) -> Tensor:
        return mul(unsqueeze(unsqueeze(dy, -1), -1), turned(InvOf.apply(ctx.saved_tensors[0])))


def slogdet(a: Any) -> Slogdet:
    """Return the signs of determinants, and the logarithms of their sizes: ``(sign, logabsdet)``; the sign has no gradient.

    >>> import fastnn
    >>> sign, size = fastnn.linalg.slogdet(fastnn.tensor([[0.0, 1.0], [1.0, 0.0]]))
    >>> sign.item(), size.item()
    (-1.0, 0.0)
    """
    sign, size = _LogDet.apply(matrices("slogdet", a, True))
    return Slogdet(sign.detach(), size)


def logdet(a: Any) -> Tensor:
    """Return the logarithms of determinants; NaN where one is negative."""
    sign, size = slogdet(a)
    return where(sign < 0, float("nan"), size)


InvOf.__name__, SolveOf.__name__ = "linalg.inv", "linalg.solve"  # what printed graphs and messages name
_Det.__name__, _LogDet.__name__ = "linalg.det", "linalg.slogdet"
