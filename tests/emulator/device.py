"""The emulated device: compiles programs for the CPU with the machine's C++ compiler and runs them by runtime.cpp."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fastnn.backends.cupy.device import elsewhere
from fastnn.backends.cupy.scratch import Scratch
from fastnn.backends.cupy.shared import SharedArray, pending

from .array import ArrayModule, DeviceArray, Memory, Pool

HERE = Path(__file__).parent
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++") or ""
COMMON = ("-std=c++17", "-fPIC", "-w")
CHECKS = "-fsanitize=alignment,bounds,integer-divide-by-zero,shift-exponent"
"""What a GPU stops at or has no answer for; the handlers are in runtime.cpp."""
OPTIONS = (
    "-O1",
    "-march=native",
    "-ffp-contract=fast",  # as NVRTC does
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-strict-aliasing",
    "-fno-math-errno",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    CHECKS,
    "-fno-sanitize-recover=all",
)
FORWARD, REVERSED = 0, 1
"""Orders of blocks and of threads; any other number shuffles them."""

ENTRY = """
static thread_local char emu_mark_{key};
static void* emu_touch_{key}() {{ emu_mark_{key} = 1; return &emu_mark_{key}; }}
static void emu_body_{key}(const void* args) {{ emu_call(&{entry}, args); }}
extern "C" const char* emu_run_{key}(const void* args, unsigned blocks, unsigned threads, unsigned long long seed) {{
  return emu_launch(emu_body_{key}, args, blocks, threads, seed, emu_touch_{key});
}}
extern "C" unsigned emu_size_{key}() {{ return emu_size_of(&{entry}); }}
"""


@cache
def _folder() -> Path:
    """Where compiled programs are kept, for the next run too."""
    folder = Path(tempfile.gettempdir()) / f"fastnn-emulated-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@cache
def _shim() -> str:
    return (HERE / "shim.h").read_text(encoding="utf-8")


def _compile(command: Sequence[str], source: str, key: str) -> Path:
    """The shared object that the compiler makes of the source: once for each key, also if several processes ask at a time."""
    path = _folder() / f"{key}.so"
    if not path.exists():
        own = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        done = subprocess.run(
            [COMPILER, *COMMON, *command, "-shared", "-x", "c++", "-", "-o", str(own)],
            input=source,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"a program that does not compile:\n{done.stderr[:4000]}")
        own.rename(path)
    return path


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join((*parts, COMPILER, platform.node())).encode()).hexdigest()[:24]


@cache
def _runtime() -> ctypes.CDLL:
    """The fibers, whose names the programs find."""
    source = (HERE / "runtime.cpp").read_text(encoding="utf-8")
    command = ("-O2", "-Wl,--no-as-needed", "-lm", "-ldl")
    return ctypes.CDLL(str(_compile(command, source, _key(source, *command))), mode=ctypes.RTLD_GLOBAL)


class Entry:
    """A compiled program's entry point."""

    def __init__(self, library: ctypes.CDLL, key: str, name: str) -> None:
        self.name = name
        self._library = library
        self.run = library[f"emu_run_{key}"]
        self.run.restype = ctypes.c_char_p
        self.run.argtypes = (ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint, ctypes.c_ulonglong)
        self.size = library[f"emu_size_{key}"]()


class _Capture(threading.local):
    """What a thread is capturing: all in order, and what may run beside the rest."""

    captured: list[Callable[[], None]] | None = None
    overlapped: list[Callable[[], None]] | None = None


