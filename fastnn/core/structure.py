"""Nesting and names of several inputs and outputs, and the values that users pass for each of them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..backends import current
from ..ops.checks import positive_int
from .tree import LEAF, Tree, count, first_leaf, flatten, flatten_as, has_keys, places, steps, unflatten

if TYPE_CHECKING:
    from ..backends.base import Backend


class Structure:
    """Nesting of inputs, outputs or targets (see `fastnn.core.tree`), with a name for each leaf.

    Args:
        kind: the outermost container: "one" for a single leaf, "list", "tuple", "dict", or "args" for the arguments of a forward.
        names: names of the leaves.
        tree: nesting of the leaves; flat by default.

    >>> structure, leaves = Structure.of({"a": 1, "state": (2, 3)})
    >>> structure.kind, structure.names, leaves
    ('dict', ['a', 'state_1', 'state_2'], [1, 2, 3])
    >>> structure.build([4, 5, 6])
    {'a': 4, 'state': (5, 6)}
    """

    def __init__(self, kind: str, names: Sequence[str], tree: Tree | None = None) -> None:
        self.kind = kind
        self.names = list(names)
        self.tree = _flat(kind, self.names) if tree is None else tree
        self._flat = bool(self.tree) and not any(self.tree[2])

    @classmethod
    def of(cls, value: Any, name: str = "output", is_leaf: Callable[[Any], bool] | None = None) -> tuple[Structure, list[Any]]:
        """Return the structure of a value, and its leaves. A value of None is a leaf."""
        tree, leaves = (LEAF, [None]) if value is None else flatten(value, is_leaf)
        kind = "one" if not tree else "dict" if issubclass(tree[0], Mapping) else "list" if issubclass(tree[0], list) else "tuple"
        return cls(kind, different(_names(tree, name)), tree=tree), leaves

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Structure) and (self.kind, self.names, self.tree) == (other.kind, other.names, other.tree)

    __hash__ = None  # type: ignore[assignment]

    def build(self, leaves: Sequence[Any]) -> Any:
        """Return the leaves in their containers."""
        return unflatten(self.tree, leaves)

    def flatten(self, value: Any, name: str = "") -> list[Any]:
        """Return the leaves of a value with this nesting.

        Raises ValueError if the nesting differs; the message gives the place, which begins with `name`.
        """
        return flatten_as(self.tree, value, name)

    def places(self, name: str) -> list[str]:
        """Return the place of each leaf as a Python expression."""
        return places(self.tree, name)

    @property
    def flat(self) -> bool:
        """Return whether it is a single leaf, or a list, tuple or dict of leaves."""
        return self.tree == _flat(self.kind, self.names)

    def labels(self, name: str) -> list[str]:
        """Return a label of each leaf for messages: `name` for a single leaf, else `name` and the leaf's name or place."""
        if len(self) == 1:
            return [name]
        return [f"{name}[{own!r}]" for own in self.names] if self.flat else places(self.tree, name)

    def call(self, model: Any, leaves: Sequence[Any], **kwargs: Any) -> Any:
        """Call the model with these inputs."""
        if not self.tree:
            return model(leaves[0], **kwargs)
        if self.kind != "args":
            return model(self.build(leaves), **kwargs)
        args = self.build(leaves)
        positional = positional_names(model)
        if "training" not in positional[: len(args)]:
            return model(*args, **kwargs)
        before = positional.index("training")  # inputs after the mode are passed by name
        names = argument_names(model, len(args))
        return model(*args[:before], **dict(zip(names[before:], args[before:], strict=True)), **kwargs)

    def spread(self, given: Any, op: str, name: str, optional: bool = False) -> list[Any]:
        """Return the value for each leaf from values that are nested in the same way, or in a dict by names.

        The value is None for a leaf that is optional and omitted.

        Raises:
            ValueError: a list has another length, or keys are missing or unknown. The message names them and the place.
        """
        n = len(self.names)
        if n > 1 and type(given) in (list, tuple) and len(given) == n and self._flat:
            return list(given)
        if n == 1 and not isinstance(given, Mapping) and self.flat:
            wrapped = isinstance(given, list | tuple) and len(given) == 1 and is_array(given[0])
            return [given[0] if wrapped else given]
        tree = self.tree or _flat("dict", self.names)  # a single leaf may be given by its name, too
        return _spread(tree, self.names, given, f"{op}: {name}", optional)


def _flat(kind: str, names: Sequence[str]) -> Tree:
    if kind == "one":
        return LEAF
    keys = tuple(names) if kind == "dict" else (len(names),)
    return {"dict": dict, "list": list}.get(kind, tuple), keys, (LEAF,) * len(names)


