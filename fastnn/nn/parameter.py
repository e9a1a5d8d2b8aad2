"""Parameters, and the flat buffers in which optimizers update them."""

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
from ..core.unpickled import own
from ..core.versions import settings_changed

building = rlock()
"""Lock for making the parameters of a layer in its first call, since several threads may call a model at the same time."""


class Parameter(Tensor):
    """Tensor that a module trains: a leaf that keeps its identity and, when it is in a `FlatBuffer`, its memory.

    >>> import fastnn
    >>> p = fastnn.nn.Parameter([1.0, 2.0])
    >>> p.requires_grad
    True
    """

    __slots__ = ("_clean", "end", "flat", "kept", "start", "touched")

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        from ..autograd.tensor import tensor

        own = isinstance(data, np.ndarray)  # is not copied if kernels can read and write it
        array = own_array(current(), data, None, "Parameter", not data.flags.writeable) if own else tensor(data).data
        super().__init__(array, requires_grad)
        self.flat: FlatBuffer | None = None
        self.start = self.end = 0  # range in the flat buffers; end is the start of the next parameter
        self.kept: Array | None = None  # view of its values in the flat buffer
        self.touched: Array | None = None  # marks of rows with a gradient other than 0, if `track_rows` was called
        self._clean: Array | None = None  # the gradient buffer, if its rows without a mark are 0 and nobody else writes into it

    @property
    def trainable(self) -> bool:
        """Return whether training changes it; Keras's name of requires_grad."""
        return self.requires_grad

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.requires_grad = bool(value)

    @property
    def value(self) -> Parameter:
        """Return the parameter itself; Keras's variables have their Tensor there."""
        return self

    def assign(self, value: Any) -> Parameter:
        """Copy an array of the same shape, or a number, into the parameter; Keras's name of `copy_`."""
        from ..autograd.tensor import no_grad

        with no_grad():
            given = np.asarray(value.detach() if isinstance(value, Tensor) else value, self.dtype)
            self.copy_(np.broadcast_to(given, self.shape) if not given.ndim else given)
        return self

    def track_rows(self) -> Tensor:
        """Return a bool Tensor (rows,) that marks, from the next backward on, the rows in which the gradient may differ from 0.

        These are the rows that `take` selected, or all rows if another operation used the parameter or `grad` was set. Kernels
        write the marks, in replays of recorded steps too, so that optimizers and norms can skip the other rows. The marks are
        valid while there is a gradient; after `zero_grad` the next backward starts again. An existing gradient marks all rows.

        >>> import fastnn
        >>> table = fastnn.nn.Parameter([[1.0], [2.0], [3.0]])
        >>> touched = table.track_rows()
        >>> fastnn.take(table, [2, 2]).sum().backward()
        >>> touched.tolist(), table.grad.tolist()
        ([False, False, True], [[0.0], [0.0], [2.0]])
        """
        if getattr(self, "base", self) is not self:
            raise ValueError("track_rows: the parameter is a view of one that is stored in another order, with other rows")
        if not self.ndim:
            raise ValueError("track_rows: the parameter has no rows; wanted at least one dimension")
        if self.touched is None:
            k = current()
            touched = k.empty(self.shape[0], np.bool_)
            k.write(touched, self.has_grad)
            if self._buffer is not None:
                settings_changed()  # recorded steps would not write the marks
            self.touched = touched
        return Tensor(self.touched)

    def grad_buffer(self) -> Array:
        if self._buffer is None and self.touched is not None:
            self._clean = super().grad_buffer()
            current().write(self._clean, 0)
        return super().grad_buffer()

    def zero_beside_marks(self) -> bool:
        return self._clean is not None and self._clean is self._buffer

    def shown(self) -> None:
        if self.touched is not None and self._clean is not None:
            self._clean = None
            settings_changed()  # recorded steps clear only the marked rows

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.numpy().copy(), self.requires_grad)


def _rebuild(data: np.ndarray[Any, Any], requires_grad: bool) -> Parameter:
    return Parameter(current().asarray(own(data)), requires_grad)


class LoadLimit:
    """Limits of the memory that a model in a file may allocate, in numbers of elements.

    Args:
        most: limit of one parameter.
        left: limit of all parameters together.
        trials: limit of all arrays that trial calls of layers allocate, where each array counts `ARRAY` more.
    """

    ARRAY = 1 << 14
    TOGETHER = 1 << 22
    """Limit of the arrays of one trial call in models with few weights; in other models it is `TIMES` the weights."""
    TIMES = 16

    def __init__(self, most: int, left: int, trials: int = 1 << 30) -> None:
        self.most, self.left, self.trials = most, left, trials
        self.together = 0

    def begin(self, size: int) -> None:
        """Count the start of a trial call of a layer with inputs of this size."""
        self.together = 0
        self.try_(size)

    def try_(self, size: float) -> None:
        """Count an array of this size; raise ValueError beyond the limits."""
        self.trials -= int(size) + self.ARRAY
        if self.trials < 0:
            raise ValueError("its layers take too much work to try")
        self.together += int(size)
        if self.together > (limit := max(self.TOGETHER, self.TIMES * self.most)):
            raise ValueError(f"a layer takes more than {limit} numbers to try, but there are {self.most} weights in all")

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an array for a parameter; raise ValueError beyond the limits. Memory is used only when the array is written."""
        size = prod(shape)
        self.left -= size
        if size > self.most or self.left < 0:
            raise ValueError(f"a parameter of shape {shape}, but {self.most} weights in all")
        return np.zeros(shape, dtype)


filling: ContextVar[LoadLimit | None] = ContextVar("fastnn_filling", default=None)
"""Limits of the file that is being read. While they are set, new parameters are 0 until they are filled."""


def initial(initializer: Callable[..., Any], shape: tuple[int, ...], dtype: Any) -> Parameter:
    """Make a new parameter with the values of an initializer."""
    if (own := filling.get()) is not None:
        return Parameter(own.zeros(shape, dtype))
    return Parameter(np.ascontiguousarray(initializer(shape, dtype, generator()), dtype))


def stored(p: Tensor) -> Parameter:
    """Return the stored parameter, if p is a view of one, or else p itself."""
    base = getattr(p, "base", p)
    if not isinstance(base, Parameter):
        raise TypeError(f"wanted parameters, got a {type(p).__name__}; make it with fastnn.nn.Parameter")
    return base


def fill_grad(p: Parameter) -> None:
    """Set a parameter's gradient to 0 if it has one."""
    k = current()
    if k.has_grad(p):
        k.fill(p.grad_buffer(), 0.0)


class FlatBuffer:
    """Flat buffers with the values and gradients of several parameters, one after the other."""

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
            # One statement without calls, so that Ctrl-C cannot interrupt it.
            clean = None if p.touched is None or (p.has_grad and not p.zero_beside_marks()) else grad
            p.data, p.kept, p._buffer, p._clean, p.flat, p.start, p.end = view, view, grad, clean, self, start, end


def flatten_parameters(parameters: Iterable[Tensor]) -> list[Parameter]:
    """Move parameters into flat buffers, one new buffer for each dtype, and return the stored parameters, each once."""
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
    """Copy arrays that were set as `data` of parameters into their flat buffers, where optimizers update them."""
    for p in parameters:
        if p.data is not p.kept and p.kept is not None:
            copy_array(current(), p.kept, as_array(p.data, p.kept.dtype, p.kept.shape, f"{op}: the parameter's data"))
            p.data = p.kept
            changed(p)
