"""Number of elements that can be called, as NumPy and PyTorch use the name ``size``."""

from __future__ import annotations

import math
from typing import Any


class Count(int):
    """Number of the elements of a Tensor. A call gives the shape, since ``size`` is a method in PyTorch.

    >>> import fastnn
    >>> x = fastnn.zeros(2, 3)
    >>> x.size, x.size(), x.size(0)
    (6, (2, 3), 2)
    """

    shape: tuple[int, ...] = ()

    def __call__(self, dim: int | None = None) -> Any:
        if dim is None:
            return self.shape
        if not -len(self.shape) <= dim < len(self.shape):
            raise IndexError(f"size: dimension {dim} of a Tensor with {len(self.shape)} dimensions")
        return self.shape[dim]

    def __reduce__(self) -> tuple[Any, ...]:
        return int, (int(self),)


def counted(shape: tuple[int, ...]) -> Count:
    """Return the number of elements of a Tensor with this shape."""
    count = Count(math.prod(shape))
    count.shape = shape
    return count
