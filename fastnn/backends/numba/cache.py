"""Machine code on disk: where Numba keeps it, but never older than any source file that it was made from."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numba import config
from numba.core.caching import FunctionCache, IndexDataCacheFile, NullCache
from numba.core.compiler_lock import global_compiler_lock

from .. import private

_NOTE_AFTER = 1.0
"""Seconds of compiling after which a line on stderr says what takes so long."""

if hasattr(os, "register_at_fork"):
    # A process that is forked while another thread compiles has the lock, and not the thread that would let it go.
    release = global_compiler_lock.release
    os.register_at_fork(before=global_compiler_lock.acquire, after_in_parent=release, after_in_child=release)


@functools.cache
def _sources() -> str:
    """Return a hash of all that compiled functions are made from; Numba itself looks at the file of the outermost function alone.

    Its settings for looking for errors count too: what is compiled under them is many times slower.
    """
    here = Path(__file__).parent
    files = [*sorted((here.parent / "spec").glob("*.py")), *sorted(here.glob("*.py"))]
    settings = f"{config.OPT} {config.BOUNDSCHECK} {config.DEBUGINFO_DEFAULT}".encode()
    return hashlib.sha256(settings + b"".join(file.read_bytes() for file in files if file.is_file())).hexdigest()


class _Compiling:
    """The seconds that this process has compiled so far; notifies the user once they are many."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.noted = False

    def begin(self, kept: bool) -> None:
        """Say once that much is compiled, and whether it is kept on disk."""
        if self.seconds > _NOTE_AFTER and not self.noted:
            self.noted = True
            note = "once: they are kept on disk" if kept else "which cannot be kept: there is no folder to write them to"
            print(f"fastnn: compiling Numba kernels, {note}", file=sys.stderr, flush=True)


compiling = _Compiling()


class _File(IndexDataCacheFile):  # type: ignore[misc]
    """Numba's files, which are taken as missing where they are damaged: machine code that is not what was written would crash.

    Entries say what they are, too: processes that write at the same time may number theirs alike. They are pickles, which run
    code as they are read: those that another user could have written are not.
    """

    def save(self, key: Any, data: Any) -> None:
        content = self._dump((key, self._source_stamp, data))
        super().save(key, (hashlib.sha256(content).digest(), content))

    def load(self, key: Any) -> Any:
        try:
            digest, content = super().load(key)
            if hashlib.sha256(content).digest() != digest:
                return None
            found = pickle.loads(content)
        except Exception:  # a pickle that is cut off or overwritten raises whatever it likes
            return None
        return found[2] if found[:2] == (key, self._source_stamp) else None

    def _load_index(self) -> Any:
        try:
            content = private.read(self._index_path)
            if content is None:
                return {}
            file = io.BytesIO(content)
            if pickle.load(file) != self._version:
                return {}
            stamp, overloads = pickle.load(file)
        except Exception:
            return {}
        return overloads if stamp == self._source_stamp else {}

    def _load_data(self, name: str) -> Any:
        content = private.read(self._data_path(name))
        return None if content is None else pickle.loads(content)

    @contextlib.contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[Any]:
        """Open as Numba does, but nobody else may write the file, whatever the umask is."""
        with super()._open_for_write(filepath) as file:
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), os.fstat(file.fileno()).st_mode & 0o755)
            yield file


class _OnDisk(FunctionCache):  # type: ignore[misc]
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_path: str = private.folder(self._impl.locator.get_cache_path())
        self._cache_file = _File(self._cache_path, self._impl.filename_base, _sources())

    def _save_overload(self, sig: Any, data: Any) -> None:
        os.makedirs(self._cache_path, 0o755, exist_ok=True)
        super()._save_overload(sig, data)


class KernelCache(NullCache):  # type: ignore[misc]
    """Cache on disk that a compiled function uses before and after it compiles; it works without, too."""

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            self._disk: Any = _OnDisk(function)
        except RuntimeError:  # there is no folder that can be written to
            self._disk = NullCache()
        self._start = 0.0

    @property
    def cache_path(self) -> Any:
        return self._disk.cache_path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = self._disk.load_overload(sig, target_context)
        if found is None:
            compiling.begin(kept=bool(self.cache_path))
            self._start = time.perf_counter()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        compiling.seconds += time.perf_counter() - self._start
        try:
            self._disk.save_overload(sig, data)
        except OSError:  # a full disk
            self._disk = NullCache()

    def flush(self) -> None:
        self._disk.flush()
