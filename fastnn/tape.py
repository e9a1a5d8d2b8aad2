"""The tape: what an operation leaves behind for backward, and where operations leave nothing."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from weakref import ref

    from .tensor import Backward, Tensor

F = TypeVar("F", bound=Callable[..., Any])

taping: ContextVar[bool | Callable[[Tensor], Tensor]] = ContextVar("fastnn_taping", default=True)
"""Whether operations are recorded for backward; or what becomes of each Tensor that is, which gradcheck looks at."""

_TORCH_NAMES = {"dim": "axis", "dims": "axis", "keepdim": "keepdims", "p": "ord", "shifts": "shift", "start_dim": "start_axis"}


def torch_names(f: F) -> F:
    """Lets a function with axis and keepdims be called with PyTorch's dim and keepdim."""

    @functools.wraps(f)
    def renamed(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = {_TORCH_NAMES.get(k, k): v for k, v in kwargs.items()}
        return f(*args, **kwargs)

    return renamed  # type: ignore[return-value]


class _Mode:
    """A block, or a function, in which operations are recorded or not."""

    _records: bool

    def __init__(self) -> None:
        self._tokens: list[Any] = []

    def __enter__(self) -> None:
        self._tokens.append(taping.set(self._records))

    def __exit__(self, *_: object) -> None:
        taping.reset(self._tokens.pop())

    def __call__(self, f: F) -> F:
        @functools.wraps(f)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return f(*args, **kwargs)

        return inside  # type: ignore[return-value]


class no_grad(_Mode):  # noqa: N801 (PyTorch's name)
    """A block, or a function, in which nothing is recorded for backward; parameters may be changed in place.

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
    """Whether operations are recorded for backward in this thread."""
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


def changed(*tensors: Tensor) -> None:
    """Notes that their values were changed in place: gradients of what was computed from them would be wrong."""
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
    """An operation on the tape: its backward function, its inputs, and what backward needs beside them."""

    __slots__ = ("backward", "inputs", "order", "retained", "saved")

    def __init__(self, backward: Backward, inputs: tuple[Tensor, ...], saved: tuple[Any, ...]) -> None:
        self.backward = backward
        self.inputs = inputs
        self.saved: tuple[Any, ...] | None = saved
        self.order = next(_clock)
        self.retained: ref[Tensor] | None = None  # the Tensor that keeps its gradient, if asked to


def newest_first(roots: Iterable[Node | None]) -> list[Node]:
    """All nodes that the roots came from, newest first: each stands before the nodes of its inputs."""
    seen = {node for node in roots if node is not None}
    stack = list(seen)
    while stack:
        for t in stack.pop().inputs:
            node = t.node
            if node is not None and node not in seen:
                seen.add(node)
                stack.append(node)
    return sorted(seen, key=operator.attrgetter("order"), reverse=True)
