"""The list of backends, and the choice of the one in use.

The environment variables are read here and in `threads`, at first use: FASTNN_BACKEND (auto, cpp, numba, cupy or numpy),
FASTNN_ISA (avx512, avx2, base), FASTNN_BF16 (amx, avx512_bf16, float32: the engine of bfloat16 products), FASTNN_WINOGRAD (1, 0:
whether Winograd's algorithm computes 3x3 convolutions where it is faster), FASTNN_NUM_THREADS and OMP_NUM_THREADS.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.block import Block
from ..core.locks import rlock
from .base import Backend
from .threads import MOST_THREADS, cores, default_threads, register_if_imported
from .threads import register_threadpoolctl as register_threadpoolctl

if TYPE_CHECKING:
    from ..replay.recorder import Recorder


ENVIRONMENT = ("FASTNN_BACKEND", "FASTNN_ISA", "FASTNN_BF16", "FASTNN_WINOGRAD", "FASTNN_NUM_THREADS", "OMP_NUM_THREADS")


class BackendInfo(NamedTuple):
    """Description of one backend, in the result of `fastnn.backends()`."""

    name: str
    available: bool
    reason: str
    """Reason why the backend is not available; empty if it is available."""
    native: frozenset[str]
    """Native kernels of the backend; the others run on the reference."""


class _Entry(NamedTuple):
    module: Callable[[], Any] | None
    reason: str = ""


def _entry(name: str) -> _Entry:
    return _Entry(partial(import_module, f"{__name__}.{name}"))


# In the order in which `auto` tries them. A module is loaded when its backend is first used.
_LIST: dict[str, _Entry] = {name: _entry(name) for name in ("cpp", "numba", "numpy", "cupy")}


def unavailable(name: str) -> str:
    """Return why a backend of the list cannot be used; empty if it can be used."""
    entry = _LIST[name]
    return entry.reason if entry.module is None else str(entry.module().unavailable())


_loading = rlock()


def load(name: str) -> Backend:
    """Return the backend with this name, which all threads share.

    Raises:
        ValueError: there is no backend with this name.
        RuntimeError: the backend is not available; the message gives the reason and the available backends.
    """
    with _loading:
        return _loaded(name)


@cache
def _loaded(name: str) -> Backend:
    if name not in _LIST:
        raise ValueError(f"unknown backend {name!r}; there are: auto, {', '.join(_LIST)}")
    if reason := unavailable(name):
        there = ", ".join(n for n in _LIST if not unavailable(n))
        raise RuntimeError(f"backend {name!r} is not available: {reason}. Available: {there}")
    entry = _LIST[name]
    assert entry.module is not None
    backend: Backend = entry.module().load()
    if name == "cpp":
        _configure_core()
    return backend


def backends() -> dict[str, BackendInfo]:
    """Return all backends in the order in which ``auto`` tries them, with the reasons why some are not available.

    >>> import fastnn
    >>> fastnn.backends()["numpy"].available
    True
    """
    result = {}
    for name in _LIST:
        reason = unavailable(name)
        native = frozenset[str]() if reason else load(name).native
        result[name] = BackendInfo(name, not reason, reason, native)
    return result


def _resolve(name: str) -> Backend:
    if name == "auto":
        name = next(n for n in _LIST if not unavailable(n))
    return load(name)


_default: Backend | None = None
_isa = ""  # the instruction set in use, once it is known
# Any: a recorder is used like a Backend, but is not a subclass.
_local: ContextVar[Any] = ContextVar("fastnn_backend", default=None)


def current() -> Backend:
    """Return the backend for kernel calls: that of the thread (`with use_backend`, a recording), or that of the process."""
    return _local.get() or _default or _first_use()


def _first_use() -> Backend:
    global _default
    name = os.environ.get("FASTNN_BACKEND", "auto")
    try:
        _default = _resolve(name)
    except (ValueError, RuntimeError) as error:
        if "FASTNN_BACKEND" not in os.environ:
            raise
        raise type(error)(f"FASTNN_BACKEND={name}: {error}") from None
    return _default


def shared_array(values: Any, dtype: Any = "float64") -> Any:
    """Return a small array that Python and kernels both use, on the current backend (see `Backend.shared_array`)."""
    return current().shared_array(values, dtype)


def get_backend() -> str:
    """Return the name of the current backend.

    >>> import fastnn
    >>> with fastnn.use_backend("numpy"):
    ...     fastnn.get_backend()
    'numpy'
    """
    name: str = current().name
    return name


def set_backend(name: str) -> None:
    """Choose the backend for the whole process. A thread inside a `use_backend` block keeps its backend until the block ends.

    Args:
        name: auto, cpp, numba, cupy or numpy.

    Raises:
        ValueError: there is no backend of that name.
        RuntimeError: it is not available here.

    >>> import fastnn
    >>> fastnn.set_backend(fastnn.get_backend())
    """
    global _default
    backend = _resolve(name)
    current().host_reads("set_backend")  # a replay would not repeat this
    _default = backend


def _leaves(_: Backend) -> None:
    current().host_reads("use_backend")  # a recording would miss what runs on the other backend


class use_backend(Block):  # noqa: N801 (a function to its users)
    """Compute on another backend in a ``with`` block, only in this thread and asyncio task.

    `set_backend` chooses for the whole process.

    Args:
        name: auto, cpp, numba, cupy or numpy.

    Raises:
        ValueError: there is no backend of that name.
        RuntimeError: it is not available here.

    >>> import fastnn
    >>> with fastnn.use_backend("numpy"):
    ...     y = fastnn.tensor([1.0, 2.0]) * 2
    """

    _name = ""

    def __init__(self, name: str) -> None:
        super().__init__(_local, _resolve(name), _leaves)
        self._name = name

    def __del__(self) -> None:
        if self._name and not self.entered:  # a plain call, which chose the backend of the process in 0.1
            warnings.warn(
                f"use_backend({self._name!r}) chose nothing, as it was not entered by `with`; "
                f"fastnn.set_backend({self._name!r}) chooses for the process",
                RuntimeWarning,
                stacklevel=2,
            )


def recording(recorder: Recorder) -> Block:
    """Send this thread's kernel calls to a recorder in a ``with`` block."""
    return Block(_local, recorder)


