"""Inputs and outputs of a frozen model: their names, shapes and dtypes, and checks of the arrays that are passed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ..autograd.tensor import Array
from ..core.structure import Structure
from ..core.tree import Tree, count, unflatten
from ..training.data import arrays as data


class Port(NamedTuple):
    """An input or output: its name, shape and dtype."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.name}: {_described(self.shape, self.dtype)}"


def _described(shape: Any, dtype: Any) -> str:
    return f"{dtype} {tuple(shape)}"


class Ports:
    """Checker of the inputs of a frozen model, and builder of its outputs. It keeps no reference to the model.

    Args:
        inputs, outputs: structure of the inputs and outputs.
        xs, outs: arrays with the shapes and dtypes of the inputs and outputs; the carried ones are last.
        carried: numbers of the inputs that are carried from call to call -> numbers of the outputs that they come from.
        kept: names of the states of stateful layers, whose arrays come after all others.
        any_rows: whether the model takes any batch size.
    """

    def __init__(
        self,
        inputs: Structure,
        xs: Sequence[Array],
        outputs: Structure,
        outs: Sequence[Array],
        carried: Mapping[int, int],
        kept: Sequence[str] = (),
        any_rows: bool = False,
    ) -> None:
        self._any_rows = any_rows
        names = ["x"] if inputs.kind == "one" else inputs.names
        order = [*(names[i] for i in range(len(names)) if i not in carried), *(names[i] for i in carried), *kept]
        ports = [Port(name, tuple(x.shape), np.dtype(x.dtype)) for name, x in zip(order, xs, strict=True)]
        visible = len(names) - len(carried)
        self.batch_size = len(xs[0])
        self.xs, self.states = ports[:visible], ports[visible:]
        self._inputs = _without(inputs, carried)
        self._outputs = _without(outputs, carried.values()) if len(outputs) > 1 else outputs
        self.outs = [Port(n, tuple(y.shape), np.dtype(y.dtype)) for n, y in zip(self._outputs.names, outs, strict=False)]
        self.alone = self._outputs.kind == "one"
        self.build = self._outputs.build

    def convert(self, args: tuple[Any, ...]) -> tuple[list[Any], bool]:
        """Convert the inputs to arrays of the right dtype, and return whether they are one sample without a batch axis.

        Raises TypeError and ValueError for inputs that do not fit.
        """
        arrays, single = [], bool(args)
        for leaf, (name, shape, dtype) in zip(self._leaves(args), self.xs, strict=True):
            a = data.as_features(
                leaf[None] if isinstance(leaf, np.ndarray) and leaf.shape == () else leaf, dtype, "frozen model", name
            )
            alone = shape[0] == 1 and a.shape == (shape[1:] or (1,)) and a.shape != shape
            if alone:
                a = a[None] if len(shape) > 1 else a
            if a.shape != shape:
                if self._any_rows:
                    same = f", {dtype}, with as many samples as {self.xs[0].name}"
                    raise ValueError(f"frozen model: {name} has shape {a.shape}, wanted {shape}{same}")
                raise ValueError(
                    f"frozen model: {name} has shape {a.shape}, but it was frozen for {shape}, {dtype}; see batch_size of freeze"
                )
            arrays.append(a)
            single &= alone
        return arrays, single

    def _leaves(self, args: tuple[Any, ...]) -> list[Any]:
        if not args and not self.xs:  # all inputs are carried
            return []
        if not args or (self._inputs.kind == "one" and len(args) > 1):
            wanted = ", ".join(port.name for port in self.xs) or "none"
            raise TypeError(f"frozen model: got {len(args)} arguments, wanted {wanted} (and out=)")
        x = args[0] if len(args) == 1 else list(args)
        return [x] if self._inputs.kind == "one" else self._inputs.spread(x, "frozen model", "x")

    def rows(self, args: tuple[Any, ...]) -> tuple[Any, int]:
        """Return the first input and its number of samples, which may differ from the batch size of these ports.

        Raises ValueError if the rest of its shape does not fit.
        """
        first, port = self._leaves(args)[0], self.xs[0]
        shape = tuple(
            first.shape if hasattr(first, "shape") else data.as_features(first, port.dtype, "frozen model", port.name).shape
        )
        wanted = port.shape[1:]
        if len(shape) == len(port.shape) and shape[1:] == wanted:
            return first, shape[0]
        if shape in (wanted, wanted or (1,)):
            return first, 1
        sizes = ", ".join(map(str, ("n", *wanted)))
        raise ValueError(f"frozen model: {port.name} has shape {shape}, but it was frozen for ({sizes}), {port.dtype}")

    # ---- state that is carried from call to call ----

    def named_state(self, arrays: Sequence[Any]) -> dict[str, Any]:
        """Return the carried arrays by the names of their inputs."""
        return {port.name: a for port, a in zip(self.states, arrays, strict=True)}

    def state_arrays(self, given: Any) -> list[Any]:
        """Return new arrays to carry; raise TypeError or ValueError if they do not fit."""
        names = [port.name for port in self.states]
        if not names:
            raise ValueError("frozen model: it carries no state; pass state= to freeze, from inputs to outputs")
        if not isinstance(given, Mapping) or set(given) != set(names):
            came = f"the keys {list(given)}" if isinstance(given, Mapping) else f"a {type(given).__name__}"
            raise ValueError(f"frozen model: state is {came}, wanted a dict with: {', '.join(names)}")
        arrays = []
        for name, shape, dtype in self.states:
            a = np.array(data.as_features(given[name], dtype, "frozen model", name), order="C")
            if a.shape != shape:
                raise ValueError(f"frozen model: state {name} is {_described(a.shape, dtype)}, wanted {_described(shape, dtype)}")
            arrays.append(a)
        return arrays

    # ---- outputs ----

    def arrays(self, out: Any) -> list[Any]:
        """Return the arrays of out= in the order of the outputs."""
        return self._outputs.spread(out, "frozen model", "out")

    def refuse(self, i: int, out: Any, single: bool) -> NoReturn:
        """Raise ValueError for an array of out= that does not fit the output of this number."""
        name, shape, dtype = self.outs[i]
        what = "out" if self.alone else f"out[{name!r}]"
        wanted = _described(shape[1:] if single else shape, dtype)
        came = f"a {type(out).__name__}"
        if isinstance(out, np.ndarray):
            flags = [
                text
                for flag, text in ((out.flags.c_contiguous, "not C-contiguous"), (out.flags.writeable, "read-only"))
                if not flag
            ]
            came = " and ".join([_described(out.shape, out.dtype), *flags])
        raise ValueError(f"frozen model: {what} is {came}, wanted a C-contiguous, writable array of {wanted}")

    def __str__(self) -> str:
        def shown(port: Port) -> Port:
            return (
                port._replace(shape=(None, *port.shape[1:])) if self._any_rows and port.shape[:1] == (self.batch_size,) else port
            )

        outs = [shown(port) for port in self.outs]
        right = ", ".join(_described(port.shape, port.dtype) if self.alone else str(port) for port in outs)
        state = f", state {', '.join(map(str, self.states))}" if self.states else ""
        return f"FrozenModel({', '.join(str(shown(port)) for port in self.xs)} -> {right}{state})"


