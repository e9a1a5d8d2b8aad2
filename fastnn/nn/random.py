"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.random import dropout
from ..seeding import generator
from ..tensor import Tensor
from .module import Module


class Dropout(Module):
    """Sets a random share of the elements to 0 in training, and scales the others up; does nothing in evaluation.

    Source: Srivastava et al., JMLR 15, 2014.

    Args:
        rate: the share that is dropped, 0 <= rate <= 1; it may be changed at any time, in recorded steps too. PyTorch's name
            for it, p, will do.
        seed: makes this layer's stream repeatable by itself; otherwise it follows `fastnn.seed`.

    >>> import fastnn
    >>> fastnn.Dropout(0.5).eval()(fastnn.tensor([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """

    def __init__(self, rate: float = 0.5, seed: int | None = None, name: str | None = None, *, p: float | None = None) -> None:
        super().__init__()
        self._rate = np.zeros(1)
        self.rate = rate if p is None else p
        self.seed = seed
        start = int(generator().integers(2**63)) if seed is None else int(seed)
        self._state = np.array([start, 0], np.uint64)
        self.name = name or "dropout"

    @property
    def rate(self) -> float:
        """The share that is dropped."""
        return float(self._rate[0])

    @rate.setter
    def rate(self, value: float) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
            raise ValueError(f"Dropout: rate is {value!r}, wanted a number from 0 to 1")
        self._rate[0] = value

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self._state, self._rate) if self.training else x

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate, "seed": self.seed}

    def extra_repr(self) -> str:
        return f"rate={self.rate}"
