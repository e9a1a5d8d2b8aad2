"""The checks at the door of the operations: what comes in becomes an array or a Tensor, or an error that names it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import current
from ..backends.spec import DTYPES
from ..tensor import Tensor

Array = Any

_SUPPORTED = tuple(np.dtype(d) for d in DTYPES)


class StepInput(np.ndarray[Any, Any]):
    """An array argument of a captured function: a NumPy array that notices when Python computes with it."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        current().value_leaves(f"numpy.{ufunc.__name__}")
        plain = [np.asarray(a) if isinstance(a, StepInput) else a for a in inputs]
        return getattr(ufunc, method)(*plain, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func.__name__ not in ("shape", "ndim", "size"):
            current().value_leaves(f"numpy.{func.__name__}")
        return func(*(np.asarray(a) if isinstance(a, StepInput) else a for a in args), **kwargs)

    def _plain(self, how: str) -> np.ndarray[Any, Any]:
        current().value_leaves(how)
        return np.asarray(self)

    def cast(self, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """A copy in another dtype, made by a kernel so that a replay makes it too."""
        if self.dtype not in _SUPPORTED or not self.flags.c_contiguous:
            return self._plain(f"conversion of a {self.dtype} argument").astype(dtype, order="C")
        k = current()
        y: np.ndarray[Any, Any] = k.empty(self.shape, dtype)
        k.cast(y, np.asarray(self), DTYPES.index(dtype.name))
        return y

    def astype(self, *args: Any, **kwargs: Any) -> Any:
        return self._plain("astype").astype(*args, **kwargs)

    def copy(self, *args: Any, **kwargs: Any) -> Any:
        return self._plain("copy").copy(*args, **kwargs)

    def item(self, *args: Any) -> Any:
        return self._plain("item()").item(*args)

    def tolist(self) -> Any:
        return self._plain("tolist()").tolist()

    def __bool__(self) -> bool:
        return bool(self._plain("bool()"))

    def __float__(self) -> float:
        return float(self._plain("float()"))

    def __int__(self) -> int:
        return int(self._plain("int()"))


def dtype_of(dtype: Any, op: str) -> np.dtype[Any]:
    """A dtype that Tensors can have; TypeError for others."""
    try:
        d: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"{op}: {dtype!r} is no dtype; there are: {', '.join(DTYPES)}") from None
    if d not in _SUPPORTED:
        raise TypeError(f"{op}: dtype {d} is not supported; there are: {', '.join(DTYPES)}")
    return d


def host_array(data: Any, dtype: Any, op: str, copy: bool = False) -> np.ndarray[Any, Any]:
    """Numbers as a C-contiguous NumPy array of a supported dtype: Python floats as float32, whole numbers as int64."""
    if isinstance(data, Tensor):
        data = data.numpy()
    keeps = isinstance(data, np.ndarray | np.generic) or hasattr(data, "__array__")
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError(f"{op}: a masked array came, wanted one without a mask; fill it first")
    if isinstance(data, (list, tuple)) and any(isinstance(item, Tensor) for item in data):
        data = [item.numpy() if isinstance(item, Tensor) else item for item in data]
    try:
        a = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"{op}: the nested lists have different lengths ({error})") from None
    if a.dtype.kind not in "fiub":
        what = {"U": "strings", "S": "bytes", "O": f"objects ({type(data).__name__})", "c": "complex numbers"}.get(
            a.dtype.kind, str(a.dtype)
        )
        raise TypeError(f"{op}: {what} came, wanted numbers")
    if dtype is None:
        if a.dtype.kind in "iu":
            dtype = np.int64
        elif a.dtype.kind == "b":
            dtype = np.bool_
        else:
            dtype = a.dtype if keeps and a.dtype in _SUPPORTED else np.float32
    d = dtype_of(dtype, op)
    if isinstance(data, StepInput) and (copy or a.dtype != d or not a.flags.c_contiguous):
        return data.cast(d)
    return np.array(a, d, order="C", copy=True) if copy else np.asarray(a, d, order="C")


def as_array(value: Any, dtype: np.dtype[Any], shape: tuple[int, ...], op: str) -> Array:
    """The value as an array of the current backend with this dtype and shape."""
    if isinstance(value, Tensor):
        value = value.detach() if value.node is None else value
        if value.dtype != dtype:
            raise TypeError(f"{op}: a Tensor of dtype {value.dtype} came, wanted {dtype}")
        array = as_tensor(value, op).data
    else:
        k = current()
        array = k.asarray(host_array(value, dtype, op))
        k.constant_enters(array)
    if tuple(array.shape) != tuple(shape):
        raise ValueError(f"{op}: shape {tuple(array.shape)} came, wanted {tuple(shape)}")
    return array


def as_tensor(value: Any, op: str, like: Tensor | None = None) -> Tensor:
    """The value as a Tensor: of like's dtype if it is none yet. A parameter's transposed view becomes a transposed copy."""
    if isinstance(value, Tensor):
        base = getattr(value, "base", None)
        if base is not None:
            from .shape import transpose

            return transpose(base)
        return value
    k = current()
    array = k.asarray(host_array(value, None if like is None else like.dtype, op))
    k.constant_enters(array)
    return Tensor(array)


def same_dtype(op: str, *tensors: Tensor) -> None:
    """TypeError unless all have one dtype."""
    first = tensors[0].dtype
    for t in tensors[1:]:
        if t.dtype != first:
            raise TypeError(f"{op}: Tensors of dtype {first} and {t.dtype} came, wanted one dtype; use astype")


def floating(op: str, t: Tensor) -> Tensor:
    """TypeError unless the Tensor is float32 or float64."""
    if t.dtype.kind != "f":
        raise TypeError(f"{op}: a Tensor of dtype {t.dtype} came, wanted float32 or float64")
    return t


def axis_of(axis: Any, ndim: int, op: str) -> int:
    """The axis counted from the front; ValueError where there is none."""
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
        raise TypeError(f"{op}: axis {axis!r}, wanted a whole number")
    if not -ndim <= axis < ndim:
        raise ValueError(f"{op}: axis {axis} of a Tensor with {ndim} dimensions")
    return int(axis) % ndim
