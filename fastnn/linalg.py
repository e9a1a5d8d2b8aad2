"""Linear algebra with the names and arguments of `torch.linalg`, for float32 and float64.

Inverses, solutions, determinants and factors are computed by NumPy on the host, so that steps that use them are not recorded by
`fastnn.capture`. All have gradients, unless their documentation says otherwise. `eig` and `eigvals` are missing, since they need
complex numbers.

>>> import fastnn
>>> a = fastnn.tensor([[4.0, 2.0], [2.0, 3.0]], requires_grad=True)
>>> fastnn.linalg.slogdet(a).logabsdet.backward()
>>> a.grad.tolist()
[[0.375, -0.25], [-0.25, 0.5]]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .autograd.tensor import Tensor, torch_names
from .ops import elementwise, reduce, shape
from .ops.arrange import cross, vander
from .ops.checks import as_tensor, axis_of, floating, whole_number
from .ops.create import eye
from .ops.dense import matmul
from .ops.factors import cholesky, eigh, pinv, qr, svd, svdvals
from .ops.inverses import LinAlgError, det, inv, matrices, slogdet, solve, solve_triangular
from .ops.matrices import diagonals

__all__ = [
    "LinAlgError",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "vander",
    "vecdot",
    "vector_norm",
]


def __dir__() -> list[str]:
    return sorted(__all__)


class Lstsq(NamedTuple):
    """Least-squares solutions, sums of squared residuals, ranks, and singular values."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def diagonal(a: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Return the diagonals of matrices (..., n, m)."""
    return diagonals(a, offset, dim1, dim2)


@torch_names
def vecdot(x: Any, y: Any, *, axis: int = -1) -> Tensor:
    """Return the sums of products along an axis, with broadcasting."""
    return reduce.sum(elementwise.mul(as_tensor(x, "linalg.vecdot"), y), axis)


