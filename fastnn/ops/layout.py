"""Images with their channels first, as PyTorch has them, which are computed with channels last.

A layer that takes and returns images with their channels first would copy them twice. What it returns is a Tensor that is copied
only when something reads its numbers: the layer after it takes the images with channels last, from which it was made.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tape import UNCHANGED, owned, taping
from ..autograd.tensor import Array, Gradients, Node, Tensor
from ..backends import current
from ..core import arrays
from ..core.count import Count, counted
from .shape import transpose


class ChannelsFirst(Tensor):
    """Images with their channels after the batch, made from `last`, which has them at the end."""

    __slots__ = ("_first", "last")

    last: Tensor
    _first: Array

    def __init__(self, last: Tensor) -> None:
        self.last, self._first = last, None
        self.requires_grad = bool(taping.get()) and last.requires_grad
        order = (0, last.ndim - 1, *range(1, last.ndim - 1))
        self.node = Node("transpose", {"axes": order}, _backward, (last,), ()) if self.requires_grad else None
        self.index, self.has_grad, self._buffer, self.changes, self.keras_mask = 0, False, None, UNCHANGED, None

    @property
    def data(self) -> Array:
        """Return the images with channels first. The first call makes them."""
        if self._first is None:
            last = self.last.data
            self._first = arrays.permute(current(), last, (0, last.ndim - 1, *range(1, last.ndim - 1)))
        return self._first

    @data.setter
    def data(self, value: Array) -> None:
        self._first = value

    @property
    def grad(self) -> Tensor | None:
        """Return the gradient that backward computed, or None. That of a result is the gradient of `last`, which has all uses."""
        if self.node is None:
            return Tensor(self._buffer) if self.has_grad else None
        kept = self.last.grad
        return None if kept is None else self.turned(kept)

    @grad.setter
    def grad(self, value: Any) -> None:
        if self.node is not None:
            raise RuntimeError("grad: the gradient of a result cannot be set")
        Tensor.grad.__set__(self, value)  # type: ignore[attr-defined]

    def retain_grad(self) -> None:
        if self.node is None:
            super().retain_grad()
        else:
            self.last.retain_grad()

    def origin(self) -> Tensor:
        return self if self.node is None else self.last

    def turned(self, gradient: Tensor) -> Tensor:
        if self.node is None:
            return gradient
        turned = transpose(gradient, (0, gradient.ndim - 1, *range(1, gradient.ndim - 1)))
        owned(turned)
        return turned

    @property
    def shape(self) -> tuple[int, ...]:
        n, *image, channels = self.last.shape
        return (n, channels, *image)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.last.dtype

    @property
    def size(self) -> Count:
        return counted(self.shape)


def _backward(grads: Gradients, node: Node, dy: Array) -> None:
    grads.add(node.inputs[0], arrays.permute(grads.k, dy, (0, *range(2, dy.ndim), 1)))


def channels_first(x: Tensor) -> Tensor:
    """Return the images with the channels after the batch, from images with the channels at the end.

    >>> import fastnn
    >>> fastnn.ops.layout.channels_first(fastnn.zeros(2, 5, 6, 3)).shape
    (2, 3, 5, 6)
    """
    if type(x) is Tensor and taping.get() in (True, False):
        return ChannelsFirst(x)
    return transpose(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


def channels_last(x: Tensor) -> Tensor:
    """Return the images with the channels at the end, from images with the channels after the batch.

    >>> import fastnn
    >>> fastnn.ops.layout.channels_last(fastnn.zeros(2, 3, 5, 6)).shape
    (2, 5, 6, 3)
    """
    last = last_of(x)
    return transpose(x, (0, *range(2, x.ndim), 1)) if last is None else last


def last_of(x: Tensor) -> Tensor | None:
    """Return the Tensor that x will be made from; None for others, and after x has been read: it may have changed."""
    own = type(x) is not ChannelsFirst or x._first is not None or (x.requires_grad and x.node is None)  # a leaf of its own
    return None if own else x.last  # type: ignore[attr-defined]
