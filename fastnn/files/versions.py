"""Versions of the format of models in files, and what makes a description of an older version one of the newest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .tensors import short

VERSION = 2
"""Version 1, of fastnn 0.1, had no checksum, no state of the optimizer, and nothing of frozen parameters and random layers."""


def upgraded(header: Any) -> dict[str, Any]:
    """Return the description of a model as the newest version has it.

    Raises:
        ValueError: it is of a newer version, or damaged.
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
    """Make version 2 of version 1: a tie says the order of axes of the view that it is, in place of "transposed or not"."""
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
"""What makes each older version the next one."""
