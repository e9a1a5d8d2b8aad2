"""Gradients of any Tensors, without touching `grad`, and the graph of operations that Tensors came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..backends.spec import Activation, PointwiseLoss, activation
from ..core import arrays
from ..ops.elementwise import clone
from .tape import Node, newest_first
from .tensor import Array, Gradients, Tensor

__all__ = ["Graph", "Operation", "Value", "grad", "graph"]


def __dir__() -> list[str]:
    return sorted(__all__)


class RequestedGradients(Gradients):
    """The gradients of the Tensors asked for alone; leaves keep what they have."""

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


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool = False,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of outputs with respect to inputs, as torch.autograd.grad: no leaf's `grad` changes.

    Args:
        outputs: what is differentiated; of several, the sum.
        inputs: what by: any Tensors on the tape, leaves or results of operations.
        grad_outputs: the gradient to start with, one for each output; 1 for outputs with one element.
        retain_graph: keep what the operations saved, so that they can be used again.
        create_graph: second derivatives, which there are none of.
        allow_unused: None for an input that the outputs do not come from, instead of an error.

    Returns:
        A tuple with one Tensor for each input.

    Raises:
        NotImplementedError: create_graph is asked for.
        RuntimeError: an input requires no gradient or was not used, or the graph was freed.

    >>> import fastnn
    >>> x = fastnn.tensor([1.0, 2.0], requires_grad=True)
    >>> (dx,) = fastnn.grad((x * x).sum(), x)
    >>> dx.tolist(), x.grad
    ([2.0, 4.0], None)
    """
    if create_graph:
        raise NotImplementedError(
            "grad: create_graph=True: there are no derivatives of derivatives. Central differences of forward passes,"
            " (f(x + h) - f(x - h)) / (2 h), are on the tape, and so can stand in a loss; float64 keeps them exact enough"
        )
    outputs, given = _tensors("grad", "outputs", outputs), _tensors("grad", "inputs", inputs)
    starts = tuple(grad_outputs) if isinstance(grad_outputs, tuple | list) else (grad_outputs,) * len(outputs)
    if len(starts) != len(outputs):
        raise ValueError(f"grad: {len(starts)} grad_outputs came for {len(outputs)} outputs")
    stored = [getattr(t, "base", t) for t in given]  # of a parameter's transposed view, what is stored
    for i, t in enumerate(stored):
        if not t.requires_grad:
            raise RuntimeError(f"grad: input {i} does not require a gradient; set requires_grad=True before the forward pass")
    grads = RequestedGradients(stored, outputs)
    for t, start in zip(outputs, starts, strict=True):
        grads.start(t, start, "grad")
    grads.run(outputs, retain_graph, "grad")
    found: list[Tensor | None] = []
    for i, (t, own) in enumerate(zip(given, stored, strict=True)):
        if own not in grads.found and not allow_unused:
            raise RuntimeError(f"grad: the outputs do not come from input {i}; with allow_unused=True its gradient is None")
        array = grads.found.get(own)
        if array is not None:  # one that stands in for several, or that came as grad_outputs, is nobody's own
            array = clone(Tensor(array)).data
        found.append(None if array is None else Tensor(array) if t is own else Tensor(array).T)
    return tuple(found)


def _tensors(op: str, name: str, given: Any) -> tuple[Tensor, ...]:
    """Return one Tensor, or several."""
    many = (given,) if isinstance(given, Tensor) or not isinstance(given, Iterable) else tuple(given)
    for t in many:
        if not isinstance(t, Tensor):
            raise TypeError(f"{op}: a {type(t).__name__} came among the {name}, wanted Tensors")
    return many


class Value(NamedTuple):
    """Names a Tensor in a `Graph`: a leaf, or an output of an operation."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype} {self.shape}"


class Operation(NamedTuple):
    """Describes a node in a `Graph`: its operation and attributes, and what went in and came out."""

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
    """Lists operations in the order in which they ran; `leaves` are the Tensors that no operation made."""

    leaves: list[Value]

    def __str__(self) -> str:
        return "\n".join(map(str, [*self.leaves, *self]))


def graph(outputs: Tensor | Sequence[Tensor], names: Mapping[str, Tensor] | None = None) -> Graph:
    """List the operations on the tape that Tensors came from, with attributes and shapes; print it to read it.

    Args:
        outputs: Tensors that require a gradient; others have no history.
        names: what to call some of the Tensors, such as ``dict(model.named_parameters())``.

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
    given = {_place(getattr(t, "base", t)): name for name, t in (names or {}).items()}
    met = {_place(t): t for t in (*(t for node in nodes for t in node.inputs), *roots)}
    made = {node: [(node, i) for i in range(max(len(node.outputs), 1))] for node in nodes}
    leaves: list[Any] = [t for t in met.values() if t.node is None]
    values: dict[Any, Value] = {}
    for letter, places in (("x", leaves), ("t", [place for own in made.values() for place in own])):
        for i, place in enumerate(places):
            t = met.get(place)
            shape, dtype = (t.shape, t.dtype) if t is not None else place[0].outputs[place[1]]  # an output that is not used
            values[place] = Value(given.get(place, f"{letter}{i}"), shape, dtype.name)
    listed = Graph(
        Operation(node.op, node.attrs, tuple(values[_place(t)] for t in node.inputs), tuple(map(values.__getitem__, made[node])))
        for node in nodes
    )
    listed.leaves = [value for place, value in values.items() if isinstance(place, Tensor)]
    return listed


def _place(t: Tensor) -> Any:
    """Return what is equal for Tensors that are one value: a leaf itself, or a node and a number."""
    return t if t.node is None else (t.node, t.index)
