"""Tensor, and how gradients find their way back.

A Tensor that came out of an operation has a `Node`: the operation's name, backward function, inputs and what it saved.
`Tensor.backward` visits the nodes from the newest to the oldest and hands each one the gradients of its outputs.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends import current
from ..core import arrays
from ..core.convert import TensorBase, as_array, own_array
from .tape import (
    COPIED,
    UNCHANGED,
    Node,
    changed,
    enable_grad,
    is_grad_enabled,
    newest_first,
    no_grad,
    share_changes,
    taping,
    torch_names,
)

if TYPE_CHECKING:
    from .methods import Methods
else:

    class Methods:
        """Methods that `fastnn.autograd.methods` adds to Tensor once operations are loaded."""

        __slots__ = ()


__all__ = [
    "Array",
    "Backward",
    "Gradients",
    "Node",
    "Tensor",
    "enable_grad",
    "is_grad_enabled",
    "no_grad",
    "result",
    "results",
    "tensor",
    "torch_names",
]

Array = Any  # numpy.ndarray, or cupy.ndarray on the cupy backend


class Gradients:
    """The gradients of one backward pass: of tensors on the tape here, of leaves in their own buffers."""

    def __init__(self) -> None:
        self.k = current()
        self._held: dict[Node, Any] = {}  # the gradient of a node's output; of several outputs, a list

    def target(self, t: Tensor) -> tuple[Array, bool]:
        """Return where a kernel may put t's gradient, and whether it has to add to what is there. Follow it with `done`."""
        if t.node is None:
            return t.grad_buffer(), self.k.has_grad(t)
        return self.k.empty(t.shape, t.dtype), False

    def touched(self, t: Tensor, target: Array) -> Array:
        """Return where a kernel marks the rows that it adds to a target; of size 0 where nobody asked for them."""
        return self.k.absent if t.touched is None or target is not t._buffer else t.touched

    def done(self, t: Tensor, array: Array, marked: bool = False) -> None:
        """Note that the target is written; marked says that the rows are, of which any may be touched otherwise."""
        if t.node is None:
            if t.touched is not None and not marked:
                self.k.fill(t.touched, 1.0)
            self.k.set_has_grad(t, True)
        else:
            self.add(t, array)

    def add(self, t: Tensor, array: Array) -> None:
        """Add a gradient of t's shape; the array may be shared with other tensors and is not changed."""
        node = t.node
        if node is None:
            self._accumulate(t, array)
        elif node.outputs:
            parts = self._held.setdefault(node, [None] * len(node.outputs))
            held = parts[t.index]
            parts[t.index] = array if held is None else arrays.binary(self.k, "add", held, array)
        elif (held := self._held.get(node)) is None:
            self._held[node] = array
        else:
            self._held[node] = arrays.binary(self.k, "add", held, array)

    def or_zeros(self, node: Node, i: int, dy: Array | None) -> Array:
        """Return the gradient of output i of a node with several, or zeros where none came to it."""
        return arrays.filled(self.k, *node.outputs[i], 0.0) if dy is None else dy

    def _accumulate(self, t: Tensor, array: Array) -> None:
        buffer = t.grad_buffer()
        if self.k.has_grad(t):
            arrays.binary(self.k, "add", buffer, array, buffer)
        else:
            arrays.copy_array(self.k, buffer, array)
        if t.touched is not None:
            self.k.fill(t.touched, 1.0)
        self.k.set_has_grad(t, True)

    def visit(self, node: Node) -> None:
        """Hand the gradients of the node's outputs to its backward function."""
        dy = self._held.pop(node, None)
        if dy is None:
            return
        if node.retained is not None:
            for i, kept in node.retained.items():
                own = dy[i] if node.outputs else dy
                if (t := kept()) is not None and own is not None:
                    self._accumulate(t, own)
        if node.outputs:
            node.backward(self, node, *dy)
        else:
            node.backward(self, node, dy)

    def run(self, roots: Iterable[Tensor], retain_graph: bool, op: str) -> None:
        """Visit all nodes that the roots came from, whose gradients are here."""
        for node in newest_first(t.node for t in roots):
            if node.saved is None:
                raise RuntimeError(
                    f"{op}: this graph was freed by an earlier backward; call that one with retain_graph=True to use it twice"
                )
            if node.saved:
                for t in node.inputs:
                    if t.changes.last > node.order:
                        raise RuntimeError(f"{op}: a leaf was changed in place after the forward pass that used it")
            self.visit(node)
            if not retain_graph:
                node.saved = None

    def start(self, t: Tensor, gradient: Any, op: str) -> None:
        """Begin with the gradient of t: 1 for one element, if none is given."""
        if not t.requires_grad:
            raise RuntimeError(f"{op}: the Tensor does not require a gradient; no leaf that it came from has requires_grad=True")
        if gradient is not None:
            self.add(t, as_array(gradient, t.dtype, t.shape, f"{op}: gradient"))
        elif t.size != 1:
            raise ValueError(f"{op}: the Tensor has shape {t.shape}; a gradient to start with is needed, or one element")
        else:
            self.add(t, arrays.filled(self.k, t.shape, t.dtype, 1.0))


