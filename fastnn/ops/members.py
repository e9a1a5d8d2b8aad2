"""Outputs of a net of several members: the mean that is predicted, and the outputs of the members that are trained."""

from __future__ import annotations

from typing import Any

from ..autograd.tape import share_changes
from ..autograd.tensor import Tensor
from .reduce import mean
from .shape import broadcast_to, reshape


class MeanOfMembers(Tensor):
    """The mean of the outputs of several members, (B, ...), which keeps the outputs themselves.

    `fit` trains each member on its own output: the loss of a batch is the mean of the members' losses.

    ``members`` is their number, K, and ``rows`` are their outputs, (K B, ...), those of one member after the other.
    """

    __slots__ = ("members", "rows")

    rows: Tensor
    members: int


def mean_of_members(rows: Tensor, members: int, kept: bool) -> Tensor:
    """Return the mean of the outputs (K B, ...) of K members, (B, ...).

    Args:
        rows: the outputs, those of one member after the other.
        members: K.
        kept: whether the result is a `MeanOfMembers`, for training.

    >>> import fastnn
    >>> fastnn.ops.members.mean_of_members(fastnn.tensor([[1.0], [2.0], [5.0], [6.0]]), 2, False).tolist()
    [[3.0], [4.0]]
    """
    y = mean(reshape(rows, (members, -1, *rows.shape[1:])), 0)
    if not kept:
        return y
    found = MeanOfMembers(y.data, y.requires_grad, y.node)
    found.rows, found.members = rows, members
    return share_changes(found, y)


def for_members(values: Any, members: int) -> Any:
    """Repeat the targets or weights (B, ...) of a batch for K members, (K B, ...), as a new array.

    >>> import numpy as np
    >>> import fastnn
    >>> fastnn.ops.members.for_members(np.array([3, 5]), 2).tolist()
    [3, 5, 3, 5]
    """
    shape = values.shape
    return reshape(broadcast_to(Tensor(values), (members, *shape)), (members * shape[0], *shape[1:])).data
