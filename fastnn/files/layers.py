"""The architecture of a model as JSON: layers by their names and arguments, and made again from a closed list of classes."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from .tensors import short

MAX_DEPTH = 100
"""Models inside models."""
MOST_LAYERS = 100_000
"""Layers of a model."""
SHARED = "Shared"
"""What stands for a layer that came before."""
DAMAGE = (TypeError, KeyError, ValueError, IndexError, AttributeError, ArithmeticError, RuntimeError, SyntaxError)
"""What constructors raise where a file has other things than they expect; SyntaxError comes from dtypes."""


@functools.cache
def registry() -> dict[str, Any]:
    """Return the layers that a file may name: those of `fastnn.nn` that give their constructor's arguments."""
    from .. import nn
    from ..nn import keras_activation, symbolic
    from ..nn.loss import TorchLoss

    public = [getattr(nn, name) for name in nn.__all__]
    modules = [c for c in public if isinstance(c, type) and issubclass(c, nn.Module) and not issubclass(c, TorchLoss)]
    layers = [c for c in modules if c.get_config is not nn.Module.get_config]
    keras = keras_activation.ReLU, keras_activation.LeakyReLU, keras_activation.PReLU
    return {name_of(c): c for c in (*layers, *keras, symbolic.Arithmetic, symbolic.Slice)}


def name_of(layer: type) -> str:
    """Return what files call a class: its own name, unless another class has that too."""
    name: str = layer.__dict__.get("saved_as", layer.__name__)
    return name


class Writer:
    """Writes layers as JSON; one that comes again is named by its number, counted as layers are finished."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def layer(self, layer: Any) -> dict[str, Any]:
        """Return a layer's class, arguments and name; TypeError if it is none of fastnn's."""
        if (number := self._numbers.get(layer)) is not None:
            return {"class_name": SHARED, "config": {"number": number}}
        name = name_of(type(layer))
        try:
            config = layer.config_by(self.layer) if hasattr(layer, "config_by") else layer.get_config()
        except TypeError as error:
            if str(error).startswith("save:"):
                raise
            raise TypeError(f"save: {name}: {error}; use save_weights()") from None
        if registry().get(name) is not type(layer):
            raise TypeError(f"save: {name} is not one of fastnn's layers, so it cannot be put into a file; use save_weights()")
        if "forward" in vars(layer):
            raise TypeError(f"save: the forward of a {name} was replaced, which cannot be put into a file; use save_weights()")
        self._numbers[layer] = len(self._numbers)
        own = {} if "name" in config or not isinstance(vars(layer).get("name"), str) else {"name": layer.name}
        return {"class_name": name, "config": config, **own}


class Reader:
    """Makes the layers again that a `Writer` wrote; ValueError where that cannot be, with the place in the file."""

    def __init__(self) -> None:
        self._layers: list[Any] = []
        self._sizes: dict[Any, int] = {}
        self._place: list[int] = []
        """How many layers were begun in each of the models around the one that is read."""

    def layer(self, config: Any) -> Any:
        """Make the layer of this config."""
        if self._place:
            self._place[-1] += 1
        where = "model" + "".join(f".layers[{n - 1}]" for n in self._place)
        if len(self._place) > MAX_DEPTH:
            raise ValueError(f"load: the file's architecture is nested more than {MAX_DEPTH} deep")
        self._place.append(0)
        try:
            return self._made(config, where)
        finally:
            self._place.pop()

    def _made(self, config: Any, where: str) -> Any:
        damaged = f"load: the file's architecture is damaged: {where}"
        try:
            check_keys(config, "a layer", class_name=str, config=dict, name=[str])
        except ValueError as error:
            raise ValueError(f"{damaged}: {error}") from None
        name, arguments = config["class_name"], config["config"]
        if name == SHARED:
            number = arguments.get("number")
            if type(number) is not int or not 0 <= number < len(self._layers) or len(arguments) > 1:
                raise ValueError(f"{damaged} names layer {short(str(number))}, which does not come before")
            return self._layers[number]
        cls = registry().get(name)
        if cls is None:
            raise ValueError(f"load: the file names a layer {short(name)!r}, which fastnn does not have ({where})")
        try:
            if hasattr(cls, "from_config"):
                layer = cls.from_config(arguments, self.layer)
            else:
                layer = cls(**arguments)
                check_same(arguments, layer, cls)
        except DAMAGE as error:
            if str(error).startswith("load:"):
                raise
            raise ValueError(f"{damaged}: {name}: {message(error)}") from None
        if config.get("name") is not None:
            layer.name = config["name"]
        # A layer that is named by its number takes as much work as one that is written out.
        self._sizes[layer] = 1 + sum(self._sizes.get(m, 1) for m in layer.children())
        if self._sizes[layer] > MOST_LAYERS:
            raise ValueError(f"load: the file's architecture has more than {MOST_LAYERS} layers")
        self._layers.append(layer)
        return layer


def layer_config(layer: Any) -> dict[str, Any]:
    """Return a layer as JSON: its class's name and its arguments; TypeError if it is no layer of fastnn."""
    return Writer().layer(layer)


