"""Places of the arguments of calls in a graph, and their form in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...core.tree import Tree, count, flatten, unflatten
from .symbolic import Symbol, symbols_in


class Place(NamedTuple):
    """Place of an argument's values: their numbers in the list of all values and their nesting; or a constant."""

    tree: Tree | None
    numbers: tuple[int, ...] = ()
    constant: Any = None

    def filled(self, values: list[Any]) -> Any:
        """Return the argument, taken from the values so far."""
        if self.tree is None:
            return self.constant
        return unflatten(self.tree, [values[i] for i in self.numbers]) if self.tree else values[self.numbers[0]]

    def packed(self) -> Any:
        """Return the place as files store it: a number, a list, {"tuple": [...]}, {"dict": {...}}, or {"value": a constant}."""
        return {"value": self.constant} if self.tree is None else packed(self.tree, self.numbers)


def packed(tree: Tree, numbers: Sequence[int]) -> Any:
    """Return nested numbers in the form of files; raise TypeError for containers that files do not support."""
    if not tree:
        return numbers[0]
    cls, keys, children = tree
    if cls is type(None):
        return {"value": None}
    if cls not in (list, tuple) and not issubclass(cls, Mapping):
        raise TypeError(f"save: a {cls.__name__} of inputs or outputs cannot be saved; wanted lists, tuples and dicts")
    rest = iter(numbers)
    items = [packed(child, [next(rest) for _ in range(count(child))]) for child in children]
    if cls is list:
        return items
    return {"tuple": items} if cls is tuple else {"dict": dict(zip(keys, items, strict=True))}


def unpacked(given: Any, known: int) -> Place:
    """Return the place from its form in a file. Raise ValueError unless its values exist already, which excludes cycles."""
    if isinstance(given, dict) and set(given) == {"value"} and isinstance(given["value"], int | float | str | None):
        return Place(None, (), given["value"])
    tree, leaves = flatten(_nested(given))
    return Place(tree, tuple(number(i, known) for i in leaves))


def _nested(given: Any) -> Any:
    if isinstance(given, list):
        return [_nested(item) for item in given]
    if given is None:
        raise ValueError("an argument is damaged")
    if not isinstance(given, dict):
        return given
    kind: str
    inner: Any
    kind, inner = next(iter(given.items()), ("", None))
    if len(given) != 1 or kind not in ("tuple", "dict", "value"):
        raise ValueError(f"an argument is {list(given)}")
    if type(inner) is not {"tuple": list, "dict": dict, "value": type(None)}[kind]:
        raise ValueError("an argument is damaged")
    if kind == "dict":
        return {key: _nested(item) for key, item in inner.items()}
    return None if kind == "value" else tuple(map(_nested, inner))


def located(arg: Any, slots: dict[Symbol, int]) -> Place:
    """Return the place of an argument, given the numbers of symbols in the list of all values."""
    tree, symbols = symbols_in(arg)
    return Place(tree, tuple(slots[s] for s in symbols)) if symbols else Place(None, (), arg)


def number(i: Any, known: int) -> int:
    """Return the number of an item from a file; raise ValueError if there is no such item yet."""
    if isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < known:
        raise ValueError(f"there is no item {i!r}; there are {known} so far")
    return i