def _core() -> Any:
    from .. import _core

    return _core


def _configure_core() -> None:
    core = _core()
    if isa := os.environ.get("FASTNN_ISA", ""):
        try:
            core.use_isa(isa)
        except ValueError as error:
            raise ValueError(f"FASTNN_ISA={isa}: {error}") from None
    if engine := os.environ.get("FASTNN_BF16", ""):
        try:
            core.use_bf16(engine)
        except ValueError as error:
            raise ValueError(f"FASTNN_BF16={engine}: {error}") from None
    if use := os.environ.get("FASTNN_WINOGRAD", ""):
        if use not in ("0", "1"):
            raise ValueError(f"FASTNN_WINOGRAD={use}: wanted 0 or 1")
        core.use_winograd(int(use))
    if (threads := default_threads(core.cores())) != core.cores():
        core.set_threads(threads)
    register_if_imported()


_threads = 0  # the argument of set_num_threads; the compiled core stores a separate number


def set_num_threads(n: int) -> None:
    """Set the number of threads that large calls use. More than the machine has cores is allowed. Results do not change.

    >>> import fastnn
    >>> fastnn.set_num_threads(2)
    """
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= MOST_THREADS:
        raise ValueError(f"set_num_threads: {n!r}, wanted a whole number from 1 to {MOST_THREADS}")
    global _threads
    _threads = n
    if not unavailable("cpp"):
        load("cpp")
        _core().set_threads(n)


@contextmanager
def shared_threads() -> Iterator[None]:
    """Return a block during which the threads of the cpp backend are divided among all blocks that run at this time."""
    load("cpp")
    _core().add_callers(1)
    try:
        yield
    finally:
        _core().add_callers(-1)


