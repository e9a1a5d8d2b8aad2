"""Merge losses and metrics: those of all rows, from the sums that each rank has of its own rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.block import Finally
from ..core.structure import own_code
from .metrics import Metric

if TYPE_CHECKING:
    from .compiled import Compiled

Array = np.ndarray[Any, Any]

LARGE = 1 << 14
"""Size in bytes above which an array is added up on its way, instead of being sent to all ranks."""


def merged(compiled: Compiled) -> Finally:
    """Return a block in which losses and metrics are those of all ranks. After it, they are those of this rank again.

    All ranks have to enter the block. They then have the same values, to the bit, since each adds them up in the order of ranks.

    Raises:
        ValueError: a custom metric has no state that can be added up.
    """
    c, own = compiled, compiled.own
    comm = c.distribute
    assert comm is not None
    totals = [(total, total.copy()) for total in c.totals()]
    given = [*c.metrics, *(own.others() if own is not None else ())]
    metrics = [part for m in given for part in _with_inner(m)]
    saved, penalised = [(m, m.saved()) for m in given], c.penalised
    before: dict[str, Any] = {} if own is None else dict(vars(own))

    def begin() -> None:
        states = [[value for _, value in totals], *(m.to_merge() for m in metrics)]
        adds = [True, *(type(m).merge_state is Metric.merge_state for m in metrics)]
        values, flags = _exchanged(comm, states, adds, (penalised, None if own is None else own.to_merge()))
        for m in given:
            m.set_aside()
        c.penalised = any(flag for flag, _ in flags)
        for i, (total, _) in enumerate(totals):
            total[:] = sum(rank[0][i] for rank in values)
        for i, m in enumerate(metrics, 1):
            m.merge_state([rank[i] for rank in values])
        if own is not None:
            own.merge([steps for _, steps in flags])

    def end() -> None:
        c.penalised = penalised
        if own is not None:
            vars(own).update(before)
        for total, value in totals:
            total[:] = value
        for m, state in saved:
            m.take_back(state)

    return Finally(end, begin)


def _exchanged(comm: Any, states: list[Any], adds: list[bool], more: Any) -> tuple[list[Any], list[Any]]:
    """Return the lists of arrays of each rank, and what else each rank sends.

    Large arrays that are only added up are not sent to all ranks: the first rank's list has their sum, the others' None.
    """
    shapes = [
        [a.shape if add and a is not None and a.nbytes > LARGE else None for a in state]
        for state, add in zip(states, adds, strict=True)
    ]
    small = [
        [None if shape is not None else a for a, shape in zip(state, row, strict=True)]
        for state, row in zip(states, shapes, strict=True)
    ]
    found = comm.all_gather((small, shapes, more))
    values = [rank[0] for rank in found]
    for i, state in enumerate(states):
        for j, a in enumerate(state):
            shape = next((rank[1][i][j] for rank in found if rank[1][i][j] is not None), None)
            if shape is not None:
                total = np.zeros(shape) if a is None else np.array(a)
                comm.sum(total)
                values[0][i][j] = total
    return values, [rank[2] for rank in found]


def _with_inner(metric: Metric) -> list[Metric]:
    """Return a metric and the metrics that are attributes of it, whose states are added up.

    Raises:
        ValueError: it is a custom metric without such a state.
    """
    inner = [part for value in vars(metric).values() if isinstance(value, Metric) for part in _with_inner(value)]
    known = own_code(type(metric).__module__) or type(metric).merge_state is not Metric.merge_state
    if not known and not inner and not metric.variables and not metric.arrays:
        raise ValueError(
            f"metric {metric.name}: {type(metric).__name__} has no state that can be added up over the ranks; "
            "make its numbers by add_weight, or define merge_state(states)"
        )
    return [metric, *inner]
