"""Tensors from other data, and to other dtypes and devices, with PyTorch's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, tensor
from ..core.convert import dtype_of
from ..core.device import check_device, current_device, device
from .checks import as_tensor as converted
from .elementwise import astype, clone
from .shape import broadcast_to, reshape, swap_axes, transpose


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Return the data as a Tensor without a copy, if possible; a Tensor of the wanted dtype is returned itself.

    Args:
        data: numbers, nested lists, an array or a Tensor.
        dtype: float32, float64, int64 or bool; by default as in `fastnn.tensor`.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.

    >>> import fastnn, numpy
    >>> a = numpy.zeros(2)
    >>> fastnn.as_tensor(a).fill_(1.0)
    tensor([1., 1.], dtype=float64)
    >>> a.tolist()
    [1.0, 1.0]
    """
    check_device(device, "as_tensor")
    t = converted(data, "as_tensor")
    return t if dtype is None else astype(t, dtype)


def from_numpy(array: Any) -> Tensor:
    """Return a Tensor that shares the memory of a NumPy array on the host backends; other dtypes are converted, in a copy.

    Raises:
        TypeError: it is no array of numbers.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: a {type(array).__name__} came, wanted a NumPy array; fastnn.tensor takes other data")
    return converted(array, "from_numpy")


def FloatTensor(data: Any) -> Tensor:  # noqa: N802 (PyTorch's name)
    """Return a float32 Tensor with a copy of the data."""
    return tensor(data, np.float32)


def LongTensor(data: Any) -> Tensor:  # noqa: N802 (PyTorch's name)
    """Return an int64 Tensor with a copy of the data."""
    return tensor(data, np.int64)


def is_tensor(x: Any) -> bool:
    """Return whether x is a Tensor."""
    return isinstance(x, Tensor)


def is_floating_point(x: Tensor) -> bool:
    """Return whether the elements of a Tensor are float32 or float64."""
    return x.dtype.kind == "f"


def get_default_dtype() -> np.dtype[Any]:
    """Return the dtype of Tensors that are made of Python floats: float32."""
    return np.dtype(np.float32)


def to(x: Tensor, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, non_blocking: bool = False) -> Tensor:
    """Convert x to a dtype, a device, both, or the dtype of another Tensor, as in PyTorch.

    Args:
        args: a dtype, a device, a device and a dtype, or a Tensor.
        copy: return a copy even if nothing changes.
        non_blocking: accepted for compatibility with PyTorch; has no effect.

    Raises:
        TypeError: an argument is none of these, or the dtype is not one that Tensors have.
        ValueError: the device is not that of the backend.

    >>> import fastnn
    >>> x = fastnn.tensor([1, 2])
    >>> x.to("cpu").to(fastnn.float64).dtype, x.to("cpu", dtype=fastnn.float32).dtype
    (dtype('float64'), dtype('float32'))
    """
    device, dtype = destination("to", args, device, dtype)
    check_device(device, "to")
    y = x if dtype is None else astype(x, dtype)
    return clone(y) if copy and y is x else y


def destination(op: str, args: tuple[Any, ...], to_device: Any = None, dtype: Any = None) -> tuple[Any, Any]:
    """Return the device and the dtype, or None, in the arguments of a call of ``to``."""
    for given in args:
        if isinstance(given, Tensor):
            dtype = given.dtype
        elif isinstance(given, bool):
            continue  # non_blocking by position
        elif isinstance(given, device | int) or (isinstance(given, str) and given.partition(":")[0] in ("cpu", "cuda")):
            to_device = given
        else:
            dtype = given
    return to_device, None if dtype is None else dtype_of(dtype, op)


def device_of(x: Tensor) -> device:
    """Return the device on which the backend in use computes."""
    return current_device()


def is_cuda(x: Tensor) -> bool:
    """Return whether the backend in use computes on a GPU."""
    return current_device().type == "cuda"


def cpu(x: Tensor) -> Tensor:
    """Return x itself on the backends of the host.

    Raises:
        ValueError: the backend in use computes on another device.
    """
    return to(x, "cpu")


def cuda(x: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """Return x itself on the CuPy backend.

    Raises:
        ValueError: the backend in use computes on another device.
    """
    return to(x, "cuda" if device is None else device)


def contiguous(x: Tensor) -> Tensor:
    """Return x itself: all Tensors are contiguous."""
    return converted(x, "contiguous")


def type_as(x: Tensor, other: Tensor) -> Tensor:
    """Convert x to the dtype of another Tensor."""
    return astype(x, other.dtype)


def reshape_as(x: Tensor, other: Tensor) -> Tensor:
    """Return x with the shape of another Tensor."""
    return reshape(x, other.shape)


def expand_as(x: Tensor, other: Tensor) -> Tensor:
    """Repeat x along its dimensions of size 1, to the shape of another Tensor."""
    return broadcast_to(x, other.shape)


def t(x: Tensor) -> Tensor:
    """Transpose a matrix; a Tensor with fewer dimensions is returned itself.

    Raises:
        ValueError: x has more than two dimensions.
    """
    if x.ndim > 2:
        raise ValueError(f"t: a Tensor with {x.ndim} dimensions came, wanted at most 2; use transpose or mT")
    return transpose(x)


def transposed_matrices(x: Tensor) -> Tensor:
    """Swap the last two axes."""
    return swap_axes(converted(x, "mT"), -2, -1)
