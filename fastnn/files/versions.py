"""Versions of the format of models in files, and functions that upgrade descriptions of older versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .tensors import short

VERSION = 2
"""Current version. Version 1 (fastnn 0.1) had no checksum, optimizer state, frozen parameters or states of random layers."""


def upgraded(header: Any) -> dict[str, Any]:
    """Return the description of a model, upgraded to the newest version.

    Raises:
        ValueError: the version is newer than that of this fastnn, or the description is damaged.
    """
    version = header.get("version") if isinstance(header, dict) else None
    if type(version) is int and version > VERSION:
        raise ValueError(f"it has format version {short(str(version))} of a newer fastnn; this one reads versions 1 to {VERSION}")
    if type(version) is not int or version < 1:
        raise ValueError(f"it has format version {short(str(version))}; this fastnn reads versions 1 to {VERSION}")
    while version < VERSION:
        header = {**_STEPS[version](header), "version": version + 1}
        version += 1
    newest: dict[str, Any] = header
    return newest


def _from_1(header: dict[str, Any]) -> dict[str, Any]:
    """Upgrade version 1 to version 2: a tie has the order of the view's axes instead of a flag for transposed views."""
    ties = header.get("ties")
    if ties is None:
        return header
    if not isinstance(ties, dict):
        raise ValueError(f"it is damaged: the ties are {short(repr(ties))}")
    newer = {}
    for name, tie in ties.items():
        if not isinstance(tie, list) or len(tie) != 2 or not isinstance(tie[1], bool):
            raise ValueError(f"it is damaged: the tie of {short(name)} is {short(str(tie))}")
        newer[name] = [tie[0], [1, 0] if tie[1] else None]
    return {**header, "ties": newer}


_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}
"""Functions that upgrade each older version to the next one."""
