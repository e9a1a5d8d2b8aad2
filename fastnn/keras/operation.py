"""Operations on the symbols of a graph: a layer that calls one of the functions of `fastnn.keras.ops`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..nn.graph.symbolic import Symbol
from ..nn.module import Module
from ..nn.spec import ANY


class Operation(Module):
    """Layer that applies a function of `fastnn.keras.ops` to its inputs.

    Args:
        op: name of the function.
        arguments: its arguments, with {"input": i} for the input with the number i.
        options: its arguments by name, in the same form.
        name: name of the layer.
    """

    _saved_as = "keras.Operation"
    _any_dtype = True
    input_spec = ANY

    def __init__(self, op: str, arguments: Any, options: Any = None, name: str | None = None) -> None:
        super().__init__()
        self.op, self.arguments, self.options = op, arguments, options or {}
        self.name = name or op
        self._function = _function(op)

    def _input(self, x: Any) -> Any:
        return x if isinstance(x, Tensor) else [a if isinstance(a, Tensor) else super(Operation, self)._input(a) for a in x]

    def forward(self, x: Any) -> Any:
        inputs = [x] if isinstance(x, Tensor) else list(x)
        return self._function(*_filled(self.arguments, inputs), **_filled(self.options, inputs))

    def get_config(self) -> dict[str, Any]:
        return {"op": self.op, "arguments": self.arguments, "options": self.options, "name": self.name}

    def extra_repr(self) -> str:
        return repr(self.op)


def _function(op: str) -> Any:
    from . import ops

    if op not in ops.__all__:
        raise ValueError(f"Operation: {op!r} is no function of fastnn.keras.ops")
    return getattr(ops, op)


def _filled(given: Any, inputs: list[Any]) -> Any:
    """Return arguments with the inputs at their places."""
    if isinstance(given, dict):
        if given.keys() == {"input"}:
            return inputs[given["input"]]
        return {key: _filled(value, inputs) for key, value in given.items()}
    return [_filled(item, inputs) for item in given] if isinstance(given, list) else given


def _described(given: Any, found: list[Symbol], op: str) -> Any:
    """Return arguments as JSON, and put their symbols into `found`."""
    if isinstance(given, Symbol):
        if given not in found:
            found.append(given)
        return {"input": found.index(given)}
    if isinstance(given, list | tuple):
        return [_described(item, found, op) for item in given]
    if isinstance(given, np.dtype | type):
        return np.dtype(given).name
    if isinstance(given, np.integer | np.floating):
        return given.item()
    if given is None or isinstance(given, bool | int | float | str):
        return given
    raise TypeError(f"{op}: a symbol and a {type(given).__name__} came together; wanted symbols, numbers and names")


def _has_symbol(given: Any) -> bool:
    return isinstance(given, Symbol) or (isinstance(given, list | tuple) and any(map(_has_symbol, given)))


def operation(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that also takes symbols, for which it adds an `Operation` to the graph."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any(map(_has_symbol, (*args, *kwargs.values()))):
            found: list[Symbol] = []
            arguments = _described(list(args), found, name)
            options = {key: _described(value, found, name) for key, value in kwargs.items()}
            return Operation(name, arguments, options)(found[0] if len(found) == 1 else found)
        return function(*args, **kwargs)

    return call
