"""Names that the user's code reads. A replay does not read them, so they are looked up and compared before each replay."""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from itertools import chain
from operator import attrgetter, is_
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from ..autograd.tensor import Array, Tensor
from .host_code import HostCode, same_number, slots_of, stored_attribute, users_own

DEPTH = 6
"""Maximal length of a chain of variables, attributes and elements that is followed."""
LONG = 64
"""Maximal length of a list or dict whose elements are compared."""
MOST_BYTES = 512
"""Maximal size in bytes of a NumPy array whose numbers are compared."""
_PLAIN = (int, float, complex, str, bytes, type(None), np.generic)
_contents = attrgetter("cell_contents")
_data = attrgetter("data")


class Bindings:
    """Variables, attributes and elements that code reads, with the objects that they referred to during the recording.

    Args:
        roots: the recorded function, and objects among its arguments.
        host: the `HostCode` block in which the function ran.
        uses: returns whether the recording uses the memory of an array. Other Tensors are not compared.
    """

    def __init__(
        self,
        roots: Iterable[Any],
        host: HostCode,
        uses: Callable[[Array], bool],
    ) -> None:
        self.changed = ""  # the last name that referred to another object
        self._gets: list[Callable[[Any], Any]] = []  # for each place, the function that looks up a key
        self._keys: list[tuple[Any, ...]] = []  # for each place, the keys
        self._names: list[str] = []
        self._values: list[Any] = []
        ran = host.ran
        self._ran, self._uses = ran, uses
        self._attributes = frozenset[str]().union(*(_read(code)[1] for code in ran))
        self._seen: dict[int, Any] = {id(mark): mark for mark in host.marked}
        for namespace in {id(space): space for space in ran.values()}.values():
            read = {name for code, space in ran.items() if space is namespace for name in _read(code)[0]}
            self._bind(namespace.get, [(name, name) for name in read if name in namespace], 0)
        for root in roots:
            self._follow(root, "", 0)
        del self._ran, self._uses, self._seen  # they refer to more objects than are compared

    def hold(self) -> bool:
        """Return whether all names refer to the same objects as before, or to equal numbers."""
        try:
            return all(map(is_, chain.from_iterable(map(map, self._gets, self._keys)), self._values)) or self._equal()
        except (LookupError, AttributeError, ValueError):
            self.changed = "a name"  # it was deleted
            return False

    def _equal(self) -> bool:
        """Return whether all objects that changed are equal numbers; if so, compare with the new objects from now on."""
        now = list(chain.from_iterable(map(map, self._gets, self._keys)))
        for name, a, b in zip(self._names, self._values, now, strict=True):
            if a is not b and not same_number(a, b):
                self.changed = name
                return False
        self._values = now
        return True

    def _add(self, get: Callable[[Any], Any], key_names_values: Iterable[tuple[Any, str, Any]]) -> None:
        """Add names of one place (a namespace or container); `get` looks up their keys there."""
        keys, names, values = zip(*key_names_values, strict=True)
        self._gets.append(get)
        self._keys.append(keys)
        self._names += names
        self._values += values

    def _bind(self, get: Callable[[Any], Any], names: Iterable[tuple[Any, str]], depth: int) -> None:
        """Bind the values that `get` returns for the keys, and the parts of them that the code reads."""
        found = [(key, name, get(key)) for key, name in names]
        kept = [
            f
            for f in found
            if not isinstance(f[2], ModuleType) and not (isinstance(f[2], Tensor) and not self._uses(_stored(f[2]).data))
        ]
        if kept:
            self._add(get, kept)
        for _, name, value in found:
            self._follow(value, name, depth + 1)

    def _matters(self, value: Any) -> bool:
        """Return whether a name of this value is looked up."""
        return self._uses(_stored(value).data) if isinstance(value, Tensor) else not isinstance(value, ModuleType)

    def _follow(self, value: Any, name: str, depth: int) -> None:
        """Bind the parts of an object that the code may read."""
        if isinstance(value, type):
            self._follow_class(value, depth)
        if isinstance(value, (*_PLAIN, type)) or id(value) in self._seen or depth > DEPTH:
            return
        self._seen[id(value)] = value
        if isinstance(value, Tensor):
            if self._uses((own := _stored(value)).data):
                self._add(_data, [(own, f"{name}.data", own.data)])
        elif isinstance(value, np.ndarray):
            if value.nbytes <= MOST_BYTES and not self._uses(value):  # if it is used, kernels read its current numbers
                self._add(np.ndarray.tobytes, [(value, f"{name}[...]", value.tobytes())])
        elif isinstance(value, dict | list | tuple):
            self._follow_items(value, name, depth)
        elif isinstance(value, FunctionType):
            self._follow_function(value, depth)
        elif isinstance(value, MethodType):
            self._follow(value.__self__, name, depth)
            self._follow(value.__func__, name, depth)
        elif isinstance(value, partial):
            for part in (value.func, *value.args, *value.keywords.values()):
                self._follow(part, name, depth)
        elif isinstance(value, ModuleType):
            if users_own(value):
                self._bind_attributes(vars(value), self._attributes & vars(value).keys(), name, depth)
        else:
            self._follow_object(value, name, depth)

    def _follow_items(self, value: Any, name: str, depth: int) -> None:
        if isinstance(value, tuple):
            for i, item in enumerate(value):
                self._follow(item, f"{name}[{i}]", depth)
            return
        kind: Any = dict if isinstance(value, dict) else list
        size = kind.__len__(value)
        if size <= LONG:
            self._add(kind.__len__, [(value, f"the length of {name}", size)])
            keys = dict.keys(value) if isinstance(value, dict) else range(size)
            self._bind(partial(kind.__getitem__, value), [(key, f"{name}[{key!r}]") for key in keys], depth)

    def _follow_function(self, value: FunctionType, depth: int) -> None:
        cells = zip(value.__closure__ or (), value.__code__.co_freevars, strict=True)
        filled = [(cell, name) for cell, name in cells if _is_filled(cell)]
        if value.__code__ in self._ran:
            self._bind(_contents, filled, depth)
        for cell, name in filled:
            self._follow(cell.cell_contents, name, depth)
        for default in (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()):
            self._follow(default, value.__name__, depth)

    def _follow_object(self, value: Any, name: str, depth: int) -> None:
        from ..nn.module import Module

        attributes = stored_attribute(value, "__dict__", {})
        inherited = self._follow_class(type(value), depth)
        if isinstance(value, Module):  # setting its attributes changes its version, which `Step.lasts` compares
            for key in self._attributes & attributes.keys():
                self._follow(attributes[key], f"{name}.{key}", depth + 1)
            for key, child in value._modules.items():
                self._follow(child, f"{name}.{key}", depth)
        elif users_own(type(value)):
            kind: Any = type(value)
            if isinstance(attributes, dict):  # class attributes may be set on the object, too
                self._bind_attributes(attributes, self._attributes & attributes.keys() | inherited, name, depth)
            slots = self._attributes.intersection(slots_of(kind))
            self._bind(partial(stored_attribute, value), [(s, f"{name}.{s}") for s in slots], depth)

    def _follow_class(self, cls: type, depth: int) -> set[str]:
        """Bind the attributes of a class and its bases, except methods and properties; return their names."""
        own = [c for c in cls.__mro__ if users_own(c)]
        names = {a for c in own for a, v in vars(c).items() if a in self._attributes and not hasattr(type(v), "__get__")}
        for c in own:
            if id(c) not in self._seen:
                self._seen[id(c)] = c
                self._bind_attributes(vars(c), names, c.__name__, depth)
        return names

    def _bind_attributes(self, attributes: Any, names: Iterable[str], name: str, depth: int) -> None:
        self._bind(attributes.get, [(a, f"{name}.{a}") for a in names], depth)


def _stored(t: Tensor) -> Tensor:
    """Return the Tensor itself, or for a view of a parameter its base, which always returns the same array."""
    return getattr(t, "base", t)


def _is_filled(cell: Any) -> bool:
    """Return whether the variable of a cell has a value yet."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def _read(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """Return the global variables and the attributes that code reads."""
    found: dict[str, set[str]] = {"LOAD_GLOBAL": set(), "LOAD_NAME": set(), "LOAD_ATTR": set(), "LOAD_METHOD": set()}
    for instruction in dis.get_instructions(code):
        if instruction.opname in found:
            found[instruction.opname].add(instruction.argval)
    return frozenset(found["LOAD_GLOBAL"] | found["LOAD_NAME"]), frozenset(found["LOAD_ATTR"] | found["LOAD_METHOD"])
