"""Jacobians, Hessians and their products with vectors, with the names and arguments of torch.autograd.functional.

A function takes Tensors and returns a Tensor, or a tuple of them. Results have the same nesting: a Tensor for one input, a tuple
for a tuple of inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backends import current
from ..core import arrays
from ..ops.elementwise import clone
from ..ops.shape import reshape, stack
from .gradients import grad
from .tape import enable_grad
from .tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Nested = Any
"""Type of results: a Tensor, or a tuple of Tensors."""


def __dir__() -> list[str]:
    return sorted(__all__)


def jacobian(func: Callable[..., Any], inputs: Nested, create_graph: bool = False) -> Any:
    """Return the derivatives of all elements of the outputs by all elements of the inputs.

    It takes one backward pass for each element of the outputs.

    Args:
        func: a function of Tensors that returns a Tensor or a tuple of Tensors.
        inputs: its argument, or a tuple of its arguments, of floats.
        create_graph: whether the result has gradients, by what func uses and by inputs that require gradients.

    Returns:
        For one input and one output, a Tensor whose shape is that of the output, then that of the input. Otherwise a tuple for
        the inputs; of several outputs a tuple, for each of them one for the inputs.

    >>> import fastnn
    >>> fastnn.autograd.functional.jacobian(lambda x: x * x, fastnn.tensor([1.0, 3.0])).tolist()
    [[2.0, 0.0], [0.0, 6.0]]
    """
    given = _inputs("jacobian", inputs, create_graph)
    outputs = _called("jacobian", func, given)
    made = tuple(_rows(y, given, create_graph) for y in _several(outputs))
    per_output = tuple(_like(inputs, of_inputs) for of_inputs in made)
    return per_output if isinstance(outputs, tuple) else per_output[0]


def hessian(func: Callable[..., Any], inputs: Nested, create_graph: bool = False) -> Any:
    """Return the second derivatives of a function with one number as its output.

    Args:
        func: a function of Tensors that returns a Tensor with one element.
        inputs, create_graph: as in `jacobian`.

    Returns:
        For one input, a Tensor with its shape twice. For a tuple of inputs, a tuple for each of them: the Hessian of inputs i and
        j is ``result[i][j]``.

    >>> import fastnn
    >>> fastnn.autograd.functional.hessian(lambda x: (x * x * x).sum(), fastnn.tensor([1.0, 2.0])).tolist()
    [[6.0, 0.0], [0.0, 12.0]]
    """

    def slope(*arguments: Tensor) -> Any:
        found = _gradients(_single("hessian", func, arguments), arguments, None, True)
        return found if isinstance(inputs, tuple) else found[0]

    return jacobian(slope, inputs, create_graph)


def vjp(func: Callable[..., Any], inputs: Nested, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """Return func's outputs, and the product of a vector with its Jacobian: the gradients for the outputs' gradients v.

    Args:
        func, inputs, create_graph: as in `jacobian`.
        v: a Tensor for each output, of the same shape; by default 1, for an output with one element.

    >>> import fastnn
    >>> y, product = fastnn.autograd.functional.vjp(lambda x: x * x, fastnn.tensor([1.0, 3.0]), fastnn.ones(2))
    >>> product.tolist()
    [2.0, 6.0]
    """
    given = _inputs("vjp", inputs, create_graph)
    outputs = _called("vjp", func, given)
    found = _gradients(outputs, given, v, create_graph)
    return _detached(outputs, create_graph), _like(inputs, found)


def jvp(func: Callable[..., Any], inputs: Nested, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """Return func's outputs, and the product of its Jacobian with a vector: their derivatives where the inputs move along v.

    It takes two backward passes: the product is the derivative of `vjp` by its vector.

    Args:
        func, inputs, create_graph: as in `jacobian`.
        v: a Tensor for each input, of the same shape; by default 1, for an input with one element.

    >>> import fastnn
    >>> y, product = fastnn.autograd.functional.jvp(lambda x: x * x, fastnn.tensor([1.0, 3.0]), fastnn.tensor([1.0, 0.0]))
    >>> product.tolist()
    [2.0, 0.0]
    """
    given = _inputs("jvp", inputs, create_graph)
    outputs = _called("jvp", func, given)
    many = _several(outputs)
    weights = tuple(_zeros(y).requires_grad_() for y in many)
    found = _gradients(outputs, given, weights, True)
    product = _gradients(found, weights, v, create_graph)
    return _detached(outputs, create_graph), product if isinstance(outputs, tuple) else product[0]


def vhp(func: Callable[..., Any], inputs: Nested, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """Return func's output, one number, and the product of a vector with its Hessian, without the Hessian itself.

    Args:
        func, inputs, create_graph: as in `hessian`.
        v: a Tensor for each input, of the same shape; by default 1, for an input with one element.

    >>> import fastnn
    >>> x, v = fastnn.tensor([1.0, 2.0]), fastnn.tensor([1.0, 1.0])
    >>> fastnn.autograd.functional.vhp(lambda x: (x * x * x).sum(), x, v)[1].tolist()
    [6.0, 12.0]
    """
    given = _inputs("vhp", inputs, create_graph)
    output = _single("vhp", func, given)
    found = _gradients(output, given, None, True)
    return _detached(output, create_graph), _like(inputs, _gradients(found, given, v, create_graph))


hvp = vhp
"""Another name of `vhp`, since the Hessian is symmetric."""


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _like(inputs: Nested, found: tuple[Any, ...]) -> Any:
    return found if isinstance(inputs, tuple) else found[0]


def _inputs(op: str, inputs: Nested, create_graph: bool) -> tuple[Tensor, ...]:
    """Return the arguments of the function: copies on the tape, or with create_graph not, leaves."""
    made = []
    for t in _several(inputs):
        if not isinstance(t, Tensor) or t.dtype.kind != "f":
            raise TypeError(f"{op}: {getattr(t, 'dtype', type(t).__name__)} came among the inputs, wanted Tensors of floats")
        made.append(clone(t) if create_graph and t.requires_grad else t.detach().requires_grad_())
    return tuple(made)


def _called(op: str, func: Callable[..., Any], inputs: tuple[Tensor, ...]) -> Any:
    with enable_grad():
        outputs = func(*inputs)
    for y in _several(outputs):
        if not isinstance(y, Tensor):
            raise TypeError(f"{op}: the function returned {type(y).__name__}, wanted a Tensor or a tuple of Tensors")
    return outputs


def _single(op: str, func: Callable[..., Any], inputs: Sequence[Tensor]) -> Tensor:
    y = _called(op, func, tuple(inputs))
    if isinstance(y, tuple) or y.size != 1:
        what = f"{len(y)} Tensors" if isinstance(y, tuple) else f"shape {y.shape}"
        raise ValueError(f"{op}: the function returned {what}, wanted a Tensor with one element")
    return y  # type: ignore[no-any-return]


def _gradients(outputs: Any, inputs: Sequence[Tensor], starts: Any, create_graph: bool) -> tuple[Tensor, ...]:
    """Return the gradients by the inputs; zeros where the outputs do not depend on them."""
    many = _several(outputs)
    given = (None,) * len(many) if starts is None else _several(starts)
    used = [(y, v) for y, v in zip(many, given, strict=True) if y.requires_grad]
    if not used:
        return tuple(map(_zeros, inputs))
    found = grad([y for y, _ in used], inputs, [v for _, v in used], True, create_graph, allow_unused=True)
    return tuple(_zeros(t) if g is None else g for g, t in zip(found, inputs, strict=True))


def _rows(y: Tensor, inputs: tuple[Tensor, ...], create_graph: bool) -> tuple[Tensor, ...]:
    """Return the Jacobian of one output, for each input."""
    k, rows = current(), []
    for i in range(y.size):
        one = np.zeros(y.shape, y.dtype)
        one.reshape(-1)[i] = 1
        rows.append(_gradients(y, inputs, Tensor(k.constant(one)), create_graph))
    return tuple(
        reshape(stack(of_input), (*y.shape, *t.shape)) if rows else _zeros(t, (*y.shape, *t.shape))
        for t, of_input in zip(inputs, zip(*rows, strict=True) if rows else [()] * len(inputs), strict=True)
    )


def _zeros(t: Tensor, shape: tuple[int, ...] | None = None) -> Tensor:
    return Tensor(arrays.filled(current(), t.shape if shape is None else shape, t.dtype, 0.0))


def _detached(outputs: Any, create_graph: bool) -> Any:
    if create_graph:
        return outputs
    return tuple(y.detach() for y in outputs) if isinstance(outputs, tuple) else outputs.detach()