Backward = Callable[..., None]
"""Type of `Node.backward`: called with the Gradients, the node, and one gradient for each output."""


def _rebuild(values: np.ndarray[Any, Any], requires_grad: bool, grad: np.ndarray[Any, Any] | None) -> Tensor:
    k = current()
    t = Tensor(k.asarray(values), requires_grad)
    if grad is not None:
        t._buffer, t.has_grad = k.asarray(grad), True
    return t


_PLAIN = frozenset({list, tuple, int, float, bool, str, type(None)})
"""Types that are often passed to Tensor in place of `fastnn.tensor`."""


class Tensor(Methods, TensorBase):
    """An array of numbers that operations record themselves on; the operations are methods too, see `fastnn.autograd.methods`.

    Args:
        data: a C-contiguous array of the current backend; use `fastnn.tensor` to make a Tensor of anything else.
        requires_grad: whether `backward` fills `grad`.

    >>> import fastnn
    >>> x = fastnn.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad.tolist()
    [2.0, 4.0, 6.0]
    """

    __slots__ = ("__weakref__", "_buffer", "changes", "data", "has_grad", "index", "node", "requires_grad")
    touched: Array | None = None
    """Of a parameter that was asked to `track_rows`, which rows its gradient may differ from 0 in."""
    __array_priority__ = 100  # numpy array (op) Tensor is left to Tensor

    def __init__(self, data: Array, requires_grad: bool = False, node: Node | None = None, index: int = 0) -> None:
        if type(data) in _PLAIN:
            raise TypeError(f"Tensor: a {type(data).__name__} came, wanted an array; fastnn.tensor makes a Tensor of anything")
        self.data = data
        self.requires_grad = requires_grad
        self.node = node
        self.index = index  # of this one among the node's outputs
        self.has_grad = False  # whether the gradient buffer holds a gradient
        self._buffer: Array = None
        self.changes = UNCHANGED

    def __copy__(self) -> Tensor:
        if self.node is not None:
            return share_changes(Tensor(self.data, self.requires_grad, self.node, self.index), self)
        make, arguments = self.__reduce__()
        copied: Tensor = make(*arguments)
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        if self.node is not None:
            raise RuntimeError("pickle, deepcopy: this Tensor came out of an operation, which is not copied; use t.detach()")
        grad = current().to_numpy(self._buffer).copy() if self.has_grad else None
        return _rebuild, (self.numpy().copy(), self.requires_grad, grad)

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
        """Return the number of elements."""
        return int(self.data.size)

    def dim(self) -> int:
        """Return the number of dimensions."""
        return self.ndim

    def numel(self) -> int:
        """Return the number of elements."""
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
        """Return the values as a NumPy array, which shares their memory on the host backends."""
        k = current()
        k.host_reads("numpy()")
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
        current().host_reads("__dlpack__()")
        return self.data.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[Any, Any]:
        return self.data.__dlpack_device__()  # type: ignore[no-any-return]

    def item(self) -> Any:
        """Return the value of a Tensor with one element, as a Python number."""
        if self.size != 1:
            raise ValueError(f"item: the Tensor has shape {self.shape}, wanted one element")
        current().host_reads("item()")
        return self.data.item()

    def tolist(self) -> Any:
        """Return the values as nested lists of Python numbers."""
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
        """Return the gradient that backward left, or None."""
        return Tensor(self._buffer) if self.has_grad else None

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is None:
            current().set_has_grad(self, False)
            return
        arrays.copy_array(current(), self.grad_buffer(), as_array(value, self.dtype, self.shape, "grad"))
        if self.touched is not None:
            current().fill(self.touched, 1.0)
        current().set_has_grad(self, True)

    def grad_buffer(self) -> Array:
        """Return the array that the gradient is kept in, made at first use."""
        if self._buffer is None:
            self._buffer = current().empty_beside(self.data)
        return self._buffer

    def zero_grad(self) -> None:
        """Forget the gradient: the next backward overwrites it."""
        current().set_has_grad(self, False)

    def detach(self) -> Tensor:
        """Return the same values without their history; shares memory."""
        return share_changes(Tensor(self.data), self)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set requires_grad of a leaf."""
        if self.node is not None:
            raise RuntimeError("requires_grad_: only leaves can be changed; this Tensor came out of an operation")
        if requires_grad and self.dtype.kind != "f":
            raise TypeError(f"requires_grad_: a Tensor of dtype {self.dtype} has no gradient, wanted float32 or float64")
        self.requires_grad = requires_grad
        return self

    def retain_grad(self) -> None:
        """Ask backward to fill the `grad` of this Tensor too, though it came out of an operation.

        >>> import fastnn
        >>> x = fastnn.tensor([3.0], requires_grad=True)
        >>> y = x * x
        >>> y.retain_grad()
        >>> (y * 2).backward()
        >>> y.grad.tolist()
        [2.0]
        """
        if not self.requires_grad:
            raise RuntimeError("retain_grad: the Tensor does not require a gradient, so none comes to it")
        if (node := self.node) is not None:
            node.retained = {**(node.retained or {}), self.index: weakref.ref(self)}

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Add the gradient of this Tensor to the `grad` of every leaf that it came from.

        Args:
            gradient: the gradient to start with, of this Tensor's shape; 1 for a Tensor with one element.
            retain_graph: keep what the operations saved, so that backward can be called again.

        Raises:
            RuntimeError: nothing here requires a gradient, or the graph was freed by an earlier backward.
            ValueError: there are several elements and no gradient to start with, or it has another shape.
        """
        grads = Gradients()
        grads.start(self, gradient, "backward")
        grads.run((self,), retain_graph, "backward")

    # ---- in place, on leaves ----

    def copy_(self, values: Any) -> Tensor:
        """Overwrite the values of a leaf; under `no_grad` if it requires a gradient."""
        self._check_in_place("copy_")
        arrays.copy_array(current(), self.data, as_array(values, self.dtype, self.shape, "copy_"))
        changed(self)
        return self

    def fill_(self, value: float) -> Tensor:
        """Set all values of a leaf; under `no_grad` if it requires a gradient."""
        self._check_in_place("fill_")
        arrays.fill(current(), self.data, value)
        changed(self)
        return self

    def zero_(self) -> Tensor:
        """Set all values of a leaf to 0; under `no_grad` if it requires a gradient."""
        return self.fill_(0.0)

    def _check_in_place(self, name: str) -> None:
        if self.changes is COPIED and not self.requires_grad:
            raise RuntimeError(
                f"{name}: the Tensor is a copy of a part of another one, or of it transposed, which would stay as it is; "
                "assign to the other one (x[0] = ...), or change a clone()"
            )
        if self.node is not None:
            raise RuntimeError(
                f"{name}: only leaves can be changed in place; this Tensor came out of an operation; assign to parts (x[0] = ...)"
            )
        if self.requires_grad and is_grad_enabled():
            raise RuntimeError(f"{name}: a leaf that requires a gradient can only be changed inside `with fastnn.no_grad():`")


