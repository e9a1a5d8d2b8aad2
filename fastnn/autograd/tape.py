"""The tape: what an operation leaves behind for backward, and where operations leave nothing."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.block import Block

if TYPE_CHECKING:
    from typing import Self
    from weakref import ref

    from .tensor import Backward, Tensor

F = TypeVar("F", bound=Callable[..., Any])

taping: ContextVar[bool | Callable[[Tensor], Tensor]] = ContextVar("fastnn_taping", default=True)
"""Whether operations are recorded for backward; or what becomes of each Tensor that is, which gradcheck looks at."""


def also_named(**names: str) -> Callable[[F], F]:
    """Let a function be called with other names of its arguments. TypeError where both names of one came."""

    def decorator(f: F) -> F:
        @functools.wraps(f)
        def renamed(*args: Any, **kwargs: Any) -> Any:
            if kwargs:
                own = {names.get(k, k): v for k, v in kwargs.items()}
                if len(own) < len(kwargs):
                    raise TypeError(f"{f.__name__}: {' and '.join(kwargs)} came in one call; use one name of each argument")
                if isinstance(kwargs.get("dim"), tuple | list) and not kwargs["dim"]:
                    raise TypeError(f"{f.__name__}: dim={kwargs['dim']} came; leave it out for all axes, axis=() is no axis")
                kwargs = own
            return f(*args, **kwargs)

        return renamed  # type: ignore[return-value]

    return decorator


def torch_names(f: F) -> F:
    """Let a function with axis and keepdims be called with PyTorch's dim and keepdim.

    TypeError where both names came, and for an empty dim, which means all axes in PyTorch and no axis in NumPy.
    """
    axes = {"dim": "axis", "dims": "axis", "start_dim": "start_axis", "end_dim": "end_axis"}
    sizes = {"split_size": "size", "split_size_or_sections": "size", "shifts": "shift"}
    return also_named(keepdim="keepdims", p="ord", **axes, **sizes)(f)


_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # flags of code; the module inspect, which names them, takes long


class _Mode(Block):
    """A block, or a function, in which operations are recorded or not; decorates with and without parentheses."""

    _records: bool

    def __new__(cls, function: Any = None) -> Self:
        block = super().__new__(cls)
        Block.__init__(block, taping, cls._records)
        if function is None:
            return block
        if not callable(function):
            raise TypeError(f"{cls.__name__}: {type(function).__name__} came, wanted nothing or a function")
        return block(function)  # type: ignore[no-any-return]

    if not TYPE_CHECKING:
        __init__ = object.__init__  # one call of Python's less, and none for a function that was decorated

    def __call__(self, f: F) -> F:
        flags = getattr(getattr(f, "__code__", None), "co_flags", 0)
        if flags & _ASYNC_GENERATOR:
            raise TypeError(f"{type(self).__name__}: {f.__name__} is an asynchronous generator; use a `with` block inside of it")
        if flags & _GENERATOR:
            return _resumed(self, f)

        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return f(*args, **kwargs)

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await f(*args, **kwargs)

        return functools.wraps(f)(awaited if flags & _COROUTINE else inside)  # type: ignore[return-value]


def _resumed(block: Block, f: F) -> F:
    """Return a generator function that runs inside of the block, while those who take its values are outside."""

    @functools.wraps(f)
    def generator(*args: Any, **kwargs: Any) -> Any:
        own = f(*args, **kwargs)
        go_on = functools.partial(next, own)
        while True:
            try:
                with block:
                    value = go_on()
            except StopIteration as end:
                return end.value
            try:
                go_on = functools.partial(own.send, (yield value))
            except GeneratorExit:
                with block:
                    own.close()
                raise
            except BaseException as error:
                go_on = functools.partial(own.throw, error)

    return generator  # type: ignore[return-value]


class no_grad(_Mode):  # noqa: N801 (PyTorch's name)
    """A block, or a function, in which nothing is recorded for backward; parameters may be changed in place.

    Blocks may be nested and entered again; each thread and asyncio task has its own. A generator that yields inside of a block
    leaves it open for those who take its values: decorate the generator instead.

    >>> import fastnn
    >>> p = fastnn.tensor([1.0, 2.0], requires_grad=True)
    >>> with fastnn.no_grad():
    ...     _ = p.fill_(3.0)
    >>> p.tolist()
    [3.0, 3.0]
    """

    _records = False


class enable_grad(_Mode):  # noqa: N801 (PyTorch's name)
    """A block, or a function, in which operations are recorded, also inside of `no_grad`.

    >>> import fastnn
    >>> x = fastnn.tensor([1.0], requires_grad=True)
    >>> with fastnn.no_grad(), fastnn.enable_grad():
    ...     (x * 2).requires_grad
    True
    """

    _records = True


def is_grad_enabled() -> bool:
    """Return whether operations are recorded for backward in this thread."""
    return bool(taping.get())


_clock = itertools.count(1)
"""Numbers operations and changes in place in the order in which they come."""


class Changes:
    """When an array was last changed in place, by the clock; all Tensors that share its memory have one."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last = 0


