"""Activations by their Keras names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .backends.spec import ACTIVATION_IDS, ACTIVATIONS, LINEAR, Activation, activation

ALIASES: dict[str, Activation] = {
    "swish": activation("silu"),
    "hard_swish": activation("hard_silu"),
    "relu6": activation("hard_tanh", 0.0, 6.0),
    "quick_gelu": activation("silu", 1.702),
    "sine": activation("sin"),
}
"""Other names, and functions that are another one with parameters of their own."""
NAMES = (*(kind.name for kind in ACTIVATIONS if kind.by_name), *ALIASES)
ROWS = ("softmax", "log_softmax", "softmin", "sparsemax")
"""Functions of whole rows: operations of their own, not part of a kernel's epilogue."""


_DOMAINS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "celu": (lambda p, q: p != 0, "an alpha other than 0"),
    "hard_tanh": (lambda p, q: p < q, "min_value below max_value"),
    "soft_shrink": (lambda p, q: p >= 0, "a threshold of at least 0"),
    "hard_shrink": (lambda p, q: p >= 0, "a threshold of at least 0"),
    "softplus": (lambda p, q: p > 0, "a beta above 0"),
    "squareplus": (lambda p, q: p >= 0, "a b of at least 0"),
}
"""What the parameters of a function must be, and how to say so."""


def parametric(name: str, p0: Any, p1: Any = None) -> Activation:
    """An element-wise function with parameters of the caller's.

    Raises:
        ValueError: they are no numbers, or not such as the function can have.
    """
    given = [p0] if p1 is None else [p0, p1]
    fits, wanted = _DOMAINS.get(name, (lambda p, q: True, "numbers"))
    numbers = all(isinstance(p, int | float | np.number) and not isinstance(p, bool) and p == p for p in given)
    if numbers and fits(*(act := activation(name, p0, p1))[1:]):
        return act
    raise ValueError(f"{name}: {' and '.join(map(repr, given))} came, wanted {wanted if numbers else 'numbers'}")


def get(identifier: Any) -> Activation | str:
    """An element-wise `Activation`, or one of `ROWS` by name, from None, a name, a config or an Activation.

    >>> get("relu").name
    'relu'
    >>> get("swish").name
    'silu'
    """
    if identifier is None:
        return LINEAR
    if isinstance(identifier, Activation):
        return identifier
    if isinstance(identifier, str):
        if identifier in ROWS:
            return identifier
        if identifier in NAMES:
            return ALIASES.get(identifier) or activation(identifier)
        raise ValueError(f"unknown activation {identifier!r}; there are: {', '.join(NAMES + ROWS)}")
    if isinstance(identifier, dict) and identifier.get("name") in ACTIVATION_IDS:
        if unknown := identifier.keys() - {"name", "p0", "p1"}:
            raise ValueError(f"activation: {', '.join(map(repr, sorted(unknown, key=str)))} came, wanted name, p0 and p1")
        kind = activation(identifier["name"])
        return parametric(kind.name, identifier.get("p0", kind.p0), identifier.get("p1", kind.p1))
    layer = getattr(identifier, "activation", None)
    if isinstance(layer, Activation) or layer in ROWS:
        return layer
    raise TypeError(
        f"activation: {type(identifier).__name__} {identifier!r} came, wanted a name such as 'relu', "
        "{'name': 'elu', 'p0': 0.5} or a layer such as nn.ELU(0.5)"
    )


def config(act: Activation | str) -> Any:
    """What `get` makes the same activation of again, as JSON."""
    if isinstance(act, str):
        return act
    if act == activation(act.name) and act.name in NAMES:
        return act.name
    alias = next((name for name, same in ALIASES.items() if same == act), None)
    return alias or {"name": act.name, "p0": act.p0, "p1": act.p1}
