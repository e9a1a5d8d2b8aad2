"""Parameters that are another one's values in another order: PyTorch's face of a weight that is stored as kernels read it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tape import Changes, changed
from ..autograd.tensor import Array, Tensor
from ..backends import current
from ..core.arrays import arranged, store_arranged
from ..core.convert import as_array
from ..core.layout import TRANSPOSED, Order
from .parameter import Parameter


class _View(Tensor):
    """The values of ``base`` in another order: writing goes through to it."""

    __slots__ = ()

    base: Any
    order: Order

    @property
    def data(self) -> Array:
        """Return the values: a view of the stored ones, or where blocks are in another order a copy that cannot be written to."""
        if not self.order.blocks:
            return self.base.data.transpose(self.order.axes)
        values = arranged(current(), self.base.data, self.order)
        if isinstance(values, np.ndarray):
            values.setflags(write=False)
        return values

    @data.setter
    def data(self, value: Array) -> None:
        if not current().xp.shares_memory(value, self.base.data):  # p.data -= ... has written in place already
            self._write(value, "data")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.order.shape(self.base.data.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.base.dtype  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        return self.base.size  # type: ignore[no-any-return]

    @property
    def changes(self) -> Changes:
        return self.base.changes  # type: ignore[no-any-return]

    @changes.setter
    def changes(self, value: Changes) -> None:
        self.base.changes = value

    @property
    def requires_grad(self) -> bool:
        return self.base.requires_grad  # type: ignore[no-any-return]

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.base.requires_grad = value

    @property
    def has_grad(self) -> bool:
        return self.base.has_grad  # type: ignore[no-any-return]

    @has_grad.setter
    def has_grad(self, value: bool) -> None:
        self.base.has_grad = value

    @property
    def grad(self) -> Tensor | None:
        """Return the gradient in the order of the values, or None; a view of the stored one."""
        return TensorView(self.base.grad, self.order) if self.has_grad else None

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            TensorView(Tensor(self.base.grad_buffer()), self.order)._write(value, "grad")
        current().set_has_grad(self.base, value is not None)

    def grad_buffer(self) -> Array:
        raise RuntimeError("grad_buffer: the gradient of a parameter's view is kept by its base")

    def copy_(self, values: Any) -> Tensor:
        self._check_in_place("copy_")
        self._write(values, "copy_")
        changed(self.base)
        return self

    def _write(self, values: Any, op: str) -> None:
        store_arranged(current(), self.base.data, as_array(values, self.dtype, self.shape, op), self.order)

    def fill_(self, value: float) -> Tensor:
        self.base.fill_(value)
        return self

    def detach(self) -> Tensor:
        return TensorView(self.base.detach(), self.order)

    def __copy__(self) -> Any:
        return _view(type(self), copy.copy(self.base), self.order)

    def __reduce__(self) -> tuple[Any, ...]:
        return _view, (type(self), self.base, self.order)


def _view(cls: Any, base: Tensor, order: Order) -> Any:
    view = cls.__new__(cls)
    view.base, view.order, view.node = base, order, None
    return view


class TensorView(_View):
    """The view of the gradient, or of the values alone, of a parameter that is stored in another order."""

    __slots__ = ("base", "order")

    def __init__(self, base: Tensor, order: Order) -> None:
        self.base, self.order, self.node = base, order, None


class ParameterView(_View, Parameter):
    """A parameter that is another one in another order: its axes, and blocks along one of them.

    A layer holds it under the name and in the shape that users know, and computes with ``base``, which lies in memory as kernels
    read it. There is one parameter: values, gradients and changes in place are those of the base, optimizers, regularizers and
    constraints see it once, `get_weights` has it as it is stored, and state_dict and files as users know it.

    Args:
        base: the parameter that is stored.
        axes: the axis of the base that each axis of the view is; those of the base if not given.
        blocks: the block of the base that each block of the view is, along ``axis``, which is cut into as many equal blocks.
        axis: the axis of the view that has the blocks.

    ``data`` is a view of the stored array; where blocks are in another order it is a copy that cannot be written to. Changes in
    place (`copy_`, `mul_`, item assignment) work for both.

    Raises:
        TypeError: the base is no parameter, or a view itself.
        ValueError: axes or blocks do not name each one once, or the blocks are not of equal sizes.

    >>> import fastnn
    >>> kernel = fastnn.nn.Parameter(fastnn.zeros(3, 3, 8, 16))         # (height, width, in, out)
    >>> weight = fastnn.nn.ParameterView(kernel, axes=(3, 2, 0, 1))     # (out, in, height, width)
    >>> weight.shape
    (16, 8, 3, 3)
    >>> gates = fastnn.nn.Parameter([[1.0], [2.0], [3.0]])
    >>> fastnn.nn.ParameterView(gates, blocks=(1, 0, 2)).tolist()
    [[2.0], [1.0], [3.0]]
    """

    __slots__ = ("base", "order")

    base: Parameter

    def __init__(
        self, base: Parameter, axes: Sequence[int] | None = None, blocks: Sequence[int] | None = None, axis: int = 0
    ) -> None:
        if not isinstance(base, Parameter) or isinstance(base, _View):
            raise TypeError(f"ParameterView: the base is a {type(base).__name__}, wanted a Parameter that is no view")
        n = base.ndim
        own = tuple(range(n)) if axes is None else tuple(axes)
        if sorted(own) != list(range(n)):
            raise ValueError(f"ParameterView: axes {own} of a parameter of shape {base.shape}; each must come once")
        moved = tuple(blocks or ())
        if moved:
            if not -n <= axis < n:
                raise ValueError(f"ParameterView: axis {axis} of a parameter with {n} axes")
            size = base.shape[own[axis]]
            if sorted(moved) != list(range(len(moved))) or size % len(moved):
                raise ValueError(f"ParameterView: blocks {moved} of an axis of size {size}; wanted each once, of equal sizes")
        moved = () if moved == tuple(range(len(moved))) else moved
        self.base, self.order, self.node = base, Order(own, moved, axis % n if moved else 0), None


def transposed(base: Parameter) -> ParameterView:
    """Return the (out, in) view of a weight that is stored (in, out): PyTorch's face of it."""
    return ParameterView(base, TRANSPOSED.axes)


def order_of(p: Tensor) -> Order | None:
    """Return how a parameter arranges its base; None where it is stored itself."""
    return p.order if isinstance(p, _View) else None
