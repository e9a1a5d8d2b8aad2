"""Operations with a backward of their own, by PyTorch's protocol."""

from __future__ import annotations

from typing import Any

from .ops.door import as_tensor
from .tensor import Array, Gradients, Node, Tensor, is_grad_enabled, no_grad, results


class Context:
    """What forward leaves for backward: saved Tensors, and any attributes that are set on it."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        """For each argument of forward, whether its gradient is wanted."""
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps Tensors for backward, which finds them as `saved_tensors`."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(f"save_for_backward: a {type(t).__name__} came, wanted Tensors; set attributes for other things")
        self.saved_tensors = tensors


class Function:
    """An operation with a hand-written gradient: derive from it, define forward and backward, and call `apply`.

    forward(ctx, *args) gets the arguments of apply and returns a Tensor, or a tuple of Tensors. No tape runs in it. What backward
    needs is saved by `ctx.save_for_backward`. backward(ctx, *grads) gets the gradient of each output and returns that of each
    argument of forward, in a tuple if there are several: a Tensor of its shape and dtype, or None where there is none.
    `ctx.needs_input_grad` tells which are wanted. The gradients that it gets must not be changed in place.

    Made of fastnn's operations alone, it takes part in `capture` and in recorded steps of `fit`.

    >>> import fastnn
    >>> class Square(fastnn.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, dy):
    ...         (x,) = ctx.saved_tensors
    ...         return 2 * x * dy
    >>> x = fastnn.tensor([1.0, 3.0], requires_grad=True)
    >>> Square.apply(x).sum().backward()
    >>> x.grad.tolist()
    [2.0, 6.0]
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Computes the outputs."""
        raise NotImplementedError("Function: a class derived from it defines forward(ctx, ...) and backward(ctx, ...)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Computes the gradients of forward's arguments."""
        raise NotImplementedError("Function: this class defines no backward(ctx, ...), so it has no gradient")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Computes the operation on these arguments; Tensors among them get gradients.

        Raises:
            TypeError: forward or backward returned something else than Tensors, or gradients of another dtype.
            ValueError: backward returned gradients of other shapes, or as many as there are no arguments.
        """
        name = cls.__name__
        args = tuple(as_tensor(a, name) if isinstance(a, Tensor) else a for a in args)
        tensors = tuple(a for a in args if isinstance(a, Tensor))
        ctx = Context(tuple(isinstance(a, Tensor) and a.requires_grad and is_grad_enabled() for a in args))
        with no_grad():
            y = cls.forward(ctx, *args)
        outputs = y if isinstance(y, tuple) else (y,)
        if not outputs:
            raise TypeError(f"{name}: forward returned an empty tuple, wanted a Tensor or a tuple of Tensors")
        for out in outputs:
            if not isinstance(out, Tensor):
                raise TypeError(f"{name}: forward returned a {type(out).__name__}, wanted a Tensor or a tuple of Tensors")
        made = results(name, [out.data for out in outputs], _backward, tensors, cls, ctx, args)
        return made if isinstance(y, tuple) else made[0]


def _backward(grads: Gradients, node: Node, *dys: Array | None) -> None:
    assert node.saved is not None
    cls, ctx, args = node.saved
    name = node.op
    with no_grad():
        given = cls.backward(ctx, *(Tensor(grads.or_zeros(node, i, dy)) for i, dy in enumerate(dys)))
    given = given if isinstance(given, tuple) else (given,)
    if len(given) != len(args):
        raise ValueError(f"{name}: backward returned {len(given)} gradients, forward had {len(args)} arguments")
    for i, (a, g, wanted) in enumerate(zip(args, given, ctx.needs_input_grad, strict=True)):
        if g is None:
            continue
        if not isinstance(g, Tensor):
            raise TypeError(f"{name}: backward returned a {type(g).__name__} for argument {i}, wanted a Tensor or None")
        if not isinstance(a, Tensor):
            raise TypeError(f"{name}: backward returned a gradient for argument {i}, a {type(a).__name__}; wanted None")
        if g.shape != a.shape:
            raise ValueError(f"{name}: backward returned a gradient of shape {g.shape} for argument {i} of shape {a.shape}")
        if g.dtype != a.dtype:
            raise TypeError(f"{name}: backward returned a gradient of dtype {g.dtype} for argument {i} of dtype {a.dtype}")
        if wanted:
            grads.add(a, as_tensor(g, name).data)
