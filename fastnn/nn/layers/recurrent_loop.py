"""Steps of a recurrent cell over sequences: by a kernel for all of them where there is one, else one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autograd.tensor import Tensor
from ...backends import current
from ...core.tree import flatten, flatten_as, unflatten
from ...ops.checks import as_tensor
from ...ops.create import arange, zeros
from ...ops.data import rows
from ...ops.elementwise import add, astype, mul, sub
from ...ops.index import unbind
from ...ops.logic import gt, logical_not, ne, where
from ...ops.reduce import cumsum
from ...ops.reduce import sum as total
from ...ops.shape import reshape, stack, unsqueeze
from ...ops.sort import argsort
from .recurrent_cell import Cell
from .recurrent_stack import StackedRNNCells, initial_state, output_size

_INT = np.dtype(np.int64)


def run(
    cell: Any, x: Tensor, states: Any, lengths: Tensor | None = None, reverse: bool = False
) -> tuple[Tensor, Tensor, list[Any]]:
    """Return the outputs of all steps, the output of the last step of each sequence, and the states after it.

    Args:
        cell: a cell of fastnn or of the user.
        x: the inputs, (N, T, features).
        states: list of the states before the first step; None for those that the cell begins with.
        lengths: (N,), the number of steps of each sequence; beyond it, outputs are 0.
        reverse: whether the steps are computed from the last one to the first; outputs are at the places of their inputs.
    """
    n = len(x)
    if isinstance(cell, StackedRNNCells) and type(cell).forward is StackedRNNCells.forward:
        y = last = x
        each: list[Any] = []
        for i, own in enumerate(cell.cells):
            first = None if states is None else _listed(states[i])
            y, last, changed = run(own, y, first, lengths, reverse)
            each.append(changed)
        return y, last, each
    mask, step = None, cell
    if isinstance(cell, Cell) and type(cell).forward is Cell.forward:
        current().module_called(cell)
        cell.ready(x.shape[2])
        inputs, mask = cell.masks(n)
        x = cell.products(x if inputs is None else mul(x, unsqueeze(inputs, 1)))
        if cell.fused:
            y, *new = cell.sequence(x, states or [], mask=mask, lengths=lengths, reverse=reverse)
            return y, new[0], new

        def step(z: Tensor, own: Any) -> tuple[Tensor, Any]:
            changed = cell.step(z, own, mask)
            return changed[0], changed

    states = _listed(initial_state(cell, n, x.dtype)) if states is None else states
    return _looped(step, x, states, lengths, reverse, output_size(cell))


def _listed(states: Any) -> list[Any]:
    return list(states) if isinstance(states, list | tuple) else [states]


def _looped(
    step: Callable[[Tensor, Any], tuple[Tensor, Any]],
    x: Tensor,
    states: list[Any],
    lengths: Tensor | None,
    reverse: bool,
    size: int,
) -> tuple[Tensor, Tensor, list[Any]]:
    """Compute the steps one after the other, see `run`."""
    n, steps = x.shape[:2]
    last: Tensor = zeros((n, size), dtype=x.dtype)
    outputs: list[Tensor] = [last] * steps
    parts = unbind(x, 1)
    for t in reversed(range(steps)) if reverse else range(steps):
        y, new = step(parts[t], states)
        new = _listed(new)
        if lengths is None:
            outputs[t] = last = y
            states = new
            continue
        alive = gt(lengths, t)
        tree, before = flatten(states)
        states = unflatten(tree, [_where(alive, a, b) for a, b in zip(flatten_as(tree, new), before, strict=True)])
        outputs[t], last = _where(alive, y, 0.0), _where(alive, y, last)
    return (stack(outputs, 1) if steps else zeros((n, 0, size), dtype=x.dtype)), last, states


def _where(alive: Tensor, yes: Tensor, no: Any) -> Tensor:
    return where(reshape(alive, (len(alive), *[1] * (yes.ndim - 1))), yes, no)


class Kept:
    """Time steps of sequences that a mask keeps. `run` gets them one after the other, without the steps in between.

    In a step that the mask leaves out, the output is that of the step before and the state does not change, as in Keras. So the
    steps are computed as if there were only those that are kept, and outputs are repeated afterwards.

    Args:
        mask: (N, T), True for the steps that are kept.
        shape: shape of the inputs, (N, T, features).
    """

    def __init__(self, mask: Any, shape: tuple[int, ...], op: str) -> None:
        own = as_tensor(mask, f"{op}: mask")
        if own.shape != shape[:2]:
            raise ValueError(f"{op}: mask has shape {own.shape} for inputs of shape {shape}, wanted {shape[:2]}")
        self._mask = ne(own, 0)
        self._steps = shape[1]
        self._begin = reshape(arange(0, shape[0] * shape[1], max(shape[1], 1), dtype=_INT)[: shape[0]], (-1, 1))
        """The number of the first step of each sequence, among the steps of all."""
        self._count = cumsum(astype(self._mask, _INT), 1)
        self.lengths: Tensor = total(astype(self._mask, _INT), 1)

    def gathered(self, x: Tensor) -> Tensor:
        """Return the inputs with the steps that are kept first, in their order."""
        return self._rows(x, argsort(logical_not(self._mask), 1))

    def spread(self, y: Tensor, reverse: bool, zero: bool) -> Tensor:
        """Return outputs at the places of their inputs.

        reverse: whether the step before, whose output is repeated, is the next one of the sequence.
        zero: whether outputs are 0, and not repeated, in the steps that are not kept.
        """
        count = self._count
        if zero:
            known, place = self._mask, sub(count, 1)
        elif reverse:
            place = sub(count, astype(self._mask, _INT))
            known = gt(unsqueeze(self.lengths, 1), place)
        else:
            known, place = gt(count, 0), sub(count, 1)
        # Where there is no step, there are fewer steps than places, and the output at the last place is 0.
        return self._rows(y, where(known, place, self._steps - 1))

    def last(self, y: Tensor) -> Tensor:
        """Return outputs of the last steps, or 0 where no step is kept."""
        return _where(gt(self.lengths, 0), y, 0.0)

    def _rows(self, x: Tensor, place: Tensor) -> Tensor:
        n, steps = x.shape[:2]
        return reshape(rows(reshape(x, (n * steps, -1)), add(place, self._begin)), x.shape) if x.size else x
