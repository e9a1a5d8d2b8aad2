"""Operations on shapes: reshape shares memory, the others copy by the kernel `strided_copy`."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tape import copied, share_changes
from ..autograd.tensor import Array, Gradients, Node, Tensor, result, torch_names
from ..backends import current
from ..core import arrays
from ..core.layout import Order, broadcast_strides, strides_of
from .cast import promoted
from .checks import as_tensor, axis_of


def reshape(x: Tensor, *shape: Any) -> Tensor:
    """Return the same elements in another shape, in the same memory; one size may be -1, which is then inferred.

    >>> import fastnn
    >>> fastnn.tensor([1.0, 2.0, 3.0, 4.0]).reshape(2, -1).shape
    (2, 2)
    """
    x = as_tensor(x, "reshape")
    wanted = sizes("reshape", shape)
    try:
        data = x.data.reshape(wanted)
    except ValueError:
        raise ValueError(f"reshape: shape {x.shape} into {wanted}; the number of elements differs") from None
    return share_changes(result("reshape", data, _reshape_backward, (x,), (), {"shape": data.shape}), x)


def _reshape_backward(grads: Gradients, node: Node, dy: Array) -> None:
    grads.add(node.inputs[0], dy.reshape(node.inputs[0].shape))


@torch_names
def flatten(x: Tensor, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """Merge the dimensions from start_axis to end_axis, by default the last one, into one."""
    x = as_tensor(x, "flatten")
    start, end = (axis_of(axis, max(x.ndim, 1), "flatten") for axis in (start_axis, end_axis))
    if start > end:
        raise ValueError(f"flatten: axis {start_axis} comes after axis {end_axis} in shape {x.shape}")
    return reshape(x, x.shape[:start] + (int(np.prod(x.shape[start : end + 1], dtype=np.int64)),) + x.shape[end + 1 :])


@torch_names
def squeeze(x: Tensor, axis: int | Sequence[int] | None = None) -> Tensor:
    """Remove all dimensions of size 1, or only the given ones if they have size 1."""
    x = as_tensor(x, "squeeze")
    given = range(x.ndim) if axis is None else axis if isinstance(axis, Sequence) else (axis,)
    axes = {axis_of(a, builtins.max(x.ndim, 1), "squeeze") for a in given}
    kept = tuple(n for d, n in enumerate(x.shape) if n != 1 or d not in axes)
    return x if kept == x.shape else reshape(x, kept)


@torch_names
def unsqueeze(x: Tensor, axis: int) -> Tensor:
    """Insert a dimension of size 1 at this position."""
    x = as_tensor(x, "unsqueeze")
    axis = axis_of(axis, x.ndim + 1, "unsqueeze")
    return reshape(x, x.shape[:axis] + (1,) + x.shape[axis:])


def transpose(x: Tensor, *axes: Any, **named: Any) -> Tensor:
    """Permute the axes: reverse them without arguments, use a tuple's order as in NumPy, or swap two axes as in PyTorch.

    The keywords of both work: ``axes=``, or ``dim0=`` and ``dim1=``.

    >>> import fastnn
    >>> fastnn.tensor([[1.0, 2.0]]).transpose(0, 1).shape
    (2, 1)
    """
    x = as_tensor(x, "transpose")
    if named:
        if axes or named.keys() not in ({"axes"}, {"dim0", "dim1"}):
            raise TypeError(f"transpose: {', '.join(named)} came; wanted axes, or dim0 and dim1, and nothing else")
        axes = (named["dim0"], named["dim1"]) if len(named) == 2 else () if named["axes"] is None else (named["axes"],)
    if len(axes) == 2:
        return swap_axes(x, *axes)
    order = tuple(axes[0]) if len(axes) == 1 and isinstance(axes[0], Sequence) else axes or tuple(reversed(range(x.ndim)))
    order = tuple(axis_of(a, x.ndim, "transpose") for a in order)
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"transpose: axes {order} of a Tensor with {x.ndim} dimensions; each must come once")
    if order == tuple(range(x.ndim)):
        return x
    return _permuted(x, order)


def arranged(view: Any) -> Tensor:
    """Return the values of a parameter view as a Tensor; its gradient is passed to the base."""
    axes, blocks, axis = view.order
    y = transpose(view.base, axes)
    if not blocks:
        return y
    k, order = current(), Order(tuple(range(y.ndim)), blocks, axis)
    index = np.arange(y.shape[axis]).reshape(len(blocks), -1)[list(blocks)].reshape(-1)
    taken = arrays.arranged(k, y.data, order)
    return copied(result("take", taken, _arranged_backward, (y, Tensor(k.constant(index))), (order,), {"axis": axis}))


def _arranged_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    (order,), y = node.saved, node.inputs[0]
    array = grads.k.empty(y.shape, y.dtype)
    arrays.store_arranged(grads.k, array, dy, order)
    grads.add(y, array)


def swap_axes(x: Any, axis0: int, axis1: int) -> Tensor:
    """Swap two axes."""
    t = as_tensor(x, "swapaxes")
    a, b = axis_of(axis0, t.ndim, "swapaxes"), axis_of(axis1, t.ndim, "swapaxes")
    order = list(range(t.ndim))
    order[a], order[b] = b, a
    return t if a == b else _permuted(t, tuple(order))


def _permuted(x: Tensor, order: tuple[int, ...]) -> Tensor:
    return copied(result("transpose", arrays.permute(current(), x.data, order), _transpose_backward, (x,), (), {"axes": order}))


def _transpose_backward(grads: Gradients, node: Node, dy: Array) -> None:
    order = node.attrs["axes"]
    inverse = tuple(order.index(a) for a in range(len(order)))
    grads.add(node.inputs[0], arrays.permute(grads.k, dy, inverse))


def expand(x: Array, shape: tuple[int, ...]) -> Array:
    """Repeat an array along its dimensions of size 1, in a new array."""
    k = current()
    y = k.empty(shape, x.dtype)
    arrays.copy_walk(k, y, x, shape, strides_of(shape), broadcast_strides(x.shape, shape))
    return y


def permute(x: Tensor, *axes: Any) -> Tensor:
    """Permute the axes to this order.

    >>> import fastnn
    >>> fastnn.permute(fastnn.zeros((2, 3, 4)), 2, 0, 1).shape
    (4, 2, 3)
    """
    return transpose(x, sizes("permute", axes))


def sizes(op: str, given: tuple[Any, ...]) -> tuple[int, ...]:
    """Return integers that are passed one by one or as one sequence; raise TypeError for other values."""
    many = given[0] if len(given) == 1 and not isinstance(given[0], int | np.integer) else given
    try:
        return tuple(map(operator.index, many))
    except TypeError:
        raise TypeError(f"{op}: {many!r} came, wanted whole numbers") from None


def broadcast_to(x: Any, *shape: Any) -> Tensor:
    """Repeat x along its dimensions of size 1, and along new dimensions in front; -1 keeps the size of a dimension.

    >>> import fastnn
    >>> fastnn.broadcast_to(fastnn.tensor([[1.0], [2.0]]), 2, 2).tolist()
    [[1.0, 1.0], [2.0, 2.0]]
    """
    t, wanted = as_tensor(x, "broadcast_to"), sizes("broadcast_to", shape)
    pad = len(wanted) - t.ndim
    wanted = tuple(t.shape[d - pad] if n == -1 and d >= pad else n for d, n in enumerate(wanted))
    if pad < 0 or any(n not in (1, w) for n, w in zip(t.shape, wanted[pad:], strict=True)) or any(n < 0 for n in wanted):
        raise ValueError(f"broadcast_to: shape {t.shape} does not broadcast to {wanted}")
    if wanted == t.shape:
        return t
    return copied(result("broadcast_to", expand(t.data, wanted), _broadcast_to_backward, (t,), (), {"shape": wanted}))


def _broadcast_to_backward(grads: Gradients, node: Node, dy: Array) -> None:
    grads.add(node.inputs[0], arrays.sum_to(grads.k, dy, node.inputs[0].shape))


@torch_names
def concatenate(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Concatenate Tensors along an axis; those of different dtypes are converted to a common one.

    >>> import fastnn
    >>> fastnn.concatenate([fastnn.tensor([1.0]), fastnn.tensor([2.0, 3.0])]).tolist()
    [1.0, 2.0, 3.0]
    """
    parts = _operands(tensors, "concatenate")
    axis = axis_of(axis, parts[0].ndim, "concatenate")
    shape = parts[0].shape
    for t in parts[1:]:
        if t.ndim != len(shape) or any(t.shape[d] != shape[d] for d in range(len(shape)) if d != axis):
            raise ValueError(f"concatenate: shapes {shape} and {t.shape} differ in more than axis {axis}")
    total = builtins.sum(t.shape[axis] for t in parts)
    k = current()
    y = k.empty(shape[:axis] + (total,) + shape[axis + 1 :], parts[0].dtype)
    strides, start = strides_of(y.shape), 0
    for t in parts:
        arrays.copy_walk(k, y, t.data, t.shape, strides, strides_of(t.shape), yo=start * strides[axis])
        start += t.shape[axis]
    return result("concatenate", y, _concatenate_backward, parts, (), {"axis": axis})


