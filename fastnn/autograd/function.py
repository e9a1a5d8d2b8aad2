"""Operations with a custom backward, by PyTorch's protocol."""

from __future__ import annotations

from typing import Any

from ..core.tree import flatten, flatten_as, places, replace, unflatten
from ..ops.checks import as_tensor
from .tensor import Array, Gradients, Node, Tensor, is_grad_enabled, no_grad, results


class Context:
    """Context in which forward stores Tensors and other attributes for backward."""

    def __init__(self, needs_input_grad: tuple[Any, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        """For each argument of forward, whether it requires a gradient; nested like the arguments."""
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Store Tensors for backward, which reads them from `saved_tensors`."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(f"save_for_backward: a {type(t).__name__} came, wanted Tensors; set attributes for other things")
        self.saved_tensors = tensors


class Function:
    """Base of operations with a custom gradient: derive from it, define forward and backward, and call `apply`.

    forward(ctx, *args) gets the arguments of apply. It returns a Tensor, or tuples, lists and dicts of Tensors, nested to any
    depth. Its operations are not recorded on the tape. Save Tensors for backward with `ctx.save_for_backward`.

    backward(ctx, *grads) gets the gradients of the outputs, nested like the outputs; those of a tuple are separate arguments. It
    must not change them in place. It returns the gradient of each argument of forward, in a tuple if there are several. A
    gradient is a Tensor with the shape and dtype of the argument, or None. The gradient of a list or dict is a list or dict of
    gradients. `ctx.needs_input_grad` describes which gradients are needed.

    A function that uses only operations of fastnn works in `capture` and in recorded steps of `fit`.

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
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs."""
        raise NotImplementedError("Function: a class derived from it defines forward(ctx, ...) and backward(ctx, ...)")

    @staticmethod
    def backward(ctx: Any, *grads: Any, **kwargs: Any) -> Any:
        """Compute the gradients of forward's arguments."""
        raise NotImplementedError("Function: this class defines no backward(ctx, ...), so it has no gradient")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Compute the operation on these arguments; Tensors among them get gradients.

        Raises:
            TypeError: forward or backward returned something other than Tensors, or gradients of another dtype.
            ValueError: backward returned gradients of other shapes, or not one for each argument.
        """
        name = cls.__name__
        args = replace(args, lambda a: as_tensor(a, name) if isinstance(a, Tensor) else a)
        tensors = tuple(a for a in flatten(args)[1] if isinstance(a, Tensor))
        ctx = Context(replace(args, lambda a: isinstance(a, Tensor) and a.requires_grad and is_grad_enabled()))
        with no_grad():
            y = cls.forward(ctx, *args)
        tree, outputs = flatten(y)
        wanted = "a Tensor, or a tuple, list or dict of Tensors"
        if not outputs:
            raise TypeError(f"{name}: forward returned {'None' if y is None else 'no Tensor'}, wanted {wanted}")
        for out, place in zip(outputs, places(tree, ""), strict=True):
            if not isinstance(out, Tensor):
                where = place and f" at outputs{place}"
                raise TypeError(f"{name}: forward returned a {type(out).__name__}{where}, wanted {wanted}")
        saved = cls, ctx, args, tree, [_index(outputs, t) for t in ctx.saved_tensors]
        return unflatten(tree, results(name, [out.data for out in outputs], _backward, tensors, saved))


def _index(outputs: list[Any], t: Tensor | None) -> int | None:
    """Return the place of a Tensor among the outputs, or None."""
    return next((i for i, out in enumerate(outputs) if out is t), None)


def _backward(grads: Gradients, node: Node, *dys: Array | None) -> None:
    with no_grad():
        found = gradients_of(node, [Tensor(grads.or_zeros(node, i, dy)) for i, dy in enumerate(dys)])
    for t, gradient in zip(node.inputs, found, strict=True):
        if gradient is not None and t.requires_grad:
            grads.add(t, gradient.data)


def gradients_of(node: Node, dys: list[Tensor]) -> list[Tensor | None]:
    """Return the gradient of each input of a node of a function, which its backward computes from those of the outputs."""
    assert node.saved is not None
    cls, ctx, args, tree, _ = node.saved
    name = node.op
    outputs = unflatten(tree, dys)
    given = cls.backward(ctx, *(outputs if isinstance(outputs, tuple) else (outputs,)))
    given = given if isinstance(given, tuple) else (given,)
    if len(given) != len(args):
        raise ValueError(f"{name}: backward returned {len(given)} gradients, forward had {len(args)} arguments")
    found: list[Tensor | None] = []
    for i, (arg, gradient) in enumerate(zip(args, given, strict=True)):
        found += _checked(name, f"argument {i}", arg, gradient)
    return found


def _checked(name: str, argument: str, arg: Any, gradient: Any) -> list[Tensor | None]:
    """Return the gradients that backward returned for the Tensors of an argument; both are nested in the same way."""
    tree, values = flatten(arg)
    tensors = [a for a in values if isinstance(a, Tensor)]
    if gradient is None:
        return [None] * len(tensors)
    if not values:
        raise TypeError(f"{name}: backward returned a gradient for {argument}, a {type(arg).__name__}; wanted None")
    gradients = flatten_as(tree, gradient, f"{name}: the gradient that backward returned for {argument}")
    found: list[Tensor | None] = []
    for i, a, g in zip(places(tree, argument), values, gradients, strict=True):
        if g is None:
            found += [None] * isinstance(a, Tensor)
            continue
        if not isinstance(g, Tensor):
            raise TypeError(f"{name}: backward returned a {type(g).__name__} for {i}, wanted a Tensor or None")
        if not isinstance(a, Tensor):
            raise TypeError(f"{name}: backward returned a gradient for {i}, a {type(a).__name__}; wanted None")
        if g.shape != a.shape:
            raise ValueError(f"{name}: backward returned a gradient of shape {g.shape} for {i} of shape {a.shape}")
        if g.dtype != a.dtype:
            raise TypeError(f"{name}: backward returned a gradient of dtype {g.dtype} for {i} of dtype {a.dtype}")
        found.append(as_tensor(g, name))
    return found
