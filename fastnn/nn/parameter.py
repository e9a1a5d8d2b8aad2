"""Parameters, and the flat buffers in which optimizers find them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from math import prod
from typing import Any

import numpy as np

from ..autograd.tape import changed
from ..autograd.tensor import Array, Tensor
from ..backends import current
from ..backends.base import ALIGN, aligned
from ..core.arrays import copy_array
from ..core.convert import as_array, own_array
from ..core.locks import rlock
from ..core.seeding import generator
from ..core.versions import settings_changed

building = rlock()
"""Held by the first call of a layer while it makes its parameters: several threads may call a model that has none yet."""


class Parameter(Tensor):
    """A Tensor that a module trains: a leaf that keeps its identity and, once it lies in a `FlatBuffer`, its place in memory.

    >>> import fastnn
    >>> p = fastnn.nn.Parameter([1.0, 2.0])
    >>> p.requires_grad
    True
    """

    __slots__ = ("end", "flat", "kept", "start", "touched")

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        from ..autograd.tensor import tensor

        own = isinstance(data, np.ndarray)  # which is not copied, where kernels can read it and write to it
        array = own_array(current(), data, None, "Parameter", not data.flags.writeable) if own else tensor(data).data
        super().__init__(array, requires_grad)
        self.flat: FlatBuffer | None = None
        self.start = self.end = 0  # the place in the flat buffers; end is where the next one starts
        self.kept: Array | None = None  # its values there
        self.touched: Array | None = None  # which rows its gradient may differ from 0 in, once asked for

    @property
    def trainable(self) -> bool:
        """Return whether training changes it; Keras's name of requires_grad."""
        return self.requires_grad

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.requires_grad = bool(value)

    def track_rows(self) -> Tensor:
        """Return a bool Tensor (rows,) that says from the next backward on in which rows the gradient may differ from 0.

        These are the rows that `take` took; all of them where another operation used the parameter, or `grad` was set. Kernels
        write it, in replays of recorded steps too, so that optimizers and norms can leave out the other rows. It is right while
        there is a gradient; after `zero_grad` the next backward begins anew. A gradient that is there already marks all rows.

        >>> import fastnn
        >>> table = fastnn.nn.Parameter([[1.0], [2.0], [3.0]])
        >>> touched = table.track_rows()
        >>> fastnn.take(table, [2, 2]).sum().backward()
        >>> touched.tolist(), table.grad.tolist()
        ([False, False, True], [[0.0], [0.0], [2.0]])
        """
        if getattr(self, "base", self) is not self:
            raise ValueError("track_rows: the parameter is a view of one that is stored in another order, whose rows are others")
        if not self.ndim:
            raise ValueError("track_rows: the parameter has no rows; wanted at least one dimension")
        if self.touched is None:
            k = current()
            self.touched = k.empty(self.shape[0], np.bool_)
            k.fill(self.touched, 1.0 if self.has_grad else 0.0)
            settings_changed()  # recorded steps would go on without marks
        return Tensor(self.touched)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.numpy().copy(), self.requires_grad)


def _rebuild(data: np.ndarray[Any, Any], requires_grad: bool) -> Parameter:
    return Parameter(current().asarray(data), requires_grad)


