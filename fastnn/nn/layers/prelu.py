"""Activations with learned slopes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import initializers
from ...autograd.tensor import Tensor
from ...core.device import check_device
from ...ops.activation import prelu
from ...ops.checks import positive_int
from ...ops.shape import transpose
from ..dtype import real_dtype
from ..parameter import building, initial
from .activation import Configured


class LearnedSlopes(Configured):
    """Base of layers that compute x where x > 0, else slope x. Derived layers define the number and the name of the slopes."""

    _saved_as = ""
    slopes = "weight"

    def _start(self, initializer: initializers.Initializer, dtype: Any) -> None:
        self._initializer = initializer
        self._dtype = None if dtype is None else real_dtype(dtype, type(self).__name__)

    @property
    def built(self) -> bool:
        return self.slopes in self.__dict__.get("_parameters", ())

    def _own_built(self) -> bool:
        return self.built

    def _make(self, shape: tuple[int, ...]) -> None:
        dtype = np.dtype(self._dtype or "float32")
        self.register_parameter(self.slopes, initial(self._initializer, shape, dtype))

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the slopes for samples of this shape."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        if not self.built:
            with building:
                if not self.built:
                    self.build(x.shape[1:])
        parameters: dict[str, Any] = self._parameters
        return prelu(x, parameters[self.slopes])


class PReLU(LearnedSlopes):
    """x where x > 0, else weight x, where the weight is learned.

    Args:
        num_parameters: 1 for one common slope, or the number of channels, which are axis 1, for a slope for each channel.
        init: initial value of the slopes.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".

    Source: He et al., Delving Deep into Rectifiers, arXiv 1502.01852.

    >>> import fastnn
    >>> fastnn.nn.PReLU()(fastnn.tensor([-1.0, 1.0])).tolist()
    [-0.25, 1.0]
    """

    _fixed_arguments = ("num_parameters", "init")

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        check_device(device, "PReLU")
        n = positive_int(num_parameters, "PReLU: num_parameters")
        self._configure(num_parameters=n, init=float(init))
        self._start(initializers.Constant(init), dtype)
        self._make((n,))

    def forward(self, x: Tensor) -> Tensor:
        if self.num_parameters == 1 or x.ndim <= 2:
            return super().forward(x)
        return transpose(super().forward(transpose(x, 1, -1)), 1, -1)  # the kernel's slopes belong to the last axes

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dtype": self.dtype.name}
