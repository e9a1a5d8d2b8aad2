"""Hooks of Tensors: functions that see, and may change, the gradient of the result of an operation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from ..backends import current
from .function import Context, Function
from .tape import Node
from .tensor import Tensor

_numbers = count()


class TensorHandle:
    """Handle of a hook of a Tensor: `remove` removes the hook, and so does the end of a ``with`` block."""

    def __init__(self, hooks: dict[int, Callable[[Tensor], Any]], number: int) -> None:
        self._hooks, self._number = hooks, number

    def remove(self) -> None:
        """Remove the hook; a removed one is left alone."""
        self._hooks.pop(self._number, None)

    def __enter__(self) -> TensorHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class _Hook(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.hooks = {}
        return x

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        for hook in list(ctx.hooks.values()):
            given = hook(dy)
            dy = dy if given is None else given
        return dy


_Hook.__name__ = "register_hook"


def _hooks_of(node: Node) -> dict[int, Callable[[Tensor], Any]] | None:
    """Return the hooks of the node that runs those of a Tensor; None for other nodes."""
    context = node.saved[1] if node.saved is not None and len(node.saved) > 1 else None
    return getattr(context, "hooks", None) if isinstance(context, Context) else None


def register_hook(x: Tensor, hook: Callable[[Tensor], Any]) -> TensorHandle:
    """Call hook(gradient) when the gradient of x, the result of an operation, is computed; what it returns replaces the gradient.

    Steps in which this is called are not recorded, because a replay would not run Python code.

    Returns:
        A handle, whose `remove` removes the hook.

    Raises:
        RuntimeError: x does not require a gradient, or is a leaf, whose gradient kernels write directly.

    >>> import fastnn
    >>> x = fastnn.tensor([1.0, 2.0], requires_grad=True)
    >>> y = x * 3
    >>> handle = y.register_hook(lambda gradient: gradient * 10)
    >>> y.sum().backward()
    >>> x.grad.tolist()
    [30.0, 30.0]
    """
    if not x.requires_grad:
        raise RuntimeError("register_hook: the Tensor does not require a gradient, so it gets none")
    node = x.node
    if node is None:
        raise RuntimeError(
            "register_hook: a leaf came, wanted the result of an operation; change `grad` of a leaf after backward"
        )
    current().host_reads("a hook of a Tensor")
    hooks = _hooks_of(node)
    if hooks is None:
        passed: Tensor = _Hook.apply(Tensor(x.data, True, node, x.index))
        made = passed.node
        if made is None:
            raise RuntimeError("register_hook: this is inside of no_grad, wanted outside")
        made.order = node.order + 0.5  # after the operation, and before all that use the result
        x.node, x.index = made, passed.index
        hooks = _hooks_of(made)
        assert hooks is not None
    number = next(_numbers)
    hooks[number] = hook
    return TensorHandle(hooks, number)


def grad_fn(x: Tensor) -> Node | None:
    """Return the node of the operation that made x; None for leaves, and for Tensors without a gradient."""
    return x.node
