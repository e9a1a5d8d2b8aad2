"""Load all rules, for `Tensor.backward` and `fastnn.grad` with create_graph=True."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ...backends import current
from ...core.arrays import copy_array
from ...ops.elementwise import add
from ..backward import GradientOnTape
from ..tape import newest_first, place_of
from ..tensor import Tensor
from . import elementwise, functions, layers, losses, reduce, shape  # noqa: F401 (their rules enter the table)
from .run import gradients, start_of


def backward(root: Tensor, gradient: Any, retain_graph: bool | None) -> None:
    """Add gradients with a graph to the `grad` of leaves, and to that of results on which `retain_grad` was called."""
    current().host_reads("backward(create_graph=True); fastnn.grad(..., create_graph=True) can be recorded")
    held = gradients((root,), (start_of(root, gradient, "backward"),), "backward")
    nodes = newest_first([root.node])
    kept = [t() for node in nodes if node.retained for t in node.retained.values()]
    for t in [*(t for t in held if isinstance(t, Tensor) and t.requires_grad), *kept]:
        if t is not None and (found := held.get(place_of(t))) is not None:
            _add(t, found)
    _free(root, retain_graph)


def grad(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], starts: Sequence[Any], retain_graph: bool | None
) -> list[Tensor | None]:
    """Return the gradients of outputs with respect to inputs, as Tensors on the tape; None where there is none."""
    given = [start_of(t, start, "grad") for t, start in zip(outputs, starts, strict=True)]
    held = gradients(outputs, given, "grad", inputs)
    for t in outputs:
        _free(t, retain_graph)
    return [held.get(place_of(t)) for t in inputs]


def _add(t: Tensor, gradient: Tensor) -> None:
    k, old = current(), t.grad
    new = gradient if old is None else add(old, gradient)
    copy_array(k, t.grad_buffer(), new.data)
    if t.touched is not None:
        k.fill(t.touched, 1.0)
    k.set_has_grad(t, cast(bool, GradientOnTape(new)) if new.requires_grad else True)


def _free(root: Tensor, retain_graph: bool | None) -> None:
    """Free the graph of a root if it is not to be retained, as it is by default."""
    if retain_graph is False:
        for node in newest_first([root.node]):
            node.free()
