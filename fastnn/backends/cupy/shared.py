"""Small arrays that Python and kernels both read and write: learning rates, counts, sums of losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Pending:
    """Work that was started on a device, and the part of it that is known to be done.

    A new object marks each of them, because several threads may start work and wait for it at the same time.
    """

    def __init__(self) -> None:
        self.given = self.done = object()
        self._synchronize: Callable[[], None] = lambda: None

    def started(self, synchronize: Callable[[], None]) -> None:
        """Note that work was started; `synchronize` waits until the device has finished all work."""
        self._synchronize = synchronize
        self.given = object()

    def finish(self, synchronize: Callable[[], None] | None = None) -> None:
        """Wait until the device has finished the work that was started."""
        given = self.given
        (synchronize or self._synchronize)()
        self.done = given


pending = Pending()


ACCESS = (
    *("__getitem__", "__setitem__", "__iter__", "__float__", "__int__", "__index__", "__bool__", "__complex__", "__format__"),
    *("__repr__", "__str__", "item", "tolist", "tobytes", "tofile", "dump", "dumps", "fill", "put", "sort", "partition"),
    *("argmax", "argmin", "argsort", "argpartition", "nonzero", "searchsorted", "take", "choose", "compress", "repeat"),
    *("flatten", "diagonal", "trace", "dot", "cumsum", "cumprod", "round", "byteswap", "setfield", "getfield"),
)
"""Methods of arrays that read or write elements; `sum` and others that are ufuncs use `__array_ufunc__`."""


def _waiting(name: str) -> Any:
    """Return a method of ndarray that first waits for the device."""
    plain = getattr(np.ndarray, name)

    def method(self: SharedArray, *args: Any, **kwargs: Any) -> Any:
        if pending.given is not pending.done:
            pending.finish()
        return plain(self, *args, **kwargs)

    method.__name__ = name
    return method


def _plain(value: Any) -> Any:
    """Return the value with ordinary arrays instead of SharedArray."""
    if isinstance(value, SharedArray):
        return value.plain()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value


class SharedArray(np.ndarray[Any, Any]):
    """NumPy array in page-locked memory of the host, which the GPU reads and writes, too.

    Access from Python waits until the device has finished its work. Copies and results of arithmetic are plain arrays.
    """

    @property
    def address(self) -> int:
        """Return the address; 0 for a new array of this class that NumPy made, which the device cannot access."""
        return 0 if self.base is None else int(self.__array_interface__["data"][0])

    def astype(self, *args: Any, **kwargs: Any) -> Any:
        return self.plain().astype(*args, **kwargs)

    def copy(self, order: Any = "C") -> Any:
        return np.array(self.plain(), order=order)

    def __copy__(self) -> Any:
        return self.copy()

    def plain(self) -> np.ndarray[Any, Any]:
        """Wait for the device, and return the same memory as an ordinary array."""
        if pending.given is not pending.done:
            pending.finish()
        return self.view(np.ndarray)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is not None:
            kwargs["out"] = _plain(out)
        result = getattr(ufunc, method)(*_plain(inputs), **kwargs)
        return out[0] if out is not None and len(out) == 1 else result

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return func(*_plain(args), **_plain(kwargs))

    def __reduce__(self) -> Any:
        """Pickle the values; the copy is in the memory of the backend that is current when it is read."""
        from .. import shared_array

        return shared_array, (self.copy(), self.dtype.str)

    def __deepcopy__(self, memo: Any) -> Any:
        make, args = self.__reduce__()
        return make(*args)


for _name in ACCESS:
    setattr(SharedArray, _name, _waiting(_name))
