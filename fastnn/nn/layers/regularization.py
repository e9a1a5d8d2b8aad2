"""Layer that only adds a penalty."""

from __future__ import annotations

from typing import Any

from ... import regularizers
from ...autograd.tensor import Tensor
from ..module import Module


class ActivityRegularization(Module):
    """Layer that returns its input, and adds l1 sum |x| + l2 sum x^2, divided by the number of samples, to the loss.

    >>> import fastnn
    >>> layer = fastnn.ActivityRegularization(l1=0.5)
    >>> y = layer(fastnn.tensor([[1.0, -2.0], [3.0, 0.0]]))
    >>> [p.item() for p in layer.losses]
    [1.5]
    """

    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, name: str | None = None) -> None:
        super().__init__()
        self.activity_regularizer = regularizers.L1L2(l1, l2)
        self.name = name or "activity_regularization"

    @property
    def l1(self) -> float:
        """Return the weight of sum |x|; it may be changed at any time, in recorded steps too."""
        return float(self.activity_regularizer.l1)

    @l1.setter
    def l1(self, value: float) -> None:
        self.activity_regularizer.l1 = value

    @property
    def l2(self) -> float:
        """Return the weight of sum x^2; it may be changed at any time, in recorded steps too."""
        return float(self.activity_regularizer.l2)

    @l2.setter
    def l2(self, value: float) -> None:
        self.activity_regularizer.l2 = value

    def forward(self, x: Tensor) -> Tensor:
        self._activity = x
        return x

    def get_config(self) -> dict[str, Any]:
        return self.activity_regularizer.get_config()

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in self.get_config().items())
