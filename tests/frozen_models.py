"""What the tests of frozen models share: backends, random arrays, a recurrent cell."""

from __future__ import annotations

from typing import Any

import fastnn
import fastnn.nn as nn
from fastnn.core.seeding import generator

HOSTS = [b.name for b in fastnn.backends().values() if b.available and b.name != "cupy"]


def values(*shape: int) -> Any:
    """Random numbers, the same in each run of a test."""
    return generator().standard_normal(shape).astype("f4")


def changed(model: nn.Module) -> nn.Module:
    """Gives a model other values, as training does."""
    with fastnn.no_grad():
        for t in model.weights:
            t.copy_(generator().standard_normal(t.shape))
    return model


class Cell(nn.Module):
    """h = tanh(x W + h U)."""

    def __init__(self, size: int = 4, alone: bool = False) -> None:
        super().__init__()
        self.w, self.u = nn.Linear(3, size), nn.Linear(size, size)
        self.alone = alone

    def forward(self, x: Any, h: Any) -> Any:
        h = fastnn.tanh(self.w(x) + self.u(h))
        return h if self.alone else (h * 2, h)
