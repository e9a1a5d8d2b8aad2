"""Tensor, and backpropagation of gradients.

A Tensor that an operation made has a `Node`: the operation's name, backward function, inputs and saved values.
`Tensor.backward` visits the nodes from the newest to the oldest and passes to each one the gradients of its outputs.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends import current
from ..core import arrays
from ..core.convert import TensorBase, as_array, own_array
from ..core.count import Count, counted
from ..core.device import check_device
from ..core.unpickled import own
from .backward import Backward, GradientOnTape, Gradients
from .tape import COPIED, UNCHANGED, Node, changed, enable_grad, is_grad_enabled, no_grad, share_changes, taping, torch_names

if TYPE_CHECKING:
    from .methods import Methods
else:

    class Methods:
        """Methods that `fastnn.autograd.methods` adds to Tensor once operations are loaded."""

        __slots__ = ()


_INTERNAL = frozenset({"changes", "grad_buffer", "has_grad", "index", "keras_mask", "node", "touched"})
"""Attributes of Tensors for fastnn itself, which `dir` leaves out."""

__all__ = [
    "Array", "Backward", "Gradients", "Node", "Tensor", "enable_grad", "is_grad_enabled", "no_grad",
    "result", "results", "tensor", "torch_names",
]  # fmt: skip

Array = Any  # numpy.ndarray, or cupy.ndarray on the cupy backend


def _rebuild(values: np.ndarray[Any, Any], requires_grad: bool, grad: np.ndarray[Any, Any] | None) -> Tensor:
    k = current()
    t = Tensor(k.asarray(own(values)), requires_grad)
    if grad is not None:
        t._buffer, t.has_grad = k.asarray(own(grad)), True
    return t


_PLAIN = frozenset({int, float, bool, str, type(None)})
"""Types that are often passed to Tensor in place of `fastnn.tensor`."""


class Tensor(Methods, TensorBase):
    """Array of numbers whose operations are recorded for gradients; operations are also methods, see `fastnn.autograd.methods`.

    Args:
        data: a C-contiguous array of the current backend; use `fastnn.tensor` for anything else. Lists become float32.
        requires_grad: whether `backward` fills `grad`.

    >>> import fastnn
    >>> x = fastnn.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad.tolist()
    [2.0, 4.0, 6.0]
    """

    __slots__ = ("__weakref__", "_buffer", "changes", "data", "has_grad", "index", "keras_mask", "node", "requires_grad")
    touched: Array | None = None
    """Marks of the rows in which the gradient may differ from 0; only for parameters with `track_rows`."""
    __array_priority__ = 100  # NumPy leaves `array op Tensor` to Tensor

    def __init__(self, data: Array, requires_grad: bool = False, node: Node | None = None, index: int = 0) -> None:
        if type(data) is list or type(data) is tuple:
            data = tensor(data, np.float32).data
        elif type(data) in _PLAIN:
            raise TypeError(
                f"Tensor: a {type(data).__name__} came, wanted an array; fastnn.tensor makes a Tensor from other types"
            )
        self.data = data
        self.requires_grad = requires_grad
        self.node = node
        self.index = index  # number among the node's outputs
        self.has_grad = False  # whether the gradient buffer holds a gradient
        self._buffer: Array = None
        self.changes = UNCHANGED
        self.keras_mask: Tensor | Any = None  # which time steps are data, see fastnn.nn.masks

    def __dir__(self) -> list[str]:
        return sorted(set(super().__dir__()) - _INTERNAL)

    def __copy__(self) -> Tensor:
        if self.node is not None:
            return share_changes(Tensor(self.data, self.requires_grad, self.node, self.index), self)
        make, arguments = self.__reduce__()
        copied: Tensor = make(*arguments)
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        if self.node is not None:
            raise RuntimeError(
                "pickle, deepcopy: this Tensor is the result of an operation, which cannot be copied; use t.detach()"
            )
        grad = current().to_numpy(self._buffer).copy() if self.has_grad else None
        return _rebuild, (self.numpy().copy(), self.requires_grad, grad)

    # ---- properties ----

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
    def size(self) -> Count:
        """Return the number of elements, as in NumPy; ``size()`` is the shape and ``size(0)`` a part of it, as in PyTorch."""
        return counted(self.shape)

    def dim(self) -> int:
        """Return the number of dimensions."""
        return self.ndim

    def numel(self) -> int:
        """Return the number of elements."""
        return int(self.size)

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
        grad = f", grad_fn={self.node!r}" if self.node is not None else ", requires_grad=True" if self.requires_grad else ""
        return f"tensor({text}{dtype}{grad})"

    __hash__ = object.__hash__

    # ---- conversion to NumPy and Python values ----

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return the values as a NumPy array, which shares memory with the Tensor on the host backends."""
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
            raise TypeError(f"a Tensor of dtype {self.dtype} cannot be an index")
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"bool: the truth of a Tensor of shape {self.shape} is ambiguous; use its elements")
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.size == 1 else format(str(self), spec)

    # ---- gradients ----

    @property
    def grad(self) -> Tensor | Any:  # Any: None before backward, but programs that read it know that it is there
        """Return the gradient that backward computed, or None."""
        self.shown()
        held: Any = self.has_grad
        return held.gradient if type(held) is GradientOnTape else Tensor(self._buffer) if held else None

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is None:
            current().set_has_grad(self, False)
            return
        arrays.copy_array(current(), self.grad_buffer(), as_array(value, self.dtype, self.shape, "grad"))
        if self.touched is not None:
            current().fill(self.touched, 1.0)
        current().set_has_grad(self, True)

    def shown(self) -> None:
        """Store that code outside can change the gradient in any row; only parameters with `track_rows` have to know."""

    def zero_beside_marks(self) -> bool:
        """Return whether the gradient buffer is 0 in all rows that `touched` does not mark."""
        return False

    def origin(self) -> Tensor:
        """Return the Tensor whose gradient backward computes for this one: itself, unless it shows another in another order."""
        return self

    def turned(self, gradient: Tensor) -> Tensor:
        """Return a gradient of `origin` in the order of this Tensor."""
        return gradient

    def grad_buffer(self) -> Array:
        """Return the array that stores the gradient; it is made at the first use."""
        if self._buffer is None:
            self._buffer = current().empty_beside(self.data)
        return self._buffer

    def zero_grad(self) -> None:
        """Clear the gradient: the next backward overwrites it."""
        current().set_has_grad(self, False)

    def detach(self) -> Tensor:
        """Return a leaf with the same values, which shares their memory."""
        return share_changes(Tensor(self.data), self)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set requires_grad of a leaf."""
        if self.node is not None:
            raise RuntimeError("requires_grad_: only leaves can be changed; this Tensor is the result of an operation")
        if requires_grad and self.dtype.kind != "f":
            raise TypeError(f"requires_grad_: a Tensor of dtype {self.dtype} has no gradient, wanted float32 or float64")
        self.requires_grad = requires_grad
        return self

    def retain_grad(self) -> None:
        """Make backward fill the `grad` of this Tensor too, although it is the result of an operation.

        >>> import fastnn
        >>> x = fastnn.tensor([3.0], requires_grad=True)
        >>> y = x * x
        >>> y.retain_grad()
        >>> (y * 2).backward()
        >>> y.grad.tolist()
        [2.0]
        """
        if not self.requires_grad:
            raise RuntimeError("retain_grad: the Tensor does not require a gradient, so it gets none")
        if (node := self.node) is not None:
            node.retained = {**(node.retained or {}), self.index: weakref.ref(self)}

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Add the gradient of this Tensor to the `grad` of every leaf that it was computed from.

        Args:
            gradient: gradient of this Tensor, of the same shape; by default 1, for a Tensor with one element.
            retain_graph: keep the values that operations saved, so that backward can be called again; by default create_graph.
            create_graph: whether gradients are on the tape, so that they have gradients; `zero_grad` frees this graph.

        Raises:
            NotImplementedError: create_graph is True, and an operation has no second derivative; the message names it.
            RuntimeError: the Tensor does not require a gradient, or an earlier backward freed the graph.
            ValueError: the Tensor has several elements and no gradient is given, or it has another shape.
        """
        if create_graph:  # loaded by name: the rules use the operations, which import this module
            import_module(".second.entry", __package__).backward(self, gradient, retain_graph)
            return
        grads = Gradients()
        grads.start(self, gradient, "backward")
        grads.run((self,), bool(retain_graph), "backward")

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
                f"{name}: the Tensor is a copy of a part or transpose of another Tensor, which would not change; "
                "assign to the other Tensor (x[0] = ...), or change a clone()"
            )
        if self.node is not None:
            raise RuntimeError(
                f"{name}: only leaves can be changed in place; this Tensor is the result of an operation; "
                "assign to parts of it (x[0] = ...)"
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
    """Make the Tensor that an operation returns. It is on the tape if any input requires a gradient.

    Args:
        op: public name of the operation.
        data: the output.
        backward: called with the Gradients, the node and the gradient of the output.
        inputs: the Tensors that the operation was applied to.
        saved: values that backward needs besides the inputs.
        attrs: the other arguments of the operation, by name; with them it could be repeated.
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
    """Make the Tensors that an operation with several outputs returns; all of them share one node. See `result`.

    Integer outputs are not on the tape. Backward is called if any output has a gradient. It gets one gradient for each output,
    or None for an output without a gradient.
    """
    records = taping.get()
    if not records or not any(t.requires_grad for t in inputs):
        return tuple(map(Tensor, outputs))
    node = Node(op, {} if attrs is None else attrs, backward, inputs, saved, tuple((y.shape, y.dtype) for y in outputs))
    made = (Tensor(y, True, node, i) if y.dtype.kind == "f" else Tensor(y) for i, y in enumerate(outputs))
    return tuple(made) if records is True else tuple(records(t) if t.node is node else t for t in made)


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Return a Tensor with a copy of the data.

    Args:
        data: numbers, nested lists, an array, or an object that NumPy converts to an array. Python floats become float32, Python
            integers int64. Arrays keep their dtype (other integers become int64, float16 becomes float32).
        dtype: float32, float64, int64 or bool.
        requires_grad: whether `backward` fills its `grad`.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.

    Raises:
        TypeError: the data are not numbers.
        ValueError: nested lists have different lengths.

    >>> import fastnn
    >>> fastnn.tensor([1.5, -0.5, 2.0]).shape
    (3,)
    """
    k = current()
    check_device(device, "tensor")
    array = own_array(k, data, dtype, "tensor", copy=True)
    k.host_wrote(array)
    t = Tensor(array)
    return t.requires_grad_() if requires_grad else t