class EmulatedDevice:
    """A `Device` that is none.

    Args:
        order: of the blocks of a launch and of the threads of a block: `FORWARD`, `REVERSED`, or the seed of another one.
        at_end: whether arrays end at the end of a page, and so begin at no multiple of 16 bytes as views may: else they begin
            where a page begins.
        most: the blocks of a launch at most; few make the loops over what is left go round.
    """

    stream, stream_pointer = nullcontext(), 0
    capability = 90

    def __init__(self, order: int = FORWARD, at_end: bool = False, most: int = 1 << 30) -> None:
        self._pool = Pool(at_end, self._before_host)
        self.xp: Any = ArrayModule(self._pool)
        self.scratch = Scratch(self)
        self._order, self._most = order, most
        self._entries: dict[str, Entry] = {}
        self._queue: list[Callable[[], None]] = []
        self._one_at_a_time = threading.RLock()
        self._own = _Capture()

    def pointer(self, array: Any, kernel: str, name: str) -> int:
        if type(array) is DeviceArray:
            if not array.flags.c_contiguous:
                raise AssertionError(f"{kernel}: {name} is not contiguous")
            return int(array.data.ptr)
        if isinstance(array, SharedArray) and (address := array.address):
            return address
        raise elsewhere(array, kernel, name)

    def compile(self, source: str, entry: str) -> Entry:
        _runtime()
        key = _key(_shim(), ENTRY, source, entry, *OPTIONS)
        if key not in self._entries:
            if self._own.captured is not None:
                raise RuntimeError(f"{entry}: a program is loaded while a stream is capturing")
            whole = f'{_shim()}\n#line 1 "{entry}.cu"\n{source}{ENTRY.format(key=key, entry=entry)}'
            self._entries[key] = Entry(ctypes.CDLL(str(_compile((*OPTIONS, "-nostdlib"), whole, key))), key, entry)
        return self._entries[key]

    def launch(self, entry: Entry, blocks: int, threads: int, packed: bytes) -> None:
        assert len(packed) == entry.size, f"{entry.name}: {len(packed)} bytes of arguments, the program takes {entry.size}"

        def run() -> None:
            wrong = entry.run(packed, min(blocks, self._most), threads, self._order)
            assert wrong is None, f"{entry.name}: {wrong.decode()}"
            assert self._pool.intact(), f"{entry.name}: wrote beyond an array"

        self.start(run)

    def start(self, work: Callable[[], None]) -> None:
        """Does what changes memory of the device: when the host waits for it, or at replays of what is being captured."""
        if self._own.captured is not None:
            self._own.captured.append(work)
            return
        with self._one_at_a_time:
            if not self._queue:
                self._pool.keep(True)
            self._queue.append(work)
            pending.started(self._run_queue)
            if self._pool.crowded:
                self.wait()

    def empty(self, shape: int | tuple[int, ...], dtype: Any) -> DeviceArray:
        if self._own.captured is not None:
            raise RuntimeError("memory is taken while a stream is capturing")
        return self.xp.empty(shape, dtype)

    def page_locked(self, nbytes: int) -> np.ndarray[Any, Any]:
        return np.asarray(_Locked(self._pool.take(nbytes, 8)))

    def free(self) -> int:
        return 1 << 40

    def wait(self) -> None:
        """Does all that was started: as late as a GPU may, so that a host that does not wait is found."""
        pending.finish(self._run_queue)

    def _run_queue(self) -> None:
        with self._one_at_a_time:
            queue, self._queue = self._queue, []
            try:
                for work in queue:
                    work()
            finally:
                self._pool.keep(False)

    def _before_host(self) -> None:
        if self._own.captured is not None:
            raise RuntimeError("the host touches an array while a stream is capturing")
        self.wait()

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Records launches, which do not run meanwhile; to read or write arrays from the host is an error there."""
        captured: list[Callable[[], None]] = []
        before, self._own.captured, self._own.overlap = self._own.captured, captured, []
        try:
            work()
        finally:
            self._own.captured = before
        captured += self._own.overlap

        def replay() -> None:
            for start in captured:
                self.start(start)

        return replay

    @contextmanager
    def overlap(self) -> Iterator[None]:
        """What is captured here runs as late as it may: after all else, unless launches have their usual order."""
        captured = self._own.captured
        if self._order != FORWARD:
            self._own.captured = self._own.overlap
        try:
            yield
        finally:
            self._own.captured = captured


class _Locked:
    """Page-locked memory, whose arrays keep it in use."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.__array_interface__ = memory.bytes.__array_interface__
