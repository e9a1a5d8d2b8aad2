"""Interface of the kernels to the GPU, with CuPy: memory, programs, launches and graphs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Protocol

import numpy as np

from .nvrtc import machine_code
from .scratch import Scratch
from .shared import SharedArray, pending


class Device(Protocol):
    """Protocol of a device. The tests have a device that runs the same programs on the CPU."""

    xp: Any
    """The module of its arrays."""
    scratch: Scratch
    """Scratch memory for kernels."""

    def pointer(self, array: Any, kernel: str, name: str) -> int:
        """Return the address of an argument for the device. Raise TypeError if the device cannot access this memory."""

    def compile(self, source: str, entry: str) -> Any:
        """Return the entry point of a program."""

    def launch(self, entry: Any, blocks: int, threads: int, arguments: bytes) -> None:
        """Start an entry point with the bytes of its argument struct."""

    def empty(self, shape: int | tuple[int, ...], dtype: Any) -> Any:
        """Allocate memory of the device, aligned to at least 64 bytes. MemoryError gives the requested and the free size."""

    def page_locked(self, nbytes: int) -> np.ndarray[Any, Any]:
        """Allocate host memory that the device reads and writes in place, at the same address."""

    def free(self) -> int:
        """Return the number of free bytes of the device's memory."""

    @property
    def stream(self) -> AbstractContextManager[Any]:
        """Return the stream of launches. In a `with` block of it, copies by `xp` are ordered with the launches."""

    @property
    def stream_pointer(self) -> int:
        """Return the address of the stream, as CUDA's libraries take it."""

    @property
    def capability(self) -> int:
        """Return the GPU's compute capability: 90 for 9.0."""

    def wait(self) -> None:
        """Wait until all work is done."""

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Capture the launches of `work`. Return a function that starts all of them again."""

    def overlap(self) -> AbstractContextManager[None]:
        """Return a block in `capture` whose launches may run at the same time as later launches."""


def elsewhere(array: Any, kernel: str, name: str) -> TypeError:
    """Return the error for an argument that is not in the memory of the device."""
    return TypeError(
        f"{kernel}: {name} is a {type(array).__module__}.{type(array).__name__}, wanted memory of the GPU. Tensors, models and "
        "optimizers are made while the backend is chosen (FASTNN_BACKEND, fastnn.set_backend) that computes with them; weights "
        "come over with set_weights(model.get_weights()), Tensors with fastnn.tensor(t.numpy())"
    )


LARGE = 1 << 20
"""Size in bytes from which unused page-locked memory is returned to the system."""


class CudaDevice:
    """The current GPU of CuPy. All work is on CuPy's default stream, in order."""

    def __init__(self) -> None:
        import cupy

        self.xp = cupy
        self._array = cupy.ndarray
        self.scratch = Scratch(self)
        # CuPy's own pool cannot be used: CuPy would reuse its memory for copies while a running kernel still reads it. Users of
        # this pool wait for the device before they write to new memory.
        self._page_locked = cupy.cuda.PinnedMemoryPool()
        self._own = threading.local()  # the streams of a thread that is capturing
        self._synchronize = cupy.cuda.Stream.null.synchronize

    @property
    def stream(self) -> Any:
        """Return the stream for the work of this thread."""
        return getattr(self._own, "stream", None) or self.xp.cuda.Stream.null

    @property
    def stream_pointer(self) -> int:
        return int(self.stream.ptr)

    @property
    def capability(self) -> int:
        return int(self.xp.cuda.Device().compute_capability)

    def pointer(self, array: Any, kernel: str, name: str) -> int:
        if type(array) is self._array:
            return int(array.data.ptr)
        if isinstance(array, SharedArray) and (address := array.address):
            return address
        raise elsewhere(array, kernel, name)

    def compile(self, source: str, entry: str) -> Any:
        module = self.xp.cuda.Module()
        module.load(machine_code(source, self.capability))
        return module.get_function(entry)

    def launch(self, entry: Any, blocks: int, threads: int, arguments: bytes) -> None:
        struct = np.frombuffer(arguments, f"V{len(arguments)}")  # one element, which CuPy passes by value
        entry((blocks,), (threads,), (struct,), stream=self.stream)
        pending.started(self._synchronize)  # from now on, reading shared arrays waits for this work

    def empty(self, shape: int | tuple[int, ...], dtype: Any) -> Any:
        try:
            with self.stream:
                return self.xp.empty(shape, dtype)
        except self.xp.cuda.memory.OutOfMemoryError:
            free, total = self.xp.cuda.runtime.memGetInfo()
            asked = int(np.prod(shape)) * np.dtype(dtype).itemsize
            raise MemoryError(
                f"the GPU has no room for an array of shape {shape} and dtype {np.dtype(dtype)}: {asked} bytes were asked, "
                f"{free} of {total} are free"
            ) from None

    def page_locked(self, nbytes: int) -> np.ndarray[Any, Any]:
        if nbytes >= LARGE:
            self.wait()
            self._page_locked.free_all_blocks()
        memory = self._page_locked.malloc(max(nbytes, 1))
        return np.frombuffer(memory, np.uint8, nbytes)

    def free(self) -> int:
        return int(self.xp.cuda.runtime.memGetInfo()[0]) + int(self.xp.get_default_memory_pool().free_bytes())

    def wait(self) -> None:
        pending.finish(self._synchronize)

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        own, runtime = self._own, self.xp.cuda.runtime
        stream = own.stream = self.xp.cuda.Stream(non_blocking=True)
        own.side, own.events = None, []  # events stay until the capture ends
        try:
            with stream:
                stream.begin_capture(runtime.streamCaptureModeThreadLocal)
                try:
                    work()
                    if own.side is not None:
                        self._after(stream, own.side)
                except BaseException:
                    with suppress(runtime.CUDARuntimeError):  # the capture is incomplete; the first error describes the reason
                        stream.end_capture()
                    raise
                graph = stream.end_capture()
        finally:
            own.stream = own.side = own.events = None
        start, null = graph.launch, self.xp.cuda.Stream.null

        def replay() -> None:
            start(null)
            pending.started(self._synchronize)

        return replay

    def _after(self, stream: Any, other: Any) -> None:
        """Let later work on one stream of the capture wait for the work on the other one."""
        self._own.events.append(other.record())
        stream.wait_event(self._own.events[-1])

    @contextmanager
    def overlap(self) -> Iterator[None]:
        stream = self._own.stream
        side = self._own.side = self._own.side or self.xp.cuda.Stream(non_blocking=True)
        self._after(side, stream)
        self._own.stream = side
        try:
            yield
        finally:
            self._own.stream = stream
