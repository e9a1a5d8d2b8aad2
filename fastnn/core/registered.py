"""Names of classes and functions in files: the layers of fastnn, and classes and functions that users register."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar, overload

C = TypeVar("C", bound=Callable[..., Any])

LAYERS: dict[str, Any] = {}
"""Name in files -> layer of fastnn or loss in PyTorch style. `nn.Module` adds each class when it is defined."""


class CustomObjects:
    """Classes and functions in the argument custom_objects of `fastnn.load`, and the names under which the file used them."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.names: dict[Any, str] = {}


custom_objects: ContextVar[CustomObjects | None] = ContextVar("fastnn_custom_objects", default=None)
"""Custom objects of the file that is being read in this context."""

_objects: dict[str, Any] = {}
_names: dict[Any, str] = {}


class UnknownNameError(ValueError):
    """Error: a file contains the name of a class or function that is not registered."""


@overload
def register(item: C, /) -> C: ...


@overload
def register(item: None = None, /, *, name: str | None = None, package: str = "Custom") -> Callable[[C], C]: ...


def register(item: Any = None, /, *, name: str | None = None, package: str = "Custom") -> Any:
    """Register a name for a custom class or function in files, like Keras's `register_keras_serializable`.

    Layers, models, losses, metrics, initializers, regularizers, constraints, schedules and optimizers can be registered as
    classes. Activations, losses, metrics, initializers, regularizers and constraints can be registered as functions. A file
    contains the name, "package>name", and the arguments. The arguments come from `get_config`, or else from the attributes with
    the names of the constructor's arguments. No code is imported from a file: before loading it, register the same names, or
    pass them as `custom_objects`.

    Args:
        item: the class or function; omitted if name or package are given.
        name: the name; by default the name of the class or function.
        package: prefix of the name, to distinguish it from the names of other packages.

    Raises:
        TypeError: the item is neither a class nor a function.
        ValueError: the name is empty, contains ">", or belongs to another class or function.

    >>> import fastnn
    >>> @fastnn.register(package="docs")
    ... class Scale(fastnn.Layer):
    ...     def __init__(self, factor=1.0):
    ...         super().__init__()
    ...         self.factor = factor
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,)), Scale(0.5)])
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "model.fastnn")
    >>> model.save(path)
    >>> fastnn.load(path)[1].factor
    0.5
    """
    if isinstance(item, str):
        raise TypeError(f"register: {item!r} came, wanted a class or a function; give names as name=... and package=...")

    def put(thing: Any) -> Any:
        if not isinstance(thing, type) and not inspect.isfunction(thing):
            raise TypeError(f"register: {thing!r} came, wanted a class or a function")
        own = thing.__name__ if name is None else name
        for part, what in ((own, "name"), (package, "package")):
            if not isinstance(part, str) or not part or ">" in part or part == "<lambda>":
                raise ValueError(f"register: the {what} is {part!r}, wanted some letters without '>'")
        full = f"{package}>{own}"
        before = _objects.get(full)
        if before is not None and before is not thing and _place(before) != _place(thing):
            raise ValueError(
                f"register: {full!r} is already the name of {_place(before)}; {_place(thing)} needs another name or package"
            )
        if thing in _names and _names[thing] != full:
            raise ValueError(f"register: {_place(thing)} is already registered as {_names[thing]!r}")
        _objects[full] = thing  # replaces the definition of an earlier run of a notebook cell
        _names[thing] = full
        return thing

    return put if item is None else put(item)


def registered_name(item: Any) -> str | None:
    """Return the name of a class or function in files; None if it is not registered."""
    if not isinstance(item, type) and not inspect.isfunction(item):
        return None
    custom = custom_objects.get()
    return _names.get(item) if custom is None or item not in custom.names else custom.names[item]


def named(name: str) -> Any:
    """Return the class or function that is registered under the name "package>name".

    Raises:
        UnknownNameError: the name is not registered; the message describes how to register it.
    """
    custom = custom_objects.get()
    package, _, own = name.partition(">")
    for known in (name, own):
        if custom is not None and known in custom.given:
            custom.names[custom.given[known]] = name
            return custom.given[known]
    if name in _objects:
        return _objects[name]
    shown = name if len(name) <= 80 else f"{name[:40]} ... {name[-40:]}"
    by_default = f"(package={package!r})" if package != "Custom" and len(package) <= 40 else ""
    raise UnknownNameError(
        f"{shown!r} is not registered in this process: put @fastnn.register{by_default} before the definition of "
        f"{own[:40]} and run it before load, or pass custom_objects={{{own[:40]!r}: ...}}"
    )


def checked(given: Any) -> CustomObjects | None:
    """Check the argument custom_objects of `load`; raise TypeError if it is not a dict from names to classes and functions."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise TypeError(f"load: custom_objects is a {type(given).__name__}, wanted a dict from names to classes and functions")
    for name, item in given.items():
        if not isinstance(name, str) or not (isinstance(item, type) or inspect.isfunction(item)):
            raise TypeError(f"load: custom_objects has {name!r}: {item!r}, wanted names, and classes or functions")
    return CustomObjects(given)


def arguments_of(item: Any) -> dict[str, Any]:
    """Return the arguments of an object's constructor, from the attributes of the same names, with or without an underscore.

    Arguments that it passes as `**kwargs` to a constructor of fastnn come from the config of that class.

    Raises:
        TypeError: an argument has no such attribute; the message names it.
    """
    found: dict[str, Any] = {}
    for owner, argument in _constructor(type(item)):
        if _is_own(owner):
            config = owner.get_config(item)
            found |= {argument: config[argument]} if argument in config else {}
            continue
        attribute = argument if hasattr(item, argument) else f"_{argument}"
        if not hasattr(item, attribute):
            raise TypeError(
                f"the argument {argument!r} of {type(item).__name__} cannot be read from an attribute: keep it as "
                f"self.{argument}, or define get_config"
            )
        found[argument] = getattr(item, attribute)
    return found


def own_config(item: Any) -> dict[str, Any]:
    """Return the config of an object of a registered class, from the user's get_config or else from `arguments_of`."""
    if users_own(type(item), "get_config") or not users_own(type(item), "__init__"):
        config: dict[str, Any] = item.get_config()
        return config
    return arguments_of(item)


def users_own(cls: type, method: str) -> bool:
    """Return whether a method of a class is defined outside of fastnn."""
    owner = next((c for c in cls.__mro__ if method in vars(c)), object)
    return owner is not object and not _is_own(owner)


def _is_own(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]


def readable_arguments(item: Any) -> dict[str, Any]:
    """Return the arguments of an object's constructor that have attributes of the same names."""
    return {name: getattr(item, name) for _, name in _constructor(type(item), strict=False) if hasattr(item, name)}


def _constructor(cls: type, strict: bool = True) -> list[tuple[Any, str]]:
    """Return the names of a constructor's arguments, each with its class.

    They include the arguments of a base class if the constructor passes `**kwargs` to it.
    """
    found: dict[str, type] = {}
    for c in cls.__mro__[:-1]:
        if "__init__" not in vars(c):
            continue
        parameters = list(inspect.signature(vars(c)["__init__"]).parameters.values())[1:]
        for p in parameters:
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                found.setdefault(p.name, c)
            elif strict and p.kind is not p.VAR_KEYWORD and not _is_own(c):
                star = "*" if p.kind is p.VAR_POSITIONAL else ""
                raise TypeError(f"the argument {star}{p.name} of {c.__name__} cannot be given by its name: define get_config")
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return [(c, name) for name, c in found.items()]


def _place(item: Any) -> str:
    return f"{item.__module__}.{item.__qualname__}"
