"""Conversion of arguments to arrays of the current backend. Errors name the argument. This module does not import `Tensor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..backends import current
from ..backends.base import LARGE, aligned_on_host
from ..backends.spec import TENSOR_DTYPES
from .arrays import permute

Array = Any

_SUPPORTED = tuple(np.dtype(d) for d in TENSOR_DTYPES)

if TYPE_CHECKING:
    from ..backends.base import Backend


class TensorBase:
    """Base of `Tensor`, which a higher module defines. The conversions here recognize Tensors by it."""

    __slots__ = ()

    if TYPE_CHECKING:
        data: Any

        @property
        def dtype(self) -> Any: ...
        def numpy(self) -> Any: ...


class StepInput(NDArrayOperatorsMixin):
    """Array argument of a captured function. Only operations of fastnn may use its NumPy array during a recording.

    Every other use (arithmetic, indexing, a method of an array) works as on the array, also in place. But it makes the
    recording invalid, because a replay would not repeat it.
    """

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array
        self.host: np.ndarray[Any, Any] | None = None  # the array as Python code sees it, after the first use

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)

    def __len__(self) -> int:
        return len(self._array)

    def _read(self, how: str) -> np.ndarray[Any, Any]:
        current().host_reads(how)
        if self.host is None:
            self.host = current().to_numpy(self._array)
        return self.host

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        a = self._read("as a NumPy array")
        return np.array(a, dtype) if copy else np.asarray(a, dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(a, TensorBase) for a in inputs):
            return NotImplemented

        def plain(arrays: Any) -> tuple[Any, ...]:
            return tuple(a._read(f"numpy.{ufunc.__name__}") if isinstance(a, StepInput) else a for a in arrays)

        if "out" in kwargs:
            kwargs["out"] = plain(kwargs["out"])
        return getattr(ufunc, method)(*plain(inputs), **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._read(name), name)

    def __getitem__(self, key: Any) -> Any:
        return self._read("by index")[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._read("by index")[key] = value

    def __iter__(self) -> Any:
        return iter(self._read("by iteration"))

    def __bool__(self) -> bool:
        return bool(self._read("bool()"))

    def __float__(self) -> float:
        return float(self._read("float()"))

    def __int__(self) -> int:
        return int(self._read("int()"))

    def __index__(self) -> int:
        return self._read("as an index").__index__()

    def __repr__(self) -> str:
        return repr(self._read("repr()"))

    def converted(self, dtype: np.dtype[Any] | None, copy: bool) -> np.ndarray[Any, Any]:
        """Return the array itself, or a copy in another dtype, made by a kernel so that a replay makes it too."""
        wanted = self.dtype if dtype is None else dtype
        if self.host is not None and not np.may_share_memory(self.host, self._array):  # Python may have changed it
            current().write(self._array, self.host)
        if self.dtype == wanted and not copy:
            return self._array
        if self.dtype not in _SUPPORTED:
            return self._read(f"conversion of a {self.dtype} argument").astype(wanted, order="C")
        k = current()
        y: np.ndarray[Any, Any] = k.empty(self.shape, wanted)
        k.cast(y, self._array, TENSOR_DTYPES.index(wanted.name))
        return y


def dtype_of(dtype: Any, op: str) -> np.dtype[Any]:
    """Return a dtype that Tensors can have; raise TypeError for others."""
    try:
        d: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"{op}: {dtype!r} is not a dtype; there are: {', '.join(TENSOR_DTYPES)}") from None
    if d not in _SUPPORTED:
        raise TypeError(f"{op}: dtype {d} is not supported; there are: {', '.join(TENSOR_DTYPES)}")
    return d


def host_array(data: Any, dtype: Any, op: str, copy: bool = False, floats: Any = None) -> np.ndarray[Any, Any]:
    """Convert numbers to a C-contiguous NumPy array of a supported dtype: Python floats to float32, integers to int64.

    floats: dtype of all floats if dtype is None.
    """
    if dtype is None and floats is not None and getattr(getattr(data, "dtype", None), "kind", "") == "f":
        dtype = floats
    plain = type(data) is np.ndarray and not copy and (f := data.flags).c_contiguous and f.aligned and data.dtype in _SUPPORTED
    if plain and (dtype is None or dtype is data.dtype):
        return data  # type: ignore[no-any-return]
    if isinstance(data, StepInput) and (dtype is not None or data.dtype in _SUPPORTED):
        return data.converted(None if dtype is None else dtype_of(dtype, op), copy)
    if isinstance(data, TensorBase):
        data = data.numpy()
    elif type(data) is (k := current()).xp.ndarray:
        data = k.to_numpy(data)
    keeps = isinstance(data, np.ndarray | np.generic) or hasattr(data, "__array__")
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError(f"{op}: a masked array came, wanted an array without a mask; fill it first")
    if isinstance(data, (list, tuple)) and any(isinstance(item, TensorBase) for item in data):
        data = [item.numpy() if isinstance(item, TensorBase) else item for item in data]
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
            native = a.dtype.newbyteorder("=")
            dtype = floats or (native if keeps and native in _SUPPORTED else np.float32)
    d = dtype_of(dtype, op)
    if a.dtype == np.uint64 and d == np.int64 and a.size and a.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{op}: {a.max()} came, which is out of the range of int64")
    if not copy:
        return np.require(a, d, ["C", "A"])
    if a.size * d.itemsize < LARGE:
        return np.array(a, d, order="C", copy=True)
    own = aligned_on_host(a.shape, d)
    own[...] = a
    return own


def own_array(k: Backend, data: Any, dtype: Any, op: str, copy: bool = False, floats: Any = None) -> Array:
    """Convert numbers to a C-contiguous array of the backend k, with the dtypes of `host_array`. Device arrays stay there."""
    if k.xp is not np and type(data) is k.xp.ndarray:
        if dtype is None and floats is not None:
            dtype = floats if data.dtype.kind == "f" else np.bool_ if data.dtype.kind == "b" else np.int64
        kind = dtype_of(data.dtype if dtype is None else dtype, op)
        return k.xp.array(data, kind, copy=True, order="C") if copy else k.xp.ascontiguousarray(data, kind)
    return k.asarray(host_array(data, dtype, op, copy, floats))


def check_whole(a: np.ndarray[Any, Any], dtype: np.dtype[Any], op: str, name: str) -> None:
    """Raise ValueError for a number that an int64 or bool array cannot hold; the message gives its index."""
    if dtype.kind == "b":
        lost = (a != 0) & (a != 1)
    elif a.dtype.kind == "f":
        limit = np.float64(2.0**63)  # with a dtype: a Python number would be converted to a's dtype, and float16 cannot hold it
        lost = ~((a == np.floor(a)) & (a >= -limit) & (a < limit))
    else:
        lost = a > np.uint64(2**63 - 1)
    if lost.any():
        where = tuple(int(i) for i in np.unravel_index(int(lost.argmax()), a.shape))
        wanted = "True and False, or 1 and 0" if dtype.kind == "b" else f"whole numbers of {dtype}"
        raise ValueError(f"{op}: {name}[{', '.join(map(str, where))}] is {a[where]}; wanted {wanted}")


def as_array(value: Any, dtype: np.dtype[Any], shape: tuple[int, ...], op: str) -> Array:
    """Convert a value to an array of the current backend with this dtype and shape."""
    if isinstance(value, TensorBase):
        if value.dtype != dtype:
            raise TypeError(f"{op}: a Tensor of dtype {value.dtype} came, wanted {dtype}")
        array, base = value.data, getattr(value, "base", None)
        if base is not None:  # a parameter's transposed view
            array = permute(current(), base.data, (1, 0))
    else:
        k = current()
        array = own_array(k, value, dtype, op)
        k.host_wrote(array)
    if tuple(array.shape) != tuple(shape):
        raise ValueError(f"{op}: shape {tuple(array.shape)} came, wanted {tuple(shape)}")
    return array