def layer_from_config(config: Any) -> Any:
    """Make the layer that `layer_config` wrote; ValueError if this is none of fastnn's."""
    return Reader().layer(config)


def message(error: Exception) -> str:
    """Return an error's text, which may hold what the file says, without the middle of a long one."""
    text = str(error)
    if isinstance(error, KeyError) and error.args:  # a sentence, or the name that a dict lacks
        text = str(error.args[0]) if " " in str(error.args[0]) else f"there is no {error.args[0]!r}"
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"


def plain(value: Any) -> Any:
    """Return a config as JSON gives it back: lists for tuples, Python's numbers for NumPy's."""
    return json.loads(json.dumps(value, default=number))


def number(value: Any) -> Any:
    """Return a number or an array of NumPy's as JSON."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else float(value)


@functools.cache
def _signature(cls: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(cls).parameters


def check_same(given: dict[str, Any], made: Any, cls: Any) -> None:
    """Raise ValueError unless what was made of arguments has them: a text for a flag, say, makes another layer than it says."""
    own, parameters = plain(made.get_config()) if given else {}, _signature(cls)
    for key, value in given.items():
        if value is None and key in parameters and parameters[key].default is None:
            continue
        if not same(value, came := own[key] if key in own else getattr(made, key, None)):
            raise ValueError(f"{key} is {short(repr(value))}, which is taken for {short(repr(came))}")


def check_keys(given: Any, what: str, **kinds: Any) -> None:
    """Raise ValueError unless this is a dict of these keys with values of these types; a type in a list may be left out."""
    if not isinstance(given, dict):
        raise ValueError(f"{what} is {short(repr(given))}, wanted a dict")
    if unknown := [key for key in given if key not in kinds]:
        raise ValueError(f"{what} has the unknown key {short(repr(unknown[0]))}; there are: {', '.join(kinds)}")
    for key, kind in kinds.items():
        wanted = kind[0] if isinstance(kind, list) else kind
        if key not in given:
            if not isinstance(kind, list):
                raise ValueError(f"{what} lacks the key {key!r}")
        elif wanted is not object and type(given[key]) is not wanted and not (isinstance(kind, list) and given[key] is None):
            raise ValueError(f"{what}: {key} is {short(repr(given[key]))}, wanted a {wanted.__name__}")


def same(given: Any, own: Any) -> bool:
    """Return whether a file's value is what was made of it: all it says, with numbers by value and flags by kind."""
    if isinstance(given, bool) or isinstance(own, bool):
        return given is own
    if isinstance(given, int | float) and isinstance(own, int | float):
        return given == own or (given != given and own != own)
    if isinstance(given, list):
        return isinstance(own, list | tuple) and len(given) == len(own) and all(map(same, given, own))
    if isinstance(given, dict):
        return isinstance(own, dict) and all(key in own and same(value, own[key]) for key, value in given.items())
    if isinstance(given, str) and isinstance(own, dict):
        return "class_name" in own  # the name of a class, whose arguments are its own
    return type(given) is type(own) and bool(given == own)
