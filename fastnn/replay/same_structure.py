"""Comparison of the structure of two models: if it is equal, a recorded forward pass of one can use the other's weights."""

from __future__ import annotations

from functools import partial
from itertools import zip_longest
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any

from ..core.structure import own_code
from ..nn.parameter_view import order_of

if TYPE_CHECKING:
    from ..nn.module import Module

_LIKE_NUMBERS = (int, float, str, tuple, type(None), FunctionType, BuiltinFunctionType, type)
_OTHER_SETTINGS = frozenset({"name", "input_shape", "training", "stop_training", "history"})
"""Attributes that no forward pass depends on."""


def structure_difference(frozen: Module, model: Module) -> str:
    """Return a description of the first layer, weight or setting that differs from the frozen model; "" if nothing does."""
    pairs = []
    for own, other in zip_longest(frozen.named_modules(), model.named_modules()):
        if own is None or other is None or type(own[1]) is not type(other[1]):
            came = "missing" if other is None else f"a {type(other[1]).__name__}"
            wanted = "nothing" if own is None else f"a {type(own[1]).__name__}"
            return f"layer {(own or other)[0]} is {came}, wanted {wanted}"
        pairs.append((f"{own[0]}." if own[0] else "", own[1], other[1]))
    for compared in (partial(_values_difference, "_parameters"), partial(_values_difference, "_buffers"), _settings_difference):
        for pair in pairs:
            if why := compared(*pair):
                return why
    return "" if _ties(frozen) == _ties(model) else "weights are not tied or ordered"


def _ties(model: Module) -> list[Any]:
    """Return the number of the stored tensor of each parameter and buffer, and the order of its axes."""
    numbers: dict[Any, int] = {}
    held = [t for m in model.modules() for t in (*m._parameters.values(), *m._buffers.values()) if t is not None]
    return [(numbers.setdefault(getattr(t, "base", t), len(numbers)), order_of(t)) for t in held]


def _values_difference(kind: str, dot: str, own: Module, other: Module) -> str:
    mine, theirs = (_present(getattr(m, kind)) for m in (own, other))
    for key in (*mine, *(key for key in theirs if key not in mine)):
        came, wanted = (_described(values[key]) if key in values else "" for values in (theirs, mine))
        if came != wanted:
            return f"{dot}{key} is {came or 'missing'}, wanted {wanted or 'nothing'}"
    return ""


def _settings_difference(dot: str, own: Module, other: Module) -> str:
    """Compare the settings of layers of fastnn. Custom layers are skipped: it is unknown which attributes their forward uses."""
    if not own_code(type(own).__module__):
        return ""
    for key in vars(own).keys() | vars(other).keys():
        a, b = vars(own).get(key), vars(other).get(key)
        plain = not key.startswith("_") and key not in _OTHER_SETTINGS and isinstance(b, _LIKE_NUMBERS)
        if plain and isinstance(a, _LIKE_NUMBERS) and _number(a) != _number(b):
            return f"{dot}{key} is {b!r}, wanted {a!r}"
    if _program(own) != _program(other):
        return f"the graph of {dot[:-1] or type(own).__name__} calls its layers differently, wanted the same calls"
    return ""


def _number(value: Any) -> Any:
    """Return the code of a function, since each model may create its own function object; else the value itself."""
    return value.__code__ if isinstance(value, FunctionType) else value


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _described(t: Any) -> str:
    return f"{t.dtype} {tuple(t.shape)}"


def _program(model: Module) -> Any:
    """Return the calls of a functional model, with numbers of layers instead of their names."""
    calls = vars(model).get("_program")
    if calls is None:
        return None
    numbers = {name: i for i, name in enumerate(model._modules)}
    return [(numbers[name], slots, options) for name, slots, _, options in calls], vars(model)["_results"]
