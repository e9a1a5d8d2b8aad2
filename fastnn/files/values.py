"""Converts arguments of custom layers, losses and metrics to JSON and back: numbers, texts, lists, dicts, and named objects.

Values without a form in JSON are written as a dict with one key that begins with "$": tuples, arrays, layers, initializers,
functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import activations
from ..backends.spec import Activation
from ..core.registered import LAYERS, named, registered_name
from .tensors import short

DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")
MAX_DEPTH = 100
"""Largest depth of nested lists and dicts."""


def _kinds() -> dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]]:
    """Return the kinds of objects that have a config: base class, function that writes it, function that reads it."""
    from .. import constraints, initializers, losses, regularizers, schedules

    return {
        "initializer": (initializers.Initializer, initializers.serialize, initializers.get),
        "regularizer": (regularizers.Regularizer, regularizers.serialize, regularizers.get),
        "constraint": (constraints.Constraint, constraints.serialize, constraints.get),
        "schedule": (schedules.Schedule, schedules.serialize, schedules.get),
        "loss": (losses.Loss, losses.serialize, losses.deserialize),
    }


def encoded(value: Any, what: str, layer: Callable[[Any], Any], depth: int = 0) -> Any:
    """Return a value as JSON. The function `layer` writes the layers in it.

    Raises:
        TypeError: the value cannot be written to a file; the message begins with `what`.
    """
    if depth > MAX_DEPTH:
        raise TypeError(f"{what} is nested more than {MAX_DEPTH} deep")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, Activation):
        return {"$activation": activations.config(value)}
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        items = [encoded(item, what, layer, depth + 1) for item in value]
        return items if isinstance(value, list) else {"$tuple": items}
    if type(value) is dict:
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: encoded(item, what, layer, depth + 1) for key, item in value.items()}
        return {"$dict": [[encoded(v, what, layer, depth + 1) for v in pair] for pair in value.items()]}
    if isinstance(value, np.ndarray) and value.dtype.name in DTYPES:
        return {"$array": [value.dtype.name, list(value.shape), value.ravel().tolist()]}
    if isinstance(value, type) and (own := next((name for name, c in LAYERS.items() if c is value), None)) is not None:
        return {"$class": own}
    if hasattr(value, "named_modules") and not isinstance(value, type):
        return {"$layer": layer(value)}
    if (known := activations.function_name(value)) is not None:
        return {"$function": known}
    if (name := registered_name(value)) is not None:
        return {"$function": name}
    for kind, (base, write, _) in _kinds().items():
        if isinstance(value, base) and (config := write(value)) is not None:
            return {f"${kind}": config}
    raise TypeError(f"{what} is a {type(value).__name__}, which a file cannot hold: define get_config")


def decoded(value: Any, layer: Callable[[Any], Any]) -> Any:
    """Return the value that `encoded` wrote. The function `layer` makes the layers in it.

    Raises:
        ValueError: the value is damaged, or names an object that is not registered.
    """
    if isinstance(value, list):
        return [decoded(item, layer) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1 or not (key := next(iter(value))).startswith("$"):
        return {key: decoded(item, layer) for key, item in value.items()}
    item = value[key]
    if key == "$activation":
        return activations.get(item)
    if key == "$tuple" and isinstance(item, list):
        return tuple(decoded(v, layer) for v in item)
    if key == "$dict" and isinstance(item, list):
        return {decoded(k, layer): decoded(v, layer) for k, v in item}
    if key == "$array":
        dtype, shape, numbers = item
        if dtype in DTYPES:
            return np.array(numbers, dtype).reshape([int(n) for n in shape])
    if key == "$layer":
        return layer(item)
    if key == "$class" and isinstance(item, str):
        return LAYERS[item]
    if key == "$function" and isinstance(item, str):
        return named(item) if ">" in item else activations.function_named(item)
    if (kind := _kinds().get(key[1:])) is not None and isinstance(item, dict):
        return kind[2](item)
    raise ValueError(f"it is damaged: {short(repr(value))} is no value")
