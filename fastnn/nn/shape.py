"""Layers that only change the shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.shape import flatten
from ..tensor import Tensor
from .dense import shape_of
from .module import Module


class Flatten(Module):
    """Each sample as one row of numbers.

    >>> import fastnn
    >>> fastnn.Flatten()(fastnn.tensor([[[1.0, 2.0], [3.0, 4.0]]])).shape
    (1, 4)
    """

    def __init__(self, input_shape: Any = None, name: str | None = None) -> None:
        super().__init__()
        self.input_shape = shape_of(input_shape, "Flatten: input_shape")
        self.name = name or "flatten"

    def forward(self, x: Tensor) -> Tensor:
        return flatten(x, 1) if x.ndim > 1 else flatten(x)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (int(np.prod(input_shape, dtype=np.int64)),)

    def get_config(self) -> dict[str, Any]:
        return {"input_shape": self.input_shape}