def _names(tree: Tree, name: Any, top: bool = True) -> list[Any]:
    """Name each leaf by its path: keys, and numbers after the name of the container."""
    if not tree:
        return [name]
    keys: Sequence[Any] = tree[1] if has_keys(tree) else [i + 1 for i in range(len(tree[2]))]
    own = [key if top and has_keys(tree) else f"{name}_{key}" for key in keys]
    return [leaf for key, child in zip(own, tree[2], strict=True) for leaf in _names(child, key, False)]


def different(names: Sequence[str]) -> list[str]:
    """Return the names, with a number added to each name that occurred before."""
    found: dict[str, None] = {}
    for name in names:
        own, n = name, 0
        while own in found:
            n += 1
            own = f"{name}_{n}"
        found[own] = None
    return list(found)


def _spread(tree: Tree, names: Sequence[str], given: Any, where: str, optional: bool) -> list[Any]:
    if not tree:
        return [given]
    if given is None and (optional or not names):
        return [None] * len(names)
    keyed = has_keys(tree)
    items: Sequence[Any] = given
    if isinstance(given, Mapping):
        wanted = tree[1] if keyed and not set(given) <= set(names) else names
        unknown = [str(key) for key in given if key not in wanted]
        missing = [key for key in wanted if key not in given]
        if unknown or (missing and not optional):
            what = f"unknown keys {unknown}" if unknown else f"missing keys {missing}"
            raise ValueError(f"{where} has {what}; wanted a dict with: {', '.join(map(str, wanted))}")
        items = [given.get(key) for key in wanted]
        if wanted is names:
            return items
    else:
        n, own = len(tree[2]), ", ".join(map(str, names))
        if not isinstance(given, list | tuple):
            raise ValueError(f"{where} is a {type(given).__name__}; wanted a list, tuple or dict of {n}: {own}")
        if len(given) != n:
            raise ValueError(f"{where} has {len(given)} entries; wanted {n}: {own}")
    if not any(tree[2]):  # all items are leaves
        return list(items)
    found: list[Any] = []
    rest = iter(names)
    for child, item, step in zip(tree[2], items, steps(tree), strict=True):
        found += _spread(child, [next(rest) for _ in range(count(child))], item, where + step, optional)
    return found


class Arrays(list[Any]):
    """Arrays of a batch or of all samples (inputs, targets and weights), with the structure of the inputs."""

    def __init__(self, arrays: Iterable[Any], inputs: Structure) -> None:
        super().__init__(arrays)
        self.inputs = inputs

    def on(self, k: Backend) -> Arrays:
        """Return the arrays in the backend's memory."""
        return Arrays(map(k.dataset, self), self.inputs)


ONE = Structure("one", ["x"])
CHUNK = 1024
"""Number of samples that evaluate and predict process at a time without batch_size. Results do not depend on it."""


def kinds(x: Any) -> Any:
    """Return the nesting, shapes and dtypes of NumPy arrays; None if any leaf is something else."""
    if type(x) is np.ndarray:
        return x.shape, x.dtype
    if type(first_leaf(x)) is not np.ndarray:
        return None
    tree, leaves = flatten(x)
    return (tree, *[(a.shape, a.dtype) for a in leaves]) if set(map(type, leaves)) == {np.ndarray} else None


def stacked(passes: list[Any]) -> Any:
    """Stack the outputs of several passes along a new first axis."""
    tree = flatten(passes[0])[0]
    return unflatten(tree, [np.stack(of_one) for of_one in zip(*(flatten(p)[1] for p in passes), strict=True)])


def chunk_size(batch_size: Any, name: str) -> int:
    """Return the number of samples that evaluate and predict process at a time; name is the argument's name in messages."""
    return CHUNK if batch_size is None else positive_int(batch_size, name)


def chunks(arrays: Sequence[Array], size: int) -> Any:
    """Yield parts of the arrays with `size` samples each."""
    for i in range(0, len(arrays[0]), size):
        yield tuple(a[i : i + size] if a.size else a for a in arrays)


def own_code(module: str) -> bool:
    """Return whether the Python module of this name belongs to fastnn."""
    return module.partition(".")[0] == __name__.partition(".")[0]


