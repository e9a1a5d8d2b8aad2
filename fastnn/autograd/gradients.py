"""Gradients with respect to any Tensors, without a change of `grad`, and the graph of the operations that made a Tensor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, overload

from ..backends import current
from ..backends.spec import Activation, PointwiseLoss, activation
from ..core import arrays
from ..ops.checks import as_tensor
from ..ops.elementwise import clone
from .tape import Node, newest_first, place_of
from .tensor import Array, Gradients, Tensor

__all__ = ["Graph", "Operation", "Value", "grad", "graph"]


def __dir__() -> list[str]:
    return sorted(__all__)


class RequestedGradients(Gradients):
    """Gradients of the requested Tensors only; the `grad` of leaves does not change."""

    def __init__(self, tensors: Sequence[Tensor], roots: Sequence[Tensor]) -> None:
        super().__init__()
        self.found: dict[Tensor, Array] = {}
        self._leaves = {t for t in tensors if t.node is None}
        self._results: dict[Node, list[Tensor]] = {}
        for t in tensors:
            if t.node is not None:
                self._results.setdefault(t.node, []).append(t)
        self._useful: set[Node] = set()
        for node in reversed(newest_first(t.node for t in roots)):
            if any(t in self._leaves or t.node in self._useful or t.node in self._results for t in node.inputs):
                self._useful.add(node)

    def target(self, t: Tensor) -> tuple[Array, bool]:
        return self.k.empty(t.shape, t.dtype), False

    def done(self, t: Tensor, array: Array, marked: bool = False) -> None:
        self.add(t, array)

    def add(self, t: Tensor, array: Array) -> None:
        if t.node is not None:
            super().add(t, array)
        elif t in self._leaves:
            held = self.found.get(t)
            self.found[t] = array if held is None else arrays.binary(self.k, "add", held, array)

    def visit(self, node: Node) -> None:
        if (held := self._held.get(node)) is not None:
            for t in self._results.get(node, ()):
                own = held[t.index] if node.outputs else held
                if own is not None:
                    self.found[t] = own
        if node in self._useful:
            super().visit(node)


@overload
def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: Literal[False] = False,
) -> tuple[Tensor, ...]: ...
@overload
def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    *,
    allow_unused: bool,
) -> tuple[Tensor | None, ...]: ...
def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of outputs with respect to inputs, like torch.autograd.grad. The `grad` of leaves does not change.

    Args:
        outputs: Tensors to differentiate; gradients of several are added.
        inputs: Tensors with respect to which outputs are differentiated: leaves or results of operations.
        grad_outputs: gradient of each output; by default 1, for outputs with one element.
        retain_graph: keep the values that the operations saved, so that they can be used again; by default create_graph.
        create_graph: whether the gradients are on the tape, so that gradients of them can be computed.
        allow_unused: return None for an input on which the outputs do not depend, instead of an error.

    Returns:
        A tuple with one Tensor for each input.

    Raises:
        NotImplementedError: create_graph is True, and an operation has no second derivative; the message names it.
        RuntimeError: an input does not require a gradient or was not used, or the graph was freed.

    >>> import fastnn
    >>> x = fastnn.tensor([1.0, 2.0], requires_grad=True)
    >>> (dx,) = fastnn.grad((x * x).sum(), x)
    >>> dx.tolist(), x.grad
    ([2.0, 4.0], None)
    >>> (dx,) = fastnn.grad((x * x * x).sum(), x, create_graph=True)
    >>> (ddx,) = fastnn.grad(dx.sum(), x)
    >>> ddx.tolist()
    [6.0, 12.0]
    """
    outputs, given = _tensors("grad", "outputs", outputs), _tensors("grad", "inputs", inputs)
    starts = tuple(grad_outputs) if isinstance(grad_outputs, tuple | list) else (grad_outputs,) * len(outputs)
    if len(starts) != len(outputs):
        raise ValueError(f"grad: {len(starts)} grad_outputs came for {len(outputs)} outputs")
    stored = [t.origin() for t in given]
    for i, t in enumerate(stored):
        if not t.requires_grad:
            raise RuntimeError(f"grad: input {i} does not require a gradient; set requires_grad=True before the forward pass")
    if create_graph:
        from .second import entry

        made = _or_zeros(entry.grad(outputs, stored, starts, retain_graph), outputs, stored, allow_unused)
        return tuple(None if g is None else as_tensor(t.turned(g), "grad") for t, g in zip(given, made, strict=True))
    grads = RequestedGradients(stored, outputs)
    for t, start in zip(outputs, starts, strict=True):
        grads.start(t, start, "grad")
    grads.run(outputs, bool(retain_graph), "grad")
    # Copies: several gradients, or grad_outputs, may share an array.
    copies = [None if own not in grads.found else clone(Tensor(grads.found[own])) for own in stored]
    found = _or_zeros(copies, outputs, stored, allow_unused)
    return tuple(None if g is None else t.turned(g) for t, g in zip(given, found, strict=True))


