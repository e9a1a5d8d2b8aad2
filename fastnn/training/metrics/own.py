"""Variables and state of custom metrics, and the check of their results."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ... import initializers
from ...autograd.tensor import Tensor, no_grad
from ...backends import current
from ...core.convert import own_array
from ...core.seeding import generator

Array = np.ndarray[Any, Any]


class Variable(Tensor):
    """Tensor of a metric, with Keras's methods to change it."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.numpy().copy(),)

    @property
    def value(self) -> Tensor:
        """Return a copy of the current values, as a Tensor."""
        return Tensor(current().asarray(self.numpy().copy()))

    def assign(self, value: Any) -> Variable:
        """Set the values from an array of the same shape, or from one number for all."""
        with no_grad():
            given = np.asarray(value.detach() if isinstance(value, Tensor) else value, self.dtype)
            self.copy_(np.broadcast_to(given.reshape(()) if given.size == 1 else given, self.shape))
        return self

    def assign_add(self, value: Any) -> Variable:
        """Add to the values."""
        return self.assign(self.numpy() + np.asarray(value.detach() if isinstance(value, Tensor) else value))

    def assign_sub(self, value: Any) -> Variable:
        """Subtract from the values."""
        return self.assign(self.numpy() - np.asarray(value.detach() if isinstance(value, Tensor) else value))


def made(shape: Any, initializer: Any, dtype: Any) -> Variable:
    """Make a variable with initial values."""
    sizes = (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(n) for n in shape)
    first = initializers.get("zeros" if initializer is None else initializer)(sizes, np.dtype(dtype), generator())
    return Variable(own_array(current(), first, np.dtype(dtype), "add_weight", True))


def _again(values: Array) -> Variable:
    return Variable(current().asarray(values))


class State:
    """Copy of the state of a custom metric, to restore it later: its attributes, and the values of its arrays, variables and
    inner metrics."""

    def __init__(self, metric: Any) -> None:
        from .base import Metric

        self._metric = metric
        self._attributes = {n: v if n in metric.arrays else _copied(v) for n, v in vars(metric).items()}
        self._arrays = [(a, a.copy()) for a in map(self._attributes.get, metric.arrays) if a is not None]
        self._values = [v.numpy().copy() for v in metric.variables]
        self._inner = [(m, State(m)) for m in vars(metric).values() if isinstance(m, Metric)]

    def restore(self) -> None:
        """Restore the state of the metric."""
        vars(self._metric).clear()
        vars(self._metric).update(self._attributes)
        for array, values in self._arrays:
            array[...] = values
        for variable, value in zip(self._metric.variables, self._values, strict=True):
            variable.assign(value)
        for _, state in self._inner:
            state.restore()


def _copied(value: Any) -> Any:
    """Return a copy of an object that may be changed in place; other objects themselves."""
    return copy.copy(value) if isinstance(value, list | dict | set | bytearray | np.ndarray) else value


def as_number(name: str, value: Any, source: str = "metric {}: result()") -> float:
    """Return the result of a metric, or another number of this name and source, for the logs.

    Raises:
        TypeError: the value is not a number.
    """
    number = np.asarray(value.detach() if isinstance(value, Tensor) else value)
    if number.dtype.kind not in "fiub" or number.size != 1:
        what = f"an array of shape {number.shape}" if number.dtype.kind in "fiub" else f"a {type(value).__name__}"
        raise TypeError(f"{source.format(name)} returned {what}; wanted one number{' or a dict of numbers' * (source != '{}')}")
    return float(number.reshape(()))