def _concatenate_backward(grads: Gradients, node: Node, dy: Array) -> None:
    axis = node.attrs["axis"]
    strides, start = strides_of(dy.shape), 0
    for t in node.inputs:
        if t.requires_grad:
            dx = grads.k.empty(t.shape, t.dtype)
            arrays.copy_walk(grads.k, dx, dy, t.shape, strides_of(t.shape), strides, xo=start * strides[axis])
            grads.add(t, dx)
        start += t.shape[axis]


@torch_names
def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Stack Tensors of the same shape along a new axis.

    >>> import fastnn
    >>> fastnn.stack([fastnn.tensor([1.0]), fastnn.tensor([2.0])]).shape
    (2, 1)
    """
    parts = _operands(tensors, "stack")
    for t in parts[1:]:
        if t.shape != parts[0].shape:
            raise ValueError(f"stack: shapes {parts[0].shape} and {t.shape} differ")
    return concatenate([unsqueeze(t, axis) for t in parts], axis)


def _operands(tensors: Sequence[Any], op: str) -> tuple[Tensor, ...]:
    if isinstance(tensors, Tensor) or not isinstance(tensors, Sequence) or not tensors:
        raise ValueError(f"{op}: wanted a list of at least one Tensor")
    like = next((t for t in tensors if isinstance(t, Tensor)), None)
    return promoted(*(as_tensor(t, op, like) for t in tensors))
