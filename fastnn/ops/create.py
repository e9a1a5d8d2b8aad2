"""Creation of Tensors with given or random numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tape import also_named
from ..autograd.tensor import Tensor, tensor
from ..backends import current
from ..core import arrays
from ..core.convert import dtype_of
from ..core.device import check_device
from ..core.seeding import stream
from .checks import as_tensor, check_number, whole_number
from .shape import sizes


@also_named(size="shape", value="fill_value")
def full(shape: Any, fill_value: float, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return a Tensor filled with one value; float32 for a float, int64 for an integer, bool for a bool.

    >>> import fastnn
    >>> fastnn.full((2,), 0.5).tolist()
    [0.5, 0.5]
    """
    check_device(device, "full")
    if dtype is None:
        dtype = np.bool_ if isinstance(fill_value, bool) else np.int64 if isinstance(fill_value, int | np.integer) else np.float32
    wanted = _checked("full", tuple(shape) if isinstance(shape, Sequence) else (shape,))
    return _of(arrays.filled(current(), wanted, dtype_of(dtype, "full"), fill_value), requires_grad)


def zeros(*shape: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return a Tensor of zeros; the shape is passed as numbers or as a tuple.

    >>> import fastnn
    >>> fastnn.zeros(2, 3).shape, fastnn.zeros((2, 3)).shape
    ((2, 3), (2, 3))
    """
    check_device(device, "zeros")
    return _of(
        arrays.filled(current(), _checked("zeros", shape, size), dtype_of(_floats(dtype), "zeros"), 0),
        requires_grad,
    )


def ones(*shape: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return a Tensor of ones; the shape is passed as numbers or as a tuple."""
    check_device(device, "ones")
    return _of(
        arrays.filled(current(), _checked("ones", shape, size), dtype_of(_floats(dtype), "ones"), 1),
        requires_grad,
    )


def _floats(dtype: Any) -> Any:
    return np.float32 if dtype is None else dtype


def _checked(op: str, given: tuple[Any, ...], size: Any = None) -> tuple[int, ...]:
    if size is not None and given:
        raise TypeError(f"{op}: a shape by position and size came in one call; wanted one of them")
    shape = sizes(op, given if size is None else (size,))
    if min(shape, default=0) < 0:
        raise ValueError(f"{op}: shape {shape} came, wanted sizes of at least 0")
    return shape


def _of(array: Any, requires_grad: bool) -> Tensor:
    return Tensor(array).requires_grad_() if requires_grad else Tensor(array)


def eye(n: int, m: int | None = None, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return an (n, m) matrix with ones on its diagonal; by default m is n."""
    check_device(device, "eye")
    m = n if m is None else m
    return tensor(np.eye(whole_number(n, "eye: n", 0), whole_number(m, "eye: m", 0)), _floats(dtype), requires_grad)


@also_named(end="stop")
def arange(
    start: float = 0,
    stop: float | None = None,
    step: float = 1,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Return numbers from start (0 if one number is given) to stop, without stop; int64 if all are integers, else float32.

    >>> import fastnn
    >>> fastnn.arange(3).tolist()
    [0, 1, 2]
    """
    check_device(device, "arange")
    if step == 0:
        raise ValueError("arange: step is 0, wanted another number")
    numbers = np.arange(0 if stop is None else start, start if stop is None else stop, step)
    own = np.int64 if numbers.dtype.kind in "iu" else np.float32
    return tensor(numbers, own if dtype is None else dtype, requires_grad)


@also_named(end="stop", steps="num")
def linspace(start: float, stop: float, num: int, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return num equally spaced numbers from start to stop, including stop.

    >>> import fastnn
    >>> fastnn.linspace(0, 1, 5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    check_device(device, "linspace")
    return tensor(np.linspace(start, stop, whole_number(num, "linspace: num", 0)), _floats(dtype), requires_grad)


def rand(*shape: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return uniform random numbers from [0, 1); `fastnn.seed` makes them repeatable.

    Recorded steps and frozen models draw new numbers at each call.

    >>> import fastnn
    >>> fastnn.seed(0)
    >>> a = fastnn.rand(2, 3)
    >>> fastnn.seed(0)
    >>> bool((a == fastnn.rand(2, 3)).all())
    True
    """
    check_device(device, "rand")
    return _drawn("random_uniform", _checked("rand", shape, size), _real("rand", dtype)).requires_grad_(requires_grad)


def randn(*shape: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return random numbers from the standard normal distribution; see `rand`."""
    check_device(device, "randn")
    return _drawn("random_normal", _checked("randn", shape, size), _real("randn", dtype)).requires_grad_(requires_grad)


@also_named(shape="size")
def randint(low: Any = None, high: Any = None, size: Any = None, device: Any = None) -> Tensor:
    """Return uniform random integers from low to high - 1, as int64; see `rand`.

    ``randint(low, high, size)``, or ``randint(high, size)`` with a low of 0, as in PyTorch.

    Raises:
        TypeError: high or size is missing.
        ValueError: low is not below high, or they are out of the range of int64.

    >>> import fastnn
    >>> fastnn.randint(1, (2,)).tolist(), fastnn.randint(3, 4, 2).tolist()
    ([0, 0], [3, 3])
    """
    check_device(device, "randint")
    if size is None and isinstance(high, Sequence):
        high, size = None, high
    if high is None:
        low, high = 0, low
    if high is None or size is None:
        raise TypeError("randint: wanted low, high and size, or high and the size as a tuple")
    low = 0 if low is None else low
    check_number(low, "randint: low", float("-inf"))
    check_number(high, "randint: high", float("-inf"))
    if not low < high:
        raise ValueError(f"randint: low is {low} and high is {high}, wanted low < high")
    first, last = math.ceil(low), math.ceil(high) - 1
    if not -(2**63) <= first <= last < 2**63:
        raise ValueError(f"randint: low is {low} and high is {high}, wanted whole numbers between them, of int64")
    return _drawn("random_integers", _checked("randint", (size,)), np.dtype(np.int64), first, last)


def _drawn(kernel: str, shape: tuple[int, ...], dtype: Any, *limits: int) -> Tensor:
    k = current()
    y = k.empty(shape, dtype)
    getattr(k, kernel)(y, k.empty(2, "uint64"), stream(k), *limits)
    return Tensor(y)


def _real(op: str, dtype: Any) -> Any:
    d = dtype_of(_floats(dtype), op)
    if d.kind != "f":
        raise TypeError(f"{op}: dtype {d}, wanted float32 or float64")
    return d


def empty(*shape: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return a Tensor whose values are not defined: zeros."""
    return zeros(*shape, size=size, dtype=dtype, requires_grad=requires_grad, device=device)


def zeros_like(x: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return zeros with the shape of x, and its dtype by default."""
    check_device(device, "zeros_like")
    return full_like(x, 0, dtype, requires_grad, device)


def ones_like(x: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return ones with the shape of x, and its dtype by default."""
    check_device(device, "ones_like")
    return full_like(x, 1, dtype, requires_grad, device)


def empty_like(x: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return a Tensor with the shape of x, and its dtype by default, whose values are not defined: zeros."""
    return full_like(x, 0, dtype, requires_grad, device)


@also_named(value="fill_value")
def full_like(x: Any, fill_value: float, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return a Tensor filled with one value, with the shape of x, and its dtype by default."""
    check_device(device, "full_like")
    t = as_tensor(x, "full_like")
    wanted = t.dtype if dtype is None else dtype_of(dtype, "full_like")
    return _of(arrays.filled(current(), t.shape, wanted, fill_value), requires_grad)


def rand_like(x: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return `rand` with the shape of x, and its dtype by default."""
    check_device(device, "rand_like")
    t = as_tensor(x, "rand_like")
    return rand(t.shape, dtype=t.dtype if dtype is None else dtype, requires_grad=requires_grad)


def randn_like(x: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return `randn` with the shape of x, and its dtype by default."""
    check_device(device, "randn_like")
    t = as_tensor(x, "randn_like")
    return randn(t.shape, dtype=t.dtype if dtype is None else dtype, requires_grad=requires_grad)
