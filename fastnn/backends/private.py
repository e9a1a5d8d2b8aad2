"""Reads files that contain code, but only if no other user than this one (or root) could have written them."""

from __future__ import annotations

import os
import stat
import sys
from functools import cache
from pathlib import Path


def read(path: str | Path) -> bytes | None:
    """Read a file. If another user could have written it, return None and print the reason as one line to stderr.

    Raises:
        OSError: the file does not exist or cannot be read.
    """
    path = str(path)
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        why = "no regular file" if not stat.S_ISREG(status.st_mode) else _foreign(status)
        if not why:
            why = _foreign(os.stat(os.path.dirname(path)), "in a folder that is ")
        if not why:
            return file.read()
    _note(os.path.dirname(path), f"{os.path.basename(path)} is {why}")
    return None


def _foreign(status: os.stat_result, where: str = "") -> str:
    """Describe who else could have written a file; empty if no other user could."""
    if not hasattr(os, "geteuid"):  # on Windows, other users cannot write to a user's folders
        return ""
    if status.st_uid not in (os.geteuid(), 0):
        return f"{where}owned by another user"
    return f"{where}writable by others" if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else ""


@cache
def _note(folder: str, why: str) -> None:
    print(f"fastnn: machine code in {folder} is not used, and compiled again: {why}", file=sys.stderr, flush=True)


def folder(path: str | Path) -> str:
    """Return the folder or, if others can write to it, a folder inside it that belongs only to this user."""
    path = str(path)
    try:
        status = os.stat(path)
    except OSError:
        return path
    if not _foreign(status):
        return path
    return os.path.join(path, f"fastnn-{os.geteuid()}")
