"""Names that files have for classes and functions: fastnn's own layers, and what users register."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar, overload

C = TypeVar("C", bound=Callable[..., Any])

LAYERS: dict[str, Any] = {}
"""fastnn's own layers and PyTorch's losses, by their names in files: `nn.Module` puts in each class where it is defined."""


class CustomObjects:
    """The classes and functions that `fastnn.load` was given by name, and which of the names the file used."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.names: dict[Any, str] = {}


custom_objects: ContextVar[CustomObjects | None] = ContextVar("fastnn_custom_objects", default=None)
"""Those of the file that is read, in whose context it is."""

_objects: dict[str, Any] = {}
_names: dict[Any, str] = {}


class UnknownNameError(ValueError):
    """A file names a class or function that nobody registered."""


@overload
def register(item: C, /) -> C: ...


@overload
def register(item: None = None, /, *, name: str | None = None, package: str = "Custom") -> Callable[[C], C]: ...


def register(item: Any = None, /, *, name: str | None = None, package: str = "Custom") -> Any:
    """Give a class or function of your own a name in files, as Keras's `register_keras_serializable` does.

    Layers and models, losses, metrics, initializers, regularizers, constraints, schedules and optimizers can be registered, as
    classes, and activations, losses, metrics, initializers, regularizers and constraints as functions. A file holds the name,
    "package>name", and the arguments: those of `get_config`, or else the attributes that have the names of the constructor's
    arguments. Nothing is imported from a file: whoever loads it has to register the same names before, or pass them as
    `custom_objects`.

    Args:
        item: the class or function; not given where name or package are.
        name: its name; that of the class or function if not given.
        package: what stands before the name, to keep yours apart from those of other people.

    Raises:
        TypeError: it is neither a class nor a function.
        ValueError: the name is empty, has a ">", or is that of another class or function.

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
                raise ValueError(f"register: the {what} is {part!r}; wanted some letters without '>'")
        full = f"{package}>{own}"
        before = _objects.get(full)
        if before is not None and before is not thing and _place(before) != _place(thing):
            raise ValueError(
                f"register: {full!r} is the name of {_place(before)} already, so {_place(thing)} needs another name or package"
            )
        if thing in _names and _names[thing] != full:
            raise ValueError(f"register: {_place(thing)} is registered as {_names[thing]!r} already")
        _objects[full] = thing  # in the place of what a notebook's cell defined when it ran before
        _names[thing] = full
        return thing

    return put if item is None else put(item)


def registered_name(item: Any) -> str | None:
    """Return the name of a class or function in files; None where it is not registered."""
    if not isinstance(item, type) and not inspect.isfunction(item):
        return None
    custom = custom_objects.get()
    return _names.get(item) if custom is None or item not in custom.names else custom.names[item]


def named(name: str) -> Any:
    """Return the class or function that is registered under the name, "package>name".

    Raises:
        UnknownNameError: there is none; the message says how to register it.
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
    """Return what `load` was given as custom_objects; TypeError unless it names classes and functions."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise TypeError(f"load: custom_objects is a {type(given).__name__}, wanted a dict from names to classes and functions")
    for name, item in given.items():
        if not isinstance(name, str) or not (isinstance(item, type) or inspect.isfunction(item)):
            raise TypeError(f"load: custom_objects has {name!r}: {item!r}, wanted names, and classes or functions")
    return CustomObjects(given)


def arguments_of(item: Any) -> dict[str, Any]:
    """Return the arguments of an object's constructor, from the attributes of their names, with or without an underscore.

    Those that it hands on to a constructor of fastnn's, as `**kwargs`, are taken from the config of that class.

    Raises:
        TypeError: an argument is not kept in such an attribute; the message names it.
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
    """Return the config of an object of a registered class: by a get_config of the user's own, or else `arguments_of`."""
    if users_own(type(item), "get_config") or not users_own(type(item), "__init__"):
        config: dict[str, Any] = item.get_config()
        return config
    return arguments_of(item)


def users_own(cls: type, method: str) -> bool:
    """Return whether a method of a class is none of fastnn's."""
    owner = next((c for c in cls.__mro__ if method in vars(c)), object)
    return owner is not object and not _is_own(owner)


def _is_own(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]


def readable_arguments(item: Any) -> dict[str, Any]:
    """Return those arguments of an object's constructor that attributes of their names hold."""
    return {name: getattr(item, name) for _, name in _constructor(type(item), strict=False) if hasattr(item, name)}


def _constructor(cls: type, strict: bool = True) -> list[tuple[Any, str]]:
    """Return the names of a constructor's arguments, each with its class; those of a base too, to which it hands others on."""
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
