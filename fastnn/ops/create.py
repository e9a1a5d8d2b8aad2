"""Tensors of given or random numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backends import current
from ..seeding import stream
from ..tensor import Tensor, tensor
from . import arrays
from .door import as_tensor, check_number, dtype_of, whole_number
from .shape import sizes


def full(shape: Any, value: float, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A Tensor of one value; float32 for a float, int64 for a whole number, bool for a bool.

    >>> import fastnn
    >>> fastnn.full((2,), 0.5).tolist()
    [0.5, 0.5]
    """
    if dtype is None:
        dtype = np.bool_ if isinstance(value, bool) else np.int64 if isinstance(value, int | np.integer) else np.float32
    wanted = _checked("full", tuple(shape) if isinstance(shape, Sequence) else (shape,))
    return _of(arrays.filled(current(), wanted, dtype_of(dtype, "full"), value), requires_grad)


def zeros(*shape: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Zeros in a shape, given as numbers or as a tuple.

    >>> import fastnn
    >>> fastnn.zeros(2, 3).shape, fastnn.zeros((2, 3)).shape
    ((2, 3), (2, 3))
    """
    return _of(arrays.filled(current(), _checked("zeros", shape), dtype_of(dtype, "zeros"), 0), requires_grad)


def ones(*shape: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Ones in a shape, given as numbers or as a tuple."""
    return _of(arrays.filled(current(), _checked("ones", shape), dtype_of(dtype, "ones"), 1), requires_grad)


def _checked(op: str, given: tuple[Any, ...]) -> tuple[int, ...]:
    shape = sizes(op, given)
    if min(shape, default=0) < 0:
        raise ValueError(f"{op}: shape {shape} came, wanted sizes of at least 0")
    return shape


def _of(array: Any, requires_grad: bool) -> Tensor:
    return Tensor(array).requires_grad_() if requires_grad else Tensor(array)


def eye(n: int, m: int | None = None, dtype: Any = np.float32) -> Tensor:
    """The (n, m) matrix with ones on its diagonal; m is n unless given."""
    m = n if m is None else m
    return tensor(np.eye(whole_number(n, "eye: n", 0), whole_number(m, "eye: m", 0)), dtype)


def arange(start: float, stop: float | None = None, step: float = 1, dtype: Any = None) -> Tensor:
    """Numbers from start (0 if one number is given) up to, but without, stop; int64 if all are whole, else float32.

    >>> import fastnn
    >>> fastnn.arange(3).tolist()
    [0, 1, 2]
    """
    if step == 0:
        raise ValueError("arange: step is 0, wanted another number")
    numbers = np.arange(0 if stop is None else start, start if stop is None else stop, step)
    return tensor(numbers, (np.int64 if numbers.dtype.kind in "iu" else np.float32) if dtype is None else dtype)


def linspace(start: float, stop: float, num: int, dtype: Any = np.float32) -> Tensor:
    """So many numbers at equal distances, from start to stop, which is the last.

    >>> import fastnn
    >>> fastnn.linspace(0, 1, 5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    return tensor(np.linspace(start, stop, whole_number(num, "linspace: num", 0)), dtype)


def rand(*shape: Any, dtype: Any = np.float32) -> Tensor:
    """Random numbers from [0, 1), uniformly; `fastnn.seed` makes them repeatable.

    A recorded step, and a frozen model, draws anew at each call.

    >>> import fastnn
    >>> fastnn.seed(0)
    >>> a = fastnn.rand(2, 3)
    >>> fastnn.seed(0)
    >>> bool((a == fastnn.rand(2, 3)).all())
    True
    """
    return _drawn("random_uniform", _checked("rand", shape), _real("rand", dtype))


def randn(*shape: Any, dtype: Any = np.float32) -> Tensor:
    """Random numbers of the standard normal distribution; drawn as those of `rand`."""
    return _drawn("random_normal", _checked("randn", shape), _real("randn", dtype))


def randint(low: int, high: int, shape: Any) -> Tensor:
    """Random whole numbers from low to high - 1, int64, all as likely; drawn as those of `rand`.

    Raises:
        ValueError: low is not below high, or they are outside of int64.
    """
    check_number(low, "randint: low", float("-inf"))
    check_number(high, "randint: high", float("-inf"))
    if not low < high:
        raise ValueError(f"randint: low is {low} and high is {high}, wanted low < high")
    first, last = math.ceil(low), math.ceil(high) - 1
    if not -(2**63) <= first <= last < 2**63:
        raise ValueError(f"randint: low is {low} and high is {high}, wanted whole numbers between them, of int64")
    return _drawn("random_integers", _checked("randint", (shape,)), np.dtype(np.int64), first, last)


def _drawn(kernel: str, shape: tuple[int, ...], dtype: Any, *limits: int) -> Tensor:
    k = current()
    y = k.empty(shape, dtype)
    getattr(k, kernel)(y, k.empty(2, "uint64"), stream(k), *limits)
    return Tensor(y)


def _real(op: str, dtype: Any) -> Any:
    d = dtype_of(dtype, op)
    if d.kind != "f":
        raise TypeError(f"{op}: dtype {d}, wanted float32 or float64")
    return d


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros of x's shape, and dtype unless another is given."""
    return full_like(x, 0, dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones of x's shape, and dtype unless another is given."""
    return full_like(x, 1, dtype)


def full_like(x: Any, value: float, dtype: Any = None) -> Tensor:
    """One value in x's shape, and dtype unless another is given."""
    t = as_tensor(x, "full_like")
    return Tensor(arrays.filled(current(), t.shape, t.dtype if dtype is None else dtype_of(dtype, "full_like"), value))


def rand_like(x: Any) -> Tensor:
    """`rand` of x's shape and dtype."""
    t = as_tensor(x, "rand_like")
    return rand(t.shape, dtype=t.dtype)


def randn_like(x: Any) -> Tensor:
    """`randn` of x's shape and dtype."""
    t = as_tensor(x, "randn_like")
    return randn(t.shape, dtype=t.dtype)
