"""Misspelt arguments of constructors and methods: the error names the argument that is meant, perhaps."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from .near import nearest

F = TypeVar("F", bound=Callable[..., Any])


def naming(init: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor whose error for an unknown keyword argument says which argument is meant.

    It is no `__new__`, whose signature Python before 3.11.4 would show for the class.
    """

    @functools.wraps(init)
    def named(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except TypeError:
            cls: Any = type(self)
            names = arguments_of(cls) if kwargs and makes(init, cls) else None
            if names is None or (message := wrong_name(cls.__name__, kwargs, names)) is None:
                raise
            raise TypeError(message) from None

    return named


def makes(init: Callable[..., None], cls: Any) -> bool:
    """Return whether objects of the class are made by this constructor, and not by one that calls it."""
    return inspect.unwrap(cls.__init__) is inspect.unwrap(init)


def naming_method(method: F) -> F:
    """Return a method whose error for an unknown keyword argument says which argument is meant."""
    names = [p.name for p in inspect.signature(method).parameters.values()][1:]

    @functools.wraps(method)
    def named(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except TypeError:
            if (message := wrong_name(method.__name__, kwargs, names)) is None:
                raise
            raise TypeError(message) from None

    return cast(F, named)


def wrong_name(op: str, given: Iterable[str], names: Iterable[str]) -> str | None:
    """Return a message about the first given argument that is none of the names; None if there is none.

    >>> wrong_name("fit", ["epoch"], ["x", "epochs"]), wrong_name("fit", ["x"], ["x", "epochs"])
    ("fit: there is no argument 'epoch'; did you mean epochs?", None)
    """
    names = sorted(names)
    wrong = next((name for name in given if name not in names), None)
    if wrong is None:
        return None
    near = nearest(wrong, names)
    hint = f"did you mean {near}?" if near else f"there are: {', '.join(names) or 'none'}"
    return f"{op}: there is no argument {wrong!r}; {hint}"


@functools.cache
def arguments_of(cls: type) -> frozenset[str] | None:
    """Return the names of a constructor's arguments, with those that it passes on to base classes; None if it takes any."""
    found: list[str] = []
    for c in cls.__mro__[:-1]:
        if "__init__" in vars(c):
            init = vars(c)["__init__"]
            parameters = list(inspect.signature(init).parameters.values())[1:]
            own = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
            found += [*own, *(other for other, name in getattr(init, "other_names", {}).items() if name in own)]
            if all(p.kind is not p.VAR_KEYWORD for p in parameters):
                return frozenset(found)
    return None
