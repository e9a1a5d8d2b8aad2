"""Activations as layers: Keras's Activation, and PyTorch's classes with PyTorch's parameters."""

from __future__ import annotations

from typing import Any

from .. import activations
from ..backends import spec
from ..ops import activation as ops
from ..tensor import Tensor
from .module import Module


class Activation(Module):
    """An activation by its Keras name.

    >>> import fastnn
    >>> fastnn.Activation("relu")(fastnn.tensor([-1.0, 1.0])).tolist()
    [0.0, 1.0]
    """

    def __init__(self, activation: Any, name: str | None = None) -> None:
        super().__init__()
        self.activation = activations.get(activation)
        self.name = name or type(self).__name__.lower()

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.activation, str):
            return ops.softmax(x) if self.activation == "softmax" else ops.log_softmax(x)
        return ops.activate(x, self.activation)

    def get_config(self) -> dict[str, Any]:
        return {"activation": activations.config(self.activation)}

    def extra_repr(self) -> str:
        return repr(activations.config(self.activation)) if type(self) is Activation else ""


class _Named(Activation):
    """An activation without parameters, under PyTorch's name."""

    function = ""

    def __init__(self) -> None:
        super().__init__(self.function)

    def get_config(self) -> dict[str, Any]:
        return {}


class ReLU(_Named):
    """max(x, 0)."""

    function = "relu"


class Sigmoid(_Named):
    """1 / (1 + exp(-x))."""

    function = "sigmoid"


class Tanh(_Named):
    """The hyperbolic tangent."""

    function = "tanh"


class LeakyReLU(Activation):
    """x where x > 0, else negative_slope x."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__(spec.activation("leaky_relu", negative_slope))
        self.negative_slope = float(negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {"negative_slope": self.negative_slope}

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class GELU(Activation):
    """x Phi(x); approximate="tanh" takes the form with tanh."""

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate={approximate!r}, wanted 'none' or 'tanh'")
        super().__init__("gelu_tanh" if approximate == "tanh" else "gelu")
        self.approximate = approximate

    def get_config(self) -> dict[str, Any]:
        return {"approximate": self.approximate}

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Softmax(Module):
    """exp(x) / sum(exp(x)) along an axis."""

    _function = staticmethod(ops.softmax)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x, self.dim)

    def get_config(self) -> dict[str, Any]:
        return {"dim": self.dim}

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """log(softmax(x)) along an axis."""

    _function = staticmethod(ops.log_softmax)
