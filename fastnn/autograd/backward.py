"""The backward pass: gradients on their way from the results of operations to the leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..backends import current
from ..core import arrays
from ..core.convert import as_array
from .tape import Node, newest_first

if TYPE_CHECKING:
    from .tensor import Array, Tensor


class Gradients:
    """Gradients of one backward pass. It stores the gradients of tensors on the tape; leaves have separate buffers."""

    def __init__(self) -> None:
        self.k = current()
        self._held: dict[Node, Any] = {}  # node -> gradient of its output, or a list for several outputs

    def target(self, t: Tensor) -> tuple[Array, bool]:
        """Return the array into which a kernel writes t's gradient, and whether it must add to its content.

        Call `done` afterwards.
        """
        if t.node is None:
            return t.grad_buffer(), bool(self.k.has_grad(t))  # a GradientOnTape, too, is only a flag here
        return self.k.empty(t.shape, t.dtype), False

    def touched(self, t: Tensor, target: Array) -> Array:
        """Return the array in which a kernel marks the target's rows that it changes; an empty one if rows are not tracked."""
        return self.k.absent if t.touched is None or target is not t._buffer else t.touched

    def done(self, t: Tensor, array: Array, marked: bool = False) -> None:
        """Store that the target is written.

        marked: whether the kernel marked the rows that it changed; otherwise all rows count as changed.
        """
        if t.node is None:
            if t.touched is not None and not marked:
                self.k.fill(t.touched, 1.0)
            self.k.set_has_grad(t, True)
        else:
            self.add(t, array)

    def add(self, t: Tensor, array: Array) -> None:
        """Add a gradient of t's shape; the array may be shared with other tensors and is not changed."""
        node = t.node
        if node is None:
            self._accumulate(t, array)
        elif node.outputs:
            parts = self._held.setdefault(node, [None] * len(node.outputs))
            held = parts[t.index]
            parts[t.index] = array if held is None else arrays.binary(self.k, "add", held, array)
        elif (held := self._held.get(node)) is None:
            self._held[node] = array
        else:
            self._held[node] = arrays.binary(self.k, "add", held, array)

    def or_zeros(self, node: Node, i: int, dy: Array | None) -> Array:
        """Return the gradient of output i of a node with several outputs; zeros if it has none."""
        return arrays.filled(self.k, *node.outputs[i], 0.0) if dy is None else dy

    def _accumulate(self, t: Tensor, array: Array) -> None:
        buffer = t.grad_buffer()
        if self.k.has_grad(t):
            arrays.binary(self.k, "add", buffer, array, buffer)
        else:
            arrays.copy_array(self.k, buffer, array)
        if t.touched is not None:
            self.k.fill(t.touched, 1.0)
        self.k.set_has_grad(t, True)

    def visit(self, node: Node) -> None:
        """Call the node's backward function with the gradients of its outputs."""
        dy = self._held.pop(node, None)
        if dy is None:
            return
        if node.retained is not None:
            for i, kept in node.retained.items():
                own = dy[i] if node.outputs else dy
                if (t := kept()) is not None and own is not None:
                    self._accumulate(t, own)
        if node.outputs:
            node.backward(self, node, *dy)
        else:
            node.backward(self, node, dy)

    def run(self, roots: Iterable[Tensor], retain_graph: bool, op: str) -> None:
        """Visit all nodes from which the roots were computed; the gradients of the roots must be set."""
        for node in newest_first(t.node for t in roots):
            if node.saved is None:
                raise RuntimeError(
                    f"{op}: this graph was freed by an earlier backward; call that one with retain_graph=True to use it twice"
                )
            if node.saved:
                for t in node.inputs:
                    if t.changes.last > node.order:
                        raise RuntimeError(f"{op}: a leaf was changed in place after the forward pass that used it")
            self.visit(node)
            if not retain_graph:
                node.free()

    def start(self, t: Tensor, gradient: Any, op: str) -> None:
        """Set the gradient of the root t; the default is 1, for a Tensor with one element."""
        if not t.requires_grad:
            raise RuntimeError(f"{op}: the Tensor does not require a gradient; no leaf that it depends on has requires_grad=True")
        if gradient is not None:
            self.add(t, as_array(gradient, t.dtype, t.shape, f"{op}: gradient"))
        elif t.size != 1:
            raise ValueError(f"{op}: the Tensor has shape {t.shape}; pass its gradient, or use a Tensor with one element")
        else:
            self.add(t, arrays.filled(self.k, t.shape, t.dtype, 1.0))


class GradientOnTape:
    """In place of True in `Tensor.has_grad`: the gradient with its history. Its values are in the buffer, too."""

    __slots__ = ("gradient",)

    def __init__(self, gradient: Tensor) -> None:
        self.gradient = gradient


Backward = Callable[..., None]
"""Type of `Node.backward`: called with the Gradients, the node, and one gradient for each output."""
