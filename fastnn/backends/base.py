"""Base class of all backends: a table of kernels for the arrays of a module."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from . import spec
from .lists import FrozenList, ListPlan, PartedPlan

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
LARGE = 1 << 16
"""Size in bytes from which an array begins at a cache line. The few microseconds that this takes do not pay for smaller ones."""


def aligned(k: Backend, shape: int | tuple[int, ...], dtype: Any) -> Any:
    """Return an array aligned to a cache line, so that no vector is in two cache lines. Use it for arrays that are read often."""
    return aligned_on_host(shape, dtype) if k.xp is np else k.xp.empty(shape, dtype)


def aligned_on_host(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """Return a NumPy array aligned to a cache line."""
    dtype = np.dtype(dtype)
    size = (math.prod(shape) if isinstance(shape, tuple) else shape) * dtype.itemsize
    raw = np.empty(size + ALIGN, np.uint8)
    offset = -int(raw.__array_interface__["data"][0]) % ALIGN
    array: np.ndarray[Any, Any] = raw[offset : offset + size].view(dtype).reshape(shape)
    return array


def seconds(f: Callable[[], Any], wait: Callable[[], None]) -> float:
    """Return the median time of a call of f, including the work that it starts."""
    times = []
    for _ in range(30):
        wait()
        start = time.perf_counter()
        f()
        wait()
        times.append(time.perf_counter() - start)
    return sorted(times)[15]


class Backend(Kernels):
    """Table of kernels, each of which is an attribute. Kernels that are not native run on the reference.

    Args:
        name: name of the backend in `fastnn.backends()`.
        xp: module of the arrays that the kernels take, such as numpy.
        reference: table of the reference kernels for xp.
        native: native kernels, which replace those of the reference.
        auxiliary: rules for the arrays that forward kernels leave for backward, if they differ from the rules of the reference.
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
        """Return an uninitialized array of this shape and dtype, which a kernel is about to write."""
        self.absent = xp.empty(0)
        """Placeholder for a missing optional array, whatever the dtype of the others."""

    if not TYPE_CHECKING:  # type checkers would accept every name as a kernel

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(f"backend {self.name!r} has no kernel {name!r}")

    def aux(self, kernel: str, *args: Any) -> Any:
        """Make the array that a forward kernel writes for its backward, in addition to the outputs; absent if it needs none.

        Args:
            kernel: name of a kernel with an array of the dtype ``own``.
            args: the letters of the other arrays in the order of the kernel's line, their dtype, and the scalars: for
                `dense_forward` M, N, K, dtype, act, precision. For the sigmoid, the array contains z, which losses use.
        """
        wanted = self._auxiliary[kernel](*args)
        return self.absent if wanted is None else self.empty(*wanted)

    def why_unavailable(self, precision: str) -> str:
        """Return why products of a precision (`spec.PRECISIONS`) are not available; empty if they are available."""
        if precision == "bfloat16":
            return f"the {self.name} backend has no products of bfloat16; cpp and cupy have"
        if precision == "tf32":
            return f"tf32 is a format of NVIDIA GPUs, which the {self.name} backend does not use; cupy does"
        return ""

    def engine(self, precision: str) -> str:
        """Return what computes the products of an available precision; empty if there is only one way."""
        return ""

    processor = "one core"
    """Name of the processor that `peaks` measures."""

    def peaks(self, dtype: np.dtype[Any], size: int) -> tuple[float, float]:
        """Measure the peaks of the processor: GFLOP/s of products, and GB/s of reading about `size` bytes."""
        a, memory = np.ones((512, 512), dtype), np.ones(max(size, 1 << 14) // 8)
        return 2e-9 * 512**3 / seconds(lambda: a @ a, self.wait), 1e-9 * memory.nbytes / seconds(memory.sum, self.wait)

    def address(self, array: Any) -> int:
        """Return the address of an array of this backend."""
        return int(array.__array_interface__["data"][0] if isinstance(array, np.ndarray) else array.data.ptr)

    def wait(self) -> None:
        """Wait until all work is done. On the CPU, work is done when a kernel returns."""

    def empty_beside(self, array: Any) -> Any:
        """Return an empty array of the same shape and dtype, for a gradient or a state that exists as long as the array."""
        return self.empty(array.shape, array.dtype)

    def asarray(self, a: Any, dtype: Any = None) -> Any:
        """Return a host array as a C-contiguous array of this backend. Share memory if possible."""
        return self.xp.asarray(a, dtype, order="C")

    def constant(self, a: np.ndarray[Any, Any]) -> Any:
        """Return a host array on this backend, for kernels that only read it. Equal arrays may share memory."""
        return self.asarray(a)

    def shared_array(self, values: Any, dtype: Any = np.float64) -> Any:
        """Return a small array with these values that Python and kernels both read and write. In Python, it is a NumPy array."""
        return np.array(values, dtype)

    def write(self, array: Any, values: Any) -> None:
        """Write host values, or one number, into an array of this backend."""
        array[...] = values

    def to_numpy(self, a: Any) -> np.ndarray[Any, Any]:
        """Return an array as a host array, also if another backend made it. Share memory if possible."""
        return np.asarray(a) if isinstance(a, np.ndarray) else np.asarray(a.get())

    def dataset(self, a: np.ndarray[Any, Any]) -> Any:
        """Return a host array for `gather_batch`: in the backend's memory if it is large enough."""
        return self.asarray(a)

    def is_streamed(self, a: Any) -> bool:
        """Return whether an array is outside the backend's memory. Then batches should be loaded in advance."""
        return False

    @contextmanager
    def overlap(self) -> Iterator[None]:
        """Return a block whose kernels may run at the same time as later kernels in replays. These do not use what they write."""
        yield

    def plan(self, calls: Sequence[Call], flags: Mapping[int, Any] | None = None, overlapping: Collection[int] = ()) -> Plan:
        """Return a plan that runs a list of calls.

        Args:
            calls: kernel calls, and host calls between them.
            flags: arrays that determine whether a call runs, by its index.
            overlapping: indices of the calls that may run at the same time as all later calls.
        """
        if any(name == spec.HOST_CALL for name, _ in calls):
            return PartedPlan(self._plan, calls, flags or {}, overlapping)
        return self._plan(calls, flags or {}, overlapping)

    def _plan(self, calls: Sequence[Call], flags: Mapping[int, Any], overlapping: Collection[int]) -> Plan:
        """Return a plan of kernel calls alone."""
        return ListPlan(self, calls, flags)

    def run_in_turn(self, parts: tuple[tuple[Plan, int], ...], n: int) -> None:
        """Run plans in turn, each as often as its pair (plan, times) says, and all of this n times."""
        for _ in range(n):
            for plan, times in parts:
                plan.run(times)

    @contextmanager
    def when(self, flag: Any) -> Iterator[Any]:
        """Return a block whose kernels run only if flag[0] is not 0 at that time, also in replays.

        ``with k.when(flag) as k:`` returns the backend for calls in the block. The flag is an int64 array of one element. An
        earlier kernel wrote it, and the kernels of the block do not change it. Blocks cannot be nested.
        """
        yield self if flag[0] else _Idle(self)

    def freeze(
        self, calls: Sequence[Call], xs: list[Any], outs: list[Any], owned: Sequence[Any], ports: Ports, owner: Snapshot | None
    ) -> Any:
        """Return a callable that runs recorded calls from inputs to outputs.

        Args:
            calls: kernel calls.
            xs, outs: arrays of the inputs and the outputs; states that are carried from call to call are last.
            owned: intermediate arrays.
            ports: checks the inputs and combines the outputs.
            owner: returns new weights; without an owner, the weights are read from the recorded arrays.
        """
        return FrozenList(self, self.plan(calls), xs, outs, ports, owner)

    def set_weights(self, models: Sequence[Any], weights: Sequence[Tensor], values: Sequence[np.ndarray[Any, Any]]) -> None:
        """Replace the weights of frozen models by these values, with the owner's lock, which calls use, too."""
        for t, a in zip(weights, values, strict=True):
            self.write(t.data, a)

    # Events that a recorder must know in addition to kernel calls; see fastnn/replay/recorder.py.

    def host_reads(self, how: str) -> None:
        """Note that Python is about to read a value."""

    def host_wrote(self, array: Any) -> None:
        """Note that an array was made from Python values."""

    def has_grad(self, leaf: Tensor) -> bool:
        """Return whether the gradient buffer of a leaf contains a gradient."""
        return leaf.has_grad

    def set_has_grad(self, leaf: Tensor, value: bool) -> None:
        """Note whether the gradient buffer of a leaf now contains a gradient."""
        leaf.has_grad = value

    def host_call(self, fn: Callable[[], None]) -> None:
        """Call a function of Python now, and in each replay at the same place between the kernels.

        In a `when` block it runs only if the flag is set. A replay moves the memory that a step allocates, so fn may only use
        memory from outside of the step: flat gradient buffers, parameters, `shared_array`s. Steps are the same if their
        functions are equal (==). On a device, work that was started before may still run: fn waits for it, as copies to the
        host do, or orders its own work after it.
        """
        fn()

    def module_called(self, module: Module) -> None:
        """Note that a module is about to run in its current mode."""

    def buffer_assigned(self, module: Module, name: str, before: Tensor, value: Tensor) -> None:
        """Note that a buffer of a module was replaced by another Tensor."""

    def prepares(self, prepare: Callable[[int], int]) -> None:
        """Call prepare(1) now. In replays, call prepare(n) before n steps; it returns the number of steps that it prepared."""
        prepare(1)


class _Idle:
    """Backend whose kernels do nothing."""

    def __init__(self, real: Backend) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return _nothing if name in self._real.table or name == spec.HOST_CALL else getattr(self._real, name)


def _nothing(*args: Any) -> None:
    pass