def get_num_threads() -> int:
    """Return the number of threads that large calls use, on the backends with threads: cpp and numba."""
    if not unavailable("cpp"):
        load("cpp")
        return int(_core().threads())
    if unavailable("numba"):
        return 1
    return _threads or default_threads(cores())


def isas() -> dict[str, str]:
    """Return the compiled instruction sets, best first, with the reasons why this CPU cannot run them ("" if it can)."""
    if unavailable("cpp"):
        return {}
    return {name: "" if supported else f"this CPU lacks {needs}" for name, supported, needs in _core().isas()}


def get_isa() -> str:
    """Return the name of the instruction set in use; "none" without compiled kernels."""
    global _isa
    if not _isa:
        _isa = "none" if unavailable("cpp") else str((load("cpp"), _core().isa())[1])
    return _isa


def use_isa(name: str) -> None:
    """Choose the instruction set for the whole process. Raise ValueError if it is unknown or this CPU does not support it."""
    global _isa
    load("cpp")
    _core().use_isa(name)
    _isa = name


def _described(isa: str) -> str:
    """Return the name of an instruction set, with what `base` is on ARM."""
    import platform

    return "base (NEON)" if isa == "base" and platform.machine().lower() in ("aarch64", "arm64") else isa


class Info(NamedTuple):
    """Description of the current backend and the available ones; `fastnn info` prints its text."""

    version: str
    backend: str
    isa: str
    threads: int
    precisions: dict[str, str]
    """Reasons why products of a precision ("bfloat16", "tf32") are not available, by its name; empty if they are available."""
    backends: dict[str, BackendInfo]
    isas: dict[str, str]
    engines: dict[str, str]
    """Names what computes the products of each available precision, by its name; empty if there is only one way."""

    def __str__(self) -> str:
        from .spec import KERNELS

        lines = [
            f"fastnn {self.version}",
            f"backend  {self.backend}",
            f"ISA      {_described(self.isa)}",
            f"threads  {self.threads}",
            *(f"{name:8} {_availability(why, self.engines.get(name, ''))}" for name, why in self.precisions.items()),
            "",
            "backends",
        ]
        for name, b in self.backends.items():
            if not b.available:
                lines.append(f"  {name:8} not available: {b.reason}")
            elif name == "numpy":
                lines.append(f"  {name:8} available: the reference, all {len(KERNELS)} kernels in NumPy")
            else:
                lacking = sorted(set(KERNELS) - b.native)
                rest = f"; on the reference: {', '.join(lacking)}" if lacking else ""
                lines.append(f"  {name:8} available: {len(b.native)} of {len(KERNELS)} kernels native{rest}")
        if self.isas:
            lines += ["", "ISAs"] + [f"  {_described(name):8} {reason or 'available'}" for name, reason in self.isas.items()]
        variables = {v: os.environ[v] for v in ENVIRONMENT if v in os.environ}
        lines += ["", "environment"] + ([f"  {k}={v}" for k, v in variables.items()] or ["  none of fastnn's variables is set"])
        if not any(b.native for b in self.backends.values()):
            lines += [
                "",
                "This installation runs on the NumPy reference alone: correct, and many times slower than the compiled kernels.",
            ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)  # in place of the names of all kernels

    def _repr_html_(self) -> str:
        """Return the text in a font of fixed width, which notebooks show."""
        from ..core.html import preformatted

        return preformatted(str(self))


def _availability(why: str, engine: str) -> str:
    return f"not available: {why}" if why else f"available: {engine}" if engine else "available"


def info() -> Info:
    """Return the current backend, instruction set and threads, the native kernels, and the reasons for this choice.

    >>> import fastnn
    >>> fastnn.info().backend in fastnn.backends()
    True
    """
    from .._version import __version__
    from .spec import PRECISIONS

    precisions = {name: current().why_unavailable(name) for name in PRECISIONS[1:]}
    engines = {name: current().engine(name) for name, why in precisions.items() if not why}
    return Info(__version__, get_backend(), get_isa(), get_num_threads(), precisions, backends(), isas(), engines)
