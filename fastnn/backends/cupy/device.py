"""The GPU as the kernels see it: memory, programs, launches and graphs, by CuPy."""

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
    """A device as the backend uses it; the tests have one that runs the same programs on the CPU."""

    xp: Any
    """The module of its arrays."""
    scratch: Scratch
    """Memory for kernels that need some beside their arguments."""

    def pointer(self, array: Any, kernel: str, name: str) -> int:
        """Return where an argument's elements lie, as the device sees it; TypeError for memory that it cannot reach."""

    def compile(self, source: str, entry: str) -> Any:
        """Return the entry point of a program."""

    def launch(self, entry: Any, blocks: int, threads: int, arguments: bytes) -> None:
        """Start an entry point with the bytes of its argument struct."""

    def empty(self, shape: int | tuple[int, ...], dtype: Any) -> Any:
        """Memory of the device, aligned to 64 bytes at least; MemoryError says what was asked for and what is free."""

    def page_locked(self, nbytes: int) -> np.ndarray[Any, Any]:
        """Return bytes of the host that the device reads and writes where they lie, at one address for both."""

    def free(self) -> int:
        """Return bytes of the device's memory that nobody has."""

    @property
    def stream(self) -> AbstractContextManager[Any]:
        """Return the stream that launches go to; in a block with it, copies by `xp` come between them in their order."""

    @property
    def stream_pointer(self) -> int:
        """Return the same as CUDA's libraries take it."""

    @property
    def capability(self) -> int:
        """Return the GPU's compute capability: 90 for 9.0."""

    def wait(self) -> None:
        """Until all that was started is done."""

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return what work starts on the device, as one thing to start again."""

    def overlap(self) -> AbstractContextManager[None]:
        """Return a block in `capture` whose launches may run beside those after it."""


def elsewhere(array: Any, kernel: str, name: str) -> TypeError:
    """Return the error for an argument that is not in memory of the device."""
    return TypeError(
        f"{kernel}: {name} is a {type(array).__module__}.{type(array).__name__}, wanted memory of the GPU. Tensors, models and "
        "optimizers are made while the backend is chosen (FASTNN_BACKEND, fastnn.set_backend) that computes with them; weights "
        "come over with set_weights(model.get_weights()), Tensors with fastnn.tensor(t.numpy())"
    )


LARGE = 1 << 20
"""Bytes of page-locked memory that go back to the system when nobody uses them."""


class CudaDevice:
    """The current GPU of CuPy. All work is on the stream that CuPy has by default, one thing after the other."""

    def __init__(self) -> None:
        import cupy

        self.xp = cupy
        self._array = cupy.ndarray
        self.scratch = Scratch(self)
        # Not CuPy's own pool: that one would give memory to its copies while a kernel that was started may still read it.
        # Whoever takes memory here waits for the device before he writes it.
        self._page_locked = cupy.cuda.PinnedMemoryPool()
        self._own = threading.local()  # the streams of a thread that is capturing
        self._synchronize = cupy.cuda.Stream.null.synchronize

    @property
    def stream(self) -> Any:
        """Return where this thread's work goes."""
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
        pending.started(self._synchronize)  # numbers that kernels may write wait for them from now on

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
                    with suppress(runtime.CUDARuntimeError):  # what was captured is no whole; the first error says why
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
        """Let what comes on a stream of the capture wait for what the other one has."""
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
