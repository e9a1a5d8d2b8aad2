"""Names of layers in models."""

from __future__ import annotations

from typing import Any


def own_name(layer: Any) -> str:
    """Return the name of a layer, or that of its class in small letters."""
    name = getattr(layer, "name", None)
    return name if isinstance(name, str) and name else type(layer).__name__.lower()


def set_name(layer: Any, name: str) -> None:
    """Set the name of a layer, unless its class uses this attribute for something else."""
    if isinstance(getattr(layer, "name", ""), str | None) and not isinstance(getattr(type(layer), "name", None), property):
        layer.name = name


def give_name(layer: Any, taken: dict[str, int]) -> None:
    """Give a layer that no model has yet a name that is not taken: its own name, or with a number.

    taken: each name -> the largest number that was added to it; gets the new name.
    """
    own = name = own_name(layer)
    while not layer._holders and name in taken:
        taken[own] += 1
        name = f"{own}_{taken[own]}"
    taken.setdefault(name, 0)
    if not layer._holders:
        set_name(layer, name)
