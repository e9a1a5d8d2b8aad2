"""Pass over the tape, and make gradients that are on the tape themselves; define the rules that use this pass."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

from ...backends import current
from ...core import arrays
from ...core.convert import as_array
from ...ops.checks import as_tensor
from ...ops.elementwise import add
from ..tape import Node, enable_grad, is_grad_enabled, now, place_of
from ..tensor import Backward, Tensor
from .rules import RULES, Rule, Wanted

Held = dict[Any, Tensor]
"""Gradients by the place of a Tensor in the graph, see `fastnn.autograd.tape.place_of`."""


def gradients(
    roots: Sequence[Tensor], starts: Sequence[Tensor], op: str, inputs: Iterable[Tensor] | None = None, since: int = 0
) -> Held:
    """Return the gradients of roots as Tensors on the tape.

    Args:
        roots: the Tensors to differentiate.
        starts: their gradients.
        op: the name in error messages.
        inputs: the Tensors whose gradients are wanted; None for all.
        since: nodes up to this order, and what they were computed from, count as leaves.

    Raises:
        NotImplementedError: an operation on the way has no rule; the message names it.
        RuntimeError: the graph was freed, or a leaf was changed in place.
    """
    held: Held = {}
    for t, start in zip(roots, starts, strict=True):
        _add(held, t, start)
    nodes = _newest_first(roots, since)
    wanted = None if inputs is None else {place_of(t) for t in inputs}
    useful = set(nodes) if wanted is None else set[Node]()
    needs: Callable[[Tensor], bool] = operator.attrgetter("requires_grad")
    if wanted is not None:
        targets = wanted

        def needs(t: Tensor) -> bool:
            return t.node in useful or place_of(t) in targets

        for node in reversed(nodes):
            if any(map(needs, node.inputs)):
                useful.add(node)
    with nullcontext() if is_grad_enabled() else enable_grad():
        for node in nodes:
            dys = [held.get((node, i)) for i in range(max(len(node.outputs), 1))]
            if node in useful and any(dy is not None for dy in dys):
                _visit(held, node, dys, needs, op)
            if wanted is not None:
                for i in range(len(dys)):
                    if (node, i) not in wanted:
                        held.pop((node, i), None)
    return held


def _visit(held: Held, node: Node, dys: list[Tensor | None], needs: Callable[[Tensor], bool], op: str) -> None:
    if node.saved is None:
        raise RuntimeError(
            f"{op}: this graph was freed by an earlier backward; call that one with retain_graph=True to use it twice"
        )
    if any(t.changes.last > node.order for t in node.inputs):
        raise RuntimeError(f"{op}: a leaf was changed in place after the forward pass that used it")
    rule = RULES.get(node.backward)
    if rule is None:
        raise NotImplementedError(
            f"{op}: create_graph=True: {node.op} has no second derivative; docs/tensor.md lists the operations that have one."
            " Central differences of forward passes, (f(x + h) - f(x - h)) / (2 h), need none"
        )
    for t, compute in zip(node.inputs, rule(node, *dys), strict=True):
        if compute is not None and needs(t) and (gradient := compute()) is not None:
            _add(held, t, gradient)


def _newest_first(roots: Iterable[Tensor], since: int) -> list[Node]:
    """Return the nodes after this order from which the roots were computed, newest first."""
    seen = {t.node for t in roots if t.node is not None and t.node.order > since}
    stack = list(seen)
    while stack:
        for t in stack.pop().inputs:
            node = t.node
            if node is not None and node.order > since and node not in seen:
                seen.add(node)
                stack.append(node)
    return sorted(seen, key=operator.attrgetter("order"), reverse=True)


def _add(held: Held, t: Tensor, gradient: Tensor) -> None:
    at = place_of(t)
    held[at] = add(held[at], gradient) if at in held else gradient


def start_of(t: Tensor, gradient: Any, op: str) -> Tensor:
    """Return the gradient of a root as a Tensor, with its graph if it has one; the default is 1, for a Tensor of one element."""
    if not t.requires_grad:
        raise RuntimeError(f"{op}: the Tensor does not require a gradient; no leaf that it depends on has requires_grad=True")
    if gradient is None:
        if t.size != 1:
            raise ValueError(f"{op}: the Tensor has shape {t.shape}; pass its gradient, or use a Tensor with one element")
        return Tensor(arrays.filled(current(), t.shape, t.dtype, 1.0))
    if isinstance(gradient, Tensor) and gradient.requires_grad and (gradient.shape, gradient.dtype) == (t.shape, t.dtype):
        return as_tensor(gradient, op)
    return Tensor(as_array(gradient, t.dtype, t.shape, f"{op}: gradient"))


def by_operations(compute: Callable[[Node], Tensor]) -> Rule:
    """Return the rule of a node whose output `compute` computes again, by operations that have rules."""

    def rule(node: Node, dy: Tensor) -> Sequence[Wanted]:
        @functools.cache
        def held() -> Held:
            since = now()
            return gradients((compute(node),), (dy,), node.op, None, since)

        places = {i: place_of(t) for i, t in enumerate(node.inputs)}
        first = {at: i for i, at in reversed(places.items())}  # an input that comes twice has one gradient
        return [functools.partial(_found, held, at) if first[at] == i else None for i, at in places.items()]

    return rule


def _found(held: Callable[[], Held], at: Any) -> Tensor | None:
    return held().get(at)


def composed(*backward: Backward) -> Callable[[Callable[[Node], Tensor]], Callable[[Node], Tensor]]:
    """Return the decorator of a function that computes a node's output by operations; their gradients are those of the node."""

    def decorator(compute: Callable[[Node], Tensor]) -> Callable[[Node], Tensor]:
        RULES.update(dict.fromkeys(backward, by_operations(compute)))
        return compute

    return decorator
