"""Tensor, and the tape by which gradients find their way back.

A Tensor that came out of an operation has a `Node`: the operation's backward function, its inputs and what it saved.
`Tensor.backward` visits the nodes from the newest to the oldest and hands each one the gradient of its output.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

from .backends import current

Array = Any  # numpy.ndarray, or cupy.ndarray on the cupy backend
F = TypeVar("F", bound=Callable[..., Any])

_grad_enabled: ContextVar[bool] = ContextVar("fastnn_grad_enabled", default=True)


def torch_names(f: F) -> F:
    """Lets a function with axis and keepdims be called with PyTorch's dim and keepdim."""

    @functools.wraps(f)
    def renamed(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = {{"dim": "axis", "keepdim": "keepdims", "start_dim": "start_axis"}.get(k, k): v for k, v in kwargs.items()}
        return f(*args, **kwargs)

    return renamed  # type: ignore[return-value]


class no_grad:  # noqa: N801 (PyTorch's name)
    """A block, or a function, in which nothing is recorded for backward; parameters may be changed in place.

    >>> import fastnn
    >>> p = fastnn.tensor([1.0, 2.0], requires_grad=True)
    >>> with fastnn.no_grad():
    ...     _ = p.fill_(3.0)
    >>> p.tolist()
    [3.0, 3.0]
    """

    def __init__(self) -> None:
        self._tokens: list[Any] = []

    def __enter__(self) -> None:
        self._tokens.append(_grad_enabled.set(False))

    def __exit__(self, *_: object) -> None:
        _grad_enabled.reset(self._tokens.pop())

    def __call__(self, f: F) -> F:
        @functools.wraps(f)
        def quiet(*args: Any, **kwargs: Any) -> Any:
            with no_grad():
                return f(*args, **kwargs)

        return quiet  # type: ignore[return-value]


def is_grad_enabled() -> bool:
    """Whether operations are recorded for backward in this thread."""
    return _grad_enabled.get()


_version = operator.attrgetter("version")


def _versions(tensors: tuple[Tensor, ...]) -> tuple[int, ...]:
    return tuple(map(_version, tensors))


class Node:
    """An operation on the tape: its backward function, its inputs, and what backward needs beside them."""

    __slots__ = ("backward", "inputs", "order", "saved", "versions")
    _count = itertools.count()

    def __init__(self, backward: Backward, inputs: tuple[Tensor, ...], saved: tuple[Any, ...]) -> None:
        self.backward = backward
        self.inputs = inputs
        self.saved: tuple[Any, ...] | None = saved
        self.versions = _versions(inputs)  # a saved array that was changed in place would give wrong gradients
        self.order = next(Node._count)


class Gradients:
    """The gradients of one backward pass: of tensors on the tape here, of leaves in their own buffers."""

    def __init__(self) -> None:
        self.k = current()
        self._held: dict[Node, Array] = {}

    def target(self, t: Tensor) -> tuple[Array, bool]:
        """Where a kernel may put t's gradient, and whether it has to add to what is there. Follow it with `done`."""
        if t.node is None:
            return t.grad_buffer(), self.k.has_grad(t)
        return self.k.empty(t.shape, t.dtype), False

    def done(self, t: Tensor, array: Array) -> None:
        """The target is written."""
        if t.node is None:
            self.k.set_has_grad(t, True)
        else:
            self.add(t, array)

    def add(self, t: Tensor, array: Array) -> None:
        """Adds a gradient of t's shape; the array may be shared with other tensors and is not changed."""
        if t.node is None:
            buffer, add = self.target(t)
            if add:
                ops.elementwise.add_arrays(self.k, buffer, buffer, array)
            else:
                ops.shape.copy_array(self.k, buffer, array)
            self.k.set_has_grad(t, True)
        elif (held := self._held.get(t.node)) is None:
            self._held[t.node] = array
        else:
            total = self.k.empty(t.shape, t.dtype)
            ops.elementwise.add_arrays(self.k, total, held, array)
            self._held[t.node] = total

    def collect(self, node: Node, i: int, n: int, array: Array) -> None:
        """Holds the gradient of output i of n for a node that stands for all of them; its backward gets the list."""
        self._held.setdefault(node, [None] * n)[i] = array

    def pop(self, node: Node) -> Array:
        return self._held.pop(node, None)


Backward = Callable[[Gradients, Node, Array], None]


class Tensor:
    """An array of numbers that operations record themselves on.

    Args:
        data: a C-contiguous array of the current backend; use `fastnn.tensor` to make a Tensor of anything else.
        requires_grad: whether `backward` fills `grad`.

    >>> import fastnn
    >>> x = fastnn.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad.tolist()
    [2.0, 4.0, 6.0]
    """

    __slots__ = ("__weakref__", "_buffer", "data", "has_grad", "node", "requires_grad", "version")
    __array_priority__ = 100  # numpy array (op) Tensor is left to Tensor

    def __init__(self, data: Array, requires_grad: bool = False, node: Node | None = None) -> None:
        self.data = data
        self.requires_grad = requires_grad
        self.node = node
        self.has_grad = False  # whether the gradient buffer holds a gradient
        self._buffer: Array = None
        self.version = 0  # grows when the values are changed in place

    # ---- what it is ----

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.data.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self.data.dtype
        return dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(self.data.size)

    def dim(self) -> int:
        """The number of dimensions."""
        return self.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self.size

    @property
    def is_leaf(self) -> bool:
        return self.node is None

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a Tensor without dimensions")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        with no_grad():
            text = np.array2string(self.numpy(), separator=", ", prefix="tensor(")
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        grad = ", requires_grad=True" if self.requires_grad and self.node is None else ""
        return f"tensor({text}{dtype}{grad})"

    __hash__ = object.__hash__

    # ---- where a value leaves ----

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values as a NumPy array, which shares their memory on the host backends."""
        k = current()
        k.value_leaves("numpy()")
        result: np.ndarray[Any, Any] = k.to_numpy(self.data)
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        a = self.numpy()
        if copy or (dtype is not None and a.dtype != dtype):
            if copy is False:
                raise ValueError(f"Tensor of dtype {a.dtype} as an array of {dtype} needs a copy")
            return a.astype(dtype or a.dtype)
        return a

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.numpy().__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[Any, Any]:
        return self.data.__dlpack_device__()  # type: ignore[no-any-return]

    def item(self) -> Any:
        """The value of a Tensor with one element, as a Python number."""
        if self.size != 1:
            raise ValueError(f"item: the Tensor has shape {self.shape}, wanted one element")
        current().value_leaves("item()")
        return self.data.item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self.numpy().tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"a Tensor of dtype {self.dtype} is no index")
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"bool: the truth of a Tensor of shape {self.shape} is ambiguous; use its elements")
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.size == 1 else format(str(self), spec)

    # ---- gradients ----

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward left, or None."""
        return Tensor(self._buffer) if self.has_grad else None

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is None:
            current().set_has_grad(self, False)
            return
        ops.shape.copy_array(current(), self.grad_buffer(), ops.door.as_array(value, self.dtype, self.shape, "grad"))
        current().set_has_grad(self, True)

    def grad_buffer(self) -> Array:
        """The array that the gradient is kept in, made at first use."""
        if self._buffer is None:
            self._buffer = current().empty(self.shape, self.dtype)
        return self._buffer

    def zero_grad(self) -> None:
        """Forgets the gradient: the next backward overwrites it."""
        current().set_has_grad(self, False)

    def detach(self) -> Tensor:
        """The same values without their history."""
        return Tensor(self.data)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Sets requires_grad of a leaf."""
        if self.node is not None:
            raise RuntimeError("requires_grad_: only leaves can be changed; this Tensor came out of an operation")
        if requires_grad and self.dtype.kind != "f":
            raise TypeError(f"requires_grad_: a Tensor of dtype {self.dtype} has no gradient, wanted float32 or float64")
        self.requires_grad = requires_grad
        return self

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Adds the gradient of this Tensor to the `grad` of every leaf that it came from.

        Args:
            gradient: the gradient to start with, of this Tensor's shape; 1 for a Tensor with one element.
            retain_graph: keep what the operations saved, so that backward can be called again.

        Raises:
            RuntimeError: nothing here requires a gradient, or the graph was freed by an earlier backward.
            ValueError: there are several elements and no gradient to start with, or it has another shape.
        """
        if not self.requires_grad:
            raise RuntimeError(
                "backward: the Tensor does not require a gradient; no leaf that it came from has requires_grad=True"
            )
        grads = Gradients()
        if gradient is not None:
            start = ops.door.as_array(gradient, self.dtype, self.shape, "backward: gradient")
        elif self.size != 1:
            raise ValueError(f"backward: the Tensor has shape {self.shape}; a gradient to start with is needed, or one element")
        else:
            start = grads.k.empty(self.shape, self.dtype)
            grads.k.fill(start, 1.0)
        grads.add(self, start)
        for node in _newest_first(self.node):
            if node.saved is None:
                raise RuntimeError(
                    "backward: this graph was freed by an earlier backward; call that one with retain_graph=True to use it twice"
                )
            if node.saved and node.versions != _versions(node.inputs):
                raise RuntimeError("backward: a leaf was changed in place after the forward pass that used it")
            dy = grads.pop(node)
            if dy is not None:
                node.backward(grads, node, dy)
            if not retain_graph:
                node.saved = None

    # ---- in place, on leaves ----

    def copy_(self, values: Any) -> Tensor:
        """Overwrites the values of a leaf; under `no_grad` if it requires a gradient."""
        self._check_in_place("copy_")
        ops.shape.copy_array(current(), self.data, ops.door.as_array(values, self.dtype, self.shape, "copy_"))
        self.version += 1
        return self

    def fill_(self, value: float) -> Tensor:
        """Sets all values of a leaf; under `no_grad` if it requires a gradient."""
        self._check_in_place("fill_")
        current().fill(self.data, float(value))
        self.version += 1
        return self

    def zero_(self) -> Tensor:
        """Sets all values of a leaf to 0; under `no_grad` if it requires a gradient."""
        return self.fill_(0.0)

    def _check_in_place(self, name: str) -> None:
        if self.node is not None:
            raise RuntimeError(f"{name}: only leaves can be changed in place; this Tensor came out of an operation")
        if self.requires_grad and is_grad_enabled():
            raise RuntimeError(f"{name}: a leaf that requires a gradient can only be changed inside `with fastnn.no_grad():`")

    # ---- arithmetic; the operations are in fastnn.ops ----

    def __add__(self, other: Any) -> Tensor:
        return ops.elementwise.add(self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Tensor:
        return ops.elementwise.sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return ops.elementwise.sub(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return ops.elementwise.mul(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Tensor:
        return ops.elementwise.div(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.elementwise.div(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return ops.elementwise.pow(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.elementwise.pow(other, self)

    # In place on a leaf under `no_grad`: the hand-written step p -= lr * p.grad. Elsewhere Python binds the name anew.

    def _in_place(self, result: Tensor) -> Tensor:
        return self.copy_(result) if self.node is None and self.requires_grad else result

    def __iadd__(self, other: Any) -> Tensor:
        return self._in_place(self + other)

    def __isub__(self, other: Any) -> Tensor:
        return self._in_place(self - other)

    def __imul__(self, other: Any) -> Tensor:
        return self._in_place(self * other)

    def __itruediv__(self, other: Any) -> Tensor:
        return self._in_place(self / other)

    def __neg__(self) -> Tensor:
        return ops.elementwise.mul(self, -1)

    def __abs__(self) -> Tensor:
        return ops.elementwise.abs(self)

    def __matmul__(self, other: Any) -> Tensor:
        return ops.dense.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.dense.matmul(other, self)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        if other is None:
            return NotImplemented
        return ops.elementwise.compare("eq", self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        if other is None:
            return NotImplemented
        return ops.elementwise.compare("ne", self, other)

    def __lt__(self, other: Any) -> Tensor:
        return ops.elementwise.compare("lt", self, other)

    def __le__(self, other: Any) -> Tensor:
        return ops.elementwise.compare("le", self, other)

    def __gt__(self, other: Any) -> Tensor:
        return ops.elementwise.compare("gt", self, other)

    def __ge__(self, other: Any) -> Tensor:
        return ops.elementwise.compare("ge", self, other)

    def __getitem__(self, key: Any) -> Tensor:
        return ops.shape.getitem(self, key)

    def matmul(self, other: Any) -> Tensor:
        return ops.dense.matmul(self, other)

    def exp(self) -> Tensor:
        return ops.elementwise.exp(self)

    def log(self) -> Tensor:
        return ops.elementwise.log(self)

    def sqrt(self) -> Tensor:
        return ops.elementwise.sqrt(self)

    def abs(self) -> Tensor:
        return ops.elementwise.abs(self)

    def pow(self, exponent: Any) -> Tensor:
        return ops.elementwise.pow(self, exponent)

    def clip(self, min: float | None = None, max: float | None = None) -> Tensor:
        return ops.elementwise.clip(self, min, max)

    clamp = clip

    def relu(self) -> Tensor:
        return ops.activation.relu(self)

    def sigmoid(self) -> Tensor:
        return ops.activation.sigmoid(self)

    def tanh(self) -> Tensor:
        return ops.activation.tanh(self)

    @torch_names
    def softmax(self, axis: int = -1) -> Tensor:
        return ops.activation.softmax(self, axis)

    @torch_names
    def log_softmax(self, axis: int = -1) -> Tensor:
        return ops.activation.log_softmax(self, axis)

    @torch_names
    def sum(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        return ops.elementwise.sum(self, axis, keepdims)

    @torch_names
    def mean(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        return ops.elementwise.mean(self, axis, keepdims)

    @torch_names
    def max(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        return ops.elementwise.max(self, axis, keepdims)

    @torch_names
    def min(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        return ops.elementwise.min(self, axis, keepdims)

    @torch_names
    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        return ops.elementwise.argmax(self, axis, keepdims)

    def reshape(self, *shape: Any) -> Tensor:
        return ops.shape.reshape(self, *shape)

    view = reshape

    @torch_names
    def flatten(self, start_axis: int = 0) -> Tensor:
        return ops.shape.flatten(self, start_axis)

    def transpose(self, *axes: Any) -> Tensor:
        return ops.shape.transpose(self, *axes)

    @property
    def T(self) -> Tensor:  # noqa: N802 (NumPy's name)
        return ops.shape.transpose(self)

    @torch_names
    def squeeze(self, axis: int | None = None) -> Tensor:
        return ops.shape.squeeze(self, axis)

    @torch_names
    def unsqueeze(self, axis: int) -> Tensor:
        return ops.shape.unsqueeze(self, axis)

    @torch_names
    def gather(self, axis: int, index: Any) -> Tensor:
        return ops.data.gather(self, axis, index)

    def astype(self, dtype: Any) -> Tensor:
        return ops.elementwise.astype(self, dtype)

    def float(self) -> Tensor:
        return ops.elementwise.astype(self, np.float32)

    def double(self) -> Tensor:
        return ops.elementwise.astype(self, np.float64)

    def long(self) -> Tensor:
        return ops.elementwise.astype(self, np.int64)


def _newest_first(root: Node | None) -> list[Node]:
    """All nodes that root came from, newest first: each stands before the nodes of its inputs."""
    if root is None:
        return []
    seen, stack = {root}, [root]
    while stack:
        for t in stack.pop().inputs:
            node = t.node
            if node is not None and node not in seen:
                seen.add(node)
                stack.append(node)
    return sorted(seen, key=operator.attrgetter("order"), reverse=True)


def result(data: Array, backward: Backward, inputs: tuple[Tensor, ...], *saved: Any) -> Tensor:
    """The Tensor that an operation returns, on the tape if a gradient is wanted of any input."""
    if _grad_enabled.get():
        for t in inputs:
            if t.requires_grad:
                return Tensor(data, True, Node(backward, inputs, saved))
    return Tensor(data)


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A Tensor with a copy of the data.

    Args:
        data: numbers, nested lists, an array, or anything that turns into one. Python floats become float32, Python integers
            int64; arrays keep their dtype (other integers become int64, float16 becomes float32).
        dtype: float32, float64, int64 or bool.
        requires_grad: whether `backward` fills its `grad`.

    Raises:
        TypeError: the data are no numbers.
        ValueError: nested lists of different lengths.

    >>> import fastnn
    >>> fastnn.tensor([1.5, -0.5, 2.0]).shape
    (3,)
    """
    k = current()
    array = k.asarray(ops.door.host_array(data, dtype, "tensor", copy=True))
    k.constant_enters(array)
    t = Tensor(array)
    return t.requires_grad_() if requires_grad else t


from . import ops  # noqa: E402  (the operations need Tensor, and Tensor's methods the operations)
