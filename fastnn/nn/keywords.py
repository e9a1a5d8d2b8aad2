"""Misspelt arguments of layers: the error names the argument that is meant, perhaps."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ..core.near import nearest


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
            names = _names(cls) if kwargs and cls.__init__ is named else None
            wrong = None if names is None else next((name for name in kwargs if name not in names), None)
            if names is None or wrong is None:
                raise
            near = nearest(wrong, names)
            hint = f"did you mean {near}?" if near else f"there are: {', '.join(sorted(names)) or 'none'}"
            raise TypeError(f"{cls.__name__}: there is no argument {wrong!r}; {hint}") from None

    return named


@functools.cache
def _names(cls: type) -> frozenset[str] | None:
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
