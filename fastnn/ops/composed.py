"""Functions that are made of other operations, with PyTorch's names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, is_grad_enabled, torch_names
from . import data, elementwise, logic, reduce
from .cast import astype, promoted
from .checks import as_tensor, axis_of
from .create import full_like, zeros_like
from .elementwise import abs, add, cos, div, exp, expm1, log, log1p, maximum, mul, neg, real, sin, sub
from .index import getitem
from .shape import stack


def log2(x: Any) -> Tensor:
    """Return the logarithm to the base 2."""
    return mul(log(x), 1 / math.log(2))


def log10(x: Any) -> Tensor:
    """Return the logarithm to the base 10."""
    return mul(log(x), 1 / math.log(10))


def exp2(x: Any) -> Tensor:
    """2 to the power x."""
    return exp(mul(real(as_tensor(x, "exp2")), math.log(2)))


def tan(x: Any) -> Tensor:
    """Return the tangent."""
    return div(sin(x), cos(x))


def sinh(x: Any) -> Tensor:
    """(exp(x) - exp(-x)) / 2, exact where x is small."""
    x = real(as_tensor(x, "sinh"))
    return mul(sub(expm1(x), expm1(neg(x))), 0.5)


def cosh(x: Any) -> Tensor:
    """(exp(x) + exp(-x)) / 2."""
    x = real(as_tensor(x, "cosh"))
    return mul(add(exp(x), exp(neg(x))), 0.5)


def logaddexp(x: Any, y: Any) -> Tensor:
    """log(exp(x) + exp(y)) with broadcasting, computed without overflow.

    >>> import fastnn
    >>> round(fastnn.logaddexp(fastnn.tensor([1000.0]), fastnn.tensor([1000.0])).item(), 3)
    1000.693
    """
    x, y = promoted(as_tensor(x, "logaddexp"), as_tensor(y, "logaddexp"))
    apart = logic.where(logic.eq(x, y), 0.0, abs(sub(x, y)))  # 0 between equal infinities
    return add(maximum(x, y), log1p(exp(neg(apart))))


def lerp(x: Any, end: Any, weight: Any) -> Tensor:
    """x + weight (end - x), with broadcasting."""
    return add(x, mul(sub(end, x), weight))


def addcmul(x: Any, a: Any, b: Any, *, value: float = 1) -> Tensor:
    """x + value a b, with broadcasting."""
    return add(x, mul(mul(a, b), value))


def addcdiv(x: Any, a: Any, b: Any, *, value: float = 1) -> Tensor:
    """x + value a / b, with broadcasting."""
    return add(x, mul(div(a, b), value))


def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """Replace NaN and infinities; by default infinities by the greatest and the least number of the dtype."""
    t = as_tensor(x, "nan_to_num")
    if t.dtype.kind != "f":
        return t
    limit = float(np.finfo(t.dtype).max)
    t = logic.masked_fill(t, logic.isnan(t), nan)
    t = logic.masked_fill(t, t == float("inf"), limit if posinf is None else posinf)
    return logic.masked_fill(t, t == float("-inf"), -limit if neginf is None else neginf)


@torch_names
def diff(x: Any, n: int = 1, axis: int = -1) -> Tensor:
    """Return the differences of neighbours along an axis, n times in a row.

    >>> import fastnn
    >>> fastnn.diff(fastnn.tensor([1, 4, 9])).tolist()
    [3, 5]
    """
    t = as_tensor(x, "diff")
    before = [slice(None)] * axis_of(axis, t.ndim, "diff")
    for _ in range(n):
        t = sub(getitem(t, (*before, slice(1, None))), getitem(t, (*before, slice(None, -1))))
    return t


@torch_names
def cumprod(x: Any, axis: int) -> Tensor:
    """Return the running product along an axis.

    >>> import fastnn
    >>> fastnn.cumprod(fastnn.tensor([1.0, 2.0, 3.0]), 0).tolist()
    [1.0, 2.0, 6.0]
    """
    x = as_tensor(x, "cumprod")
    axis = axis_of(axis, max(x.ndim, 1), "cumprod")
    if not (x.requires_grad and is_grad_enabled()) or not x.size or not x.ndim:
        return reduce.running_product(x, axis)
    parts = [getitem(x, (*[slice(None)] * axis, 0))]
    for i in range(1, x.shape[axis]):  # one product after the other: the gradient is exact at 0, too
        parts.append(mul(parts[-1], getitem(x, (*[slice(None)] * axis, i))))
    return stack(parts, axis)


def std_mean(x: Any, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """Return the standard deviation and the mean, with the arguments of `std`."""
    return reduce.std(x, *args, **kwargs), _mean(x, *args, **kwargs)


def var_mean(x: Any, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """Return the variance and the mean, with the arguments of `var`."""
    return reduce.var(x, *args, **kwargs), _mean(x, *args, **kwargs)


def _mean(x: Any, *args: Any, **kwargs: Any) -> Tensor:
    given = args[:1] if args and not isinstance(args[0], bool) else ()
    return reduce.mean(x, *given, **{k: v for k, v in kwargs.items() if k in ("dim", "axis", "keepdim", "keepdims")})


@torch_names
def scatter(x: Any, axis: int, index: Any, src: Any = None, *, value: float | None = None) -> Tensor:
    """Return a copy of x with elements replaced by index along an axis: for axis 1, y[i][index[i][j]] = src[i][j].

    Args:
        x: any shape.
        axis: the axis of the indices.
        index: whole numbers, with the shape of x except on this axis.
        src: elements with the shape of index, or one number for all.
        value: the number, in place of src.

    Raises:
        ValueError: src has several elements for the same one of x.

    >>> import fastnn
    >>> fastnn.scatter(fastnn.zeros(1, 3), 1, [[2, 0]], [[5.0, 7.0]]).tolist()
    [[7.0, 0.0, 5.0]]
    >>> fastnn.zeros(2, 3).scatter(1, fastnn.tensor([[1], [2]]), 1.0).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    x, index = as_tensor(x, "scatter"), as_tensor(index, "scatter")
    src = value if src is None else src
    if src is None:
        raise TypeError("scatter: neither src nor value came")
    wide = np.float64 if x.dtype.kind != "f" else x.dtype
    zeros = astype(zeros_like(x), wide)
    count = data.scatter_add(zeros, axis, index, full_like(index, 1.0, wide))
    hit = count > 0
    if isinstance(src, int | float | bool):
        return logic.where(hit, full_like(x, src), x)
    src = as_tensor(src, "scatter", x)
    if count.size and count.data.max() > 1:
        raise ValueError("scatter: the index has an element of x several times; scatter_add adds them up")
    return logic.where(hit, astype(data.scatter_add(zeros, axis, index, astype(src, wide)), x.dtype), x)


def clamp_min(x: Any, min: Any) -> Tensor:
    """Return the greater of x and a bound."""
    return elementwise.clip(x, min)


def clamp_max(x: Any, max: Any) -> Tensor:
    """Return the smaller of x and a bound."""
    return elementwise.clip(x, max=max)