@torch_names
def vector_norm(x: Any, ord: float = 2, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the norm of x as a vector, or along axes: (sum |x|^ord)^(1/ord).

    ord: any number; inf and -inf for the greatest and the smallest size, 0 for how many elements are not 0.

    >>> import fastnn
    >>> fastnn.linalg.vector_norm(fastnn.tensor([3.0, -4.0]), float("inf")).item()
    4.0
    """
    x = floating("linalg.vector_norm", as_tensor(x, "linalg.vector_norm"))
    if ord in (1, 2, math.inf):
        return reduce.norm(x, ord, axis, keepdims)
    sizes = elementwise.abs(x)
    if ord == -math.inf:
        return reduce.amin(sizes, axis, keepdims)
    if ord == 0:
        return reduce.sum(elementwise.astype(sizes > 0, x.dtype), axis, keepdims)
    return reduce.sum(sizes**ord, axis, keepdims) ** (1 / ord)


@torch_names
def matrix_norm(x: Any, ord: float | str = "fro", axis: Sequence[int] = (-2, -1), keepdims: bool = False) -> Tensor:
    """Return norms of the matrices in two axes.

    ord: "fro" for the root of the sum of squares, "nuc" for the sum of singular values, 2 and -2 for the greatest and the
        smallest of them, inf and -inf for the greatest and the smallest sum of absolute values in a row, 1 and -1 in a column.

    >>> import fastnn
    >>> fastnn.linalg.matrix_norm(fastnn.tensor([[1.0, -2.0], [3.0, 4.0]]), 1).item()
    6.0
    """
    x = matrices("matrix_norm", x)
    first, second = (axis_of(a, x.ndim, "linalg.matrix_norm") for a in axis)
    if ord == "fro":
        return reduce.norm(x, 2, (first, second), keepdims)
    rest = [d for d in range(x.ndim) if d not in (first, second)]
    m = shape.transpose(x, (*rest, first, second))
    if ord in ("nuc", 2, -2):
        s = svdvals(m)
        y = reduce.sum(s, -1) if ord == "nuc" else s[..., 0 if ord == 2 else -1]
    elif ord in (1, -1, math.inf, -math.inf):
        sums = reduce.sum(elementwise.abs(m), -2 if ord in (1, -1) else -1)
        y = reduce.amax(sums, -1) if ord > 0 else reduce.amin(sums, -1)
    else:
        raise ValueError(f"linalg.matrix_norm: ord is {ord!r}, wanted 'fro', 'nuc', 1, -1, 2, -2, inf or -inf")
    return shape.reshape(y, [1 if d in (first, second) else n for d, n in enumerate(x.shape)]) if keepdims else y


@torch_names
def norm(x: Any, ord: float | str | None = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the norm of x as a vector; with two axes, or an ord and a matrix, that of matrices.

    See `vector_norm` and `matrix_norm`.

    >>> import fastnn
    >>> fastnn.linalg.norm(fastnn.tensor([[3.0, 0.0], [0.0, -4.0]])).item()
    5.0
    """
    x = floating("linalg.norm", as_tensor(x, "linalg.norm"))
    two = axis is not None and not isinstance(axis, int) and len(axis) == 2
    if ord is not None and (two or (axis is None and (x.ndim == 2 or isinstance(ord, str)))):
        return matrix_norm(x, ord, axis if two else (-2, -1), keepdims)
    if isinstance(ord, str):
        raise ValueError(f"linalg.norm: ord is {ord!r} for the axis {axis}, wanted two axes")
    return vector_norm(x, 2 if ord is None else ord, axis, keepdims)


def cond(a: Any, p: float | str | None = None) -> Tensor:
    """Return the condition numbers of matrices: the ratio of the greatest and the smallest singular value for p None, 2 or -2.

    Other p are norms of square matrices: the norm of the matrix times that of its inverse.
    """
    a = matrices("cond", a)
    if p in (None, 2, -2):
        s = svdvals(a)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return matrix_norm(a, p) * matrix_norm(inv(a), p)


def eigvalsh(a: Any) -> Tensor:
    """Return the eigenvalues of symmetric matrices, in ascending order; only the lower triangle is read."""
    return eigh(a).eigenvalues


def matrix_rank(a: Any, *, atol: float | None = None, rtol: float | None = None, hermitian: bool = False) -> Tensor:
    """Return the number of singular values above the greater of atol and rtol times the greatest one, without a gradient.

    rtol: by default the machine epsilon times the greater size, unless atol is given.

    >>> import fastnn
    >>> fastnn.linalg.matrix_rank(fastnn.ones(3, 3)).item()
    1
    """
    a = matrices("matrix_rank", a, hermitian).detach()
    s = elementwise.abs(eigvalsh(a)) if hermitian else svdvals(a)
    share = 0.0 if atol else max(a.shape[-2:]) * float(np.finfo(a.dtype).eps)
    greatest = reduce.amax(s, -1, True)
    limit = elementwise.maximum(greatest * (share if rtol is None else rtol), atol or 0.0)
    return reduce.sum(elementwise.astype(s > limit, np.int64), -1)


def matrix_power(a: Any, n: int) -> Tensor:
    """Return square matrices to the power n, a whole number; negative ones are powers of the inverse.

    >>> import fastnn
    >>> fastnn.linalg.matrix_power(fastnn.tensor([[1.0, 1.0], [0.0, 1.0]]), 5).tolist()
    [[1.0, 5.0], [0.0, 1.0]]
    """
    a, n = matrices("matrix_power", a, True), whole_number(n, "linalg.matrix_power: n")
    base, n = (inv(a), -n) if n < 0 else (a, n)
    y: Tensor | None = None
    while n:
        if n % 2:
            y = base if y is None else matmul(y, base)
        n //= 2
        base = matmul(base, base) if n else base
    return shape.broadcast_to(eye(a.shape[-1], dtype=a.dtype), a.shape) if y is None else y


_TERMS = 18
"""Terms of the exponential series; for norms up to 1/2, the rest is below the rounding errors of float64."""


def matrix_exp(a: Any) -> Tensor:
    """Return exp(a) of square matrices, by the series of a / 2^s, squared s times.

    >>> import fastnn
    >>> fastnn.linalg.matrix_exp(fastnn.zeros(2, 2)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    given = matrices("matrix_exp", a, True)
    size = float(reduce.amax(matrix_norm(given.detach(), 1)).item()) if given.size else 0.0
    halvings = max(math.ceil(math.log2(size)) + 1, 0) if 0 < size < math.inf else 0
    x, one = given * 0.5**halvings, eye(given.shape[-1], dtype=given.dtype)
    y: Tensor = x * (1 / _TERMS) + one
    for i in range(_TERMS - 1, 0, -1):
        y = matmul(x, y) * (1 / i) + one
    for _ in range(halvings):
        y = matmul(y, y)
    return y


def multi_dot(tensors: Sequence[Any]) -> Tensor:
    """Multiply several matrices, from the left; the first and the last may be vectors."""
    if len(tensors) < 2:
        raise ValueError(f"linalg.multi_dot: {len(tensors)} matrices came, wanted at least two")
    y = as_tensor(tensors[0], "linalg.multi_dot")
    for t in tensors[1:]:
        y = matmul(y, as_tensor(t, "linalg.multi_dot"))
    return y


def lstsq(a: Any, b: Any, rcond: float | None = None) -> Lstsq:
    """Return the x with the smallest sum of squares of a x - b, by the pseudoinverse: ``.solution`` and more.

    Args:
        a: (..., n, m).
        b: (..., n, k).
        rcond: the share of the greatest singular value below which others count as 0.

    Returns:
        The solutions (..., m, k); the sums of squares (..., k), which are empty unless n > m and all ranks are m; the ranks; and
        the singular values.

    >>> import fastnn
    >>> a = fastnn.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> [round(v, 3) for v in fastnn.linalg.lstsq(a, a @ fastnn.tensor([[1.0], [2.0]])).solution.flatten().tolist()]
    [1.0, 2.0]
    """
    a, b = matrices("lstsq", a), matrices("lstsq", b)
    if a.shape[-2] != b.shape[-2]:
        raise ValueError(f"linalg.lstsq: a has shape {a.shape} and b {b.shape}, wanted as many rows")
    x = matmul(pinv(a, rtol=rcond), b)
    rank = matrix_rank(a, rtol=rcond)
    n, m = a.shape[-2:]
    residuals = shape.reshape(b[..., :0], 0)
    if n > m and bool((rank == m).all()):
        residuals = reduce.sum(elementwise.square(matmul(a, x) - b), -2)
    return Lstsq(x, residuals, rank, svdvals(a.detach()))
