"""Writes the architecture of a model as JSON, and reads it: layers are described by the names of their classes and by arguments.

Only classes of fastnn and classes that users registered are made. No name in a file is imported.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..core.registered import LAYERS, UnknownNameError, named, own_config, registered_name, users_own
from .tensors import short
from .values import decoded, encoded

MAX_DEPTH = 100
"""Largest depth of models inside models."""
MOST_LAYERS = 100_000
"""Largest number of layers of a model."""
SHARED = "Shared"
"""Class name of an entry that refers to a layer which was written before."""
DAMAGE = (TypeError, KeyError, ValueError, IndexError, AttributeError, ArithmeticError, RuntimeError, SyntaxError)
"""Errors that constructors raise for unexpected contents of a file. SyntaxError is raised for dtypes."""


def name_of(cls: type) -> str | None:
    """Return the name of a layer class in files, or None if the class is neither of fastnn nor registered."""
    name: str = getattr(cls, "_file_prefix", "") + cls.__name__
    own = vars(cls).get("_saved_as", name)
    return own if LAYERS.get(own) is cls else registered_name(cls)


def _by_class(cls: type) -> bool:
    """Return whether a class makes its layers from arguments, and not from a list or graph of layers in the file."""
    return users_own(cls, "__init__") or not hasattr(cls, "config_by")


class Writer:
    """Writes layers as JSON. A layer that occurs again is written as its number; layers are numbered as they are finished."""

    def __init__(self) -> None:
        self.layers: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def layer(self, layer: Any) -> dict[str, Any]:
        """Return the class, arguments and name of a layer. Raise TypeError if it is neither of fastnn nor registered."""
        if (number := self._numbers.get(layer)) is not None:
            return {"class_name": SHARED, "config": {"number": number}}
        cls: Any = type(layer)
        name = name_of(cls)
        if name is None:
            raise TypeError(
                f"save: {cls.__name__} is not one of fastnn's layers, and not registered: put @fastnn.register before its "
                "definition, or use save_weights()"
            )
        if "forward" in vars(layer):
            raise TypeError(f"save: the forward of a {name} was replaced, which cannot be put into a file; use save_weights()")
        try:
            entry: dict[str, Any] = {"class_name": name, "config": self.config(layer)}
        except TypeError as error:
            if str(error).startswith("save:"):
                raise
            raise TypeError(f"save: {name}: {error}; or use save_weights()") from None
        if ">" in name and (_by_class(cls) or users_own(cls, "get_config")):
            if (shape := _shape_of(layer)) is not None:
                entry["built"] = list(shape)
            if layer._modules:
                entry["layers"] = {attribute: self.layer(held) for attribute, held in layer._modules.items()}
        self.finished(layer)
        if "name" not in entry["config"] and isinstance(vars(layer).get("name"), str):
            entry["name"] = layer.name
        return entry

    def config(self, layer: Any) -> dict[str, Any]:
        """Return a layer's arguments, with the layers among them.

        Raises:
            TypeError: an argument cannot be read, or cannot be written; the message names it.
        """
        if users_own(type(layer), "__init__") or users_own(type(layer), "get_config"):
            return _arguments(layer, self.layer)
        config: dict[str, Any] = layer.config_by(self.layer) if hasattr(layer, "config_by") else layer.get_config()
        return config

    def finished(self, layer: Any) -> None:
        """Give a layer its number."""
        self._numbers[layer] = len(self.layers)
        self.layers.append(layer)


def _arguments(layer: Any, write: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the arguments of a custom layer. `write` converts layers among them to JSON."""
    name = type(layer).__name__
    return {key: encoded(value, f"the argument {key!r} of {name}", write) for key, value in own_config(layer).items()}


def _comparable(arguments: Any) -> Any:
    """Return arguments with lists instead of tuples and without layers, which are compared separately."""
    if isinstance(arguments, list):
        return [_comparable(item) for item in arguments]
    if isinstance(arguments, dict):
        if arguments.keys() == {"$tuple"}:
            return _comparable(arguments["$tuple"])
        return {key: None if key == "$layer" else _comparable(item) for key, item in arguments.items()}
    return arguments


