"""Activations with slopes that are learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import initializers
from ..convert import dtype_of
from ..ops.activation import prelu
from ..ops.door import check_device, positive_int
from ..tensor import Tensor
from .activation import Configured
from .parameter import building, initial


class LearnedSlopes(Configured):
    """x where x > 0, else slope x: base of the layers, which say how many slopes there are, and what their name is."""

    _saved_as = ""
    slopes = "weight"

    def __setattr__(self, name: str, value: Any) -> None:
        if self.built and name in self._arguments and value is not getattr(self, name):
            own = type(self).__name__
            raise AttributeError(
                f"{own}: {name} is fixed once the slopes are made; write into {self.slopes}, or make another layer"
            )
        super().__setattr__(name, value)

    def _start(self, initializer: initializers.Initializer, dtype: Any) -> None:
        self._initializer = initializer
        self._dtype = None if dtype is None else self._real(dtype)

    def _real(self, dtype: Any) -> str:
        d = dtype_of(dtype, type(self).__name__)
        if d.kind != "f":
            raise TypeError(f"{type(self).__name__}: dtype {d} came, wanted float32 or float64")
        return d.name

    @property
    def built(self) -> bool:
        return self.slopes in self.__dict__.get("_parameters", ())

    def _own_built(self) -> bool:
        return self.built

    def set_dtype(self, dtype: Any) -> None:
        """The dtype of the slopes, unless the constructor was given one; before training only."""
        if self._dtype is not None:
            return
        self._dtype = self._real(dtype)
        for p in (p for p in self._parameters.values() if p is not None):
            if p.home is not None:
                raise RuntimeError(f"{type(self).__name__}: the dtype of a layer that is being trained cannot change")
            p.data = p.data.astype(self._dtype)

    def _make(self, shape: tuple[int, ...]) -> None:
        dtype = np.dtype(self._dtype or "float32")
        self.register_parameter(self.slopes, initial(self._initializer, shape, dtype))

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Makes the slopes for samples of this shape."""
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
        num_parameters: one slope for all, or the size of the last axis, where each channel has its own. (PyTorch counts the
            channels along axis 1.)
        init: the slopes at the beginning.
        device: "cpu" where the backend computes there; taken for PyTorch's sake.
        dtype: "float32" or "float64".

    Source: He et al., Delving Deep into Rectifiers, arXiv 1502.01852.

    >>> import fastnn
    >>> fastnn.nn.PReLU()(fastnn.tensor([-1.0, 1.0])).tolist()
    [-0.25, 1.0]
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        check_device(device, "PReLU")
        n = positive_int(num_parameters, "PReLU: num_parameters")
        self._configure(num_parameters=n, init=float(init))
        self._start(initializers.Constant(init), dtype)
        self._make((n,))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dtype": self.dtype.name}