def _or_zeros(
    found: Sequence[Tensor | None], outputs: Sequence[Tensor], inputs: Sequence[Tensor], allow_unused: bool
) -> list[Tensor | None]:
    """Return the gradients; zeros for an input on which the outputs depend by operations whose gradient is 0 everywhere.

    Raises:
        RuntimeError: the outputs do not depend on an input, unless that is allowed.
    """
    used: set[Any] = set()
    if any(gradient is None for gradient in found):
        used = {place_of(t) for node in newest_first(t.node for t in outputs) for t in node.inputs}
    made = list(found)
    for i, (gradient, t) in enumerate(zip(found, inputs, strict=True)):
        if gradient is None and place_of(t) in used:
            made[i] = Tensor(arrays.filled(current(), t.shape, t.dtype, 0.0))
        elif gradient is None and not allow_unused:
            raise RuntimeError(f"grad: the outputs do not depend on input {i}; with allow_unused=True its gradient is None")
    return made


def _tensors(op: str, name: str, given: Any) -> tuple[Tensor, ...]:
    """Return one Tensor, or several, as a tuple of Tensors."""
    many = (given,) if isinstance(given, Tensor) or not isinstance(given, Iterable) else tuple(given)
    for t in many:
        if not isinstance(t, Tensor):
            raise TypeError(f"{op}: a {type(t).__name__} came among the {name}, wanted Tensors")
    return many


class Value(NamedTuple):
    """Tensor in a `Graph`, with its name, shape and dtype: a leaf, or an output of an operation."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype} {self.shape}"


class Operation(NamedTuple):
    """Node in a `Graph`: its operation, attributes, inputs and outputs."""

    op: str
    attrs: dict[str, Any]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]

    def __str__(self) -> str:
        attrs = (f"{name}={_text(value)}" for name, value in self.attrs.items())
        return f"{', '.join(map(str, self.outputs))} = {self.op}({', '.join([*(v.name for v in self.inputs), *attrs])})"


def _text(value: Any) -> str:
    if isinstance(value, PointwiseLoss):
        return value.name
    if not isinstance(value, Activation):
        return repr(value)
    return value.name if value == activation(value.name) else f"{value.name}({value.p0:g}, {value.p1:g})"


class Graph(list[Operation]):
    """List of operations in the order in which they ran; `leaves` are the Tensors that no operation made."""

    leaves: list[Value]

    def __str__(self) -> str:
        return "\n".join(map(str, [*self.leaves, *self]))


def graph(outputs: Tensor | Sequence[Tensor], names: Mapping[str, Tensor] | None = None) -> Graph:
    """List the operations on the tape from which Tensors were computed, with attributes and shapes; print it to read it.

    Args:
        outputs: Tensors that require a gradient; others have no history.
        names: names for some of the Tensors, such as ``dict(model.named_parameters())``.

    Returns:
        A list of `Operation`.

    >>> import fastnn
    >>> w = fastnn.tensor([[1.0], [2.0]], requires_grad=True)
    >>> x = fastnn.tensor([[3.0, 4.0]])
    >>> print(fastnn.autograd.graph(((x @ w).tanh() * 2).sum(), {"x": x, "w": w}))
    x: float32 (1, 2)
    w: float32 (2, 1)
    t0: float32 (1, 1) = matmul(x, w)
    t1: float32 (1, 1) = tanh(t0, activation=tanh)
    t2: float32 (1, 1) = mul(t1, activation=affine(2, 0))
    t3: float32 () = sum(t2, axis=(0, 1), keepdims=False)
    """
    roots = _tensors("graph", "outputs", outputs)
    nodes = newest_first(t.node for t in roots)[::-1]
    given = {place_of(getattr(t, "base", t)): name for name, t in (names or {}).items()}
    met = {place_of(t): t for t in (*(t for node in nodes for t in node.inputs), *roots)}
    made = {node: [(node, i) for i in range(max(len(node.outputs), 1))] for node in nodes}
    leaves: list[Any] = [t for t in met.values() if t.node is None]
    values: dict[Any, Value] = {}
    for letter, places in (("x", leaves), ("t", [place for own in made.values() for place in own])):
        for i, place in enumerate(places):
            t = met.get(place)
            shape, dtype = (t.shape, t.dtype) if t is not None else place[0].outputs[place[1]]  # an output that is not used
            values[place] = Value(given.get(place, f"{letter}{i}"), shape, dtype.name)
    listed = Graph(
        Operation(
            node.op, node.attrs, tuple(values[place_of(t)] for t in node.inputs), tuple(map(values.__getitem__, made[node]))
        )
        for node in nodes
    )
    listed.leaves = [value for place, value in values.items() if isinstance(place, Tensor)]
    return listed
