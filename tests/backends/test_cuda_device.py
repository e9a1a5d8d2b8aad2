"""What `CudaDevice` asks of CuPy, by a CuPy that writes it down: no GPU is needed."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from fastnn.backends.cupy.device import LARGE, CudaDevice
from fastnn.backends.cupy.scratch import Scratch
from fastnn.backends.cupy.shared import pending


class CUDARuntimeError(RuntimeError):
    pass


class Stream:
    null: ClassVar[Stream]
    log: ClassVar[list[tuple[str, ...]]] = []
    made: ClassVar[int] = 0

    def __init__(self, non_blocking: bool = False) -> None:
        Stream.made += 1
        self.name = f"stream {Stream.made}" if non_blocking else "null"
        self.broken = False

    def _did(self, *what: str) -> None:
        Stream.log.append((self.name, *what))

    def __enter__(self) -> None:
        pass

    def __exit__(self, *args: Any) -> None:
        pass

    def record(self) -> str:
        self._did("record")
        return f"event of {self.name}"

    def wait_event(self, event: str) -> None:
        self._did("wait", event)

    def synchronize(self) -> None:
        self._did("synchronize")

    def begin_capture(self, mode: str) -> None:
        self._did("begin", mode)

    def end_capture(self) -> Any:
        self._did("end")
        if self.broken:
            raise CUDARuntimeError("the capture is invalid")
        return SimpleNamespace(launch=lambda on: on._did("graph"))


class Pool:
    def malloc(self, nbytes: int) -> Any:
        Stream.log.append(("pool", str(nbytes)))
        return np.zeros(nbytes, np.uint8)

    def free_all_blocks(self) -> None:
        Stream.log.append(("pool", "free"))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> CudaDevice:
    runtime = SimpleNamespace(streamCaptureModeThreadLocal="thread", CUDARuntimeError=CUDARuntimeError)
    cuda = SimpleNamespace(runtime=runtime, Stream=Stream, PinnedMemoryPool=Pool)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(ndarray=np.ndarray, cuda=cuda))
    Stream.null, Stream.log, Stream.made = Stream(), [], 0
    return CudaDevice()


def launch(device: CudaDevice, name: str) -> None:
    device.launch(lambda grid, block, args, stream: stream._did(name), 1, 256, b"12345678")


def test_work_aside_joins_the_capture(device: CudaDevice) -> None:
    def work() -> None:
        launch(device, "first")
        with device.overlap():
            launch(device, "aside")
        launch(device, "last")

    replay = device.capture(work)
    one, two = "stream 1", "stream 2"
    assert Stream.log == [
        *((one, "begin", "thread"), (one, "first"), (one, "record"), (two, "wait", "event of stream 1"), (two, "aside")),
        *((one, "last"), (two, "record"), (one, "wait", "event of stream 2"), (one, "end")),
    ]
    Stream.log.clear()
    replay()
    launch(device, "by itself")
    assert Stream.log == [("null", "graph"), ("null", "by itself")]
    assert pending.given is not pending.done
    device.wait()
    assert pending.given is pending.done and Stream.log[-1] == ("null", "synchronize")


def test_an_error_in_a_capture_is_that_of_the_work(device: CudaDevice) -> None:
    """The capture ends all the same, whatever CUDA says of it, and what follows is no part of it."""

    def work() -> None:
        device.stream.broken = True  # type: ignore[attr-defined]
        raise TypeError("of the work")

    with pytest.raises(TypeError, match="of the work"):
        device.capture(work)
    assert Stream.log[-1] == ("stream 1", "end")
    launch(device, "after it")
    assert Stream.log[-1] == ("null", "after it")


def test_large_page_locked_memory_is_given_back(device: CudaDevice) -> None:
    assert device.page_locked(8).size == 8 and device.page_locked(0).size == 0
    assert Stream.log == [("pool", "8"), ("pool", "1")]
    device.page_locked(LARGE)
    assert Stream.log[2:] == [("null", "synchronize"), ("pool", "free"), ("pool", str(LARGE))]


class Memory:
    """A device that hands out addresses."""

    def __init__(self) -> None:
        self.end = 1000

    def empty(self, size: int, dtype: Any) -> Any:
        begin, self.end = self.end, self.end + size
        return SimpleNamespace(begin=begin, size=size)

    def pointer(self, array: Any, kernel: str, name: str) -> int:
        return array.begin  # type: ignore[no-any-return]


def test_parts_of_scratch_memory_are_aligned_apart_and_within_what_was_asked_for() -> None:
    device: Any = Memory()
    scratch = Scratch(device)
    with scratch.of(0, 0) as none:
        assert none == [0, 0] and device.end == 1000
    with scratch.of(10, 0, 300, 1) as (a, b, c, d):
        assert a % 256 == b % 256 == c % 256 == d % 256 == 0
        assert a >= 1000 and b == c == a + 256 and d == c + 512 and d + 1 <= device.end
        end = device.end
    with scratch.of(256, 256) as again:  # what fits lies in the same memory
        assert again == [a, a + 256] and device.end == end
    with scratch.of(5000) as (large,):  # more is other memory: recordings hold the addresses of the first one
        assert large >= end and large + 5000 <= device.end
    with pytest.raises(ZeroDivisionError), scratch.of(1):
        raise ZeroDivisionError
    with scratch.of(1) as after:  # the lock is free again
        assert after
