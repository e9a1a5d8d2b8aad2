"""Factors of matrices: values by NumPy on the host, gradients by operations.

Steps that use them are not recorded, since they read values.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..autograd.function import Function
from ..autograd.tensor import Tensor, is_grad_enabled
from .create import eye
from .dense import matmul
from .elementwise import div, mul, sub
from .inverses import InvOf, SolveOf, matrices, on_host, turned
from .logic import eq, where
from .matrices import tril, triu
from .shape import unsqueeze


class Eigh(NamedTuple):
    """Eigenvalues in ascending order, and eigenvectors as columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class Svd(NamedTuple):
    """Left singular vectors as columns, singular values in descending order, right singular vectors as rows."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class Qr(NamedTuple):
    """Orthogonal columns, and an upper triangular matrix."""

    Q: Tensor
    R: Tensor


def scaled(x: Tensor, factors: Tensor) -> Tensor:
    """Multiply the columns of matrices by factors (..., n)."""
    return mul(x, unsqueeze(factors, -2))


def diagonal_matrix(x: Tensor) -> Tensor:
    """Return matrices (..., n, n) with x (..., n) on the diagonal."""
    return mul(eye(x.shape[-1], dtype=x.dtype), unsqueeze(x, -2))


class _Cholesky(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        (y,) = on_host("cholesky", np.linalg.cholesky, a)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        inner = tril(matmul(turned(y), dy))
        inner = mul(inner, sub(1, mul(eye(y.shape[-1], dtype=y.dtype), 0.5)))
        inverse = InvOf.apply(y)
        s = matmul(matmul(turned(inverse), inner), inverse)
        return mul(s + turned(s), 0.5)


def cholesky(a: Any, *, upper: bool = False) -> Tensor:
    """Return the lower triangular L with L L^T = a, for symmetric positive definite matrices (..., n, n); only tril(a) is read.

    upper: return L^T.

    Raises:
        numpy.linalg.LinAlgError: a matrix is not positive definite.

    >>> import fastnn
    >>> fastnn.linalg.cholesky(fastnn.tensor([[4.0, 2.0], [2.0, 2.0]])).tolist()
    [[2.0, 0.0], [1.0, 1.0]]
    """
    y: Tensor = _Cholesky.apply(matrices("cholesky", a, True))
    return turned(y) if upper else y


def _over_differences(x: Tensor, s: Tensor) -> Tensor:
    """Return x_ij / (s_j - s_i) for matrices x; 0 where x is 0, so that values alone have gradients if some are equal."""
    zero = eq(x, 0)
    return where(zero, 0.0, div(x, where(zero, 1.0, sub(unsqueeze(s, -2), unsqueeze(s, -1)))))


class _Eigh(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> tuple[Tensor, ...]:
        w, v = on_host("eigh", lambda x: tuple(np.linalg.eigh(x)), a)
        ctx.save_for_backward(w, v)
        return w, v

    @staticmethod
    def backward(ctx: Any, dw: Tensor, dv: Tensor) -> Tensor:
        w, v = ctx.saved_tensors
        turns = where(eye(w.shape[-1], dtype=np.bool_), 0.0, matmul(turned(v), dv))
        inner = _over_differences(turns, w) + diagonal_matrix(dw)
        return matmul(matmul(v, inner), turned(v))


def eigh(a: Any) -> Eigh:
    """Return the eigenvalues and eigenvectors of symmetric matrices (..., n, n): ``(eigenvalues, eigenvectors)``.

    Only the lower triangle is read. The sign of each eigenvector is arbitrary. Where eigenvalues are equal, the gradients of
    eigenvectors are infinite or NaN; those of `eigvalsh` are not.

    >>> import fastnn
    >>> fastnn.linalg.eigh(fastnn.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues.tolist()
    [1.0, 2.0]
    """
    return Eigh(*_Eigh.apply(matrices("eigh", a, True)))


class _Svd(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> tuple[Tensor, ...]:
        u, s, vh = on_host("svd", lambda x: tuple(np.linalg.svd(x, full_matrices=False)), a)
        ctx.save_for_backward(u, s, vh)
        return u, s, vh

    @staticmethod
    def backward(ctx: Any, du: Tensor, ds: Tensor, dvh: Tensor) -> Tensor:
        u, s, vh = ctx.saved_tensors
        dv, v, uh = turned(dvh), turned(vh), turned(u)
        left, right = (_over_differences(sub(t, turned(t)), mul(s, s)) for t in (matmul(uh, du), matmul(vh, dv)))
        inner = scaled(left, s) + turned(scaled(turned(right), s)) + diagonal_matrix(ds)
        da = matmul(matmul(u, inner), vh)
        if u.shape[-2] > u.shape[-1]:
            da = da + matmul(div(sub(du, matmul(u, matmul(uh, du))), unsqueeze(s, -2)), vh)
        if vh.shape[-1] > vh.shape[-2]:
            da = da + matmul(u, turned(div(sub(dv, matmul(v, matmul(vh, dv))), unsqueeze(s, -2))))
        return da


def svd(a: Any, full_matrices: bool = True) -> Svd:
    """Return the singular value decomposition of matrices (..., n, m): ``(U, S, Vh)`` with U diag(S) Vh = a.

    full_matrices: whether U and Vh are square; then only square matrices have gradients.

    The signs of the vectors are arbitrary. Where singular values are equal, the gradients of the vectors are infinite or
    NaN; those of `svdvals` are not.

    Raises:
        NotImplementedError: full_matrices is True, and a matrix that is not square requires a gradient.

    >>> import fastnn
    >>> fastnn.linalg.svd(fastnn.tensor([[0.0, 3.0], [2.0, 0.0]])).S.tolist()
    [3.0, 2.0]
    """
    a = matrices("svd", a)
    if full_matrices and a.shape[-1] != a.shape[-2]:
        if a.requires_grad and is_grad_enabled():
            raise NotImplementedError("linalg.svd: full_matrices=True has no gradient; use full_matrices=False")
        return Svd(*on_host("svd", lambda x: tuple(np.linalg.svd(x)), a))
    return Svd(*_Svd.apply(a))


class _SvdVals(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        u, s, vh = on_host("svdvals", lambda x: tuple(np.linalg.svd(x, full_matrices=False)), a)
        ctx.save_for_backward(a)
        ctx.factors = u, vh
        return s

    @staticmethod
    def backward(ctx: Any, ds: Tensor) -> Tensor:
        (a,) = ctx.saved_tensors
        # For gradients of gradients, the vectors depend on a, too.
        u, vh = (_Svd.apply(a)[0], _Svd.apply(a)[2]) if is_grad_enabled() else ctx.factors
        return matmul(scaled(u, ds), vh)


def svdvals(a: Any) -> Tensor:
    """Return the singular values of matrices (..., n, m), in descending order."""
    s: Tensor = _SvdVals.apply(matrices("svdvals", a))
    return s


class _Qr(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> tuple[Tensor, ...]:
        q, r = on_host("qr", lambda x: tuple(np.linalg.qr(x)), a)
        ctx.save_for_backward(q, r)
        return q, r

    @staticmethod
    def backward(ctx: Any, dq: Tensor, dr: Tensor) -> Tensor:
        q, r = ctx.saved_tensors
        upper = triu(sub(matmul(dr, turned(r)), matmul(turned(q), dq)))
        inner = mul(upper + turned(upper), sub(1, mul(eye(r.shape[-1], dtype=r.dtype), 0.5)))
        return turned(SolveOf.apply(r, turned(dq + matmul(q, inner))))


def qr(a: Any, mode: str = "reduced") -> Qr:
    """Return orthogonal columns and upper triangular matrices with Q R = a, for matrices (..., n, m): ``(Q, R)``.

    mode: "reduced", or "complete" for a square Q.

    Raises:
        NotImplementedError: a requires a gradient, and has more columns than rows, or is not square and the mode is "complete".

    >>> import fastnn
    >>> q, r = fastnn.linalg.qr(fastnn.tensor([[3.0, 1.0], [4.0, 2.0]]))
    >>> fastnn.allclose(q @ r, fastnn.tensor([[3.0, 1.0], [4.0, 2.0]]), atol=1e-5)
    True
    """
    a = matrices("qr", a)
    if mode not in ("reduced", "complete"):
        raise ValueError(f"linalg.qr: mode is {mode!r}, wanted 'reduced' or 'complete'")
    n, m = a.shape[-2:]
    if n < m or (mode == "complete" and n != m):
        if a.requires_grad and is_grad_enabled():
            raise NotImplementedError(f"linalg.qr: shape {a.shape} with mode={mode!r} has no gradient")
        return Qr(*on_host("qr", lambda x: tuple(np.linalg.qr(x, "complete" if mode == "complete" else "reduced")), a))
    return Qr(*_Qr.apply(a))


class _Pinv(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, rtol: float) -> Tensor:
        (y,) = on_host("pinv", lambda x: np.linalg.pinv(x, rtol), a)
        ctx.save_for_backward(a, y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        a, y = ctx.saved_tensors
        yh, dh = turned(y), turned(dy)
        k = matmul(matmul(yh, dy), yh)
        inside = matmul(matmul(sub(dh, matmul(a, matmul(y, dh))), y), yh)  # what a does not reach, on the left and on the right
        beside = matmul(matmul(yh, y), sub(dh, matmul(matmul(dh, y), a)))
        return inside + beside - k, None


def pinv(a: Any, *, rtol: float | None = None) -> Tensor:
    """Return the pseudoinverses (..., m, n) of matrices (..., n, m).

    rtol: singular values below rtol times the greatest count as 0; by default the machine epsilon times the greater size.

    >>> import fastnn
    >>> [[round(v, 4) for v in row] for row in fastnn.linalg.pinv(fastnn.tensor([[1.0], [1.0]])).tolist()]
    [[0.5, 0.5]]
    """
    a = matrices("pinv", a)
    limit = max(a.shape[-2:]) * float(np.finfo(a.dtype).eps) if rtol is None else float(rtol)
    y: Tensor = _Pinv.apply(a, limit)
    return y


for _function in (_Cholesky, _Eigh, _Svd, _SvdVals, _Qr, _Pinv):
    _function.__name__ = f"linalg.{_function.__name__[1:].lower()}"  # what printed graphs and messages name