def _without(structure: Structure, numbers: Collection[int]) -> Structure:
    """Return a structure without the leaves of these numbers; a list or tuple of one item becomes that item."""
    if not numbers:
        return structure
    kept = iter([i not in numbers for i in range(len(structure))])
    tree, kind = _rest(structure.tree, kept), structure.kind
    tree = (tuple, (0,), ()) if tree is None else tree
    while tree and len(tree[2]) == 1 and not issubclass(tree[0], dict):
        tree, kind = tree[2][0], ""
    if not kind:
        kind = Structure.of(unflatten(tree, [0] * len(structure)))[0].kind
    return Structure(kind, [name for i, name in enumerate(structure.names) if i not in numbers], tree)


def _rest(tree: Tree, kept: Iterator[bool]) -> Tree | None:
    """Return a tree without some of its leaves and without containers that become empty; None if nothing is left.

    A named tuple that loses items becomes a dict.
    """
    if not tree:
        return tree if next(kept) else None
    cls, keys, children = tree
    rest = [(i, left) for i, child in enumerate(children) if (left := _rest(child, kept)) is not None]
    if len(rest) == len(children):
        return cls, keys, tuple(child for _, child in rest)
    if not rest:
        return None
    named = issubclass(cls, Mapping) or hasattr(cls, "_fields")
    own = tuple(keys[i] for i, _ in rest) if named else (len(rest),)
    return dict if named else cls, own, tuple(child for _, child in rest)


# ---- state that is carried from call to call ----


class Carried(NamedTuple):
    """Output that is carried to an input: one of the leaves of an item of state=.

    Attributes:
        key: name or number of the output in state=.
        leaf: index of the leaf in that output.
        leaves: number of leaves that it must have.
    """

    key: Any
    leaf: int
    leaves: int


def carried_inputs(inputs: Structure, state: Any) -> dict[int, Carried]:
    """Return the numbers of the inputs that are carried -> the outputs that they come from."""
    if state is None:
        return {}
    if not isinstance(state, Mapping):
        raise TypeError(f"freeze: state is a {type(state).__name__}, wanted a dict from inputs to outputs, by names or numbers")
    carried = {}
    for key, value in state.items():
        leaves = _leaves(inputs, key, "input")
        carried.update({i: Carried(value, n, len(leaves)) for n, i in enumerate(leaves)})
    return carried


def carried_outputs(outputs: Structure, carried: Mapping[int, Carried]) -> dict[int, int]:
    """Return the numbers of the inputs that are carried -> the numbers of the outputs that they come from."""
    found = {}
    for i, (key, leaf, n) in carried.items():
        leaves = _leaves(outputs, key, "output")
        if len(leaves) != n:
            raise ValueError(f"freeze: state carries the output {key!r} of {len(leaves)} arrays to an input of {n}")
        found[i] = leaves[leaf]
    return found


def _leaves(structure: Structure, key: Any, what: str) -> list[int]:
    """Return the numbers of the leaves that a key selects: one leaf by its name, or all leaves of an argument or item."""
    names = structure.names
    if key in names:
        return [names.index(key)]
    items: list[list[int]] = []
    for tree in structure.tree[2] if structure.tree else [structure.tree]:
        begin = items[-1][-1] + 1 if items else 0
        items.append(list(range(begin, begin + count(tree))))
    if isinstance(key, int) and -len(items) <= key < len(items):
        return items[key]
    for item in items:
        if isinstance(key, str) and item and all(names[i].startswith(f"{key}_") for i in item):
            return item
    raise ValueError(f"freeze: state has the {what} {key!r}, wanted a name or number of: {', '.join(names)}")
