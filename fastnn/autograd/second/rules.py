"""Define the table of rules, and what rules are made of.

A rule is called with a node and the gradients of its outputs, which are Tensors on the tape, or None. It returns, for each input
of the node, a function without arguments that computes the gradient of this input, or None if the input has no gradient.
Gradients that nobody asks for are not computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...ops.reduce import sum as sum_of
from ...ops.shape import reshape
from ..tensor import Array, Backward, Gradients, Node, Tensor, result

Wanted = Callable[[], Tensor | None] | None
Rule = Callable[..., Sequence[Wanted]]

RULES: dict[Backward, Rule] = {}
"""Backward function of a node -> its rule."""


def rule(*backward: Backward) -> Callable[[Rule], Rule]:
    """Return the decorator that makes a function the rule of backward functions."""

    def decorator(f: Rule) -> Rule:
        RULES.update(dict.fromkeys(backward, f))
        return f

    return decorator


def linked(node: Node, data: Array) -> Tensor:
    """Return the output of a node as a Tensor on the tape, from its values."""
    return Tensor(data, True, node)


def sum_to(g: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return g summed over the axes along which this shape was broadcast."""
    if g.shape == shape:
        return g
    new = g.ndim - len(shape)
    axes = (*range(new), *(new + d for d, n in enumerate(shape) if n == 1 != g.shape[new + d]))
    return reshape(sum_of(g, axes), shape)


def derived(op: str, data: Array, inputs: tuple[Tensor, ...], gradients: Callable[..., Sequence[Wanted]]) -> Tensor:
    """Make the result of an operation that only gradients consist of. One function has its gradients of every order.

    Args:
        op: name of the operation.
        data: the output.
        inputs: the Tensors that it was computed from.
        gradients: called with the inputs and the gradient of the output; returns the same as a rule.
    """
    return result(op, data, _derived_backward, inputs, (gradients,))


def _derived_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    (gradients,) = node.saved
    for t, compute in zip(node.inputs, gradients(*(Tensor(t.data) for t in node.inputs), Tensor(dy)), strict=True):
        if t.requires_grad and compute is not None:
            grads.add(t, compute().data)


@rule(_derived_backward)
def _derived(node: Node, dy: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    (gradients,) = node.saved
    return gradients(*node.inputs, dy)  # type: ignore[no-any-return]
