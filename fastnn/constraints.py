"""Constraints on weights after each step of an optimizer, with Keras's names.

A constraint is called on a parameter and changes it in place. Layers take it as ``kernel_constraint`` and ``bias_constraint``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .autograd.tape import changed
from .autograd.tensor import Tensor, no_grad
from .backends import current
from .backends.spec import activation
from .core.registry import Configured, Registry
from .ops.checks import axis_of, check_number

if TYPE_CHECKING:
    from .nn.parameter import Parameter

__all__ = [
    "Constraint",
    "FromFunction",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "get",
    "serialize",
]


def __dir__() -> list[str]:
    return sorted(__all__)


_RELU = activation("relu")


class Constraint(Configured):
    """Base class: changes a parameter in place."""

    def __call__(self, p: Parameter) -> None:
        self.put_right(p)
        changed(p)

    def put_right(self, p: Parameter) -> None:
        raise NotImplementedError(f"{type(self).__name__} defines no put_right(p)")


class NonNeg(Constraint):
    """w = max(w, 0)."""

    def put_right(self, p: Parameter) -> None:
        current().activation_forward(p.data, p.data, _RELU)


class MinMaxNorm(Constraint):
    """Scales weights so that their Euclidean norms along an axis lie between min_value and max_value, or move there.

    Args:
        min_value, max_value: the bounds.
        rate: how far they move in a step; 1 is all the way.
        axis: an axis, or several that are neighbours; 0 for the weights of each neuron of a Dense layer.

    >>> import fastnn
    >>> p = fastnn.nn.Parameter([[3.0], [4.0]])
    >>> fastnn.constraints.MaxNorm(1.0)(p)
    >>> p.numpy().round(3).tolist()
    [[0.6000000238418579], [0.800000011920929]]
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int | Sequence[int] = 0) -> None:
        name = type(self).__name__
        self.min_value = check_number(min_value, f"{name}: min_value", 0)
        self.max_value = check_number(max_value, f"{name}: max_value", self.min_value)
        self.rate = check_number(rate, f"{name}: rate", 0, 1)
        self.axis = int(axis) if isinstance(axis, int | np.integer) else [int(a) for a in axis]

    def put_right(self, p: Parameter) -> None:
        axes = sorted({axis_of(a, p.ndim, type(self).__name__) for a in np.atleast_1d(self.axis).tolist()})
        if axes != list(range(axes[0], axes[-1] + 1)):
            raise ValueError(f"{type(self).__name__}: axis {self.axis}, wanted axes that are neighbours")
        sizes = [math.prod(part) for part in (p.shape[: axes[0]], p.shape[axes[0] : axes[-1] + 1], p.shape[axes[-1] + 1 :])]
        k = current()
        k.limit_norms(p.data.reshape(sizes), k.shared_array([self.min_value, self.max_value, self.rate]))


class MaxNorm(MinMaxNorm):
    """Scales weights down whose norm along an axis is greater than max_value (Srivastava et al., JMLR 15, 2014)."""

    def __init__(self, max_value: float = 2.0, axis: int | Sequence[int] = 0) -> None:
        super().__init__(0.0, max_value, 1.0, axis)


class UnitNorm(MinMaxNorm):
    """Scales weights so that their norms along an axis are 1."""

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        super().__init__(1.0, 1.0, 1.0, axis)


class FromFunction(Constraint):
    """A function of a Tensor that returns the Tensor of what it should be."""

    def __init__(self, fn: Callable[[Tensor], Tensor]) -> None:
        self.fn = fn

    def put_right(self, p: Parameter) -> None:
        with no_grad():
            p.copy_(self.fn(p))


_REGISTRY: Registry[Constraint] = Registry(
    "constraint", Constraint, (MaxNorm, MinMaxNorm, NonNeg, UnitNorm), function=FromFunction
)
serialize = _REGISTRY.serialize


def get(identifier: Any) -> Constraint | None:
    """Return the constraint of that name ("max_norm", "non_neg", ...), class, config or function; or itself, or None.

    >>> get("max_norm")
    MaxNorm(max_value=2.0, axis=0)
    """
    return None if identifier is None else _REGISTRY.get(identifier)