def users_level() -> int:
    """Return the stacklevel with which the calling function can warn at the innermost line of code outside of fastnn."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and own_code(str(frame.f_globals.get("__name__", ""))):
        level, frame = level + 1, frame.f_back
    return level


@lru_cache(maxsize=1024)
def _parameters(forward: Callable[..., Any]) -> tuple[tuple[str, ...], int, bool, tuple[str, ...]]:
    """Return the names of a forward's inputs, the number that it needs, whether it takes any number, and its positional names."""
    own = inspect.signature(forward, follow_wrapped=False)
    if any(p.kind == p.VAR_POSITIONAL for p in own.parameters.values()):
        own = inspect.signature(forward)  # a decorator that passes on what comes; others may give arguments themselves
    every = list(own.parameters.values())[1:]
    positional = [p for p in every if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    plain = [p for p in positional if p.name != "training"]  # no input
    needed = sum(p.default is p.empty for p in plain)
    any_number = any(p.kind == p.VAR_POSITIONAL for p in every)
    return tuple(p.name for p in plain), needed, any_number, tuple(p.name for p in positional)


def positional_names(model: Any) -> tuple[str, ...]:
    """Return the names of the arguments that a forward takes by position, with `training` where it is one of them."""
    return _parameters(type(model).forward)[3]


def argument_names(model: Any, n: int) -> list[str]:
    """Return the names of the first n arguments of a forward; arguments of *args are named input_3 and so on."""
    names = _parameters(type(model).forward)[0][:n]
    return [*names, *(f"input_{i + 1}" for i in range(len(names), n))]


def input_names(model: Any) -> tuple[str, ...]:
    """Return the names of the inputs that a forward takes by position."""
    return _parameters(type(model).forward)[0]


def missing_inputs(model: Any, count: int, keywords: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names of all required inputs of a forward if a call omits one of them, else ().

    count: number of inputs that the call passes by position.
    keywords: names of the inputs that it passes by name.
    """
    names, needed, *_ = _parameters(type(model).forward)
    if needed <= count or set(names[count:needed]) <= set(keywords):
        return ()
    return names[:needed]


def inputs_of(model: Any, x: Any, op: str) -> Structure:
    """Return the structure by which x, the argument of fit or predict, becomes the inputs of the model.

    Functional models define their structure. For a custom forward(self, a, b), x is a list or tuple by position or a dict by
    name. A forward with a single argument gets a dict, or a list or tuple of arrays with two or more dimensions, unchanged.
    """
    own: Structure | None = model.input_structure
    if own is not None:
        return own
    names, needed, any_number, _ = _parameters(type(model).forward)
    if type(x) is np.ndarray and needed <= 1:
        return ONE
    several = isinstance(x, list | tuple)
    if isinstance(x, Mapping):
        if len(names) > 1 or set(x) == set(names):
            chosen = [name for name in names if name in x]
            missing, unknown = [n for n in names[:needed] if n not in x], [str(n) for n in x if n not in names]
            if missing or unknown or chosen != list(names[: len(chosen)]):
                raise ValueError(f"{op}: x has the keys {list(x)}; {type(model).__name__}.forward takes {', '.join(names)}")
            return _arguments(chosen, [x[name] for name in chosen])
        return Structure.of(x, is_leaf=_is_one_input)[0]
    if needed > 1 or any_number or (several and len(names) > 1 and _are_arguments(x)):
        if not several or len(x) < needed or (len(x) > len(names) and not any_number):
            came = f"{len(x)} inputs" if several else f"a {type(x).__name__}"
            raise ValueError(f"{op}: x is {came}; {type(model).__name__}.forward takes {', '.join(names) or 'several inputs'}")
        return _arguments(argument_names(model, len(x)), x)
    if several and model.takes_several and are_inputs(x):
        return Structure.of(x, "input", _is_one_input)[0]
    return ONE


def _arguments(names: list[str], items: Sequence[Any]) -> Structure:
    """Return the structure of the arguments of a forward; each argument may be nested."""
    trees = tuple(flatten(item, _is_one_input)[0] for item in items)
    own = [leaf for tree, name in zip(trees, names, strict=True) for leaf in _names(tree, name, False)]
    return Structure("args", own, tree=(tuple, (len(trees),), trees))


def are_inputs(x: Any) -> bool:
    """Return whether the items are whole inputs, or lists and dicts of whole inputs, and not the rows of one input."""
    return bool(x) and all(
        a.ndim > 1 if is_array(a) else isinstance(a, Mapping | list | tuple) and not _is_one_input(a) for a in x
    )


def _are_arguments(x: Any) -> bool:
    """Return whether the items are separate inputs of a forward: whole inputs, or arrays of which at least one is not 1-D."""
    return are_inputs(x) or (all(map(is_array, x)) and any(a.ndim > 1 for a in x))


def _is_one_input(value: Any) -> bool:
    """Return whether the value is a list or tuple of rows or numbers, which is one input."""
    return isinstance(value, list | tuple) and not are_inputs(value)


def nested_targets(y: Any, name: str) -> tuple[Structure, list[Any]]:
    """Return the structure and the leaves of a list or dict of targets. Each target is an array or a list of numbers."""
    return Structure.of(y, name, lambda value: value is not y and _is_one_input(value))


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | Tensor | current().xp.ndarray)
