"""Registries of objects that are defined by a name and arguments: look-up by Keras's names, and configs to make them again."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from .keywords import naming
from .near import unknown
from .registered import named, own_config, registered_name
from .unpickled import Unpickled
from .versions import settings_changed


def _is_own(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]


@functools.cache
def _own_class(cls: type) -> type:
    """Return the first class of fastnn in the MRO of a class, which may be the class itself."""
    return next(filter(_is_own, cls.__mro__))


@functools.cache
def _arguments(cls: type) -> tuple[str, ...]:
    """Return the names of a constructor's arguments that change the behaviour of the object: all except `name`."""
    return tuple(name for name in inspect.signature(cls).parameters if name not in ("self", "name"))


@functools.cache
def decided(cls: type, name: str) -> str:
    """Return the name of the base class that takes an argument, if the class itself fixes its value; else ""."""
    if name == "name" or name in _arguments(cls):
        return ""
    return next((c.__name__ for c in cls.__mro__[1:-1] if hasattr(c, "_remade") and name in _arguments(c)), "")


def alias(name: str) -> Any:
    """Return a property that is another name of an attribute."""
    return property(
        lambda self: getattr(self, name), lambda self, value: setattr(self, name, value), doc=f"Another name of {name}."
    )


class Remade(Unpickled):
    """Base of objects that store their constructor's arguments in attributes of the same names, which can be changed.

    A new value is checked by the constructor. The attributes that the constructor derives from its arguments (a function with
    its numbers, a converted array) are computed again. Attributes that an object does not have yet are set without a check.
    Arguments of a base class whose value the class itself fixes cannot be set.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if _is_own(cls) and "__init__" in vars(cls):
            cls.__init__ = naming(vars(cls)["__init__"])  # type: ignore[method-assign]

    def __setattr__(self, name: str, value: Any) -> None:
        own = vars(self)
        own_type: Any = type(self)
        cls = _own_class(own_type)
        if self._argument_changes(name, value):
            fresh, kept = vars(self._remade(name, value)), self._kept()
            value = fresh[name]
            own.update({key: v for key, v in fresh.items() if key != name and key not in kept})
        elif name in own and own[name] is not value and (base := decided(cls, name)):
            raise AttributeError(f"{cls.__name__}: {name} is fixed in this class; use {base}")
        super().__setattr__(name, value)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make an object from the result of `get_config`."""
        return cls(**config)

    def _argument_changes(self, name: str, value: Any) -> bool:
        """Return whether the assignment sets an argument of the constructor to another value."""
        own, own_type = vars(self), cast(Any, type(self))
        return name in own and own[name] is not value and name in _arguments(_own_class(own_type))

    def _remade(self, name: str, value: Any) -> Any:
        """Make an object from the same arguments, except a new value for one."""
        own_type: Any = type(self)
        cls, own = _own_class(own_type), vars(self)
        return cls(**{**{key: own[key] for key in _arguments(cls) if key in own}, name: value})

    def _kept(self) -> frozenset[str]:
        """Return the names of the attributes that are not derived from the constructor's arguments."""
        return frozenset(("name",))


class Settings(Remade):
    """Base of objects from whose attributes training steps read numbers and flags. If one changes, steps are recorded again."""

    def __setattr__(self, name: str, value: Any) -> None:
        own = vars(self)
        if name in own and own[name] is not value and not name.startswith("_"):
            settings_changed()
        super().__setattr__(name, value)


class Configured(Settings):
    """Base of objects that are defined by their class and their constructor's arguments, which are attributes of these names."""

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Configured) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((type(self), repr(self.get_config())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


T = TypeVar("T", bound=Configured)


class Registry(Generic[T]):
    """Classes of one kind, by name.

    Args:
        kind: name of the kind, for messages.
        base: base class of the classes.
        classes: the classes.
        names: additional names -> functions that make their objects.
        function: makes an object from a plain function; without it, functions are rejected.
    """

    def __init__(
        self,
        kind: str,
        base: type[T],
        classes: tuple[type[T], ...],
        names: Mapping[str, Callable[[], T]] | None = None,
        function: Callable[[Callable[..., Any]], T] | None = None,
    ) -> None:
        self.kind, self.base, self.function = kind, base, function
        self.classes = {c.__name__: c for c in classes}
        self.names: dict[str, Callable[[], T]] = {**(names or {}), **self.classes}

    def get(self, identifier: Any) -> T:
        """Return the object that a name, class, config or function defines; an object of the base class is returned itself."""
        if isinstance(identifier, self.base):
            return identifier
        if isinstance(identifier, type) and issubclass(identifier, self.base):
            return identifier()
        if isinstance(identifier, str):
            return self._registered(identifier, {}) if ">" in identifier else self._known(identifier, self.names)()
        if isinstance(identifier, Mapping):
            name, config = identifier.get("class_name"), identifier.get("config", {})
            if not isinstance(name, str) or not isinstance(config, Mapping):
                raise ValueError(f"{self.kind}: a config needs a class_name and a config, not {dict(identifier)!r}")
            if ">" in name:
                return self._registered(name, config)
            cls = self._known(name, self.classes)
            try:
                return cls(**config)
            except TypeError as e:
                raise ValueError(f"{self.kind}: {name} cannot be made from {dict(config)!r}: {e}") from e
        if callable(identifier) and self.function is not None:
            return self.function(identifier)
        wanted = "a name, an object" + (" or a function" if self.function else "")
        raise TypeError(f"{self.kind}: {identifier!r} is a {type(identifier).__name__}; wanted {wanted}")

    def _known(self, name: str, among: Mapping[str, Callable[..., T]]) -> Callable[..., T]:
        plain = name.replace("_", "").lower()
        for known, make in among.items():
            if known.replace("_", "").lower() == plain:
                return make
        raise ValueError(unknown(self.kind, name, self.classes))

    def _registered(self, name: str, config: Mapping[str, Any]) -> T:
        """Make the object of a class or function that a user registered."""
        found = named(name)
        if isinstance(found, type) and issubclass(found, self.base):
            return found(**config)
        if isinstance(found, type) or self.function is None:
            raise ValueError(f"{self.kind}: {name!r} is registered, but it is no {self.base.__name__}")
        return self.function(found)

    def serialize(self, value: Any) -> dict[str, Any]:
        """Return the name and arguments of an object, for JSON; `get` makes the object again."""
        if self.classes.get(type(value).__name__) is type(value):
            return {"class_name": type(value).__name__, "config": value.get_config()}
        if (name := registered_name(getattr(value, "fn", None))) is not None:
            return {"class_name": name, "config": {}}
        if (name := registered_name(type(value))) is not None:
            return {"class_name": name, "config": own_config(value)}
        hint = "put @fastnn.register before its definition"
        raise TypeError(f"{self.kind}: {value!r} is not registered and cannot be saved; {hint}")
