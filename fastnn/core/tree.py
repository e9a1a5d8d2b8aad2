"""Conversion of nested lists, tuples, dicts, named tuples and None to a flat list of leaves and back.

A tree describes how a value is nested, without its leaves. It consists of plain tuples, so that trees can be compared, hashed
and used in keys: `LEAF` for a leaf, else (the container's type, its keys, the trees of its items).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Tree = tuple[Any, ...]
LEAF: Tree = ()
NONE: Tree = (type(None), (), ())


def _kind_of(cls: type) -> str:
    """Return the kind of container that a type is: "none", "dict", "named" or "items"; "" for all other types."""
    if cls is type(None):
        return "none"
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return "named"
    return "dict" if issubclass(cls, Mapping) else "items" if issubclass(cls, list | tuple) else ""


_kind: Callable[[Any], str] = functools.lru_cache(maxsize=1024)(_kind_of)


def has_keys(tree: Tree) -> bool:
    """Return whether the outermost container of a tree is a dict or a named tuple."""
    return _kind(tree[0]) in ("dict", "named")


def _keys(value: Any, kind: str) -> tuple[Any, ...]:
    """Return the keys of a container; for a list or tuple, a tuple with its length."""
    return (len(value),) if kind == "items" else value._fields if kind == "named" else tuple(value)


def _made(cls: Any, keys: tuple[Any, ...], items: list[Any]) -> Any:
    kind = _kind(cls)
    if kind == "dict":
        return dict(zip(keys, items, strict=True))
    return cls(*items) if kind == "named" else cls(items)


def flatten(value: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[Tree, list[Any]]:
    """Return the tree of a value and its leaves in order. The leaves of a dict are in the order of its items.

    Args:
        value: any object. An object that is not a list, tuple, dict or None is a leaf.
        is_leaf: returns whether a container is a leaf.

    >>> tree, leaves = flatten({"y": 1, "state": (2, [3, None])})
    >>> leaves
    [1, 2, 3]
    >>> unflatten(tree, ["a", "b", "c"])
    {'y': 'a', 'state': ('b', ['c', None])}
    """
    leaves: list[Any] = []
    return _walk(value, leaves, is_leaf), leaves


def _walk(value: Any, leaves: list[Any], is_leaf: Callable[[Any], bool] | None) -> Tree:
    cls = type(value)
    kind = _kind(cls)
    if not kind or (is_leaf is not None and is_leaf(value)):
        leaves.append(value)
        return LEAF
    if kind == "none":
        return NONE
    children = []
    for item in value.values() if kind == "dict" else value:
        if _kind(type(item)):
            children.append(_walk(item, leaves, is_leaf))
        else:  # most items are leaves; this saves a function call
            leaves.append(item)
            children.append(LEAF)
    return cls, _keys(value, kind), tuple(children)


def unflatten(tree: Tree, leaves: Sequence[Any]) -> Any:
    """Build the nested value from its tree and leaves. Every mapping becomes a plain dict."""
    if not tree:
        return leaves[0]
    return _build(tree, iter(leaves))


def _build(tree: Tree, rest: Iterator[Any]) -> Any:
    if not tree:
        return next(rest)
    cls, keys, children = tree
    items = [_build(child, rest) if child else next(rest) for child in children]
    if cls is tuple or cls is list:
        return items if cls is list else tuple(items)
    return None if cls is type(None) else _made(cls, keys, items)


def flatten_as(tree: Tree, value: Any, name: str = "") -> list[Any]:
    """Return the leaves of a value that is nested like the tree. Any object at the place of a leaf is a leaf.

    A list may replace a tuple and the reverse, and the items of a dict may be in another order.

    Raises:
        ValueError: the nesting differs. The message begins with the place, such as ``outputs["state"][1]``.

    >>> flatten_as(flatten([0, {"a": 0, "b": 0}])[0], (1, {"b": [2], "a": 3}))
    [1, 3, [2]]
    """
    leaves: list[Any] = []
    if not _fits(tree, value, leaves):
        raise ValueError(_misfit(tree, value, name or "the value"))
    return leaves


def _fits(tree: Tree, value: Any, leaves: list[Any]) -> bool:
    if not tree:
        leaves.append(value)
        return True
    cls, keys, children = tree
    kind, own = _kind(cls), _kind(type(value))
    if kind == "none" or own == "none" or not own:
        return kind == own
    if kind == "dict":
        return (
            own == "dict"
            and value.keys() == set(keys)
            and all(_fits(t, value[k], leaves) for k, t in zip(keys, children, strict=True))
        )
    return own != "dict" and len(value) == len(children) and all(map(_fits, children, value, [leaves] * len(children)))


def _misfit(tree: Tree, value: Any, place: str) -> str:
    """Describe the first place where the nesting of a value differs from the tree; return "" if there is no difference."""
    if not tree or _fits(tree, value, []):
        return ""
    kind, own = _kind(tree[0]), _kind(type(value))
    if kind == "none":
        return f"{place} is a {type(value).__name__}; wanted None"
    if own in ("", "none") or (own == "dict") is not (kind == "dict"):
        return f"{place} is a {type(value).__name__}; wanted {describe(tree)}"
    if kind == "dict" and value.keys() != set(tree[1]):
        return f"{place} has the keys {list(value)}; wanted {describe(tree)}"
    if len(value) != len(tree[2]):
        return f"{place} has {len(value)} entries; wanted {describe(tree)}"
    items = [value[key] for key in tree[1]] if kind == "dict" else value
    return next(filter(None, map(_misfit, tree[2], items, [place + step for step in steps(tree)])))


def count(tree: Tree) -> int:
    """Return the number of leaves."""
    return sum(map(count, tree[2])) if tree else 1


def describe(tree: Tree) -> str:
    """Describe the outermost container of a tree."""
    kind = _kind(tree[0])
    if kind == "dict":
        return f"a dict with: {', '.join(map(str, tree[1]))}"
    return f"a {'list' if issubclass(tree[0], list) else 'tuple'} of {len(tree[2])}"


def steps(tree: Tree) -> list[str]:
    """Return the Python expression that selects each item of a container, such as ``[0]`` or ``.name``."""
    kind = _kind(tree[0])
    if kind == "named":
        return [f".{key}" for key in tree[1]]
    return [f"[{key!r}]" for key in (tree[1] if kind == "dict" else range(len(tree[2])))]


def places(tree: Tree, name: str = "") -> list[str]:
    """Return the place of each leaf as a Python expression.

    >>> places(flatten({"y": 1, "state": (2, [3, None])})[0], "outputs")
    ["outputs['y']", "outputs['state'][0]", "outputs['state'][1][0]"]
    """
    if not tree:
        return [name]
    return [place for child, step in zip(tree[2], steps(tree), strict=True) for place in places(child, name + step)]


def first_leaf(value: Any) -> Any:
    """Return the first leaf of a value without a walk over the others; None if an empty container or None comes first."""
    while kind := _kind(type(value)):
        value = next(iter(value.values() if kind == "dict" else value), None) if kind != "none" and len(value) else None
        if value is None:
            return None
    return value


def replace(value: Any, by: Callable[[Any], Any]) -> Any:
    """Return the value with by(leaf) in place of each leaf. Containers in which no leaf changes stay the same objects."""
    kind = _kind(type(value))
    if not kind:
        return by(value)
    if kind == "none":
        return None
    items = list(value.values()) if kind == "dict" else value
    new = [replace(item, by) for item in items]
    return value if all(map(operator.is_, new, items)) else _made(type(value), _keys(value, kind), new)
