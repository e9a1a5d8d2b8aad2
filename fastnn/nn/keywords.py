"""Misspelt arguments of layers: the error names the argument that is meant, perhaps."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from ..core.near import nearest
from ..core.structure import own_code


class Keywords:
    """Base that compares keyword arguments with those of the constructor, before it runs."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        own: Any = cls
        if kwargs and own_code(cls.__module__) and (names := _names(own)) is not None and not names.issuperset(kwargs):
            wrong = next(name for name in kwargs if name not in names)
            near = nearest(wrong, names)
            hint = f"did you mean {near}?" if near else f"there are: {', '.join(sorted(names)) or 'none'}"
            raise TypeError(f"{cls.__name__}: there is no argument {wrong!r}; {hint}")
        return super().__new__(cls)


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
