"""Activations by their Keras names."""

from __future__ import annotations

from typing import Any

from .backends.spec import ACTIVATION_IDS, ACTIVATIONS, LINEAR, Activation, activation

NAMES = tuple(kind.name for kind in ACTIVATIONS if kind.by_name)
ROWS = ("softmax", "log_softmax")
"""Functions of whole rows: operations of their own, not part of a kernel's epilogue."""


def get(identifier: Any) -> Activation | str:
    """An element-wise `Activation`, or one of `ROWS` by name, from None, a name, a config or an Activation.

    >>> get("relu").name
    'relu'
    """
    if identifier is None:
        return LINEAR
    if isinstance(identifier, Activation):
        return identifier
    if isinstance(identifier, str):
        if identifier in ROWS:
            return identifier
        if identifier in NAMES:
            return activation(identifier)
        raise ValueError(f"unknown activation {identifier!r}; there are: {', '.join(NAMES + ROWS)}")
    if isinstance(identifier, dict) and identifier.get("name") in ACTIVATION_IDS:
        return activation(identifier["name"], float(identifier.get("p0", 0.0)), float(identifier.get("p1", 0.0)))
    layer = getattr(identifier, "activation", None)
    if isinstance(layer, Activation) or layer in ROWS:
        return layer
    raise TypeError(f"activation: {type(identifier).__name__} {identifier!r} came, wanted a name such as 'relu'")


def config(act: Activation | str) -> Any:
    """What `get` makes the same activation of again, as JSON."""
    if isinstance(act, str) or act == activation(act.name):
        return act if isinstance(act, str) else act.name
    return {"name": act.name, "p0": act.p0, "p1": act.p1}
