"""Parameters that are views of another parameter in another order, such as PyTorch's (out, in) weight of a stored kernel."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tape import Changes, changed, owned
from ..autograd.tensor import Array, Tensor
from ..backends import current
from ..core.arrays import arranged, store_arranged
from ..core.convert import as_array
from ..core.count import Count, counted
from ..core.layout import TRANSPOSED, Order
from ..ops import shape
from .parameter import Parameter


class _View(Tensor):
    """View of the values of ``base`` in another order; writing changes the base."""

    __slots__ = ()

    base: Any
    order: Order
    keras_mask = None

    @property
    def data(self) -> Array:
        """Return the values: a view of the stored array, or a read-only copy if blocks are permuted."""
        if not self.order.blocks:
            return self.base.data.transpose(self.order.axes)
        values = arranged(current(), self.base.data, self.order)
        if isinstance(values, np.ndarray):
            values.setflags(write=False)
        return values

    @data.setter
    def data(self, value: Array) -> None:
        if not current().xp.shares_memory(value, self.base.data):  # p.data -= ... has already written in place
            self._write(value, "data")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.order.shape(self.base.data.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.base.dtype  # type: ignore[no-any-return]

    @property
    def size(self) -> Count:
        return counted(self.shape)

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
        """Return the gradient in the order of the values, as a view of the stored gradient, or None."""
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

    def origin(self) -> Tensor:
        return self.base  # type: ignore[no-any-return]

    def turned(self, gradient: Tensor) -> Tensor:
        turned = shape.arranged(TensorView(gradient, self.order))
        owned(turned)
        return turned

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
    """View of the gradient, or of detached values, of a parameter that is stored in another order."""

    __slots__ = ("base", "order")

    def __init__(self, base: Tensor, order: Order) -> None:
        self.base, self.order, self.node = base, order, None


class ParameterView(_View, Parameter):
    """Parameter that is a view of another one, with permuted axes, and permuted blocks along one axis.

    A layer registers the view under the name and in the shape that users know, and computes with ``base``, which is stored in
    the order that kernels need. Both are one parameter. Values, gradients and in-place changes are those of the base.
    Optimizers, regularizers and constraints see it once. `get_weights` returns it as it is stored, state_dict and files contain
    it in the order of the view.

    Args:
        base: the stored parameter.
        axes: for each axis of the view, the axis of the base; by default the same order.
        blocks: for each block of the view along ``axis``, the block of the base. The axis is divided into equal blocks.
        axis: the axis of the view with the blocks.

    ``data`` is a view of the stored array, or a read-only copy if blocks are permuted. In-place changes (`copy_`, `mul_`, item
    assignment) work for both.

    Raises:
        TypeError: the base is not a parameter, or is itself a view.
        ValueError: axes or blocks are not a permutation, or the axis cannot be divided into equal blocks.

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
            raise TypeError(f"ParameterView: the base is a {type(base).__name__}, wanted a Parameter that is not a view")
        n = base.ndim
        own = tuple(range(n)) if axes is None else tuple(axes)
        if sorted(own) != list(range(n)):
            raise ValueError(f"ParameterView: axes {own} of a parameter of shape {base.shape}; each axis must occur once")
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
    """Return PyTorch's (out, in) view of a weight that is stored as (in, out)."""
    return ParameterView(base, TRANSPOSED.axes)


def order_of(p: Tensor) -> Order | None:
    """Return the order of a parameter view relative to its base; None for a stored parameter."""
    return p.order if isinstance(p, _View) else None
