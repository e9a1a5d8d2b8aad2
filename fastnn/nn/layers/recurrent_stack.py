"""Recurrent cells on top of each other, and what recurrent layers need to know of any cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...autograd.tensor import Tensor
from ...ops.create import zeros
from ..containing import Containing
from ..module import Module
from ..spec import ANY
from .recurrent_cell import Cell


class StackedRNNCells(Containing):
    """Several cells on top of each other, as one cell: each takes the output of the cell below it.

    Args:
        cells: a list of cells, each with `state_size`, and a call ``cell(x, states)`` that returns the output and new states.

    The states of a call are a list with those of each cell.

    >>> import fastnn
    >>> cell = fastnn.StackedRNNCells([fastnn.GRUCell(3), fastnn.LSTMCell(2)])
    >>> cell.state_size
    [3, [2, 2]]
    >>> y, states = cell(fastnn.ones(4, 5), cell.get_initial_state(4))
    >>> y.shape
    (4, 2)
    """

    input_spec = ANY

    def __init__(self, cells: Sequence[Any], *, name: str | None = None) -> None:
        super().__init__()
        if not isinstance(cells, list | tuple) or not cells:
            raise ValueError(f"StackedRNNCells: cells is {cells!r}, wanted a list of cells")
        for i, cell in enumerate(cells):
            setattr(self, f"cell_{i}", check_cell(cell, "StackedRNNCells"))
        self.name = name or "stacked_rnn_cells"

    @property
    def cells(self) -> list[Any]:
        """Return the cells in order."""
        return list(self._modules.values())

    @property
    def state_size(self) -> list[Any]:
        """Return the numbers of columns of the states of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> Any:
        """Return the number of columns of the output."""
        return output_size(self.cells[-1])

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Return states of zeros for so many samples, for each cell."""
        return [initial_state(cell, batch_size, self.dtype) for cell in self.cells]

    def build(self, input_shape: Sequence[int]) -> None:
        """Make the parameters of the cells for inputs of this shape, up to the first one whose output size is unknown."""
        shape: Sequence[Any] = input_shape
        for cell in self.cells:
            if hasattr(cell, "build") and not cell.built:
                cell.build(tuple(shape[-1:]))
            shape = (output_size(cell),)

    def forward(self, inputs: Tensor, states: Any) -> tuple[Tensor, list[Any]]:
        if len(states) != len(self._modules):
            raise ValueError(
                f"StackedRNNCells: {len(states)} states came for {len(self._modules)} cells; wanted those of each cell"
            )
        y, new = inputs, []
        for cell, own in zip(self.cells, states, strict=True):
            y, changed = cell(y, own)
            new.append(changed)
        return y, new

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        """Return the config, with those of the cells as write gives them."""
        return {"cells": [write(cell) for cell in self.cells], "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], make: Callable[[Any], Any] | None = None) -> StackedRNNCells:
        """Make the cells from the result of get_config; make builds a cell from its config."""
        from ...files.layers import Reader, check_keys

        check_keys(config, "StackedRNNCells", cells=list, name=[str])
        return cls(list(map(make or Reader().layer, config["cells"])), name=config.get("name"))


def check_cell(cell: Any, op: str) -> Any:
    """Return a cell; raise TypeError or ValueError for what is none."""
    if not isinstance(cell, Module):
        raise TypeError(f"{op}: {type(cell).__name__} came as a cell, wanted a Module with cell(x, states)")
    if not hasattr(cell, "state_size"):
        raise ValueError(f"{op}: the cell {type(cell).__name__} has no state_size, the number of columns of its state")
    return cell


def output_size(cell: Any) -> Any:
    """Return the number of columns of a cell's output: output_size, or by default that of its first state."""
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size
        while isinstance(size, list | tuple):
            size = size[0]
    return size


def state_sizes(cell: Any) -> list[Any] | None:
    """Return the numbers of columns of a cell's states, nested like them; None if only its get_initial_state tells them."""
    own = getattr(type(cell), "get_initial_state", None)
    if own is StackedRNNCells.get_initial_state:
        each = [state_sizes(one) for one in cell.cells]
        return None if None in each else each
    if own is not None and own is not Cell.get_initial_state:
        return None
    size = cell.state_size
    return list(size) if isinstance(size, list | tuple) else [size]


def initial_state(cell: Any, n: int, dtype: Any) -> Any:
    """Return the state of a cell before the first step: what its get_initial_state makes, or zeros of its state_size."""
    if hasattr(cell, "get_initial_state"):
        return cell.get_initial_state(batch_size=n)
    return zeros_of(cell.state_size, n, dtype)


def zeros_of(size: Any, n: int, dtype: Any) -> Any:
    """Return zeros (n, size), nested like the sizes."""
    if isinstance(size, list | tuple):
        return [zeros_of(one, n, dtype) for one in size]
    return zeros((n, size), dtype=dtype)
