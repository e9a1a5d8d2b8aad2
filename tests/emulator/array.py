"""Arrays of the emulated device: memory of the host that behaves as CuPy's of the GPU does.

They mix with NumPy's no more than `cupy.ndarray` does: what CuPy refuses is refused here, with its exception. Every one has pages
of its own, so that a kernel that reads or writes beyond an array is found.
"""

from __future__ import annotations

import ctypes
import mmap
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

GARBAGE = 0xFF
"""What memory holds before it is written: NaN to whoever reads it."""

_IMPLICIT = "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
_LIBC = ctypes.CDLL(None, use_errno=True)
_PROT_NONE = 0
ALIGN = 256
"""Bytes that an array begins at a multiple of, as CuPy's do."""

MOST_WATCHED = 64
MOST_FENCED = 4000
"""Arrays between fences: Linux has 65530 runs of pages for a process, and an array takes three."""


class Memory:
    """Bytes between two pages that nobody may touch; what is left of their own pages must stay as it is.

    Args:
        nbytes: how many.
        itemsize: bytes of an element.
        at_end: whether they end where a page ends, or one element before, so that they do not begin at a multiple of 16 bytes:
            else they begin where a page begins.
        fenced: without, they lie in ordinary memory.
    """

    def __init__(self, nbytes: int, itemsize: int, at_end: bool, fenced: bool = True) -> None:
        self.fenced = fenced
        if not fenced:
            raw = np.full(nbytes + 2 * ALIGN, GARBAGE, np.uint8)
            begin = -raw.ctypes.data % ALIGN
            self._zones = raw[:begin], raw[begin + nbytes :]
            self.bytes = raw[begin : begin + nbytes]
            return
        page = mmap.PAGESIZE
        room = max(1, -(-(nbytes + itemsize) // page)) * page
        pages = mmap.mmap(-1, room + 2 * page)
        raw = np.frombuffer(pages, np.uint8)
        for fence in (raw.ctypes.data, raw.ctypes.data + page + room):
            if _LIBC.mprotect(ctypes.c_void_p(fence), ctypes.c_size_t(page), _PROT_NONE):
                raise OSError(ctypes.get_errno(), "mprotect")
        own = raw[page : page + room]
        own[:] = GARBAGE
        begin = room - nbytes - (itemsize if nbytes % 16 == 0 else 0) if at_end else 0
        self._zones = own[:begin], own[begin + nbytes :]
        self.bytes = own[begin : begin + nbytes]

    def intact(self) -> bool:
        return all((zone == GARBAGE).all() for zone in self._zones)


class Pool:
    """All memory of a device that is in use.

    Args:
        at_end: how `Memory` lies in its pages.
        before: called before the host looks at an array or writes one.
    """

    def __init__(self, at_end: bool, before: Callable[[], None]) -> None:
        self._at_end = at_end
        self.before = before
        self._all: weakref.WeakSet[Memory] = weakref.WeakSet()
        self._kept: list[Memory] | None = None
        self._most = 0
        self._lock = threading.Lock()

    def take(self, nbytes: int, itemsize: int) -> Memory:
        memory = Memory(nbytes, itemsize, self._at_end, len(self._all) < MOST_FENCED)
        with self._lock:
            self._all.add(memory)
            if self._kept is not None:
                self._kept.append(memory)
        return memory

    @property
    def crowded(self) -> bool:
        """Whether a device that is busy keeps more arrays in use than it can have."""
        return self._kept is not None and len(self._kept) >= self._most

    def keep(self, all_of_it: bool) -> None:
        """From now on all memory stays in use, or only what has a reference."""
        with self._lock:
            self._kept, kept = list(self._all) if all_of_it else None, self._kept
            self._most = len(self._kept or ()) + MOST_FENCED
        del kept  # frees memory, which the lock must not wait for

    def intact(self) -> bool:
        """Whether nobody wrote beside an array; with many in use only the fences tell, for it takes long to look at all."""
        with self._lock:
            watched = list(self._all) if len(self._all) <= MOST_WATCHED else []
        return all(memory.intact() for memory in watched)


class _Pointer:
    """What CuPy has as `array.data`."""

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr


def _scalar(value: Any) -> bool:
    return isinstance(value, bool | int | float | np.generic)


class DeviceArray(NDArrayOperatorsMixin):
    """Stands for `cupy.ndarray`; made by the functions of `ArrayModule`."""

    __array_priority__ = 100

    def __init__(self, host: np.ndarray[Any, Any], memory: Memory, pool: Pool) -> None:
        self._host, self._memory, self._pool = host, memory, pool

    def _like(self, host: np.ndarray[Any, Any]) -> DeviceArray:
        """Another view of the same memory."""
        return DeviceArray(host, self._memory, self._pool)

    @property
    def _now(self) -> np.ndarray[Any, Any]:
        """Its elements, for the host to read or write."""
        self._pool.before()
        return self._host

    def _own(self, values: Any) -> DeviceArray:
        """A new array with these values."""
        return _made(values, self._pool)

    dtype = property(lambda self: self._host.dtype)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    ndim = property(lambda self: self._host.ndim)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: self._host.flags)
    T = property(lambda self: self._like(self._host.T))
    base = property(lambda self: self._memory)
    data = property(lambda self: _Pointer(self._host.__array_interface__["data"][0]))

    @property
    def shape(self) -> tuple[int, ...]:
        return self._host.shape

    # As CuPy refuses them.

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(_IMPLICIT)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        if method != "__call__":
            return NotImplemented
        for value in (*inputs, *(out or ())):
            if isinstance(value, np.ndarray) or not (_scalar(value) or isinstance(value, DeviceArray)):
                raise TypeError(f"Unsupported type {type(value)}")
        hosts = [value._now if isinstance(value, DeviceArray) else value for value in inputs]
        with np.errstate(all="ignore"):
            if out is not None:
                ufunc(*hosts, out=out[0]._now, **kwargs)
                return out[0]
            return self._own(ufunc(*hosts, **kwargs))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise TypeError(f"numpy.{func.__name__} of arrays of the device")

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, DeviceArray):
            self._now[_index(index)] = value._host
        elif _scalar(value):
            self._now[_index(index)] = value
        else:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")

    def __getitem__(self, index: Any) -> DeviceArray:
        taken = self._host[_index(index)]
        if not isinstance(taken, np.ndarray):  # an element is an array without dimensions, of the same memory
            return self._like(self._host[(*(index if isinstance(index, tuple) else (index,)), ...)])
        return self._like(taken) if np.may_share_memory(taken, self._host) else self._own(self._now[_index(index)])

    # Between device and host.

    def get(self) -> np.ndarray[Any, Any]:
        return self._now.copy("C")

    def set(self, values: np.ndarray[Any, Any]) -> None:
        if not isinstance(values, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.dtype != values.dtype:
            raise TypeError(f"{values.dtype} array cannot be set to {self.dtype} array")
        if self.shape != values.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {values.shape}")
        if not (self._host.flags.c_contiguous or self._host.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        self._now[...] = values

    def item(self, *args: Any) -> Any:
        return self.get().item(*args)

    def tolist(self) -> Any:
        return self.get().tolist()

    def tobytes(self) -> bytes:
        return self.get().tobytes()

    def __float__(self) -> float:
        return float(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __bool__(self) -> bool:
        return bool(self.get())

    def __len__(self) -> int:
        return len(self._host)

    def __repr__(self) -> str:
        return repr(self.get())

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self._like(self._host)  # in place of a capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0  # CUDA's first

    # Shapes and copies.

    def reshape(self, *shape: Any) -> DeviceArray:
        reshaped = self._host.reshape(*shape)
        return self._like(reshaped) if np.may_share_memory(reshaped, self._host) else self._own(self._now.reshape(*shape))

    def ravel(self) -> DeviceArray:
        return self.reshape(-1)

    def view(self, dtype: Any = None) -> DeviceArray:
        return self._like(self._host.view(self.dtype if dtype is None else dtype))

    def transpose(self, *axes: Any) -> DeviceArray:
        return self._like(self._host.transpose(*axes))

    def squeeze(self, axis: Any = None) -> DeviceArray:
        return self._like(self._host.squeeze(axis))

    def max(self, axis: Any = None) -> DeviceArray:
        return self._own(self._now.max(axis))

    def min(self, axis: Any = None) -> DeviceArray:
        return self._own(self._now.min(axis))

    def sum(self, axis: Any = None) -> DeviceArray:
        return self._own(self._now.sum(axis))

    def any(self, axis: Any = None) -> DeviceArray:
        return self._own(self._now.any(axis))

    def all(self, axis: Any = None) -> DeviceArray:
        return self._own(self._now.all(axis))

    def fill(self, value: Any) -> None:
        self[...] = value

    def copy(self, order: Any = "C") -> DeviceArray:
        return self._own(self._now.copy(order))

    def astype(self, dtype: Any, order: Any = "K", copy: bool = True) -> DeviceArray:
        if not copy and self.dtype == dtype:
            return self
        with np.errstate(all="ignore"):
            return self._own(self._now.astype(dtype, order))


def _index(index: Any) -> Any:
    """The index for the array of the host; arrays in it are of the device."""
    if isinstance(index, tuple):
        return tuple(map(_index, index))
    return index._host if isinstance(index, DeviceArray) else index


def _made(values: Any, pool: Pool) -> DeviceArray:
    """A new array of the device with these values."""
    values = np.asarray(values)
    memory = pool.take(values.nbytes, values.itemsize)
    host = memory.bytes.view(values.dtype).reshape(values.shape)
    host[...] = values
    return DeviceArray(host, memory, pool)


class ArrayModule:
    """Stands for the module `cupy`: what fastnn uses of it outside of the reference kernels.

    Args:
        pool: where its arrays lie.
    """

    ndarray = DeviceArray

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def empty(self, shape: Any, dtype: Any = float) -> DeviceArray:
        dtype = np.dtype(dtype)
        shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
        memory = self._pool.take(int(np.prod(shape)) * dtype.itemsize, dtype.itemsize)
        return DeviceArray(memory.bytes.view(dtype).reshape(shape), memory, self._pool)

    def zeros(self, shape: Any, dtype: Any = float) -> DeviceArray:
        array = self.empty(shape, dtype)
        array[...] = 0
        return array

    def asarray(self, a: Any, dtype: Any = None, order: Any = None) -> DeviceArray:
        if isinstance(a, DeviceArray):
            right = (dtype is None or a.dtype == dtype) and (order != "C" or a.flags.c_contiguous)
            return a if right else self.array(a, dtype, order="C")
        return self.array(a, dtype)

    def ascontiguousarray(self, a: Any, dtype: Any = None) -> DeviceArray:
        return self.asarray(a, dtype, order="C")

    def from_dlpack(self, array: Any) -> DeviceArray:
        shared: DeviceArray = array.__dlpack__()
        return shared

    def may_share_memory(self, a: DeviceArray, b: DeviceArray) -> bool:
        return np.may_share_memory(a._host, b._host)

    def shares_memory(self, a: DeviceArray, b: DeviceArray) -> bool:
        return np.shares_memory(a._host, b._host)

    def array(self, a: Any, dtype: Any = None, copy: bool = True, order: Any = "K") -> DeviceArray:
        with np.errstate(all="ignore"):
            return _made(np.array(a._now if isinstance(a, DeviceArray) else a, dtype, order="C"), self._pool)
