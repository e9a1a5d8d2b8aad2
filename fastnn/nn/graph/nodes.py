"""Calls of layers on symbols, found by the layer: for `layer.output`, and for the inputs and outputs of a Sequential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .symbolic import Call


def node_of(layer: Any) -> tuple[Any, Any]:
    """Return the argument and the result of the last call of a layer on symbols; several arguments are a list.

    A Sequential with a known shape calls its layers on symbols for this.

    Raises:
        AttributeError: there was none.
    """
    for holder in [r() for r in layer._holders or ()]:
        if hasattr(holder, "chain") and layer in holder._modules.values():
            holder.chain()
    call: Call | None = vars(layer).get("_node")
    if call is None:
        name = getattr(layer, "name", type(layer).__name__)
        raise AttributeError(
            f"{name}: the layer was not called on symbols, so it has no input and output; give its model an Input"
        )
    arguments = [a for a in call.args if a is not None]
    return arguments[0] if len(arguments) == 1 else arguments, call.structure.build(call.outputs)
