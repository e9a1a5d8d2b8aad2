"""Messages about names that are unknown: the known name that is meant, perhaps, comes first."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that is most like an unknown name, in any case of letters; None if no name is like it.

    >>> nearest("rellu", ["elu", "relu", "tanh"]), nearest("LINEAR", ["Linear"]), nearest("xyz", ["relu"])
    ('relu', 'Linear', None)
    >>> nearest("mes", ["mae", "mse"])
    'mse'
    """
    import difflib  # only for errors

    names = list(names)
    if found := difflib.get_close_matches(name, names, 1, 0.7):
        return found[0]
    for known in names:  # letters of a short name in the wrong order: too few of them are left for a guess by likeness
        if len(known) > 2 and known[:1] == name[:1] and sorted(known) == sorted(name):
            return known
    lower = {known.lower(): known for known in names}
    return lower[found[0]] if (found := difflib.get_close_matches(name.lower(), lower, 1, 0.7)) else None


def no_attribute(module: str, name: str, names: Iterable[str], advice: str = "") -> AttributeError:
    """Return the error for a name that a module lacks, with the advice or the name that is meant, perhaps.

    >>> str(no_attribute("fastnn", "rellu", ["elu", "relu"]))
    "module 'fastnn' has no attribute 'rellu'. Did you mean 'relu'?"
    """
    near = None if advice or name.startswith("_") else nearest(name, names)
    hint = f": {advice}" if advice else "" if near is None else f". Did you mean {near!r}?"
    # With `name`, Python does not add a guess of its own, which it would only do in tracebacks outside of notebooks.
    return AttributeError(f"module {module!r} has no attribute {name!r}{hint}", name=name)


def unknown(what: str, name: object, names: Iterable[str]) -> str:
    """Return a message that names an unknown name and those that are known.

    >>> unknown("activation", "rellu", ["relu", "tanh"])
    "unknown activation 'rellu'; did you mean 'relu'? There are: relu, tanh"
    >>> unknown("activation", "x", ["relu", "tanh"])
    "unknown activation 'x'; there are: relu, tanh"
    """
    names = list(names)
    near = nearest(name, names) if isinstance(name, str) else None
    return f"unknown {what} {name!r}; {f'did you mean {near!r}? There' if near else 'there'} are: {', '.join(names)}"
