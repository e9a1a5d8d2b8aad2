"""The base of all backends: a table of kernels over an array module."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from . import spec
from .lists import FrozenList, ListPlan

if TYPE_CHECKING:
    from ..autograd.tensor import Tensor
    from ..nn.module import Module
    from ..replay.frozen import Snapshot
    from ..replay.ports import Ports
    from .kernels import Kernels
    from .reference import Aux
else:
    Kernels = object

Call = tuple[str, tuple[Any, ...]]
"""A kernel call: the kernel's name and its arguments."""


class Plan(Protocol):
    """A recorded list of calls."""

    def run(self, n: int = 1) -> None:
        """Run the list n times."""

    def profile(self, n: int) -> list[float]:
        """Run the list n times, one call after another. Return the median nanoseconds of each call."""


ALIGN = 64
"""Bytes of a cache line."""


def aligned(k: Backend, shape: int | tuple[int, ...], dtype: Any) -> Any:
    """Return an array that begins where a cache line does, so that no vector lies across two: for what is used often."""
    if k.xp is not np:
        return k.xp.empty(shape, dtype)
    dtype = np.dtype(dtype)
    size = (math.prod(shape) if isinstance(shape, tuple) else shape) * dtype.itemsize
    raw = np.empty(size + ALIGN, np.uint8)
    offset = -k.address(raw) % ALIGN
    return raw[offset : offset + size].view(dtype).reshape(shape)


def seconds(f: Callable[[], Any], wait: Callable[[], None]) -> float:
    """Return the median time of a call of f, until the work that it started is done."""
    times = []
    for _ in range(30):
        wait()
        start = time.perf_counter()
        f()
        wait()
        times.append(time.perf_counter() - start)
    return sorted(times)[15]


