"""Columns as plain values, for files."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np

from .columns import Category, Date
from .numbers import Number, Piecewise, Quantile

AnyColumn: TypeAlias = Number | Quantile | Piecewise | Date | Category
TYPES = ("text", "whole", "number", "bool")
"""Types of the classes of a target."""
KINDS: dict[str, type[AnyColumn]] = {c.kind: c for c in (Number, Quantile, Piecewise, Date, Category)}


def from_config(config: Any) -> AnyColumn:
    """Return the column that plain values describe.

    Raises:
        ValueError: the values describe none.
    """
    kind = config.get("kind") if isinstance(config, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"table: a column is {str(config)[:60]}; wanted a dict with a kind: {', '.join(KINDS)}")
    cls: Any = KINDS[kind]
    column: AnyColumn = cls(**checked(cls, {key: value for key, value in config.items() if key != "kind"}))
    if isinstance(column, Quantile) and len(column.points) != len(column.scores):
        raise ValueError(f"table: {column.name!r} has {len(column.points)} points and {len(column.scores)} scores")
    return column


def checked(cls: Any, config: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a config as arguments of a class; ValueError if one is missing, unknown or of another type."""
    kinds = {field.name: str(field.type) for field in fields(cls)}
    if set(config) != set(kinds):
        raise ValueError(f"table: a {cls.kind} has the keys {', '.join(map(str, config))[:200]}; wanted {', '.join(kinds)}")
    out: dict[str, Any] = {}
    for key, value in config.items():
        if not _fits(key, value, kinds[key]):
            raise ValueError(f"table: {key} of a {cls.kind} is {str(value)[:60]!r}, which does not fit")
        out[key] = tuple(value) if isinstance(value, list) else value
    return out


def _fits(key: str, value: Any, kind: str) -> bool:
    """Return whether a value is of the type of a field; kind is the text of the type."""
    if kind == "float":
        return type(value) in (int, float) and bool(np.isfinite(value)) and (key != "scale" or value > 0)
    if key == "type":
        return value in TYPES
    if kind in ("bool", "str"):
        return type(value).__name__ == kind
    if not isinstance(value, list | tuple):
        return False
    if kind == "tuple[float, ...]":  # each larger than the one before
        numbers = len(value) > 0 and all(type(v) in (int, float) and np.isfinite(v) for v in value)
        return numbers and bool((np.diff(value) > 0).all()) and (key != "edges" or len(value) > 1)
    return all(type(v) is str for v in value) and len(set(value)) == len(value)