def result(
    op: str,
    data: Array,
    backward: Backward,
    inputs: tuple[Tensor, ...],
    saved: tuple[Any, ...] = (),
    attrs: dict[str, Any] | None = None,
) -> Tensor:
    """Make the Tensor that an operation returns, on the tape if a gradient is wanted of any input.

    Args:
        op: the operation's public name.
        data: the output.
        backward: called with the Gradients, the node and the gradient of the output.
        inputs: the Tensors that the operation was applied to.
        saved: what backward needs beside them.
        attrs: the operation's other arguments by name, with which it could be done again.
    """
    records = taping.get()
    if records:
        for t in inputs:
            if t.requires_grad:
                made = Tensor(data, True, Node(op, {} if attrs is None else attrs, backward, inputs, saved))
                return made if records is True else records(made)
    return Tensor(data)


def results(
    op: str,
    outputs: Sequence[Array],
    backward: Backward,
    inputs: tuple[Tensor, ...],
    saved: tuple[Any, ...] = (),
    attrs: dict[str, Any] | None = None,
) -> tuple[Tensor, ...]:
    """Make the Tensors that an operation with several outputs returns; all of them have one node. See `result`.

    Outputs of whole numbers are not on the tape. Backward gets one gradient for each output, and None for those that no gradient
    came to; it is called if any did.
    """
    records = taping.get()
    if not records or not any(t.requires_grad for t in inputs):
        return tuple(map(Tensor, outputs))
    node = Node(op, {} if attrs is None else attrs, backward, inputs, saved, tuple((y.shape, y.dtype) for y in outputs))
    made = (Tensor(y, True, node, i) if y.dtype.kind == "f" else Tensor(y) for i, y in enumerate(outputs))
    return tuple(made) if records is True else tuple(records(t) if t.node is node else t for t in made)


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a Tensor with a copy of the data.

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
    array = own_array(k, data, dtype, "tensor", copy=True)
    k.host_wrote(array)
    t = Tensor(array)
    return t.requires_grad_() if requires_grad else t