UNCHANGED = Changes()
"""That of all Tensors that never were changed and share no memory."""


COPIED = Changes()
"""That of copies where PyTorch and NumPy give views: whoever changes one in place means what it was copied from."""


def copied(t: Tensor) -> Tensor:
    """t, marked as such a copy, unless it is on the tape, where nothing is changed in place."""
    if t.node is None:
        t.changes = COPIED
    return t


def owned(t: Tensor) -> None:
    """Note that a copy is a Tensor of its own now, such as a buffer."""
    if t.changes is COPIED:
        t.changes = UNCHANGED


def changed(*tensors: Tensor) -> None:
    """Note that their values were changed in place: gradients of what was computed from them would be wrong."""
    now = next(_clock)
    for t in tensors:
        changes = t.changes
        if changes is UNCHANGED:
            changes = t.changes = Changes()
        changes.last = now


def share_changes(t: Tensor, source: Tensor) -> Tensor:
    """t, which shares the memory of another one: what is changed in one of them is changed in both."""
    if source.changes is UNCHANGED:
        source.changes = Changes()
    t.changes = source.changes
    return t


class Node:
    """An operation on the tape. A Tensor that it made knows the node, and its own number (`index`) among the outputs.

    Attributes:
        op: the operation's public name, such as "dense", "softmax" or "reshape".
        attrs: its arguments other than Tensors, by name: axes, shapes, and as "activation" the element-wise function.
        inputs: the Tensors that it was applied to; those of whole numbers and masks too.
        outputs: the shape and dtype of each output, where an operation has several; empty where it has one.
        backward: called with the `Gradients`, the node and one gradient for each output. That of an only output is an array;
            of several outputs, those that no gradient came to have None.
        saved: what backward needs beside the inputs; None once it was used.
    """

    __slots__ = ("attrs", "backward", "inputs", "op", "order", "outputs", "retained", "saved")

    def __init__(
        self,
        op: str,
        attrs: dict[str, Any],
        backward: Backward,
        inputs: tuple[Tensor, ...],
        saved: tuple[Any, ...],
        outputs: tuple[tuple[tuple[int, ...], Any], ...] = (),
    ) -> None:
        self.op = op
        self.attrs = attrs
        self.backward = backward
        self.inputs = inputs
        self.saved: tuple[Any, ...] | None = saved
        self.outputs = outputs
        self.order = next(_clock)
        self.retained: dict[int, ref[Tensor]] | None = None  # the Tensors that keep their gradients, if asked to


def newest_first(roots: Iterable[Node | None]) -> list[Node]:
    """Return all nodes that the roots came from, newest first: each stands before the nodes of its inputs."""
    seen = {node for node in roots if node is not None}
    stack = list(seen)
    while stack:
        for t in stack.pop().inputs:
            node = t.node
            if node is not None and node not in seen:
                seen.add(node)
                stack.append(node)
    return sorted(seen, key=operator.attrgetter("order"), reverse=True)
