"""Layer that makes a mask of time steps from the data."""

from __future__ import annotations

from typing import Any

from ...autograd.tensor import Tensor
from ...ops.checks import check_number
from ...ops.logic import ne, where
from ...ops.reduce import any as any_along
from ...ops.shape import squeeze
from ..masks import masked
from ..module import Module
from ..spec import InputSpec


class Masking(Module):
    """Layer that masks the time steps in which all features have a given value, and sets them to 0.

    Layers after it leave these steps out, see `fastnn.nn.masks`.

    Args:
        mask_value: the value of padding.

    Shapes: x (N, T, ..., F) and y the same; the mask has the shape of x without the last axis.

    >>> import fastnn
    >>> y = fastnn.Masking(mask_value=-1.0)(fastnn.tensor([[[5.0, -1.0], [-1.0, -1.0]]]))
    >>> y.tolist(), y.keras_mask.tolist()
    ([[[5.0, -1.0], [0.0, 0.0]]], [[True, False]])
    """

    input_spec = InputSpec("float", min_ndim=2)
    supports_masking = True
    _checked_arguments = {"mask_value": lambda value, name: check_number(value, name, float("-inf"))}  # noqa: RUF012

    def __init__(self, mask_value: float = 0.0, *, name: str | None = None) -> None:
        super().__init__()
        self.mask_value = mask_value
        self.name = name or "masking"

    def forward(self, x: Tensor) -> Tensor:
        kept = any_along(ne(x, self.mask_value), -1, keepdims=True)
        return masked(where(kept, x, 0.0), squeeze(kept, -1))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of time steps that have another value than that of padding."""
        return any_along(ne(inputs, self.mask_value), -1)

    def get_config(self) -> dict[str, Any]:
        return {"mask_value": self.mask_value}

    def extra_repr(self) -> str:
        return f"{self.mask_value}"
