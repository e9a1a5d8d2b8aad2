"""Recorder of a step: it stores the kernel calls while they run, and everything that a replay of them depends on."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..autograd.tensor import Tensor
from ..backends.base import Backend, Call
from ..backends.spec import HOST_CALL, KERNELS
from ..core.arrays import copy_array
from ..nn.mode import mode_override
from .guard import Guard
from .memory import Array, Block, Memory, paged

if TYPE_CHECKING:
    from ..nn.module import Module

_ARRAYS = frozenset({"address", "wait", "dataset", "is_streamed", "to_numpy", "write", "why_unavailable"})
"""Names that the recorder takes from the real backend without change."""
PATIENCE = 6
"""Number of consecutive steps that may differ before recording is given up."""
_WRITES = {name: tuple(arg.writes for arg in kernel.args) for name, kernel in KERNELS.items()}


class Recorder:
    """Backend that runs kernels on the real backend and stores the calls, with everything that a replay depends on.

    The signature of a recording describes each argument of each kernel by its place. The place is memory allocated during the
    recording, an input, or an address outside of the recording. Constants, which are made from Python values, are described by
    their content. Two recordings with equal signatures do the same work on the same memory.

    Args:
        real: the backend that computes.
        inputs: arrays that get new content, in place, before each replay.
        lines: store the line of the user's code that each call comes from, for messages. This takes time.
        guarded: find memory that Python changes between kernels; see `Guard`. This takes time.
    """

    def __init__(self, real: Backend, inputs: tuple[Array, ...] = (), lines: bool = True, guarded: bool = False) -> None:
        self.real = real
        self._line = caller if lines else str
        self.name = real.name
        self.xp = real.xp
        self.absent = real.absent
        self.calls: list[Call] = []
        self.flags: dict[int, Array] = {}  # index of a call -> array of one flag: whether the call runs
        self.prepare: list[Callable[[int], int]] = []  # called with n before n replayed steps; returns how many it has prepared
        self._flag: Array | None = None  # flag of the `when` block that is being recorded
        self.overlapping: set[int] = set()  # indices of calls that may run in parallel with the next calls
        self._overlapping = False
        self.signature: list[Any] = []
        self.places: list[str] = []  # line of code outside of fastnn that each call comes from
        self.void = ""  # why this call and later ones like it cannot be replayed; "" if they can
        self.hindrance = ""  # why this call cannot be replayed; the next may, since a first call often sets things up
        self.grads_before: dict[Tensor, bool] = {}
        self.grads_after: dict[Tensor, bool] = {}
        self.mode_override = mode_override.get()
        self.modules: dict[Module, None] = {}
        self.owned: list[Array] = []  # arrays allocated during the recording
        self.outside: dict[int, Array] = {}  # address -> array made before; keeping it alive keeps its address from being reused
        self.changed: set[int] = set()  # numbers of the inputs that kernels write to
        self.inputs = len(inputs)
        self._constants: dict[tuple[int, int], tuple[bytes, Array]] = {}
        self._buffers: dict[tuple[Module, str], tuple[Tensor, Tensor]] = {}
        self.memory = Memory(real)
        self.guard = Guard(self) if guarded else None
        for array in inputs:
            block = self.memory.add(array)
            if block.root is not None:
                block.expected = block.references

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in _ARRAYS:
            return getattr(self.real, name)  # type: ignore[no-any-return]
        if name not in self.real.table:
            raise AttributeError(f"backend {self.name!r} has no kernel {name!r}")
        run, calls, writes = self.real.table[name], self.calls, _WRITES[name]

        def kernel(*args: Any) -> None:
            guard = self.guard
            if guard is not None:
                guard.check(args)
            if self._flag is None:
                run(*args)
            else:
                if self._flag[0]:
                    run(*args)
                self.flags[len(calls)] = self._flag
            if guard is not None:
                guard.written([arg for arg, write in zip(args, writes, strict=True) if write])
            if self._overlapping:
                self.overlapping.add(len(calls))
            entry: list[Any] = [name]
            own: list[Any] = []
            for arg, write in zip(args, writes, strict=True):
                if hasattr(arg, "shape"):
                    place, array = self._place(arg, write)
                    entry.append(place)
                    own.append(array)
                else:
                    entry.append(arg.hex() if isinstance(arg, float) else arg)
                    own.append(arg)
            calls.append((name, tuple(own)))
            self.signature.append(tuple(entry))
            self.places.append(self._line())

        watched = unwatched(kernel)
        setattr(self, name, watched)
        return watched

    def host_call(self, fn: Callable[[], None]) -> None:
        if self._flag is not None:
            self.flags[len(self.calls)] = self._flag
        if self._flag is None or self._flag[0]:
            if self.guard is not None:
                self.guard.check()
            unwatched(fn)()
            if self.guard is not None:
                self.guard.written()
        self.calls.append((HOST_CALL, (fn,)))
        self.signature.append((HOST_CALL, fn))
        self.places.append(self._line())

    def _place(self, array: Array, write: bool) -> tuple[tuple[Any, ...], Array]:
        """Return the entry of the signature for an array argument, and the array that is stored with the call."""
        begin, end = self.memory.extent(array)
        if begin == end:
            return ("nothing", array.shape), array
        if (block := self.memory.find(begin, end)) is not None:
            if write:
                block.written = True
                if block.number < self.inputs:
                    self.changed.add(block.number)
            return ("inside", block.number, begin - block.begin, array.shape), block.own(array)
        if (constant := self._constants.get((begin, end))) is not None:
            if write:
                self.hinder(
                    "an array made from Python values in the step is changed in place; a replay would start from the changed "
                    f"values ({caller()}); make it with fastnn.zeros or full, or outside of the step"
                )
            return ("constant", constant[0], array.shape), array
        known = self.outside.get(begin)
        if known is None or known.nbytes < array.nbytes:
            self.outside[begin] = array
        return ("outside", begin, array.shape), array

    @contextmanager
    def when(self, flag: Array) -> Iterator[Recorder]:
        self._flag = flag
        try:
            yield self
        finally:
            self._flag = None

    @contextmanager
    def overlap(self) -> Iterator[None]:
        self._overlapping = True
        try:
            yield
        finally:
            self._overlapping = False

    # ---- memory ----

    def empty(self, shape: int | tuple[int, ...], dtype: Any) -> Array:
        return self._new(paged, self.real, shape, dtype)

    def _new(self, make: Callable[..., Array], *args: Any) -> Array:
        """Make an array, add its block, and return it."""
        array = make(*args)
        block = self.memory.add(array, self._line())
        if block.root is not None:
            block.expected = block.references - 1  # one less: the reference that is returned here belongs to the caller
        self.owned.append(block.own(array))
        self.memory.shrinks(block)
        return array

    def empty_beside(self, array: Array) -> Array:
        return self.empty(array.shape, array.dtype) if self.owns(array) else self.real.empty(array.shape, array.dtype)

    def aux(self, kernel: str, *args: Any) -> Array:
        return self._new(self.real.aux, kernel, *args)

    def asarray(self, a: Any, dtype: Any = None) -> Array:
        array = self.real.asarray(a, dtype)
        self.host_wrote(array)
        return array

    def shared_array(self, values: Any, dtype: Any = np.float64) -> Array:
        array = self.real.shared_array(values, dtype)
        self.host_wrote(array)
        return array

    def constant(self, a: np.ndarray[Any, Any]) -> Array:
        array = self.real.constant(a)
        self.host_wrote(array)
        return array

    def forget(self) -> None:
        """Free the memory of the recording. Otherwise it lasts until the garbage collector finds its cycles."""
        self.calls.clear()
        self.owned.clear()
        self.memory = Memory(self.real)

    def owns(self, array: Array) -> bool:
        """Return whether the array is in memory that the recording allocated or got as an input."""
        return self.memory.find(*self.memory.extent(array)) is not None

    def uses(self, array: Array) -> bool:
        """Return whether a kernel uses memory of this array, which comes from outside or is a constant."""
        begin, end = self.memory.extent(array)
        places = [*map(self.memory.extent, self.outside.values()), *self._constants]
        return any(first < end and begin < last for first, last in places)

    def held(self) -> list[Block]:
        """Return the blocks to which something outside still refers."""
        for grads in (self.grads_before, self.grads_after):
            made = [leaf for leaf in grads if self.owns(leaf.data)]  # these leaves exist only during the step
            while made:
                del grads[made.pop()]
        for m in self.modules:  # layers of fastnn keep outputs for activity penalties; only the step itself uses them
            if (kept := m.__dict__.get("_activity")) is not None and self.owns(kept.data):
                object.__setattr__(m, "_activity", Tensor(self.memory.own(kept.data)))
                del kept
        held = self.memory.held()
        if held:  # perhaps only by work that still runs, or by cycles of objects that only the garbage collector frees
            self.real.wait()
            gc.collect()
            held = self.memory.held()
        return held

    def escaped(self) -> str:
        """Return a message if something outside still refers to memory of the recording; "" if nothing does."""
        held = self.held()
        if not held:
            return ""
        where = next((f", made in {b.where}," for b in held if b.where), "")
        return (
            f"a Tensor of the step{where} is kept outside of it, and a replay cannot update it correctly; "
            "return it, or copy it into an existing Tensor (copy_)"
        )

    # ---- what Python code reads and sets ----

    def give_up(self, why: str) -> None:
        """Store the reason why neither this call nor a later one like it can be replayed."""
        self.void = self.void or why

    def hinder(self, why: str) -> None:
        """Store the reason why this call cannot be replayed. If the next call has a reason too, recording is given up."""
        self.hindrance = self.hindrance or why

    def host_reads(self, how: str) -> None:
        self.give_up(f"Python reads a value ({how}, {caller()}), which a replay would not do again")

    def host_wrote(self, array: Array) -> None:
        place = self.memory.extent(array)
        if place[0] != place[1] and place not in self._constants and self.memory.find(*place) is None:
            import hashlib

            digest = hashlib.blake2b(self.real.to_numpy(array).tobytes(), digest_size=16).digest()
            self._constants[place] = digest, array

    def content(self, array: Array) -> bytes | None:
        """Return a digest of an array that was made from Python values; None for other arrays."""
        known = self._constants.get(self.memory.extent(array))
        return None if known is None else known[0]

    def has_grad(self, leaf: Tensor) -> bool:
        if leaf not in self.grads_after:  # a gradient that the step itself set is no condition for a replay
            self.grads_before.setdefault(leaf, leaf.has_grad)
        return leaf.has_grad

    def set_has_grad(self, leaf: Tensor, value: bool) -> None:
        self.grads_after[leaf] = leaf.has_grad = value

    def module_called(self, module: Module) -> None:
        self.modules.setdefault(module)

    def prepares(self, prepare: Callable[[int], int]) -> None:
        self.prepare.append(prepare)
        prepare(1)
        if self.guard is not None:
            self.guard.written()

    # ---- buffers of modules that the step assigns ----

    def buffer_assigned(self, module: Module, name: str, before: Tensor, value: Tensor) -> None:
        first = self._buffers[module, name][0] if (module, name) in self._buffers else before
        self._buffers[module, name] = first, value

    def carry_buffers(self) -> None:
        """Copy Tensors that were assigned to buffers of modules into the previous buffers, so that the next step reads them."""
        assigned, self._buffers = self._buffers, {}
        for (module, name), (first, value) in assigned.items():
            if value is first:
                continue
            if value.shape != first.shape or value.dtype != first.dtype or self.owns(first.data) or not self.owns(value.data):
                self.hinder(
                    f"the buffer {name} of {type(module).__name__} is assigned a Tensor of another shape or dtype, or one from "
                    "outside; assign the result of an operation, or change it in place (copy_)"
                )
                continue
            copy_array(cast("Backend", self), first.data, value.data)
            module._buffers[name] = module.__dict__[name] = first


class Watched:
    """Facts about a recorded call that are compared with the next one."""

    def __init__(self, recorder: Recorder) -> None:
        self.signature, self.places, self.hindrance = recorder.signature, recorder.places, recorder.hindrance
        self.outside = recorder.outside  # kept alive, so that their addresses are not reused
        self.differed = 0  # number of consecutive calls, up to this one, that differ from the call before


def difference(before: Watched, now: Watched) -> str:
    """Describe the first difference between two recorded calls."""
    for a, b, place in zip(before.signature, now.signature, now.places, strict=False):
        if a == b:
            continue
        if a[0] != b[0]:
            return f"{a[0]} in one, {b[0]} in the next, {place}"
        kinds = {u[0] for u, v in zip(a, b, strict=False) if u != v and isinstance(u, tuple) and isinstance(v, tuple)}
        if "outside" in kinds:
            return (
                f"{b[0]} uses other memory from outside in each call, {place}; change Tensors in place (copy_), "
                "or pass them as arguments"
            )
        if kinds == {"constant"}:
            return f"an array made in the step, or an index of a Tensor, has other values, {place}; pass it as an argument"
        return f"{b[0]} is called with other numbers, {place}; pass numbers that change as arrays"
    return "the number of operations differs"


_TRANSPARENT = frozenset({__name__.partition(".")[0], "numpy"})


def unwatched(run: Callable[..., None]) -> Callable[..., None]:
    """Return the kernel, hidden from `HostCode`: the code that compiles and records it is not user code."""

    def kernel(*args: Any) -> None:
        watch = sys.getprofile()
        if not callable(watch):
            run(*args)
            return
        sys.setprofile(None)
        try:
            run(*args)
        finally:
            sys.setprofile(watch)

    return kernel


def caller() -> str:
    """Return the innermost running line outside of fastnn and NumPy, as file:line."""
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in _TRANSPARENT:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
