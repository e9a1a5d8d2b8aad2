"""Writes files completely or not at all: under another name in the same folder first, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable
from typing import Any, BinaryIO

from .names import name_of, refuse_suffix

try:
    import fcntl
except ImportError:  # Windows has no fcntl; stale files are not removed there
    fcntl = None  # type: ignore[assignment]

_WINDOWS = os.name == "nt"  # no file that is open can be renamed or replaced there
_PATIENCE = 1.0
"""Seconds that a save waits on Windows for readers of the old file, such as virus scanners."""
_STALE = re.compile(r"\.fastnn-[0-9a-f]{16}\.tmp")


def target_of(path: Any, op: str, suffix: str = "") -> str:
    """Return the path that a file is written to, with symbolic links resolved.

    suffix: a suffix of files of another library that is allowed, since the file has their format.

    Raises:
        FileNotFoundError: the path is empty, or its folder does not exist.
        IsADirectoryError: the path is a folder.
        PermissionError: the file exists and cannot be written.
        OSError: the path is a device, a pipe or a socket.
        TypeError: `path` is not a path.
        ValueError: the suffix is that of files of another library, or no file can have this name.
    """
    text = name_of(path, op)
    if not text:
        raise FileNotFoundError(f"{op}: the path is empty; wanted the name of a file")
    if os.path.basename(text) in ("", os.curdir, os.pardir) or os.path.isdir(text):
        raise IsADirectoryError(f"{op}: {text} is a folder; wanted the name of a file")
    if not suffix or not text.lower().endswith(suffix):
        refuse_suffix(text, op)
    target = os.path.realpath(text)
    if not os.path.isdir(folder := os.path.dirname(target)):
        given = os.path.dirname(text)
        raise FileNotFoundError(f"{op}: there is no folder {(folder if os.path.isdir(given) else given)!r}")
    old = _status(target)
    if old is not None:
        if not stat.S_ISREG(old.st_mode):
            raise OSError(f"{op}: {text} is {kind_of_node(old.st_mode)}; wanted the name of a file")
        if not os.access(target, os.W_OK):
            raise PermissionError(f"{op}: {text} is read-only")
    return target


def kind_of_node(mode: int) -> str:
    """Name the kind of a file that is not regular."""
    kinds = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    return next((name for test, name in kinds.items() if test(mode)), "a device")


def failed(error: OSError, op: str, path: str, what: str) -> OSError:
    """Return the system's error with the names of the operation and of the user's file."""
    return OSError(error.errno, f"{op}: {path} cannot be {what}: {error.strerror}")


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def write(path: Any, parts: Iterable[Any], op: str, suffix: str = "") -> None:
    """Write these bytes and arrays to a file. The old file remains until the new one is complete and on the disk.

    The file keeps the mode of the file that it replaces, and its owner if the system permits it. suffix: as in `target_of`.
    """
    try:
        _write(target_of(path, op, suffix), parts)
    except OSError as error:
        if error.errno is None:  # an error of fastnn, which has a full message
            raise
        raise failed(error, op, os.fsdecode(path), "written") from error


def _write(target: str, parts: Iterable[Any]) -> None:
    folder, old = os.path.dirname(target), _status(target)
    _sweep(folder)
    mode = 0o666 if old is None else 0o600  # the system applies the umask
    temporary = ""
    try:
        while True:
            temporary = os.path.join(folder, f".fastnn-{secrets.token_hex(8)}.tmp")  # short, even if the file's name is long
            with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as f:
                if _lock(f) is False or not os.path.lexists(temporary):
                    continue  # another save removes it as a stale file, because it was not locked yet
                if old is not None:
                    _like(f.fileno(), old)
                for part in parts:
                    f.write(part)
                f.flush()
                os.fsync(f.fileno())
                if not _WINDOWS:
                    os.replace(temporary, target)  # the file is still locked
                    break
            _replace_closed(temporary, target)
            break
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync(folder)


def _replace_closed(temporary: str, target: str) -> None:
    """Rename a closed file; wait for a short time if another program has the old file open."""
    until, pause = time.monotonic() + _PATIENCE, 0.01
    while True:
        try:
            return os.replace(temporary, target)
        except PermissionError as error:
            if time.monotonic() >= until:
                raise PermissionError(error.errno, "a program, perhaps this one, has the old file open") from error
        time.sleep(pause)
        pause *= 2


def _like(handle: int, old: os.stat_result) -> None:
    """Give a new file the owner and mode of an old one."""
    if not hasattr(os, "fchmod"):  # Windows has neither; target_of has refused files that are read-only
        return
    mode, new = stat.S_IMODE(old.st_mode), os.fstat(handle)
    if hasattr(os, "fchown") and (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.fchown(handle, old.st_uid, old.st_gid)
        except PermissionError:
            try:
                os.fchown(handle, -1, old.st_gid)
            except PermissionError:
                mode &= ~0o070 | (mode & 0o007) << 3  # another group gets the rights of all users at most
    os.fchmod(handle, mode)


def _lock(f: BinaryIO) -> bool | None:
    """Lock an open file until it is closed. Return False if another process has locked it, None if the system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _sweep(folder: str) -> None:
    """Remove the temporary files of processes that ended while they wrote: those that no process has locked."""
    try:
        names = os.listdir(folder)
    except PermissionError:  # a folder that may be written but not listed
        return
    for name in names:
        if _STALE.fullmatch(name):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):  # it belongs to another user, or was removed already
                if stat.S_ISREG(os.lstat(path).st_mode):
                    with open(path, "rb") as f:
                        if _lock(f):
                            os.unlink(path)


def _sync(folder: str) -> None:
    """Write a folder's entries to the disk."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # the file system does not support it
            raise
    finally:
        os.close(handle)