def _shape_of(layer: Any) -> Any:
    """Return the shape of samples for which a custom layer was built; None if it does not depend on a shape."""
    if layer._built_for is not None:
        return layer._built_for
    inherited = next((LAYERS[name] for c in type(layer).__mro__[:-1] if (name := name_of(c)) in LAYERS), None)
    return inherited.get_config(layer).get("input_shape") if inherited is not None and hasattr(inherited, "build") else None


class Reader:
    """Makes the layers that a `Writer` wrote. Its ValueErrors name the place in the file."""

    def __init__(self) -> None:
        self._writer = Writer()
        """Writer that numbers the layers, and writes the layers that a custom class made."""
        self._sizes: dict[Any, int] = {}
        self._place: list[int] = []
        """Number of layers begun so far in each of the enclosing models."""

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
            check_keys(config, "a layer", class_name=str, config=dict, name=[str], built=[list], layers=[dict])
        except ValueError as error:
            raise ValueError(f"{damaged}: {error}") from None
        name, arguments, layers = config["class_name"], config["config"], self._writer.layers
        if name == SHARED:
            number = arguments.get("number")
            if type(number) is not int or not 0 <= number < len(layers) or len(arguments) > 1:
                raise ValueError(f"{damaged} names layer {short(str(number))}, which does not come before")
            return layers[number]
        try:
            cls: Any = named(name) if ">" in name else LAYERS.get(name)
            if cls is None or (">" in name and not (isinstance(cls, type) and hasattr(cls, "named_modules"))):
                what = "which is registered, but is no layer" if cls else "which fastnn does not have"
                raise ValueError(f"load: the file names a layer {short(name)!r}, {what} ({where})")
            layer = self._of_users(cls, config) if ">" in name else self._of_fastnn(cls, arguments)
        except UnknownNameError as error:
            raise error if str(error).startswith("load:") else UnknownNameError(f"load: {where}: {error}") from None
        except DAMAGE as error:
            if str(error).startswith("load:"):
                raise
            begin = f"load: {where}" if ">" in name else damaged
            raise ValueError(f"{begin}: {short(name)}: {message(error)}") from None
        if config.get("name") is not None:
            layer.name = config["name"]
        # A layer that is written as its number counts like one that is written in full: it takes as much work.
        self._sizes[layer] = 1 + sum(self._sizes.get(m, 1) for m in layer.children())
        if self._sizes[layer] > MOST_LAYERS:
            raise ValueError(f"load: the file's architecture has more than {MOST_LAYERS} layers")
        self._writer.finished(layer)
        return layer

    def _of_fastnn(self, cls: Any, arguments: dict[str, Any]) -> Any:
        if hasattr(cls, "config_by"):
            return cls.from_config(arguments, self.layer)
        layer = cls(**arguments)
        check_same(arguments, layer, cls)
        return layer

    def _of_users(self, cls: Any, config: dict[str, Any]) -> Any:
        """Make a layer of a registered class, and check that it agrees with the file."""
        arguments = config["config"]
        if not _by_class(cls) and not users_own(cls, "get_config"):
            return cls.from_config(arguments, self.layer)
        given = decoded(arguments, self.layer)
        try:
            layer = cls.from_config(given) if users_own(cls, "from_config") else cls(**given)
        except DAMAGE as error:
            if isinstance(error, UnknownNameError) or str(error).startswith("load:"):
                raise
            raise ValueError(
                f"the constructor of {cls.__name__} does not take {short(str(given))}: {message(error)}; an attribute with the "
                "name of an argument has to hold it as it came, else define get_config"
            ) from error
        if type(layer) is not cls:
            raise ValueError(f"its from_config returned a {type(layer).__name__}")
        _build(layer, config)
        held = config.get("layers") or {}
        if held.keys() != layer._modules.keys():
            here, there = (", ".join(names) or "none" for names in (held, layer._modules))
            raise ValueError(f"the file has the layers {here}, and its class makes {there}")
        for attribute, own in held.items():
            made = plain(self._writer.layer(layer._modules[attribute]))
            if (where := _difference(own, made, attribute)) is not None:
                raise ValueError(f"{where}; what is changed after the constructor has to be an argument of it, too")
        wanted, came = _comparable(arguments), _comparable(plain(_arguments(layer, lambda _: None)))
        if (where := _difference(wanted, came, "its config")) is not None:
            raise ValueError(where)
        return layer


