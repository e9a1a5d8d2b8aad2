"""The tape: the nodes that operations store for backward, and the modes in which they store none."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload

from ..core.block import Block

if TYPE_CHECKING:
    from typing import Self
    from weakref import ref

    from .backward import Backward
    from .tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

taping: ContextVar[bool | Callable[[Tensor], Tensor]] = ContextVar("fastnn_taping", default=True)
"""Whether operations are recorded for backward. A function here is called with each recorded Tensor, and returns its
replacement; gradcheck uses this."""


class Renamed(Protocol[P, R_co]):
    """Type of a function whose arguments have other names too. Type checkers show its own names, and accept any."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> R_co: ...


def also_named(**names: str) -> Callable[[Callable[P, R]], Renamed[P, R]]:
    """Allow other names for arguments of a function. A call with both names of an argument raises TypeError."""

    def decorator(f: Callable[P, R]) -> Renamed[P, R]:
        @functools.wraps(f)
        def renamed(*args: Any, **kwargs: Any) -> Any:
            if kwargs:
                own = {names.get(k, k): v for k, v in kwargs.items()}
                if len(own) < len(kwargs):
                    raise TypeError(f"{f.__name__}: {' and '.join(kwargs)} came in one call; use one name of each argument")
                if isinstance(kwargs.get("dim"), tuple | list) and not kwargs["dim"]:
                    raise TypeError(f"{f.__name__}: dim={kwargs['dim']} came; omit it for all axes; axis=() is no axis")
                kwargs = own
            return f(*args, **kwargs)

        renamed.other_names = {**getattr(f, "other_names", {}), **names}  # type: ignore[attr-defined]
        return renamed

    return decorator


def torch_names(f: Callable[P, R]) -> Renamed[P, R]:
    """Allow PyTorch's names, such as dim and keepdim, for the arguments axis and keepdims of a function.

    A call with both names raises TypeError. So does an empty dim, which means all axes in PyTorch and no axis in NumPy.
    """
    axes = {"dim": "axis", "dims": "axis", "start_dim": "start_axis", "end_dim": "end_axis"}
    sizes = {"split_size": "size", "split_size_or_sections": "size", "shifts": "shift"}
    return also_named(keepdim="keepdims", p="ord", **axes, **sizes)(f)


_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = (
    0x20,
    0x80,
    0x200,
)  # flags of code objects; importing `inspect`, which names them, is slow


class _Mode(Block):
    """Context manager and decorator (with or without parentheses) that turns the recording of operations on or off."""

    _records: bool

    def __new__(cls, function: Any = None) -> Self:
        block = super().__new__(cls)
        Block.__init__(block, taping, cls._records)
        if function is None:
            return block
        if not callable(function):
            raise TypeError(f"{cls.__name__}: {type(function).__name__} came, wanted nothing or a function")
        return block(function)  # type: ignore[no-any-return]

    if TYPE_CHECKING:

        def __init__(self, function: Any = None) -> None: ...
    else:
        __init__ = object.__init__  # saves a call of a Python function; __new__ did the work

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
    """Return a generator function whose body runs inside of the block, while the code that uses its values runs outside."""

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


class set_grad_enabled:  # noqa: N801 (PyTorch's name)
    """Turn the recording of operations on or off: from the call on, or until the end of a ``with`` block.

    >>> import fastnn
    >>> x = fastnn.tensor([1.0], requires_grad=True)
    >>> with fastnn.set_grad_enabled(False):
    ...     y = x * 2
    >>> y.requires_grad, (x * 2).requires_grad
    (False, True)
    """

    def __init__(self, mode: bool) -> None:
        self._before = taping.get()
        taping.set((self._before or True) if mode else False)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        taping.set(self._before)


class no_grad(_Mode):  # noqa: N801 (PyTorch's name)
    """Context manager and decorator in which nothing is recorded for backward, and parameters may be changed in place.

    Blocks may be nested and entered again; each thread and asyncio task has separate ones. If a generator yields inside of a
    block, the block stays active in the code that uses its values: decorate the generator instead.

    >>> import fastnn
    >>> p = fastnn.tensor([1.0, 2.0], requires_grad=True)
    >>> with fastnn.no_grad():
    ...     _ = p.fill_(3.0)
    >>> p.tolist()
    [3.0, 3.0]
    """

    _records = False


