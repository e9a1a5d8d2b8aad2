"""Backups of a training in a folder: the newest one and the one before it, each a safetensors file that is complete."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from typing import Any

from ..core.structure import users_level
from . import tensors as tensors_py
from .layers import DAMAGE, check_keys, message, number
from .names import name_of
from .tensors import parsed, short
from .training import packed, place_config, unpacked

FORMAT, VERSION = "fastnn-backup", 1
NEWEST, BEFORE = "newest.safetensors", "before.safetensors"
"""Names of the files in the folder."""


def write(folder: str, place: dict[str, Any], state: dict[str, Any], both: bool, op: str) -> None:
    """Write a backup. A process that dies meanwhile leaves the backup before it.

    place: result of `Place.config`. state: nested dicts and lists of numbers, texts and arrays. both: whether the backup that
    was the newest is kept.
    """
    tensors: dict[str, Any] = {}
    content = {"version": VERSION, "state": packed(state, "state", tensors), "place": place_config(place, tensors)}
    text = json.dumps(content, default=number)
    newest = os.path.join(folder, NEWEST)
    os.makedirs(folder, exist_ok=True)
    if both and os.path.isfile(newest):
        os.replace(newest, os.path.join(folder, BEFORE))
    tensors_py.save(newest, tensors, {"format": FORMAT, "content": text}, op)


def read(folder: str, op: str) -> tuple[dict[str, Any], dict[str, Any], str] | None:
    """Return the place and the state of the newest backup that can be read, and its path; None if the folder has none.

    Raises:
        NotADirectoryError: the folder is a file.
        ValueError: all backups are damaged; the message is that of the newest.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise NotADirectoryError(f"{op}: {folder} is a file; wanted a folder for backups")
    failed: list[Exception] = []
    for path in (os.path.join(folder, NEWEST), os.path.join(folder, BEFORE)):
        if not os.path.lexists(path):
            continue
        try:
            found = _content(path, op)
        except (ValueError, OSError) as error:
            failed.append(error)
            continue
        if failed:
            text = f"{failed[0]}; training continues from the backup before it, {path}"
            warnings.warn(text, RuntimeWarning, stacklevel=users_level())
        return *found, path
    if failed:
        raise failed[0]
    return None


def _content(path: str, op: str) -> tuple[dict[str, Any], dict[str, Any]]:
    tensors, metadata = tensors_py.load(path, op)
    if metadata.get("format") != FORMAT or "content" not in metadata:
        raise ValueError(f"{op}: {path} is no backup of a training by fastnn")
    try:
        content = parsed(metadata["content"], "the content")
        if isinstance(content, dict) and content.get("version") != VERSION:
            raise ValueError(f"it has version {short(str(content.get('version')))}; this fastnn reads version {VERSION}")
        check_keys(content, "the content", version=int, state=dict, place=dict)
        place = content["place"]
        keys: dict[str, Any] = {"epoch": int, "steps": int, "at": int, "size": list, "stream": object, "source": object}
        check_keys(place, "the place", **keys)
        return {**place, "source": unpacked(place["source"], tensors)}, unpacked(content["state"], tensors)
    except DAMAGE as error:
        raise ValueError(f"{op}: {path}: {message(error)}") from None


def remove(folder: str) -> None:
    """Remove the backups in a folder, and the folder if it is then empty."""
    for name in (NEWEST, BEFORE):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))
    with contextlib.suppress(OSError):  # other files are there
        os.rmdir(folder)


def folder_of(path: Any, op: str) -> str:
    """Return the path of a folder as text. Raise ValueError if it is empty."""
    if not (text := name_of(path, op)):
        raise ValueError(f"{op}: the name of the folder is empty")
    return text
