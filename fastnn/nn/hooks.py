"""Hooks of modules, with PyTorch's names: functions that run before or after `forward`, or when gradients are computed.

Steps in which a hook runs are not recorded, because a replay would not run Python code. A module that computes what its
submodules would, such as a whole Transformer layer, does not run the hooks of its submodules.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

from ..autograd.function import Function
from ..autograd.tensor import Tensor
from ..backends import current
from .attributes import Attributes

if TYPE_CHECKING:
    from .module import Module

_numbers = count()


class RemovableHandle:
    """Handle of a hook: `remove` removes the hook, and so does the end of a ``with`` block."""

    def __init__(self, module: Any, kind: str, number: int) -> None:
        self._module, self._kind, self._number = module, kind, number

    def remove(self) -> None:
        """Remove the hook; a removed one is left alone."""
        hooks = self._module._hooks
        if hooks is None or hooks[self._kind].pop(self._number, None) is None:
            return
        if not any(hooks.values()):
            object.__setattr__(self._module, "_hooks", None)
        self._module._structure_changed()

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Hooked(Attributes):
    """Methods of `Module` that register hooks."""

    _hooks: dict[str, dict[int, tuple[Callable[..., Any], bool]]] | None = None
    """For "before", "after" and "backward", the hooks by number, and whether each takes keyword arguments."""

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call hook(module, args) before each forward; if it returns something, forward gets that as arguments.

        with_kwargs: call hook(module, args, kwargs), which returns None or a tuple of new args and kwargs.
        """
        return self._hook("before", hook, prepend, with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call hook(module, args, output) after each forward; if it returns something, that is the output.

        with_kwargs: call hook(module, args, kwargs, output).

        Returns:
            A handle, whose `remove()` removes the hook.

        >>> import fastnn
        >>> layer = fastnn.nn.Linear(3, 2)
        >>> shapes = []
        >>> with layer.register_forward_hook(lambda module, args, output: shapes.append(output.shape)):
        ...     _ = layer(fastnn.ones(5, 3))
        >>> shapes
        [(5, 2)]
        """
        return self._hook("after", hook, prepend, with_kwargs)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call hook(module, grad_input, grad_output) when the gradients of the inputs are computed, both tuples.

        If it returns something, these are the gradients of the inputs. Gradients of inputs without one are None.
        """
        return self._hook("backward", hook, prepend, False)

    def _hook(self, kind: str, hook: Callable[..., Any], prepend: bool, with_kwargs: bool) -> RemovableHandle:
        if not callable(hook):
            raise TypeError(f"{type(self).__name__}: a {type(hook).__name__} came as a hook, wanted a function")
        if self._hooks is None:
            object.__setattr__(self, "_hooks", {"before": {}, "after": {}, "backward": {}})
        assert self._hooks is not None
        number, own = next(_numbers), self._hooks[kind]
        others = dict(own) if prepend else {}
        if prepend:
            own.clear()
        own[number] = hook, with_kwargs
        own |= others
        self._structure_changed()
        return RemovableHandle(self, kind, number)


def hooked(module: Module, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call forward with the hooks of a module."""
    assert module._hooks is not None
    current().host_reads(f"a hook of {type(module).__name__}")
    before, after, backward = (list(module._hooks[kind].values()) for kind in ("before", "after", "backward"))
    for hook, with_kwargs in before:
        given = hook(module, args, kwargs) if with_kwargs else hook(module, args)
        if given is None:
            continue
        if with_kwargs:
            args, kwargs = given
        else:
            args = given if isinstance(given, tuple) else (given,)
    watch = _Watch(module, [hook for hook, _ in backward]) if backward else None
    output = forward(*(args if watch is None else watch.inputs(args)), **kwargs)
    if watch is not None:
        output = watch.outputs(output)
    for hook, with_kwargs in after:
        given = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
        output = output if given is None else given
    return output


class _Watch:
    """The gradients of the outputs and the inputs of one call of a module."""

    def __init__(self, module: Module, hooks: list[Callable[..., Any]]) -> None:
        self._module, self._hooks = module, hooks
        self._seen = False  # whether an input requires a gradient
        self._outputs: tuple[Any, ...] = ()

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self._seen = any(isinstance(a, Tensor) and a.requires_grad for a in args)
        return _through(args, self._of_inputs) if self._seen else args

    def outputs(self, output: Any) -> Any:
        several = isinstance(output, tuple)
        made = _through(output if several else (output,), self._of_outputs)
        return made if several else made[0]

    def _of_outputs(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        self._outputs = grads
        if not self._seen:
            self._run((None,))
        return grads

    def _of_inputs(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        return self._run(grads)

    def _run(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self._hooks:
            given = hook(self._module, grads, self._outputs)
            if given is not None:
                grads = given if isinstance(given, tuple) else (given,)
        return grads


def _through(values: tuple[Any, ...], seen: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return the values; `seen` gets the gradients of the Tensors among them that have one, None for others, and returns them."""
    places = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
    if not places:
        return values

    class Hook(Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
            return tensors

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
            every: list[Any] = [None] * len(values)
            for i, gradient in zip(places, grads, strict=True):
                every[i] = gradient
            found = seen(tuple(every))
            return tuple(found[i] for i in places)

    passed = list(values)
    for i, t in zip(places, Hook.apply(*(values[i] for i in places)), strict=True):
        passed[i] = t
    return tuple(passed)
