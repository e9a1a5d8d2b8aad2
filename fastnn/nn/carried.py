"""States of recurrent layers that are carried from call to call of a whole model, without a change of the model."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..autograd.tensor import Tensor, no_grad
from ..core.block import Block
from ..ops.create import arange
from ..ops.logic import gt, logical_and

if TYPE_CHECKING:
    from .module import Module


class States:
    """States after the tokens that a model has read, for each of its recurrent layers.

    The arrays stay the same from call to call, so that a call can be recorded and replayed.
    """

    def __init__(self) -> None:
        self._of: dict[Module, tuple[int, list[Tensor]]] = {}
        self._called: set[Module] = set()
        self._fresh = self._anew = True  # whether this call begins with the states before all sequences, and the next one
        self.lengths: Tensor | None = None
        """(N,), how many time steps of each sequence count in this call; None if all do."""

    def counting(self, lengths: Tensor | None) -> States:
        """Begin a call with these lengths, and return this object."""
        self.lengths = lengths
        self._fresh, self._anew = self._anew, False
        self._called.clear()
        return self

    def reset(self) -> None:
        """Let the next call begin with the states before all sequences."""
        self._anew = True

    @no_grad()
    def select(self, rows: Any) -> None:
        """Replace the states of each sequence by those of the one with a given number."""
        for axis, own in self._of.values():
            for t in own:
                t.copy_(t.take(rows, axis))

    def first(self, layer: Module) -> list[Tensor] | None:
        """Return the states with which a layer begins; None if they are those before all sequences."""
        return None if self._fresh or layer not in self._of else self._of[layer][1]

    def counted(self, mask: Any, lengths: Any, steps: int) -> tuple[Any, Any]:
        """Return the mask and the lengths of a layer's call, which leave out the steps that do not count."""
        if self.lengths is None or lengths is not None:
            return mask, lengths
        if mask is None:
            return None, self.lengths
        return logical_and(mask, gt(self.lengths.reshape(-1, 1), arange(steps, dtype="int64"))), None

    @no_grad()
    def keep(self, layer: Module, states: list[Any], axis: int = 0) -> None:
        """Store the states after a call.

        axis: that of the sequences in the states.

        Raises:
            ValueError: the layer occurs twice in the call, so that it has no single state.
        """
        if layer in self._called:
            raise ValueError(f"{type(layer).__name__}: the layer is called twice, and its state can be carried for one call only")
        self._called.add(layer)
        if layer not in self._of:
            self._of[layer] = axis, [t.detach().clone() for t in states]
            return
        for own, t in zip(self._of[layer][1], states, strict=True):
            own.copy_(t.detach())


carried: ContextVar[States | None] = ContextVar("fastnn_carried", default=None)
"""The states that recurrent layers carry; None outside of `carrying` blocks."""


def carrying(states: States) -> Block:
    """Return a block in which recurrent layers begin with these states, and change them."""
    return Block(carried, states)
