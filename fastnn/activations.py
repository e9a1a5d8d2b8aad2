"""Activations by their Keras names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .backends.spec import ACTIVATION_IDS, ACTIVATIONS, LINEAR, Activation, activation
from .core.near import unknown
from .core.registered import named, registered_name

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


NAMED: dict[Callable[..., Any], Activation | str] = {}
"""What each operation is to a layer that applies it: an element-wise function with its defaults, or a row function.

ops/activation.py, where the operations are made, puts them in."""


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
    """Return an element-wise function with parameters of the caller's.

    Raises:
        ValueError: they are no numbers, or not such as the function can have.
    """
    given = [p0] if p1 is None else [p0, p1]
    fits, wanted = _DOMAINS.get(name, (lambda p, q: True, "numbers"))
    numbers = all(isinstance(p, int | float | np.number) and not isinstance(p, bool) and p == p for p in given)
    if numbers and fits(*(act := activation(name, p0, p1))[1:]):
        return act
    raise ValueError(f"{name}: {' and '.join(map(repr, given))} came, wanted {wanted if numbers else 'numbers'}")


def get(identifier: Any) -> Any:
    """Return what a layer applies to its output, from None, a name, a config, an `Activation`, a layer or a function.

    Returns:
        An element-wise `Activation`, also for functions and layers of fastnn that are one; one of `ROWS` by name; or the layer or
        function itself, which is called with a Tensor.

    >>> get("relu").name
    'relu'
    >>> get("swish").name
    'silu'
    >>> import fastnn
    >>> get(fastnn.tanh).name, get(fastnn.nn.ELU(0.5)).p0, get(fastnn.softmax)
    ('tanh', 0.5, 'softmax')
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
        if ">" in identifier:
            return named(identifier)
        raise ValueError(unknown("activation", identifier, NAMES + ROWS))
    if isinstance(identifier, dict) and identifier.get("name") in ACTIVATION_IDS:
        if extra := identifier.keys() - {"name", "p0", "p1"}:
            raise ValueError(f"activation: {', '.join(map(repr, sorted(extra, key=str)))} came, wanted name, p0 and p1")
        kind = activation(identifier["name"])
        return parametric(kind.name, identifier.get("p0", kind.p0), identifier.get("p1", kind.p1))
    if callable(identifier) and not isinstance(identifier, type):
        known = NAMED.get(identifier) if identifier.__hash__ is not None else None
        as_function = getattr(identifier, "as_function", None)  # of a layer
        return known or (as_function and as_function()) or identifier
    got = f"the class {identifier.__name__}" if isinstance(identifier, type) else f"{type(identifier).__name__} {identifier!r}"
    raise TypeError(
        f"activation: {got} came, wanted a name such as 'relu', {{'name': 'elu', 'p0': 0.5}}, a layer such as nn.ELU(0.5) "
        "or a function of a Tensor"
    )


def elementwise(identifier: Any, op: str) -> Activation:
    """Return the same where only element-wise functions of fastnn will do; ValueError for others."""
    act = get(identifier)
    if not isinstance(act, Activation):
        why = "works on rows" if isinstance(act, str) else "is a function of your own"
        raise ValueError(f"{op}: activation {label(act)!r} {why}, wanted an element-wise function of fastnn")
    return act


def label(act: Any) -> Any:
    """Return what an activation looks like in the repr of a layer: its config, or the name of a function."""
    known = isinstance(act, str | Activation)
    return config(act) if known else getattr(act, "__name__", None) or type(act).__name__


def config(act: Any) -> Any:
    """Return what `get` makes the same activation of again, as JSON; TypeError for functions and layers that have no name."""
    if isinstance(act, str):
        return act
    if (name := registered_name(act)) is not None:
        return name
    if not isinstance(act, Activation):
        raise TypeError(
            f"save: the activation {label(act)} has no name that a file could hold; use one of docs/activations.md, "
            "put @fastnn.register before its definition, or use save_weights() or state_dict()"
        )
    if act == activation(act.name) and act.name in NAMES:
        return act.name
    alias = next((name for name, same in ALIASES.items() if same == act), None)
    return alias or {"name": act.name, "p0": act.p0, "p1": act.p1}


def function_name(function: Any) -> str | None:
    """Return the name of one of fastnn's own functions that layers apply; None for others."""
    known = callable(function) and function.__hash__ is not None and function in NAMED
    return getattr(function, "__name__", None) if known else None


def function_named(name: str) -> Any:
    """Return the function that has this name; ValueError where fastnn has none."""
    for function in NAMED:
        if getattr(function, "__name__", None) == name:
            return function
    raise ValueError(unknown("activation", name, NAMES + ROWS))