class LoadLimit:
    """Limit of what a model in a file may allocate.

    Args:
        most: the numbers of one parameter.
        left: those of all parameters.
        trials: the numbers in all arrays that come up while layers are tried, with `ARRAY` for each.
    """

    ARRAY = 1 << 14
    TOGETHER = 1 << 22
    """The numbers in the arrays of one trial, in models with few weights; in others, `TIMES` the weights."""
    TIMES = 16

    def __init__(self, most: int, left: int, trials: int = 1 << 30) -> None:
        self.most, self.left, self.trials = most, left, trials
        self.together = 0

    def begin(self, size: int) -> None:
        """Note that a layer is tried on inputs of this size."""
        self.together = 0
        self.try_(size)

    def try_(self, size: float) -> None:
        """Note that an array of this size comes up; ValueError if there were too many."""
        self.trials -= int(size) + self.ARRAY
        if self.trials < 0:
            raise ValueError("its layers take too much work to try")
        self.together += int(size)
        if self.together > (limit := max(self.TOGETHER, self.TIMES * self.most)):
            raise ValueError(f"a layer takes more than {limit} numbers to try, but there are {self.most} weights in all")

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return a parameter's array, which takes memory once it is written; ValueError where the file has no numbers for it."""
        size = prod(shape)
        self.left -= size
        if size > self.most or self.left < 0:
            raise ValueError(f"a parameter of shape {shape}, but {self.most} weights in all")
        return np.zeros(shape, dtype)


filling: ContextVar[LoadLimit | None] = ContextVar("fastnn_filling", default=None)
"""The limit of the file that is being read; while it is set, new parameters are 0 until they are filled."""


def initial(initializer: Callable[..., Any], shape: tuple[int, ...], dtype: Any) -> Parameter:
    """Make a new parameter with the values that an initializer gives."""
    if (own := filling.get()) is not None:
        return Parameter(own.zeros(shape, dtype))
    return Parameter(np.ascontiguousarray(initializer(shape, dtype, generator()), dtype))


def stored(p: Tensor) -> Parameter:
    """Return the parameter itself, where p may be a view of one."""
    base = getattr(p, "base", p)
    if not isinstance(base, Parameter):
        raise TypeError(f"wanted parameters, got a {type(p).__name__}; make it with fastnn.nn.Parameter")
    return base


def fill_grad(p: Parameter) -> None:
    """Make a parameter's gradient 0, where it has one."""
    k = current()
    if k.has_grad(p):
        k.fill(p.grad_buffer(), 0.0)


class FlatBuffer:
    """Flat buffers that hold parameters and their gradients, one behind the other."""

    def __init__(self, parameters: list[Parameter]) -> None:
        k = current()
        dtype = parameters[0].dtype
        step = ALIGN // dtype.itemsize
        starts, size = [], 0
        for p in parameters:
            starts.append(size)
            size += -(-p.size // step) * step
        self.dtype = dtype
        self.size = size
        self.values = aligned(k, size, dtype)
        self.grads = aligned(k, size, dtype)
        k.fill(self.values, 0.0)
        k.fill(self.grads, 0.0)
        for p, start in zip(parameters, starts, strict=True):
            view = self.values[start : start + p.size].reshape(p.shape)
            grad = self.grads[start : start + p.size].reshape(p.shape)
            copy_array(k, view, p.data)
            if p.has_grad:
                copy_array(k, grad, p.grad_buffer())
            end = start + -(-p.size // step) * step
            # Nothing is called from here on, so that Ctrl-C leaves all or none of it.
            p.data, p.kept, p._buffer, p.flat, p.start, p.end = view, view, grad, self, start, end


def flatten_parameters(parameters: Iterable[Tensor]) -> list[Parameter]:
    """Return the stored parameters, each once, all in flat buffers; those without get one together, by dtype."""
    unique = list(dict.fromkeys(stored(p) for p in parameters))
    homeless: dict[Any, list[Parameter]] = {}
    for p in unique:
        if p.flat is None:
            homeless.setdefault(p.dtype, []).append(p)
    for group in homeless.values():
        FlatBuffer(group)
    take_assigned(unique, "data")
    return unique


def take_assigned(parameters: Iterable[Parameter], op: str) -> None:
    """Copy what was set as a parameter's `data` into its flat buffer, where optimizers change it."""
    for p in parameters:
        if p.data is not p.kept and p.kept is not None:
            copy_array(current(), p.kept, as_array(p.data, p.kept.dtype, p.kept.shape, f"{op}: the parameter's data"))
            p.data = p.kept
            changed(p)
