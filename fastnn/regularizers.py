"""Penalties that training adds to the loss, with Keras's names.

A regularizer is called on a Tensor of weights or activations and returns a Tensor without dimensions. Layers take it as
``kernel_regularizer``, ``bias_regularizer`` and ``activity_regularizer``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .autograd.tensor import Tensor, tensor
from .backends import shared_array
from .core.registry import Configured, Registry, decided
from .ops import dense, elementwise, reduce, shape
from .ops.checks import check_number
from .ops.regularization import penalty

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "FromFunction",
    "OrthogonalRegularizer",
    "Regularizer",
    "get",
    "serialize",
]


def __dir__() -> list[str]:
    return sorted(__all__)


class Regularizer(Configured):
    """Base class: gives the penalty of a Tensor."""

    def __call__(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} defines no __call__(x)")


class _Factor:
    """A weight of `L1L2`: it lies in memory, so that recorded steps follow when it changes."""

    def __init__(self, index: int) -> None:
        self.index = index

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> float:
        return float(instance._weights[self.index])

    def __set__(self, instance: Any, value: float) -> None:
        cls: Any = type(instance)
        if value != self.__get__(instance, cls) and (base := decided(cls, self.name)):
            raise AttributeError(f"{cls.__name__}: {self.name} is fixed, it is what the class stands for; take {base}")
        instance._weights[self.index] = check_number(value, f"{type(instance).__name__}: {self.name}", 0)


class L1L2(Regularizer):
    """l1 sum |x| + l2 sum x^2.

    >>> import fastnn
    >>> fastnn.regularizers.L1L2(l1=0.1, l2=1.0)(fastnn.tensor([1.0, -2.0])).item()
    5.300000190734863
    """

    l1 = _Factor(0)
    l2 = _Factor(1)

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self._weights = shared_array([0.0, 0.0])
        self.l1, self.l2 = l1, l2

    def __call__(self, x: Tensor) -> Tensor:
        return penalty(x, self._weights)


class L1(L1L2):
    """l1 sum |x|: makes weights 0."""

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)


class L2(L1L2):
    """l2 sum x^2: makes weights small; in plain SGD the same as a weight decay of 2 l2."""

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)


class OrthogonalRegularizer(Regularizer):
    """factor times the mean of |cosine| over all pairs of rows of a matrix, or of columns.

    Args:
        factor: at least 0.
        mode: "rows" or "columns".

    >>> import fastnn
    >>> fastnn.regularizers.OrthogonalRegularizer(0.5)(fastnn.tensor([[1.0, 0.0], [2.0, 0.0]])).item()
    0.5
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = check_number(factor, "OrthogonalRegularizer: factor", 0)
        if mode not in ("rows", "columns"):
            raise ValueError(f"OrthogonalRegularizer: mode is {mode!r}, wanted 'rows' or 'columns'")
        self.mode = mode

    def __call__(self, x: Tensor) -> Tensor:
        if x.ndim != 2:
            raise ValueError(f"OrthogonalRegularizer: a Tensor of shape {x.shape} came, wanted a matrix")
        if self.mode == "columns":
            x = shape.transpose(x)
        n = x.shape[0]
        if n < 2:
            return reduce.sum(x * 0.0)
        # The square root of 0 has no gradient: a row of zeros stays one of zeros.
        norms = elementwise.sqrt(elementwise.clip(reduce.sum(x * x, axis=1, keepdims=True), 1e-14, None))
        unit = x / norms
        others = dense.matmul(unit, shape.transpose(unit)) * tensor(1 - np.eye(n, dtype=x.dtype))
        return reduce.sum(elementwise.abs(others)) * (self.factor / (n * (n - 1)))


class FromFunction(Regularizer):
    """A function of a Tensor that returns a Tensor with one element."""

    def __init__(self, fn: Callable[[Tensor], Tensor]) -> None:
        self.fn = fn

    def __call__(self, x: Tensor) -> Tensor:
        value = self.fn(x)
        if not isinstance(value, Tensor) or value.size != 1:
            raise TypeError(f"regularizer: {self.fn!r} gave {value!r}, wanted a Tensor with one element")
        return shape.reshape(value, ())


_REGISTRY: Registry[Regularizer] = Registry(
    "regularizer",
    Regularizer,
    (L1, L2, L1L2, OrthogonalRegularizer),
    {"l1_l2": lambda: L1L2(0.01, 0.01), "orthogonal_regularizer": OrthogonalRegularizer},
    FromFunction,
)
serialize = _REGISTRY.serialize


def get(identifier: Any) -> Regularizer | None:
    """Return the regularizer of that name ("l1", "l2", "l1_l2": factors of 0.01), class, config or function; or itself, or None.

    >>> get("l2")
    L2(l2=0.01)
    """
    return None if identifier is None else _REGISTRY.get(identifier)