class enable_grad(_Mode):  # noqa: N801 (PyTorch's name)
    """Context manager and decorator in which operations are recorded, also inside of `no_grad`.

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
"""Counter that numbers operations and in-place changes in the order in which they happen."""


def now() -> int:
    """Return the time: the order of every later node is greater."""
    return next(_clock)


class Changes:
    """Clock time of the last in-place change of an array; all Tensors that share its memory share one object."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last = 0


UNCHANGED = Changes()
"""Changes of all Tensors that were never changed in place and share no memory."""


COPIED = Changes()
"""Changes of copies where PyTorch and NumPy return views. An in-place change of such a copy would probably be a mistake: the
user wants to change the original."""


def copied(t: Tensor) -> Tensor:
    """Mark t as a copy where PyTorch and NumPy return a view. Tensors on the tape need no mark: only leaves change in place."""
    if t.node is None:
        t.changes = COPIED
    return t


def owned(t: Tensor) -> None:
    """Mark a copy as a separate Tensor, such as a buffer, which may be changed in place."""
    if t.changes is COPIED:
        t.changes = UNCHANGED


def changed(*tensors: Tensor) -> None:
    """Store that the values of Tensors were changed in place: gradients of earlier results from them would be wrong."""
    now = next(_clock)
    for t in tensors:
        changes = t.changes
        if changes is UNCHANGED:
            changes = t.changes = Changes()
        changes.last = now


def share_changes(t: Tensor, source: Tensor) -> Tensor:
    """Let t, which shares the memory of source, share its changes too, and return t."""
    if source.changes is UNCHANGED:
        source.changes = Changes()
    t.changes = source.changes
    return t


class Freed:
    """Place of a Tensor in a graph that backward has freed, for `fastnn.autograd.graph`. The values of the Tensor are gone."""

    __slots__ = ("dtype", "index", "node", "shape")

    def __init__(self, t: Tensor) -> None:
        self.node, self.index, self.shape, self.dtype = t.node, t.index, t.shape, t.dtype


class Node:
    """Operation on the tape. Each output Tensor refers to the node, and has its number among the outputs as `index`.

    Attributes:
        op: public name of the operation, such as "dense", "softmax" or "reshape".
        attrs: arguments other than Tensors, by name: axes, shapes, and the element-wise function as "activation".
        inputs: the Tensors that it was applied to, including integers and masks; results of operations are `Freed` after
            backward.
        outputs: shape and dtype of each output if there are several; empty for one output.
        backward: called with the `Gradients`, the node and one gradient for each output. The gradient of a single output is an
            array. If there are several outputs, outputs without a gradient get None.
        saved: values that backward needs besides the inputs; None after backward freed them.
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
        self.order: float = next(_clock)
        self.retained: dict[int, ref[Tensor]] | None = None  # output Tensors on which `retain_grad` was called

    def name(self) -> str:
        """Return the public name of the operation."""
        return self.op

    def __repr__(self) -> str:
        return f"<{self.op}>"

    def free(self) -> None:
        """Let go of the values that backward needed: the saved ones, and results of operations among the inputs."""
        self.saved = None
        left = (t if t.node is None else Freed(t) for t in self.inputs)
        self.inputs = cast("tuple[Tensor, ...]", tuple(left))


def place_of(t: Tensor) -> Any:
    """Return the identity of a Tensor's value: a leaf itself, or a node and the number of its output."""
    return t if t.node is None else (t.node, t.index)


def newest_first(roots: Iterable[Node | None]) -> list[Node]:
    """Return all nodes from which the roots were computed, newest first: each node is before the nodes of its inputs."""
    seen = {node for node in roots if node is not None}
    stack = list(seen)
    while stack:
        for t in stack.pop().inputs:
            node = t.node
            if node is not None and node not in seen:
                seen.add(node)
                stack.append(node)
    return sorted(seen, key=operator.attrgetter("order"), reverse=True)
