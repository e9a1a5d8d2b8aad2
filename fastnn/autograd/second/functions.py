"""Define the rule of functions with a custom backward: its operations are recorded, so that it has gradients, too."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from ...backends import current
from ...core import arrays
from .. import function
from ..tensor import Node, Tensor
from .rules import Wanted, rule


@rule(function._backward)
def _function(node: Node, *dys: Tensor | None) -> Sequence[Wanted]:
    assert node.saved is not None
    _, ctx, _, _, outputs = node.saved

    @functools.cache
    def found() -> list[Tensor | None]:
        k = current()
        given = [Tensor(arrays.filled(k, *out, 0.0)) if dy is None else dy for dy, out in zip(dys, node.outputs, strict=True)]
        kept = ctx.saved_tensors
        # Outputs that forward saved have no history, since its operations are not recorded; here they have.
        ctx.saved_tensors = tuple(t if i is None else Tensor(t.data, True, node, i) for t, i in zip(kept, outputs, strict=True))
        try:
            return function.gradients_of(node, given)
        finally:
            ctx.saved_tensors = kept

    return [functools.partial(lambda i: found()[i], i) for i in range(len(node.inputs))]