def _difference(given: Any, made: Any, where: str) -> str | None:
    """Describe the first difference between the config in a file and that of the object made from it; None if they are equal."""
    if isinstance(given, dict) and isinstance(made, dict):
        keys = dict.fromkeys([*given, *made])
        parts = ((given.get(key, "missing"), made.get(key, "missing"), f"{where}.{short(key)}") for key in keys)
        return next((found for part in parts if (found := _difference(*part)) is not None), None)
    if isinstance(given, list) and isinstance(made, list) and len(given) == len(made):
        items = enumerate(zip(given, made, strict=True))
        return next((found for i, pair in items if (found := _difference(*pair, f"{where}[{i}]")) is not None), None)
    return None if same(given, made) else f"{where} is {short(repr(given))} in the file, and its class makes {short(repr(made))}"


def _build(layer: Any, config: dict[str, Any]) -> None:
    """Build a layer, and the layers that it made itself, with the shapes in the file."""
    arguments = config.get("config") or {}
    shape = config.get("built") or arguments.get("input_shape")
    if shape is not None and hasattr(layer, "build") and not layer._own_built():
        layer.build(tuple(shape))
    held = config.get("layers") or arguments.get("layers") or {}
    for own, inner in zip(layer._modules.values(), held.values() if isinstance(held, dict) else held, strict=False):
        _build(own, inner)


def layer_config(layer: Any) -> dict[str, Any]:
    """Return a layer as JSON: the name of its class and its arguments. Raise TypeError if it cannot be written to a file."""
    return Writer().layer(layer)


def layer_from_config(config: Any) -> Any:
    """Make the layer that `layer_config` wrote. Raise ValueError if there is no such layer."""
    return Reader().layer(config)


def message(error: Exception) -> str:
    """Return the text of an error. The middle of a long text is left out, because it may contain parts of the file."""
    text = str(error)
    if isinstance(error, KeyError) and error.args:  # a sentence, or the name that a dict lacks
        text = str(error.args[0]) if " " in str(error.args[0]) else f"there is no {error.args[0]!r}"
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"


def plain(value: Any) -> Any:
    """Return a config as it is after JSON: with lists instead of tuples, and Python numbers instead of NumPy's."""
    return json.loads(json.dumps(value, default=number))


def number(value: Any) -> Any:
    """Return a NumPy number or array as JSON."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else float(value)


@functools.cache
def _signature(cls: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(cls).parameters


def check_same(given: dict[str, Any], made: Any, cls: Any) -> None:
    """Raise ValueError if an object does not have the arguments that it was made from, for example a text used as a flag."""
    own, parameters = plain(made.get_config()) if given else {}, _signature(cls)
    for key, value in given.items():
        if value is None and key in parameters and parameters[key].default is None:
            continue
        came = own[key] if key in own else getattr(made, key, None)
        if not same(value, came) and not same(plain(value), came):  # a config that was no JSON has tuples
            raise ValueError(f"{key} is {short(repr(value))}, which is taken for {short(repr(came))}")


def check_keys(given: Any, what: str, **kinds: Any) -> None:
    """Raise ValueError unless `given` is a dict with these keys and types. A key with its type in a list is optional."""
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
    """Return whether a value in a file agrees with that of the object made from it. Numbers of different types may be equal."""
    if isinstance(given, bool) or isinstance(own, bool):
        return given is own
    if isinstance(given, int | float) and isinstance(own, int | float):
        return given == own or (given != given and own != own)
    if isinstance(given, list):
        return isinstance(own, list | tuple) and len(given) == len(own) and all(map(same, given, own))
    if isinstance(given, dict):
        return isinstance(own, dict) and all(key in own and same(value, own[key]) for key, value in given.items())
    if isinstance(given, str) and isinstance(own, dict):
        return "class_name" in own  # the file has only the name of a class
    return type(given) is type(own) and bool(given == own)