class Backend(Kernels):
    """A table of kernels laid over the reference: each kernel of the contract is an attribute.

    Args:
        name: the backend's name in `fastnn.backends()`.
        xp: the array module whose arrays the kernels take.
        reference: the table of reference kernels over xp.
        native: the kernels that this backend has of its own; they replace the reference's.
        auxiliary: its own rules of what kernels leave for their backward, where they are not the reference's.
    """

    compiles = False
    """Whether kernels are compiled when they are first called."""

    def __init__(
        self,
        name: str,
        xp: ModuleType,
        reference: Mapping[str, Callable[..., None]],
        native: Mapping[str, Callable[..., None]] | None = None,
        auxiliary: Mapping[str, Aux] | None = None,
    ) -> None:
        from .reference import auxiliary as rules

        self.name = name
        self.xp = xp
        self.native = frozenset(native or ())
        self.table = {**reference, **(native or {})}
        self._auxiliary = {**rules(), **(auxiliary or {})}
        for kernel in spec.KERNELS:
            setattr(self, kernel, self.table[kernel])
        self.empty: Callable[[int | tuple[int, ...], Any], Any] = xp.empty
        """An array of this shape and dtype, whose content a kernel is about to write."""
        self.absent = xp.empty(0)
        """Placeholder for a missing optional array, whatever the dtype of the others."""

    if not TYPE_CHECKING:  # which would take every name for a kernel

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(f"backend {self.name!r} has no kernel {name!r}")

    def aux(self, kernel: str, *args: Any) -> Any:
        """Make the array in which a kernel leaves what its backward needs beside the outputs; absent if nothing.

        Args:
            kernel: one with an array of the dtype ``own``.
            args: the letters of the other arrays in order of appearance in the kernel's line, their dtype, and the scalars: for
                `dense_forward` M, N, K, dtype, act, precision. That of the sigmoid holds z, which losses take.
        """
        wanted = self._auxiliary[kernel](*args)
        return self.absent if wanted is None else self.empty(*wanted)

    def why_unavailable(self, precision: str) -> str:
        """Return why products of that precision (`spec.PRECISIONS`) are not available, in words; empty where they are."""
        if precision == "bfloat16":
            return f"the {self.name} backend has no products of bfloat16; cpp has, on CPUs with AVX512_BF16, and cupy"
        if precision == "tf32":
            return f"tf32 is a format of NVIDIA GPUs, which the {self.name} backend does not use; cupy does"
        return ""

    processor = "one core"
    """Whose `peaks` they are."""

    def peaks(self, dtype: np.dtype[Any], size: int) -> tuple[float, float]:
        """Return what the processor can do at most, measured: GFLOP/s of products, and GB/s of reading about so many bytes."""
        a, memory = np.ones((512, 512), dtype), np.ones(max(size, 1 << 14) // 8)
        return 2e-9 * 512**3 / seconds(lambda: a @ a, self.wait), 1e-9 * memory.nbytes / seconds(memory.sum, self.wait)

    def address(self, array: Any) -> int:
        """Return where an array of this backend begins in memory."""
        return int(array.__array_interface__["data"][0] if isinstance(array, np.ndarray) else array.data.ptr)

    def wait(self) -> None:
        """Until all that was started is done; backends of the host are done when a kernel returns."""

    def empty_beside(self, array: Any) -> Any:
        """Return an array like this one, for a gradient or a state that is used as long as it is."""
        return self.empty(array.shape, array.dtype)

    def asarray(self, a: Any, dtype: Any = None) -> Any:
        """Return the host array on this backend, C-contiguous. Share memory where possible."""
        return self.xp.asarray(a, dtype, order="C")

    def constant(self, a: np.ndarray[Any, Any]) -> Any:
        """Return the host array on this backend, for kernels that only read it: equal ones may share memory."""
        return self.asarray(a)

    def shared_array(self, values: Any, dtype: Any = np.float64) -> Any:
        """Return a small array with these values that Python and kernels both read and write, to Python a NumPy array."""
        return np.array(values, dtype)

    def write(self, array: Any, values: Any) -> None:
        """Write host values, or one number, into an array of this backend."""
        array[...] = values

    def to_numpy(self, a: Any) -> np.ndarray[Any, Any]:
        """Return the array on the host, also if another backend made it. Share memory where possible."""
        return np.asarray(a) if isinstance(a, np.ndarray) else np.asarray(a.get())

    def dataset(self, a: np.ndarray[Any, Any]) -> Any:
        """Return the host array where `gather_batch` finds it: in the backend's memory where there is room."""
        return self.asarray(a)

    def is_streamed(self, a: Any) -> bool:
        """Return whether the array is outside the backend's memory: a batch of it is best fetched while another is computed."""
        return False

    @contextmanager
    def overlap(self) -> Iterator[None]:
        """Return a block whose kernels may run in replays beside those that come after it, which use nothing that they write."""
        yield

    def plan(self, calls: Sequence[Call], flags: Mapping[int, Any] | None = None, overlapping: Collection[int] = ()) -> Plan:
        """Return a list of calls as one thing to run.

        Args:
            calls: kernel calls.
            flags: by a call's index, the array that says whether it runs.
            overlapping: the indices of those that may run beside all that follow.
        """
        return ListPlan(self, calls, flags or {})

    @contextmanager
    def when(self, flag: Any) -> Iterator[Any]:
        """Return a block whose kernels run only if flag[0] is not 0 when their turn comes, also in replays.

        ``with k.when(flag) as k:`` gives the backend to call them on. The flag is an int64 array of one element that an
        earlier kernel wrote, and that those of the block leave alone. Blocks do not nest.
        """
        yield self if flag[0] else _Idle(self)

    def freeze(
        self, calls: Sequence[Call], xs: list[Any], outs: list[Any], owned: Sequence[Any], ports: Ports, owner: Snapshot | None
    ) -> Any:
        """Return recorded calls from inputs to outputs as a callable.

        Args:
            calls: kernel calls.
            xs, outs: the arrays that hold the inputs and the outputs; those that are carried from call to call are last.
            owned: those between them.
            ports: checks what comes in, and puts together what comes out.
            owner: gives new weights; without one, the weights are read where they are.
        """
        return FrozenList(self, self.plan(calls), xs, outs, ports, owner)

    def set_weights(self, models: Sequence[Any], weights: Sequence[Tensor], values: Sequence[np.ndarray[Any, Any]]) -> None:
        """Give frozen models these values in the place of their weights, under their owner's lock, which calls hold too."""
        for t, a in zip(weights, values, strict=True):
            self.write(t.data, a)

    # What a recorder has to know beside the kernel calls; see fastnn/replay/recorder.py.

    def host_reads(self, how: str) -> None:
        """Note that Python is about to read a value."""

    def host_wrote(self, array: Any) -> None:
        """Note that an array was made from values of Python."""

    def has_grad(self, leaf: Tensor) -> bool:
        """Return whether the leaf's gradient buffer holds a gradient."""
        return leaf.has_grad

    def set_has_grad(self, leaf: Tensor, value: bool) -> None:
        """Note that the leaf's gradient buffer now holds a gradient, or none."""
        leaf.has_grad = value

    def module_called(self, module: Module) -> None:
        """Note that a module is about to run, in its mode."""

    def buffer_assigned(self, module: Module, name: str, before: Tensor, value: Tensor) -> None:
        """Note that a module's buffer is now another Tensor."""

    def prepares(self, prepare: Callable[[int], int]) -> None:
        """Call prepare(1) now; in replays prepare(n) before n steps, which answers for how many of them it is ready."""
        prepare(1)


class _Idle:
    """A backend whose kernels do nothing."""

    def __init__(self, real: Backend) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return _nothing if name in self._real.table else getattr(self._real, name)


def _nothing(*args: Any) -> None:
    pass
